"""Relabels an exposition line by line, in bytes.

The text of a series (its head) stays the same from scrape to scrape, and so does, nearly always, the order of the
lines; only values change. So what a head leads to is worked out when it is first seen (`exporter.engines.heads`).
While the lines stand where they stood, a scrape is a few passes in C over lists (`exporter.engines.layout`);
otherwise it costs one look-up a line. Either way it is far cheaper than parsing into objects: see
docs/performance.md. What is kept is bounded by `max_series`, and is forgotten when much of it is no longer there.

Whatever an endpoint sends, what comes out is well formed and has each series once: a head that comes twice, a
value that Prometheus would not read, or a line that is no sample is left out and counted.
"""

from __future__ import annotations

from collections.abc import Mapping

from exporter.engines.body import decoded, unwrapped
from exporter.engines.heads import Heads, Relabelled
from exporter.engines.layout import Layout, Layouts, Merge, laid_out
from exporter.engines.merging import Parts, gather_value, merged_lines
from exporter.engines.resolver import Resolver
from exporter.engines.values import are_numbers, written
from exporter.exposition import Family, label_text

__all__ = ["Relabelled", "Relabeller"]

# A layout that held for fewer scrapes than this is no reason to forget what its lines mean.
_STEADY_SCRAPES = 3


class Relabeller:
    """Relabels the scrapes of one endpoint. `place` are labels that every series gets; they win over its own.

    `layouts` are shared with relabellers whose resolvers, limits and names of the place's labels are the same.
    """

    def __init__(
        self, resolver: Resolver, place: Mapping[str, str], *, max_series: int, layouts: Layouts | None = None
    ) -> None:
        self._resolver = resolver
        self._layouts = Layouts() if layouts is None else layouts
        self._place = dict(place)
        self._place_text = f"{label_text(dict(sorted(place.items())))}}} ".encode()
        self._max_series = max_series
        self._heads = self._no_heads()
        self._models: frozenset[str] = frozenset()
        self._layout: Layout | None = None
        self._scrapes_by_layout = _STEADY_SCRAPES
        self._converted_from: tuple[list[str], dict[Family, bytes]] = ([], {})

    @property
    def models(self) -> tuple[str, ...]:
        """The models that the series known now name, sorted."""
        return tuple(sorted(self._models))

    def relabel(self, body: bytes) -> Relabelled:
        """Relabel one scrape; never raises, whatever the body."""
        body = unwrapped(body)
        result = self._by_layout(body)
        if result is not None:
            return result
        lines = body.strip(b"\n").split(b"\n")
        result = self._heads.relabel(lines)
        self._models = frozenset(self._heads.models)
        if self._heads.are_stale:
            self._heads = self._no_heads()
        elif self._heads.are_regular:
            self._lay_out(lines)
        return result

    def _no_heads(self) -> Heads:
        return Heads(self._resolver, self._place, self._place_text, self._max_series)

    def _lay_out(self, lines: list[bytes]) -> None:
        """Keep where lines stand, and no longer what they mean: that is half of the memory, and can be learnt again.

        Both for an endpoint whose lines move all the time: learning takes ten times as long as looking up.
        """
        layout = self._layouts.kept(laid_out(lines, self._heads.entries))
        if self._scrapes_by_layout >= _STEADY_SCRAPES:
            self._heads = self._no_heads()
        self._take(layout)

    def _take(self, layout: Layout) -> None:
        self._layout, self._models, self._scrapes_by_layout = layout, layout.models, 0
        self._converted_from = ([], {})

    def _by_layout(self, body: bytes) -> Relabelled | None:
        """Relabel lines that stand where they stood, here or at another replica; None when they do not."""
        own, self._layout = self._layout, None
        known = [own] if own is not None else []
        known += [layout for layout in self._layouts if layout is not own]
        if not known:
            return None
        text = decoded(body)
        lines = text.split("\n")
        for layout in known:
            found = layout.values(text, lines)
            result = self._laid(layout, *found) if found is not None else None
            if result is None:
                continue
            if layout is own:
                self._layout = own
            else:
                self._take(layout)
            self._scrapes_by_layout += 1
            return result
        return None

    def _laid(self, layout: Layout, values: list[str], are_plain: bool) -> Relabelled | None:
        """Return what comes of the values of lines that stand where they stood; None where one is no number."""
        section: dict[Family, bytes] = {}
        place = self._place_text.decode("latin-1")
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
        return Relabelled(section, series + sum(lines.count(b"\n") for lines in converted.values()))

    def _converted(self, merges: list[tuple[int, Merge]], values: list[str]) -> dict[Family, bytes] | None:
        """Return the lines that are merged or converted, those of the last scrape while their values are the same."""
        texts = [values[position] for position, _ in merges]
        if texts == self._converted_from[0]:
            return self._converted_from[1]
        parts: Parts = {}
        for (_, merge), text in zip(merges, texts, strict=True):
            value = written(text)
            if value is None:
                return None
            gather_value(parts, merge, float(value), self._resolver)
        lines = merged_lines(parts, self._place_text)
        self._converted_from = (texts, lines)
        return lines
