"""How the stub of the API server answers: objects, `Status` objects for failures, bodies in chunks."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any, Protocol

Object = dict[str, Any]


class Stoppable(Protocol):
    """A server whose slow answers end when it does."""

    stopping: threading.Event


class Answers(BaseHTTPRequestHandler):
    """The requests of one connection, answered without delay."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Stoppable  # type: ignore[assignment]

    def status(self, code: int, reason: str, message: str, **headers: str) -> None:
        """A `Status` object, as every failure of the API is told."""
        found = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason}
        self.send(code, "application/json", json.dumps({**found, "code": code}).encode(), headers)

    def json(self, code: int, found: Object) -> None:
        """An object."""
        self.send(code, "application/json", json.dumps(found).encode())

    def send(self, code: int, kind: str, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """A whole answer."""
        self.send_response(code)
        self.send_header("Content-Type", kind)
        for name, value in (headers or {}).items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def chunked(self, body: bytes, *, cut_after: int | None = None, pause_seconds: float = 0.0) -> None:
        """An answer in chunks, as logs come; `cut_after` so many bytes the connection is closed."""
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        sent = body if cut_after is None else body[:cut_after]
        for begin in range(0, len(sent), 65536):
            part = sent[begin : begin + 65536]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            if pause_seconds:
                self.wfile.flush()
                self.server.stopping.wait(pause_seconds)
        if cut_after is None:
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it so)
        """Stay silent."""
