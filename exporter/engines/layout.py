"""Where the lines of a body stand, so that the next body needs no look-up where they stand there again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any
from weakref import WeakValueDictionary

from catalog.translate import Route
from exporter.exposition import Family

__all__ = ["Entry", "Layout", "Merge", "Series", "laid_out"]


@dataclass(slots=True, eq=False)
class Series:
    """One series that comes out, its text up to the value. `only` is the raw head that alone feeds it unchanged."""

    text: bytes
    name: str
    family: Family
    only: bytes | None = None
    fed: bool = False
    parts: dict[Any, float] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Merge:
    """Where a raw head leads that is merged with others, or converted."""

    targets: tuple[tuple[Series, Route], ...]


Entry = tuple[Series, ...] | Merge | None
"""Of a head: the series that are its value, unchanged; or what it is merged into; or None to leave it out."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A body whose lines were all understood, each in its place: where they stand again, values alone are new.

    `heads` are those of all lines, of a comment the whole line. `plain` picks what comes out unchanged; `spans`
    says which of that is of one family, with its text: every second piece is a place for a value. `merged` are
    the lines to gather. Text is str, a character a byte: str joins many small pieces eight times as fast as bytes.
    """

    heads: list[str]
    heads_length: int
    plain: Callable[[list[str]], Sequence[str]]
    spans: list[tuple[Family, int, int, list[str]]]
    merged: list[tuple[int, Merge]]

    def values(self, text: str) -> list[str] | None:
        """Return what stands behind each head; None when a line stands elsewhere."""
        lines = text.split("\n")
        if len(lines) != len(self.heads):
            return None
        values = list(map(str.removeprefix, lines, self.heads))
        # A line that does not begin with its head is left whole, which makes all of them longer than they can be.
        return values if len("\n".join(values)) + self.heads_length == len(text) else None


def laid_out(lines: list[bytes], entries: Mapping[bytes, Entry]) -> Layout:
    """Return the layout of a body all of whose heads are known."""
    plain: list[tuple[int, Series]] = []
    merged: list[tuple[int, Merge]] = []
    heads: list[str] = []
    for position, line in enumerate(lines):
        head = line[: line.rfind(b" ") + 1]
        entry = entries.get(head)
        if isinstance(entry, Merge):
            merged.append((position, entry))
        elif entry is not None:
            plain += [(position, series) for series in entry]
        heads.append((line if line[:1] == b"#" else head).decode("latin-1"))
    families = {family: number for number, family in enumerate(dict.fromkeys(one.family for _, one in plain))}
    plain.sort(key=lambda placed: families[placed[1].family])
    return Layout(
        _shared(heads),
        sum(map(len, heads)),
        _picker([position for position, _ in plain]),
        _spans([series for _, series in plain]),
        merged,
    )


class _Heads(list[str]):
    """The heads of a body, in a list that can be referred to weakly."""

    __slots__ = ("__weakref__",)


_heads_in_use: WeakValueDictionary[int, _Heads] = WeakValueDictionary()


def _shared(heads: list[str]) -> list[str]:
    """Return the same heads, as one list for all replicas of a model: they are a third of what a layout takes."""
    key = hash(tuple(heads))
    known = _heads_in_use.get(key)
    if known == heads:
        return known
    own = _heads_in_use[key] = _Heads(heads)
    return own


def _picker(positions: list[int]) -> Callable[[list[str]], Sequence[str]]:
    """Return what picks the items at these positions out of a list."""
    if len(positions) > 1:
        return itemgetter(*positions)
    return lambda values: [values[position] for position in positions]


def _spans(series: Sequence[Series]) -> list[tuple[Family, int, int, list[str]]]:
    """Return the runs of series of one family as (family, start, end, text in pieces)."""
    spans = []
    start = 0
    for family, run in groupby(series, key=lambda one: one.family):
        pieces: list[str] = []
        for one in run:
            pieces += ["\n" * bool(pieces) + one.text.decode("latin-1"), ""]
        end = start + len(pieces) // 2
        spans.append((family, start, end, [*pieces, "\n"]))
        start = end
    return spans
