"""Relabels an exposition line by line, in bytes.

The text of a series (its head) stays the same from scrape to scrape; only values change. So what a head leads to
is worked out when it is first seen, and a scrape costs one dictionary look-up and one concatenation a line:
about fifty times less than parsing into objects. What is kept is bounded by `max_series`, and is forgotten when
much of it is no longer there.

Whatever an endpoint sends, what comes out is well formed and has each series once: a head that comes twice, a
value that Prometheus would not read, or a line that is no sample is left out and counted.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from catalog.exposition import read_series, split_series
from catalog.translate import Route, merged
from exporter.exposition import Family, label_text, number_text

__all__ = ["Relabelled", "Relabeller", "Resolver"]

_NUMBER = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_WORDS = {b"nan": b"NaN", b"inf": b"+Inf", b"infinity": b"+Inf"}
_MISSING = object()
_TOKENS_KEPT = 4096
# A cache of which a quarter was not met again holds a life that has ended (a restart, other labels).
_STALE_SHARE = 0.25
_STALE_SPARE = 64
_HASH = ord("#")


class Resolver(Protocol):
    """What a series means: decided once for each series, not for each sample."""

    def routes(self, name: str, labels: Mapping[str, str]) -> tuple[Route, ...]:
        """Return the series that this raw one feeds; empty to leave it out."""

    def product(self, route: Route, value: float) -> float | None:
        """Return the product of which `value` is one factor, or None while others are unknown."""

    def family(self, sample_name: str) -> Family:
        """Return the family of a sample that `routes` named."""

    def comment(self, line: bytes) -> None:
        """See a comment line, the first time that it comes."""


@dataclass(frozen=True, slots=True)
class Relabelled:
    """What one scrape gave: lines by family, and what was left out."""

    section: dict[Family, bytes]
    series: int
    bad_lines: int
    repeated_series: int
    series_over_limit: int


@dataclass(slots=True, eq=False)
class _Series:
    """One series that comes out. `only` is the raw head that alone feeds it, unchanged, while that is so."""

    name: str
    text: bytes
    append: Callable[[bytes], None]
    only: tuple[bytes, Route] | None = None
    fed: bool = False
    parts: dict[tuple[str, tuple[tuple[str, str], ...]], float] = field(default_factory=dict)


_Targets = tuple[tuple[_Series, Route], ...]
# Of a head: None to leave it out; where to append what; or, with None, the series that it is merged into.
_Entry = tuple[Callable[[bytes], None], bytes] | tuple[None, _Targets] | None


class Relabeller:
    """Relabels the scrapes of one endpoint. `place` are labels that every series gets; they win over its own."""

    def __init__(self, resolver: Resolver, place: Mapping[str, str], *, max_series: int) -> None:
        self._resolver = resolver
        self._place = dict(place)
        self._max_series = max_series
        self._forget()
        self._tokens: dict[bytes, bytes] = {}

    def _forget(self) -> None:
        self._heads: dict[bytes, _Entry] = {}
        self._series: dict[tuple[str, tuple[tuple[str, str], ...]], _Series] = {}
        self._lines: dict[Family, list[bytes]] = {}
        self._samples = 0

    def relabel(self, body: bytes) -> Relabelled:
        """Relabel one scrape; never raises, whatever the body."""
        lines = _lines(body)
        if len(self._tokens) > _TOKENS_KEPT:
            self._tokens.clear()
        result = self._pass(lines)
        if self._merge_found:
            # A series that had come out by itself turned out to have a second source: now that is known.
            result = self._pass(lines)
        if len(self._left) > _STALE_SHARE * len(self._heads) + _STALE_SPARE:
            self._forget()
        return result

    def _pass(self, lines: list[bytes]) -> Relabelled:
        for collected in self._lines.values():
            collected.clear()
        self._merge_found = False
        self._touched: list[_Series] = []
        self._bad = self._repeated = self._over = 0
        self._left = self._heads.copy()
        take: Callable[[bytes, object], Any] = self._left.pop
        tokens = self._tokens.get
        for line in lines:
            head, _, value = line.rpartition(b" ")
            entry = take(head, _MISSING)
            if entry is None:
                continue
            if entry is _MISSING:
                self._unknown(line)
                continue
            token = tokens(value) or self._token(value)
            if token is None:
                self._bad += 1
                continue
            append, text = entry
            if append is None:
                self._gather(text, token)
            else:
                append(text + token)
        self._put_merged()
        section = {family: b"\n".join(found) + b"\n" for family, found in self._lines.items() if found}
        series = sum(map(len, self._lines.values()))
        return Relabelled(section, series, self._bad, self._repeated, self._over)

    def _unknown(self, line: bytes) -> None:
        """A line whose head is new, repeated, followed by a timestamp, or oddly spaced; or that is no sample."""
        stripped = line.strip()
        if not stripped:
            return
        if stripped[0] == _HASH:
            self._comment(line, stripped)
            return
        found = split_series(stripped)
        if found is None:
            self._bad += 1
            return
        inside, tail = found
        head = inside + b"}" if b"{" in inside else inside
        fields = tail.split(b"#", 1)[0].split()
        token = self._token(fields[0]) if 1 <= len(fields) <= 2 else None
        if token is None:
            self._bad += 1
            return
        if head not in self._heads:
            if not self._learn(head, inside):
                return
        elif self._left.pop(head, _MISSING) is _MISSING:
            self._repeated += self._heads[head] is not None
            return
        entry: Any = self._heads[head]
        if entry is None:
            return
        append, text = entry
        if append is None:
            self._gather(text, token)
        else:
            append(text + token)

    def _comment(self, line: bytes, stripped: bytes) -> None:
        head = line.rpartition(b" ")[0]
        if head not in self._heads and len(self._heads) < 2 * self._max_series:
            self._heads[head] = None
            self._resolver.comment(stripped)

    def _learn(self, head: bytes, inside: bytes) -> bool:
        """Work out where a new head leads; False when it cannot be kept."""
        named = read_series(inside)
        if named is None:
            self._bad += 1
            return False
        name, labels = named
        routes = self._resolver.routes(name, labels)
        if self._samples + len(routes) > self._max_series or len(self._heads) >= 2 * self._max_series:
            self._over += len(routes)
            return False
        targets = tuple((self._series_of(route), route) for route in routes)
        self._samples += len(targets)
        self._heads[head] = self._entry(head, targets)
        return True

    def _entry(self, head: bytes, targets: _Targets) -> _Entry:
        if not targets:
            return None
        series, route = targets[0]
        if len(targets) == 1 and route.is_plain and not series.fed:
            series.fed, series.only = True, (head, route)
            return series.append, series.text
        for series, _ in targets:
            if series.only is not None:
                other, its_route = series.only
                self._heads[other] = (None, ((series, its_route),))
                series.only = None
                self._merge_found = True
            series.fed = True
        return None, targets

    def _series_of(self, route: Route) -> _Series:
        labels = {**route.labels, **self._place}
        key = (route.name, tuple(sorted(labels.items())))
        series = self._series.get(key)
        if series is None:
            text = f"{route.name}{{{label_text(labels)}}} ".encode()
            collected = self._lines.setdefault(self._resolver.family(route.name), [])
            series = self._series[key] = _Series(route.name, text, collected.append)
        return series

    def _gather(self, targets: _Targets, token: bytes) -> None:
        """Take one value of series that are merged or converted."""
        raw = float(token)
        for series, route in targets:
            value = route.value(raw)
            if value is not None and route.factor is not None:
                value = self._resolver.product(route, value)
            if value is None:
                continue
            if not series.parts:
                self._touched.append(series)
            series.parts[route.part] = max(value, series.parts.get(route.part, value))

    def _put_merged(self) -> None:
        for series in self._touched:
            series.append(series.text + number_text(merged(series.name, series.parts)).encode())
            series.parts.clear()

    def _token(self, value: bytes) -> bytes | None:
        """Return a value as Prometheus reads it, or None: Python's `float` takes more than Prometheus does."""
        if _NUMBER.fullmatch(value):
            token = value if math.isfinite(float(value)) else None
        else:
            sign, word = (value[:1], value[1:]) if value[:1] in {b"+", b"-"} else (b"", value)
            token = _WORDS.get(word.lower())
            if token == b"+Inf" and sign == b"-":
                token = b"-Inf"
        if token is not None:
            self._tokens[value] = token
        return token


def _lines(body: bytes) -> list[bytes]:
    """Cut a body into lines. Some frameworks send the text as one JSON string; some, other line ends."""
    body = body.removeprefix(b"\xef\xbb\xbf")
    if body[:1] == b'"':
        try:
            unquoted = json.loads(body)
        except ValueError:
            unquoted = None
        if isinstance(unquoted, str):
            body = unquoted.encode("utf-8", "replace")
    if b"\r" in body:
        body = body.replace(b"\r\n", b"\n")
    return body.split(b"\n")
