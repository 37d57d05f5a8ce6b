"""Where the lines of a body stand, so that the next body needs no look-up where they stand there again.

A layout says nothing of the replica that it was found at: replicas of one model share it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple
from weakref import WeakSet

from msgspec import Struct

from catalog.translate import Route
from exporter.engines.values import are_usual
from exporter.exposition import Family

__all__ = ["Entry", "Layout", "Layouts", "Merge", "Series", "Span", "laid_out"]


class Series(Struct, eq=False):
    """One series that comes out, its text up to the place. `only` is the raw head that alone feeds it unchanged."""

    text: bytes
    name: str
    family: Family
    model: str = ""
    only: bytes | None = None
    fed: bool = False


class Merge(Struct, frozen=True, eq=False):
    """Where a raw head leads that is merged with others, or converted."""

    targets: tuple[tuple[Series, Route], ...]


Entry = tuple[Series, ...] | Merge | None
"""Of a head: the series that are its value, unchanged; or what it is merged into; or None to leave it out."""


class Span(NamedTuple):
    """The series of one family that stand together in what comes out.

    `pick` takes their values out of a body's. `pieces` are three for each series: its text up to the place, a gap
    for the place and one for the value; then the last line's end.
    """

    family: Family
    pick: Callable[[list[str]], Sequence[str]]
    pieces: list[str]
    series: int


class Layout(Struct, frozen=True, eq=False, weakref=True):
    """A body whose lines were all understood, each in its place: where they stand again, values alone are new.

    `heads` are those of all lines, of a comment the whole line; `samples` is how many are none. `spans` are what
    comes out unchanged, `merged` the lines to gather, `models` those that the series name. Text is str, a character
    a byte: str joins many small pieces eight times as fast as bytes.
    """

    heads: list[str]
    heads_length: int
    samples: int
    models: frozenset[str]
    spans: list[Span]
    merged: list[tuple[int, Merge]]

    def values(self, text: str, lines: list[str]) -> tuple[list[str], bool] | None:
        """Return what stands behind each head, and whether all are plain numbers; None when a line stands elsewhere."""
        # Another model's lines are often as many: one in the middle tells, without looking at all.
        if len(lines) != len(self.heads) or not lines[len(lines) // 2].startswith(self.heads[len(lines) // 2]):
            return None
        values = list(map(str.removeprefix, lines, self.heads))
        joined = "\n".join(["", *values, ""])
        # A line that does not begin with its head is left whole, which makes all of them longer than they can be.
        if len(joined) + self.heads_length != len(text) + 2:
            return None
        return values, are_usual(joined.encode("latin-1"), self.samples)


class Layouts:
    """The layouts that replicas of one engine's version use now: what one has met, the others need not work out.

    Shared by relabellers whose places have the same labels. Any thread may call.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._used: WeakSet[Layout] = WeakSet()

    def __iter__(self) -> Iterator[Layout]:
        """Yield those in use."""
        with self._lock:
            used = list(self._used)
        return iter(used)

    def kept(self, layout: Layout) -> Layout:
        """Return the layout to keep: the one in use that has the same lines, or this one."""
        for known in self:
            if known.heads == layout.heads:
                return known
        with self._lock:
            self._used.add(layout)
        return layout


def laid_out(lines: list[bytes], entries: Mapping[bytes, Entry]) -> Layout:
    """Return the layout of a body all of whose heads are known."""
    plain: list[tuple[int, Series]] = []
    merged: list[tuple[int, Merge]] = []
    heads: list[str] = []
    models: set[str] = set()
    for position, line in enumerate(lines):
        head = line[: line.rfind(b" ") + 1]
        entry = entries.get(head)
        if isinstance(entry, Merge):
            merged.append((position, entry))
            models |= {series.model for series, _ in entry.targets}
        elif entry is not None:
            plain += [(position, series) for series in entry]
            models |= {series.model for series in entry}
        heads.append((line if line[:1] == b"#" else head).decode("latin-1"))
    families = {family: number for number, family in enumerate(dict.fromkeys(one.family for _, one in plain))}
    plain.sort(key=lambda placed: families[placed[1].family])
    spans = [_span(list(run)) for _, run in groupby(plain, key=lambda placed: placed[1].family)]
    samples = sum(1 for line in lines if line[:1] != b"#")
    return Layout(heads, sum(map(len, heads)), samples, frozenset(models - {""}), spans, merged)


def _span(placed: Sequence[tuple[int, Series]]) -> Span:
    positions = [position for position, _ in placed]
    pieces: list[str] = []
    for _, series in placed:
        pieces += ["\n" * bool(pieces) + series.text.decode("latin-1"), "", ""]
    return Span(placed[0][1].family, _picker(positions), [*pieces, "\n"], len(placed))


def _picker(positions: list[int]) -> Callable[[list[str]], Sequence[str]]:
    """Return what picks the items at these positions out of a list."""
    first, end = positions[0], positions[0] + len(positions)
    if positions == list(range(first, end)):
        return itemgetter(slice(first, end))
    return itemgetter(*positions)
