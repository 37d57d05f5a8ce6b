"""A stub of Loki's query_range endpoint, by its documented behaviour. No Loki is packaged for Debian.

https://grafana.com/docs/loki/latest/reference/loki-http-api/#query-logs-within-a-range-of-time: `query`, `limit`,
`start` (inclusive) and `end` (exclusive) in nanoseconds, `direction`; the answer is `{"status": "success", "data":
{"resultType": "streams", "result": [{"stream": {...}, "values": [["ns", "line"], ...]}]}}`. `limit` counts lines over
all streams; lines of a stream stand in the direction's order. A limit above `max_entries_limit_per_query` and a query
that does not parse are refused with 400 and plain text, too many requests with 429.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from tests.troubleshoot.sources.conftest import LocalServer, http_answer

_MATCHER = re.compile(r'(\w+)(=~|=)"([^"]*)"')


@dataclass
class LokiStub:
    """Lines by stream. `refusals` are answered first, one a request; `asked` are the parameters of each request."""

    streams: dict[tuple[tuple[str, str], ...], list[tuple[int, str]]] = field(default_factory=dict)
    most_lines: int = 5000
    tenant: str = ""
    refusals: list[bytes] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    before: Callable[[int, socket.socket], bool] | None = None

    def push(self, labels: Mapping[str, str], entries: list[tuple[int, str]]) -> None:
        """Add lines with their times in nanoseconds."""
        stream = self.streams.setdefault(tuple(sorted(labels.items())), [])
        stream += entries
        stream.sort(key=lambda entry: entry[0])

    def respond(self, head: bytes, connection: socket.socket) -> None:
        """Answer one request."""
        target = head.split()[1].decode()
        parts = urlsplit(target)
        self.asked.append({name: values[0] for name, values in parse_qs(parts.query).items()})
        if self.before and self.before(len(self.asked), connection):
            return
        if self.refusals:
            connection.sendall(self.refusals.pop(0))
        elif parts.path != "/loki/api/v1/query_range":
            connection.sendall(http_answer(b"404 page not found\n", "404 Not Found"))
        elif self.tenant and f"x-scope-orgid: {self.tenant}" not in head.decode().lower():
            connection.sendall(http_answer(b"no org id\n", "401 Unauthorized"))
        else:
            connection.sendall(self._answer(self.asked[-1]))

    def _answer(self, asked: Mapping[str, str]) -> bytes:
        limit = int(asked.get("limit", "100"))
        if limit > self.most_lines:
            text = "max entries limit per query exceeded, limit > max_entries_limit_per_query "
            text += f"({limit} > {self.most_lines})\n"
            return http_answer(text.encode(), "400 Bad Request", "Content-Type: text/plain; charset=utf-8")
        if asked["query"].startswith(("rate(", "count_over_time(")):
            data = {"resultType": "matrix", "result": []}
            return http_answer(json.dumps({"status": "success", "data": data}).encode())
        if not re.fullmatch(r'\s*\{(\s*\w+\s*=~?\s*"[^"]*"\s*,?)+\}\s*', asked["query"]):
            text = "parse error at line 1, col 2: syntax error: unexpected IDENTIFIER, expecting STRING\n"
            return http_answer(text.encode(), "400 Bad Request", "Content-Type: text/plain; charset=utf-8")
        assert asked["direction"] == "forward"
        start, end = int(asked["start"]), int(asked["end"])
        found = [
            (time, number, labels, line)
            for number, (labels, entries) in enumerate(self.streams.items())
            if _matches(asked["query"], dict(labels))
            for time, line in entries
            if start <= time < end
        ]
        found.sort(key=lambda one: one[0])
        by_stream: dict[tuple[tuple[str, str], ...], list[list[str]]] = {}
        for time, _, labels, line in found[:limit]:
            by_stream.setdefault(labels, []).append([str(time), line])
        # Streams come in no order that means anything.
        result = [{"stream": dict(labels), "values": values} for labels, values in reversed(by_stream.items())]
        streams: dict[str, object] = {"resultType": "streams", "result": result, "stats": {"summary": {}}}
        return http_answer(json.dumps({"status": "success", "data": streams}).encode())


def _matches(query: str, labels: Mapping[str, str]) -> bool:
    return all(
        re.fullmatch(value, labels.get(name, "")) if operator == "=~" else labels.get(name, "") == value
        for name, operator, value in _MATCHER.findall(query)
    )


@contextmanager
def running(stub: LokiStub) -> Iterator[str]:
    """Serve the stub; yields its address."""
    server = LocalServer(stub.respond)
    try:
        yield f"http://{server.address}"
    finally:
        server.stop()
