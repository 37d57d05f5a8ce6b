"""Lines in any order: where the text before a value, the head, leads to, worked out when it is first seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from catalog.exposition import read_series, split_series
from catalog.translate import Route
from exporter.engines.layout import Entry, Merge, Series
from exporter.engines.merging import Parts, gather_value, merged_lines
from exporter.engines.resolver import Resolver
from exporter.engines.values import is_number, written
from exporter.exposition import Family, label_text

__all__ = ["Heads", "Relabelled"]

_MISSING = object()
# Heads of which a quarter was not met again are of a life that has ended (a restart, other labels).
_STALE_SHARE = 0.25
_STALE_SPARE = 64
_HASH = ord("#")


class Relabelled(Struct, frozen=True):
    """What one scrape gave: lines by family, and what was left out."""

    section: dict[Family, bytes]
    series: int
    bad_lines: int = 0
    repeated_series: int = 0
    series_over_limit: int = 0


class _Scrape(Struct):
    """What is known of a scrape while its lines are looked at; `left` are the heads that it did not show yet.

    `is_odd`: a line is understood, but does not say where it will stand again.
    """

    left: dict[bytes, Entry]
    out: dict[Family, list[bytes]] = field(default_factory=dict)
    parts: Parts = field(default_factory=dict)
    bad: int = 0
    repeated: int = 0
    over: int = 0
    is_odd: bool = False
    merge_found: bool = False


class Heads:
    """The heads that one endpoint shows, and where each leads: at most `max_series` series.

    `place` are the labels that every series gets, `place_text` the end of a series' text that names them.
    `entries` may be read, and `models`, which the series name. Of the last scrape: `are_regular` says that every
    line was understood and stood by itself, `are_stale` that much of what is known was not met.
    """

    def __init__(self, resolver: Resolver, place: Mapping[str, str], place_text: bytes, max_series: int) -> None:
        self.entries: dict[bytes, Entry] = {}
        self.models: set[str] = set()
        self.are_regular = self.are_stale = False
        self._resolver = resolver
        self._place = place
        self._place_text = place_text
        self._max_series = max_series
        self._series: dict[bytes, Series] = {}
        self._samples = 0

    def relabel(self, lines: Sequence[bytes]) -> Relabelled:
        """Relabel the lines of one scrape, and learn the heads that are new."""
        scrape = self._seen(lines)
        if scrape.merge_found:
            # A series that had come out by itself turned out to have a second source: now that is known.
            scrape = self._seen(lines)
        self.are_regular = not (scrape.bad or scrape.repeated or scrape.over or scrape.is_odd)
        self.are_stale = len(scrape.left) > _STALE_SHARE * len(self.entries) + _STALE_SPARE
        section = {family: b"\n".join(found) + b"\n" for family, found in scrape.out.items()}
        for family, block in merged_lines(scrape.parts, self._place_text).items():
            section[family] = section.get(family, b"") + block
        series = sum(map(len, scrape.out.values())) + len(scrape.parts)
        return Relabelled(section, series, scrape.bad, scrape.repeated, scrape.over)

    def _seen(self, lines: Sequence[bytes]) -> _Scrape:
        scrape = _Scrape(self.entries.copy())
        take: Any = scrape.left.pop
        for line in lines:
            head = line[: line.rfind(b" ") + 1]
            entry = take(head, _MISSING)
            if entry is _MISSING:
                self._unknown(scrape, line)
            elif entry is not None:
                self._put(scrape, entry, written(line[len(head) :].decode("latin-1")))
        return scrape

    def _put(self, scrape: _Scrape, entry: Entry, value: str | None) -> None:
        if value is None:
            scrape.bad += 1
        elif isinstance(entry, Merge):
            gather_value(scrape.parts, entry, float(value), self._resolver)
        else:
            for series in entry or ():
                scrape.out.setdefault(series.family, []).append(series.text + self._place_text + value.encode())

    def _unknown(self, scrape: _Scrape, line: bytes) -> None:
        """A line whose head is new, repeated, followed by a timestamp, or oddly spaced; or that is no sample."""
        stripped = line.strip()
        if not stripped:
            scrape.is_odd = True
            return
        if stripped[0] == _HASH:
            self._comment(line, stripped)
            return
        found = split_series(stripped)
        fields = found[1].split(b"#", 1)[0].split() if found else []
        value = written(fields[0].decode("latin-1")) if 1 <= len(fields) <= 2 else None
        if found is None or value is None:
            scrape.bad += 1
            return
        head = found[0] + (b"} " if b"{" in found[0] else b" ")
        scrape.is_odd = scrape.is_odd or line != head + fields[0]
        if head not in self.entries:
            if self._learn(scrape, head):
                self._put(scrape, self.entries[head], value)
        elif scrape.left.pop(head, _MISSING) is not _MISSING:
            self._put(scrape, self.entries[head], value)
        elif self.entries[head] is not None:
            scrape.repeated += 1
        else:
            scrape.is_odd = True

    def _comment(self, line: bytes, stripped: bytes) -> None:
        head = line[: line.rfind(b" ") + 1]
        if head not in self.entries and len(self.entries) < 2 * self._max_series:
            self.entries[head] = None
            self._resolver.comment(stripped)

    def _learn(self, scrape: _Scrape, head: bytes) -> bool:
        """Work out where a new head leads; False when it cannot be kept."""
        routes = self._routes(head)
        if not all(map(self._is_sound, routes)):
            scrape.bad += 1
            return False
        if self._samples + len(routes) > self._max_series or len(self.entries) >= 2 * self._max_series:
            scrape.over += len(routes)
            scrape.is_odd = True
            return False
        self._samples += len(routes)
        self.entries[head] = self._entry(scrape, head, tuple((self._series_of(route), route) for route in routes))
        return True

    def _is_sound(self, route: Route) -> bool:
        """Whether a series is what its family's kind wants: Prometheus refuses a whole scrape for one that is not."""
        family = self._resolver.family(route.name)
        bound = {"histogram": "le", "summary": "quantile"}.get(family.kind)
        if bound is None:
            return True
        part = route.name.removeprefix(family.name)
        if part in {"_sum", "_count"}:
            return bound not in route.labels
        return part == ("_bucket" if bound == "le" else "") and is_number(route.labels.get(bound, ""))

    def _routes(self, head: bytes) -> tuple[Route, ...]:
        named = read_series(head.rstrip().removesuffix(b"}"))
        return self._resolver.routes(*named) if named else ()

    def _entry(self, scrape: _Scrape, head: bytes, targets: tuple[tuple[Series, Route], ...]) -> Entry:
        if not targets:
            return None
        if all(route.is_plain and not series.fed for series, route in targets):
            for series, _ in targets:
                series.fed, series.only = True, head
            return tuple(series for series, _ in targets)
        for series, _ in targets:
            series.fed = True
            if series.only is not None:
                self._merge_from_now(series.only)
                scrape.merge_found = True
        return Merge(targets)

    def _merge_from_now(self, head: bytes) -> None:
        """A head that came out by itself turned out to have a series in common with another."""
        targets = tuple((self._series_of(route), route) for route in self._routes(head))
        for series, _ in targets:
            series.only = None
        self.entries[head] = Merge(targets)

    def _series_of(self, route: Route) -> Series:
        labels = {name: value for name, value in route.labels.items() if name not in self._place}
        own = label_text(dict(sorted(labels.items())))
        text = f"{route.name}{{{own}{',' * bool(own and self._place)}".encode()
        series = self._series.get(text)
        if series is None:
            model = labels.get("model", "")
            series = self._series[text] = Series(text, route.name, self._resolver.family(route.name), model)
            self.models |= {model} - {""}
        return series
