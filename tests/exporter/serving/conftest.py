"""A running server for every test that wants one, and what it serves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from exporter.exposition import Family
from exporter.serving.app import Application, Readiness, Sources
from exporter.serving.listening import listen
from exporter.serving.server import Server
from exporter.serving.status_view import StatusView
from exporter.serving.web_config import WebConfig
from exporter.snapshot import Snapshot

JOIN_SECONDS = 20.0


@pytest.fixture
def snapshot() -> Snapshot:
    lines = b"".join(b'a_total{pod="p%d"} %d\n' % (number, number) for number in range(50))
    return Snapshot([{Family("a_total", "counter", "Things."): lines}], created_unix_seconds=1_700_000_000.0)


@pytest.fixture
def sources(snapshot: Snapshot) -> Sources:
    return Sources(
        snapshot=lambda: snapshot,
        readiness=lambda: Readiness(ready=True),
        status=lambda: StatusView("1.2.3", "node-a", 0.5),
    )


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start servers on free loopback ports; each is stopped at the end and must then return from `run`."""
    running: list[tuple[Server, threading.Thread]] = []

    def start(sources: Sources, web: WebConfig | None = None, address: str = "127.0.0.1:0") -> Server:
        web = web or WebConfig()
        bound = listen(address)
        try:
            server = Server(Application(sources, web), bound, web)
        except BaseException:
            bound.close()
            raise
        thread = threading.Thread(target=server.run)
        thread.start()
        running.append((server, thread))
        return server

    yield start
    for server, _ in running:
        server.stop()
    for _, thread in running:
        thread.join(JOIN_SECONDS)
        assert not thread.is_alive()
