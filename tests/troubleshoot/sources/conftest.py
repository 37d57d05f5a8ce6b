from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

Respond = Callable[[bytes, socket.socket], None]

PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


class LocalServer:
    """A socket server on 127.0.0.1; `respond(request_head, connection)` answers each in a thread."""

    def __init__(self, respond: Respond, wrap: Callable[[socket.socket], socket.socket] | None = None) -> None:
        self._respond = respond
        self._wrap = wrap
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self.stopping = threading.Event()
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def paths(self) -> list[str]:
        return [request.split()[1].decode() for request in self.requests]

    def stop(self) -> None:
        if self.stopping.is_set():
            return
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._wrap:
                connection = self._wrap(connection)
            with connection:
                head = b""
                while b"\r\n\r\n" not in head and (data := connection.recv(65536)):
                    head += data
                if head:
                    self.requests.append(head)
                    self._respond(head, connection)
        except OSError:  # the client went away, which some tests make it do
            connection.close()


def http_answer(body: bytes = b"", status: str = "200 OK", *headers: str, length: bool = True) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Connection: close", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.fixture
def start() -> Iterator[Callable[..., LocalServer]]:
    """Start a server from an answer (bytes), a mapping of paths to answers, or a function."""
    servers: list[LocalServer] = []

    def start_server(
        answer: bytes | dict[str, bytes] | Respond,
        wrap: Callable[[socket.socket], socket.socket] | None = None,
    ) -> LocalServer:
        def respond(request: bytes, connection: socket.socket) -> None:
            if isinstance(answer, bytes):
                connection.sendall(answer)
            elif isinstance(answer, dict):
                path = request.split()[1].decode()
                connection.sendall(answer.get(path, http_answer(b"not found", "404 Not Found")))
            else:
                answer(request, connection)

        server = LocalServer(respond, wrap)
        servers.append(server)
        return server

    yield start_server
    for server in servers:
        server.stop()


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def answer() -> Callable[..., bytes]:
    return http_answer
