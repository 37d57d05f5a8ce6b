"""A server that answers as Prometheus does, or as something else does that stands at its address."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

Answer = tuple[int, bytes]


def ok(result: object) -> Answer:
    """What Prometheus says to a query it could answer."""
    return 200, json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode()


def refused(status: int, message: str) -> Answer:
    """What Prometheus says to a query it could not answer."""
    return status, json.dumps({"status": "error", "errorType": "bad_data", "error": message}).encode()


def calm(path: str, query: str) -> Answer:
    """Answer every query with one series that is 1."""
    if path.endswith("/values"):
        return 200, json.dumps({"status": "success", "data": ["llm_up"]}).encode()
    if path.endswith("/query_range"):
        return ok([{"metric": {"pod": "a"}, "values": [[1000, "1"]]}])
    return ok([{"metric": {"pod": "a"}, "value": [1000, "1"]}])


@dataclass
class Stub:
    """Where it listens, and what it was asked: path, query, headers."""

    url: str
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)


@contextmanager
def stub_prometheus(answer: Callable[[str, str], Answer] = calm) -> Iterator[Stub]:
    """Serve answers, by path and query, while the context is open."""
    stub = Stub("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = parse_qs(parts.query).get("query", [""])[0]
            stub.asked.append((parts.path, query, dict(self.headers)))
            status, body = answer(parts.path, query)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it so)
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    stub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield stub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
