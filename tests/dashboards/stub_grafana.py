"""A stub that answers as Grafana's documented API does, or as something else does that stands at its address.

It follows the documentation of the folder and dashboard APIs (bodies, status codes, `status` of 412) and is no Grafana:
what it was not told to check, it takes.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "glsa_5up3rS3cretTokenOfTheTests_1a2b3c4d"
HEALTH = {"commit": "ab12", "database": "ok", "version": "11.6.0"}
_PATIENCE_SECONDS = 10


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def written(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class StubGrafana:
    """What it holds and was asked. `instead` answers (method, path) in its place where it returns something."""

    url: str = ""
    folders: list[dict[str, Any]] = field(default_factory=list)
    boards: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    instead: Callable[[str, str], Answer | None] = lambda method, path: None
    health: dict[str, str] = field(default_factory=lambda: dict(HEALTH))
    hold: threading.Event = field(default_factory=threading.Event)
    slow: bool = False

    def answer(self, method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
        parts = urlsplit(path)
        self.asked.append((method, path, headers))
        if self.slow:
            self.hold.wait(_PATIENCE_SECONDS)
        other = self.instead(method, parts.path)
        if other is not None:
            return other
        if parts.path == "/api/health":
            return Answer(200, self.health)
        if headers.get("Authorization") != f"Bearer {TOKEN}":
            return Answer(401, {"message": "Invalid API key"})
        if (method, parts.path) == ("GET", "/api/folders"):
            return self._list(parse_qs(parts.query))
        if (method, parts.path) == ("POST", "/api/folders"):
            return self._make(body)
        if (method, parts.path) == ("POST", "/api/dashboards/db"):
            return self._write(body)
        return Answer(404, {"message": "Not found"})

    def _list(self, query: dict[str, list[str]]) -> Answer:
        limit, page = int(query.get("limit", ["1000"])[0]), int(query.get("page", ["1"])[0])
        return Answer(200, self.folders[(page - 1) * limit : page * limit])

    def _make(self, body: Any) -> Answer:
        if not body.get("title"):
            return Answer(400, {"message": "folder title cannot be empty"})
        if any(one["title"] == body["title"] for one in self.folders):
            return Answer(409, {"message": "a folder with the same name already exists in the current location"})
        number = len(self.folders) + 1
        made = {"id": number, "uid": body.get("uid") or f"folder-{number}", "title": body["title"], "version": 1}
        self.folders.append(made)
        return Answer(200, made)

    def _write(self, body: Any) -> Answer:
        board, folder = body["dashboard"], body.get("folderUid", "")
        if folder and all(one["uid"] != folder for one in self.folders):
            return Answer(400, {"message": "folder not found"})
        if not board.get("title"):
            return Answer(400, {"message": "Dashboard title cannot be empty"})
        there = self.boards.get(board["uid"])
        if there is not None and not body["overwrite"]:
            return Answer(
                412,
                {"message": "A dashboard with the same uid already exists", "status": "name-exists"},
            )
        version = 1 if there is None else there["version"] + 1
        self.boards[board["uid"]] = {"board": board, "folder": folder, "version": version}
        place = f"/d/{board['uid']}/slug"
        return Answer(
            200, {"id": 1, "uid": board["uid"], "url": place, "status": "success", "version": version, "slug": "slug"}
        )


@contextmanager
def serving(given: StubGrafana | None = None) -> Iterator[StubGrafana]:
    """Serve a stub while the context is open."""
    stub = given or StubGrafana()

    class Handler(BaseHTTPRequestHandler):
        def _respond(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            answer = stub.answer(self.command, self.path, dict(self.headers), body)
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(answer.written)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.written)

        do_GET = do_POST = _respond  # noqa: N815 (the base class calls them so)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it so)
            """Say nothing."""

        def handle(self) -> None:
            """A client that went away in the middle of an answer is what some tests are about."""
            try:
                super().handle()
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        stub.hold.set()
        server.shutdown()
        server.server_close()
        thread.join()
