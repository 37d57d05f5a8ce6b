"""Relabels an exposition line by line, in bytes.

The text of a series (its head) stays the same from scrape to scrape, and so does, nearly always, the order of the
lines; only values change. So what a head leads to is worked out when it is first seen. While the lines stand where
they stood, a scrape is a few passes in C over lists (`exporter.engines.layout`); otherwise it costs one look-up a
line. Either way it is far cheaper than parsing into objects: see docs/performance.md. What is kept is bounded by
`max_series`, and is forgotten when much of it is no longer there.

Whatever an endpoint sends, what comes out is well formed and has each series once: a head that comes twice, a
value that Prometheus would not read, or a line that is no sample is left out and counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from catalog.exposition import read_series, split_series
from catalog.translate import Route, gather, merged
from exporter.engines.body import decoded, unwrapped
from exporter.engines.layout import Entry, Layout, Merge, Series, laid_out
from exporter.engines.resolver import Learnt, Resolver
from exporter.engines.values import are_numbers, is_number, written
from exporter.exposition import Family, label_text, number_text

__all__ = ["Relabelled", "Relabeller"]

_MISSING = object()
# A cache of which a quarter was not met again holds a life that has ended (a restart, other labels).
_STALE_SHARE = 0.25
_STALE_SPARE = 64
# A layout that held for fewer scrapes than this is no reason to forget what its lines mean.
_STEADY_SCRAPES = 3
_HASH = ord("#")


@dataclass(frozen=True, slots=True)
class Relabelled:
    """What one scrape gave: lines by family, and what was left out."""

    section: dict[Family, bytes]
    series: int
    bad_lines: int = 0
    repeated_series: int = 0
    series_over_limit: int = 0


class Relabeller:
    """Relabels the scrapes of one endpoint. `place` are labels that every series gets; they win over its own.

    What `learnt` holds is not worked out again; whoever gives it empties it, at any time.
    """

    def __init__(
        self, resolver: Resolver, place: Mapping[str, str], *, max_series: int, learnt: Learnt | None = None
    ) -> None:
        self._resolver = resolver
        self._learnt = learnt
        self._place = dict(place)
        self._place_text = f"{label_text(dict(sorted(place.items())))}}} "
        self._max_series = max_series
        self._scrapes_by_layout = _STEADY_SCRAPES
        self._forget()

    def _forget(self) -> None:
        self._heads: dict[bytes, Entry] = {}
        self._series: dict[bytes, Series] = {}
        self._layout: Layout | None = None
        self._samples = 0
        self._models: set[str] = set()
        self._left: dict[bytes, Entry] = {}
        self._converted_from: tuple[list[str], dict[Family, bytes]] = ([], {})

    @property
    def models(self) -> tuple[str, ...]:
        """The models that the series known now name, sorted."""
        return tuple(sorted(self._models))

    def relabel(self, body: bytes) -> Relabelled:
        """Relabel one scrape; never raises, whatever the body."""
        body = unwrapped(body)
        result = self._by_layout(body) if self._layout is not None else None
        if result is not None:
            self._scrapes_by_layout += 1
            return result
        lines = body.strip(b"\n").split(b"\n")
        result = self._by_heads(lines)
        if self._merge_found:
            # A series that had come out by itself turned out to have a second source: now that is known.
            result = self._by_heads(lines)
        is_regular = not (result.bad_lines or result.repeated_series or result.series_over_limit or self._odd)
        if len(self._left) > _STALE_SHARE * len(self._heads) + _STALE_SPARE:
            self._forget()
        elif is_regular:
            self._lay_out(lines)
        self._left = {}
        return result

    def _lay_out(self, lines: list[bytes]) -> None:
        """Keep where lines stand, and no longer what they mean: that is half of the memory, and can be learnt again.

        Both for an endpoint whose lines move all the time: learning takes ten times as long as looking up.
        """
        layout = laid_out(lines, self._heads, self._place_text)
        if self._scrapes_by_layout >= _STEADY_SCRAPES:
            models = self._models
            self._forget()
            self._models = models
        self._layout, self._scrapes_by_layout = layout, 0
        self._converted_from = ([], {})

    def _by_layout(self, body: bytes) -> Relabelled | None:
        """Relabel lines that stand where they stood; None when they do not."""
        layout, self._layout = self._layout, None
        found = layout.values(decoded(body)) if layout is not None else None
        if layout is None or found is None:
            return None
        values, are_plain = found
        section: dict[Family, bytes] = {}
        place = layout.place
        series = 0
        for family, pick, pieces, number in layout.spans:
            picked = pick(values)
            if not are_plain and not are_numbers(picked):
                checked = [value for text in picked if (value := written(text)) is not None]
                if len(checked) < number:
                    return None
                picked = checked
            block = pieces.copy()
            block[1:-1:3] = [place] * number
            block[2::3] = picked
            section[family] = "".join(block).encode("latin-1")
            series += number
        converted = self._converted(layout.merged, values)
        if converted is None:
            return None
        for family, lines in converted.items():
            section[family] = section.get(family, b"") + lines
        self._layout = layout
        return Relabelled(section, series + sum(lines.count(b"\n") for lines in converted.values()))

    def _converted(self, merges: list[tuple[int, Merge]], values: list[str]) -> dict[Family, bytes] | None:
        """Return the lines that are merged or converted, those of the last scrape while their values are the same."""
        texts = [values[position] for position, _ in merges]
        if texts == self._converted_from[0]:
            return self._converted_from[1]
        touched: list[Series] = []
        for (_, merge), text in zip(merges, texts, strict=True):
            value = written(text)
            if value is None:
                return None
            self._gather(merge, value, touched)
        lines: dict[Family, bytes] = {}
        self._put_merged(lines, touched)
        self._converted_from = (texts, lines)
        return lines

    def _by_heads(self, lines: list[bytes]) -> Relabelled:
        """Relabel lines in any order, and learn the heads that are new."""
        self._merge_found = self._odd = False
        self._touched: list[Series] = []
        self._bad = self._repeated = self._over = 0
        self._left = self._heads.copy()
        self._out: dict[Family, list[bytes]] = {}
        take: Any = self._left.pop
        for line in lines:
            head = line[: line.rfind(b" ") + 1]
            entry = take(head, _MISSING)
            if entry is _MISSING:
                self._unknown(line)
            elif entry is not None:
                self._put(entry, written(line[len(head) :].decode("latin-1")))
        section = {family: b"\n".join(found) + b"\n" for family, found in self._out.items()}
        series = sum(map(len, self._out.values())) + self._put_merged(section, self._touched)
        self._out, self._touched = {}, []
        return Relabelled(section, series, self._bad, self._repeated, self._over)

    def _put(self, entry: Entry, value: str | None) -> None:
        if value is None:
            self._bad += 1
        elif isinstance(entry, Merge):
            self._gather(entry, value, self._touched)
        else:
            for series in entry or ():
                self._out.setdefault(series.family, []).append(series.text + value.encode())

    def _unknown(self, line: bytes) -> None:
        """A line whose head is new, repeated, followed by a timestamp, or oddly spaced; or that is no sample."""
        stripped = line.strip()
        if not stripped:
            self._odd = True
            return
        if stripped[0] == _HASH:
            self._comment(line, stripped)
            return
        found = split_series(stripped)
        fields = found[1].split(b"#", 1)[0].split() if found else []
        value = written(fields[0].decode("latin-1")) if 1 <= len(fields) <= 2 else None
        if found is None or value is None:
            self._bad += 1
            return
        head = found[0] + (b"} " if b"{" in found[0] else b" ")
        self._odd = self._odd or line != head + fields[0]
        if head not in self._heads:
            if self._learn(head):
                self._put(self._heads[head], value)
        elif self._left.pop(head, _MISSING) is not _MISSING:
            self._put(self._heads[head], value)
        elif self._heads[head] is not None:
            self._repeated += 1
        else:
            self._odd = True

    def _comment(self, line: bytes, stripped: bytes) -> None:
        head = line[: line.rfind(b" ") + 1]
        if head not in self._heads and len(self._heads) < 2 * self._max_series:
            self._heads[head] = None
            self._resolver.comment(stripped)

    def _learn(self, head: bytes) -> bool:
        """Work out where a new head leads; False when it cannot be kept."""
        routes = self._routes(head)
        if not all(map(self._is_sound, routes)):
            self._bad += 1
            return False
        if self._samples + len(routes) > self._max_series or len(self._heads) >= 2 * self._max_series:
            self._over += len(routes)
            self._odd = True
            return False
        self._samples += len(routes)
        self._heads[head] = self._entry(head, tuple((self._series_of(route), route) for route in routes))
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
        known = self._learnt.get(head) if self._learnt is not None else None
        if known is not None:
            return known
        named = read_series(head.rstrip().removesuffix(b"}"))
        routes = self._resolver.routes(*named) if named else ()
        if self._learnt is not None:
            self._learnt[head] = routes
        return routes

    def _entry(self, head: bytes, targets: tuple[tuple[Series, Route], ...]) -> Entry:
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
        return Merge(targets)

    def _merge_from_now(self, head: bytes) -> None:
        """A head that came out by itself turned out to have a series in common with another."""
        targets = tuple((self._series_of(route), route) for route in self._routes(head))
        for series, _ in targets:
            series.only = None
        self._heads[head] = Merge(targets)
        self._merge_found = True

    def _series_of(self, route: Route) -> Series:
        labels = {name: value for name, value in route.labels.items() if name not in self._place}
        own = label_text(dict(sorted(labels.items())))
        text = f"{route.name}{{{own}{',' * bool(own and self._place)}{self._place_text}".encode()
        series = self._series.get(text)
        if series is None:
            series = self._series[text] = Series(text, route.name, self._resolver.family(route.name))
            if "model" in labels:
                self._models.add(labels["model"])
        return series

    def _gather(self, merge: Merge, text: str, touched: list[Series]) -> None:
        """Take one value of series that are merged or converted."""
        raw = float(text)
        for series, route in merge.targets:
            value = route.value(raw)
            if value is not None and route.factor is not None:
                value = self._resolver.product(route, value)
            if value is None:
                continue
            if not series.parts:
                series.parts = {}
                touched.append(series)
            assert series.parts is not None  # noqa: S101 - made above
            gather(series.parts, route, value)

    def _put_merged(self, section: dict[Family, bytes], touched: Sequence[Series]) -> int:
        for series in touched:
            line = series.text + number_text(merged(series.name, series.parts or {})).encode() + b"\n"
            section[series.family] = section.get(series.family, b"") + line
            series.parts = None
        return len(touched)
