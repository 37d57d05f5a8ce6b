"""Runs the application on uvicorn: HTTP/1.1 by h11, with an end to every wait, and a stop that drains.

The process module owns signals, sockets are bound beforehand (`exporter.serving.listening`), and nothing is
logged but this program's own defects: what a client gets wrong is its business.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Iterator
from email.utils import formatdate
from functools import lru_cache
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from catalog.settings import SettingsError
from exporter.serving.app import Application
from exporter.serving.tls import Certificates, allowed_by_san
from exporter.serving.web_config import WebConfig

__all__ = ["Server"]

MAX_CONNECTIONS = 64
"""Requests beyond this many open connections are answered 503."""

MAX_HEADER_BYTES = 16 << 10
"""A longer request head is answered 400."""

KEEP_ALIVE_SECONDS = 120
"""How long an idle connection stays: longer than usual scrape intervals, so that TLS is set up once."""

DRAIN_SECONDS = 5
"""How long a stop waits for responses that are under way."""

STALL_SECONDS = 30.0
"""A connection that waits this long for a whole request, or for its reader, is cut off, a few seconds late."""

_TICKS_OF_STALL = 6
# A stop wakes the loop itself: this is for a signal that the system gives to another thread than the main one.
_LOOK_SECONDS = 10.0


class Server:
    """One server on one bound socket. `run` is called once; `stop` and `apply` from any thread at any time.

    `port` is the one that is listened at. `certificates` is None without TLS.
    """

    def __init__(self, application: Application, bound: socket.socket, web: WebConfig) -> None:
        """Take over `bound`, which `run` closes. Raises SettingsError for certificates that cannot be used."""
        self._application = application
        self._bound = bound
        self.port: int = bound.getsockname()[1]
        tls = web.tls_server_config
        self._tls = tls
        self.certificates = Certificates(tls) if tls else None
        allowed_sans = tls.client_allowed_sans if tls else ()
        config = uvicorn.Config(
            application,
            loop="asyncio",
            http=_protocol(allowed_sans),
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level=logging.ERROR,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=MAX_CONNECTIONS,
            backlog=128,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        )
        config.load()
        config.ssl = self.certificates.context if self.certificates else None
        self._server = _UnsignalledServer(config)

    def run(self) -> None:
        """Serve until `stop`, then let responses under way finish, for DRAIN_SECONDS at most."""
        # Not asyncio.run, which would take SIGINT for itself.
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(self._server.serve(sockets=[self._bound]))
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            loop.close()

    def stop(self) -> None:
        """Ask `run` to return. Safe in a signal handler, from any thread, or before `run`."""
        self._server.end()

    def apply(self, web: WebConfig) -> None:
        """Take users and headers from a newly read web configuration.

        Certificate files need no call: they are read anew when they change. Raises SettingsError, and changes
        nothing, where TLS settings differ: those need a restart.
        """
        if web.tls_server_config != self._tls:
            raise SettingsError(
                "tls_server_config: a change takes effect at the next start; the old one stays in service"
            )
        self._application.apply(web)


class _UnsignalledServer(uvicorn.Server):
    """uvicorn's server without signal handlers, which leaves no connection open behind it.

    uvicorn looks ten times a second whether to end, and notes the date for its responses, which costs more than all
    scrapes: here it is told, and the date is looked up when a request comes.
    """

    _loop: asyncio.AbstractEventLoop | None = None
    _ending: asyncio.Event

    def end(self) -> None:
        self.should_exit = True
        loop = self._loop
        if loop is not None:
            # A loop that is closed already has ended: nothing is left to tell.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._ending.set)

    async def main_loop(self) -> None:
        self._ending = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        while not self.should_exit:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), _LOOK_SECONDS)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()
        # Let the event loop close what was aborted.
        await asyncio.sleep(0)


class _BoundedProtocol(H11Protocol):
    """uvicorn's protocol, with an end to waits that it has none for.

    Those are: a client that connects and never completes a request, one that does not read its response, and
    one whose certificate has no allowed name (its connection ends after the handshake, as in exporter-toolkit).
    """

    allowed_sans: tuple[str, ...] = ()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._stalled_ticks = 0
        self._seen_cycle: object = None
        self._tick: asyncio.TimerHandle | None = None
        connection = transport.get_extra_info("ssl_object")
        self._refused = bool(self.allowed_sans) and not allowed_by_san(connection.getpeercert(), self.allowed_sans)
        if self._refused:
            transport.abort()
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        if not self._refused:
            self.server_state.default_headers = _date(int(time.time()))
            super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._tick is not None:
            self._tick.cancel()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Count ticks in which one and the same request is waited for, or its response is not read."""
        waiting = self.timeout_keep_alive_task is None or self.transport.get_write_buffer_size() > 0
        self._stalled_ticks = self._stalled_ticks + 1 if waiting and self.cycle is self._seen_cycle else 0
        self._seen_cycle = self.cycle
        if self._stalled_ticks > _TICKS_OF_STALL:
            self.transport.abort()
        else:
            self._tick = self.loop.call_later(STALL_SECONDS / _TICKS_OF_STALL, self._watch)


@lru_cache(1)
def _date(unix_seconds: int) -> list[tuple[bytes, bytes]]:
    """The header that says when a response was made."""
    return [(b"date", formatdate(unix_seconds, usegmt=True).encode())]


def _protocol(allowed_sans: tuple[str, ...]) -> type[Any]:
    """uvicorn makes protocols itself, hence a class for each server."""
    return type("Protocol", (_BoundedProtocol,), {"allowed_sans": allowed_sans})
