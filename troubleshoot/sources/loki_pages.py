"""The lines of a Loki query, page by page, oldest first.

A page ends where its limit is reached, often between lines of one nanosecond: the next page begins at that
nanosecond again, and what was seen of it is dropped.
Source: https://grafana.com/docs/loki/latest/reference/loki-http-api/ (query_range).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from troubleshoot.sources.http_api import HttpApi, RefusedError, TooLargeError
from troubleshoot.sources.http_api_problems import not_the_api

PATH: Final = "/loki/api/v1/query_range"
PAGE_LINES: Final = 5000
"""Loki's default of `max_entries_limit_per_query`."""

_LEAST_PAGE_LINES: Final = 50
_MOST_PAGES: Final = 4000
_OVER_LIMIT: Final = re.compile(rb"max entries limit per query exceeded.{0,80}?\(\d+ > (\d+)\)")

Labels = tuple[tuple[str, str], ...]


class Entry(NamedTuple):
    """One line: its time in unix nanoseconds, its stream's labels, its text without a line end."""

    time_ns: int
    labels: Labels
    line: str


class Pages:
    """Reads a query's lines of [start, end). `note` says what is missing, once it is read."""

    def __init__(self, http: HttpApi, query: str, start_ns: int, end_ns: int) -> None:
        self._http = http
        self._query = query
        self._next_ns = start_ns
        self._end_ns = end_ns
        self._limit = PAGE_LINES
        self.note = ""

    def __iter__(self) -> Iterator[list[Entry]]:
        """Yield each page's new entries in order of time. Raises `InputError`, also after some pages."""
        seen: set[Entry] = set()
        for _ in range(_MOST_PAGES):
            entries = self._page()
            fresh = [entry for entry in entries if entry not in seen]
            if fresh:
                yield fresh
            if len(entries) < self._limit:
                return
            last = entries[-1].time_ns
            if not fresh:
                self.note = f"more than {self._limit} lines within one nanosecond: some are missing"
                last += 1
            border = {entry for entry in entries if entry.time_ns == last}
            seen = seen | border if last == self._next_ns else border
            self._next_ns = last
            if last >= self._end_ns:
                return
        self.note = f"stopped after {_MOST_PAGES} pages: ask for less with --query or --window"

    def _page(self) -> list[Entry]:
        """One page, with fewer lines where the server or the bound on an answer asks for that."""
        while True:
            try:
                return self._ask()
            except RefusedError as error:
                over = _OVER_LIMIT.search(error.said)
                if over is None or not 0 < int(over[1]) < self._limit:
                    raise
                self._limit = int(over[1])
            except TooLargeError:
                if self._limit <= _LEAST_PAGE_LINES:
                    raise
                self._limit = max(self._limit // 4, _LEAST_PAGE_LINES)

    def _ask(self) -> list[Entry]:
        parameters = {
            "query": self._query,
            "start": str(self._next_ns),
            "end": str(self._end_ns),
            "limit": str(self._limit),
            "direction": "forward",
        }
        body = self._http.ask(PATH, parameters)
        return _entries(self._http, body)


def _entries(http: HttpApi, body: bytes) -> list[Entry]:
    import msgspec

    try:
        answer: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise http.error(not_the_api(body)) from None
    try:
        data = answer["data"]
        kind, streams = data["resultType"], data["result"]
        if answer["status"] == "success" and kind != "streams":
            problem = f"the query gives numbers ({kind}), not lines"
            raise http.error((problem, "give a log query to --query, as '{namespace=\"NAME\"}'"))
        found = [
            Entry(int(value[0]), labels, str(value[1]))
            for stream in streams
            for labels in (tuple(sorted((str(name), str(text)) for name, text in stream["stream"].items())),)
            for value in stream["values"]
        ]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        raise http.error(not_the_api(b"{}")) from None
    found.sort(key=lambda entry: entry.time_ns)
    return found
