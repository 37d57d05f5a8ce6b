"""Serve a recording as if its engine were running now."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from types import TracebackType
from typing import BinaryIO, Literal, Self

from recordings.reader import Recording, RecordingError, Scrape, log_lines, scrapes

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"
_PLAIN = "text/plain; charset=utf-8"
_SHUTDOWN_POLL_SECONDS = 0.05
_CLIENT_TIMEOUT_SECONDS = 10

Start = Literal["start", "ready"]


class ManualClock:
    """A clock that moves only when told to, for tests: pass it as `clock` and call `advance`."""

    def __init__(self) -> None:
        self._now_seconds = 0.0

    def __call__(self) -> float:
        """Seconds passed since the clock was made."""
        return self._now_seconds

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self._now_seconds += seconds


class ReplayServer:
    """An engine played back: `/metrics` and `/health` over HTTP, and the log as it comes due.

    Use it as a context manager; the playback starts on entering. `clock` gives real seconds, `speed` is
    recorded seconds a real second. `start="ready"` begins when the recorded server became ready. `port` 0
    picks a free port. After the recording's end the last scrape stays, or with `repeat` it begins anew, as
    if the engine had been restarted.

    Raises RecordingError for a recording that cannot be read, or that never became ready when `start` asks
    for that; entering raises OSError when the address cannot be bound.
    """

    def __init__(
        self,
        recording: Recording,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        speed: float = 1.0,
        start: Start = "start",
        repeat: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._repeat = repeat
        self._host, self._port = host, port
        self._speed, self._clock = speed, clock
        self._scrapes = scrapes(recording)
        self._start_offset_seconds = _start_offset_seconds(recording, start, self._scrapes)
        self._scrape_offsets = [scrape.time_seconds - recording.started_unix_seconds for scrape in self._scrapes]
        self._log = log_lines(recording)
        self._log_offsets = [offset for offset, _ in self._log]
        self._log_next = 0
        self._end_offset_seconds = max([recording.duration_seconds, *self._scrape_offsets, *self._log_offsets])
        self._begun_seconds = 0.0
        self._http: _Http | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._http = _Http(self._host, self._port, self.current_scrape)
        self._begun_seconds = self._clock()
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(_SHUTDOWN_POLL_SECONDS,), name="replay", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http is not None and self._thread is not None:
            self._http.shutdown()
            self._thread.join()
            self._http.server_close()

    @property
    def url(self) -> str:
        """The address of `/metrics`; known once entered."""
        if self._http is None:
            raise RuntimeError("the replay server is not running: use it in a with statement")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._http.server_port}/metrics"

    @property
    def position_seconds(self) -> float:
        """Where the playback stands, in recorded seconds since the engine's start."""
        played = (self._clock() - self._begun_seconds) * self._speed
        if self._repeat:
            played %= max(self._end_offset_seconds - self._start_offset_seconds, 1.0)
        return self._start_offset_seconds + played

    @property
    def ended(self) -> bool:
        """Whether the recording has been played to its end."""
        return self.position_seconds >= self._end_offset_seconds

    def current_scrape(self) -> Scrape | None:
        """The last scrape taken up to now; None before the first."""
        count = bisect_right(self._scrape_offsets, self.position_seconds)
        return self._scrapes[count - 1] if count else None

    def take_log(self) -> bytes:
        """The log's lines that came due since the last call; the first call also gives all earlier ones."""
        due = bisect_right(self._log_offsets, self.position_seconds)
        taken = b"".join(line for _, line in self._log[self._log_next : due])
        self._log_next = max(self._log_next, due)
        return taken

    def seconds_to_next(self) -> float | None:
        """Real seconds until the next line of the log or the recording's end; None after both."""
        if self._log_next < len(self._log):
            next_offset = self._log_offsets[self._log_next]
        elif not self.ended:
            next_offset = self._end_offset_seconds
        else:
            return None
        return max(0.0, next_offset - self.position_seconds) / self._speed


def play(server: ReplayServer, output: BinaryIO, stop: threading.Event, *, once: bool) -> None:
    """Write the log to `output` as it comes due until `stop` is set, with `once` at most to its end."""
    while not stop.is_set():
        ended = server.ended
        output.write(server.take_log())
        output.flush()
        if ended and once:
            return
        stop.wait(server.seconds_to_next())


def _start_offset_seconds(recording: Recording, start: Start, taken: Sequence[Scrape]) -> float:
    """Where to begin. An engine that is ready is one that was seen to answer: up to two seconds after it was."""
    if start == "start":
        return 0.0
    if recording.ready_unix_seconds is None:
        raise RecordingError(f"{recording.name} never became ready: play it from its start")
    answered = next((scrape.time_seconds for scrape in taken if scrape.up), recording.ready_unix_seconds)
    return max(recording.ready_unix_seconds, answered) - recording.started_unix_seconds


class _Http(ThreadingHTTPServer):
    """The listening socket, and what its handlers need: the current scrape."""

    daemon_threads = True

    def __init__(self, host: str, port: int, current_scrape: Callable[[], Scrape | None]) -> None:
        self.current_scrape = current_scrape
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Bind without HTTPServer's reverse name lookup: without a resolver it can block for seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])


class _Handler(BaseHTTPRequestHandler):
    timeout = _CLIENT_TIMEOUT_SECONDS
    error_message_format = "%(code)d %(message)s\n"
    error_content_type = _PLAIN
    server: _Http

    def do_GET(self) -> None:
        scrape = self.server.current_scrape()
        up = scrape is not None and scrape.up
        match self.path.partition("?")[0]:
            case "/metrics" if scrape is not None and up:
                self._answer(HTTPStatus.OK, scrape.exposition, TEXT_FORMAT)
            case "/health" if up:
                self._answer(HTTPStatus.OK, b"", _PLAIN)
            case "/metrics" | "/health":
                self._answer(HTTPStatus.SERVICE_UNAVAILABLE, b"", _PLAIN)
            case _:
                body = b"not found: a replay serves /metrics and /health\n"
                self._answer(HTTPStatus.NOT_FOUND, body, _PLAIN)

    do_HEAD = do_GET  # noqa: N815

    def _answer(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        if body and _accepts_gzip(self.headers.get("Accept-Encoding", "")):
            body = gzip.compress(body, compresslevel=1, mtime=0)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it so)
        """Stay silent: standard output carries the engine's own log."""


def _accepts_gzip(accept_encoding: str) -> bool:
    for entry in accept_encoding.lower().split(","):
        coding, _, quality = entry.partition(";")
        if coding.strip() == "gzip":
            return quality.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False
