"""Where the lines of a body stand, so that the next body needs no look-up where they stand there again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

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

    `plain` gives the lines that come out, `heads` their heads; `spans` says which of them are of one family, with
    the text to put their values into. `merged` are those to gather. `comments` and `left_out` are the rest.
    """

    size: int
    plain: Callable[[list[bytes]], Sequence[bytes]]
    heads: list[bytes]
    spans: list[tuple[Family, int, int, bytes]]
    merged: list[tuple[int, bytes, Merge]]
    comments: list[tuple[int, bytes]]
    left_out: list[tuple[int, bytes]]

    def values(self, lines: list[bytes]) -> list[bytes] | None:
        """Return the texts of the values; None when a line stands elsewhere. A foreign line comes back whole."""
        if len(lines) != self.size:
            return None
        for position, comment in self.comments:
            if lines[position] != comment:
                return None
        for position, head in self.left_out:
            if not lines[position].startswith(head):
                return None
        return list(map(bytes.removeprefix, self.plain(lines), self.heads))


def laid_out(lines: list[bytes], heads: Mapping[bytes, Entry]) -> Layout:
    """Return the layout of a body all of whose heads are known."""
    plain: list[tuple[int, bytes, Series]] = []
    merges: list[tuple[int, bytes, Merge]] = []
    comments: list[tuple[int, bytes]] = []
    left_out: list[tuple[int, bytes]] = []
    for position, line in enumerate(lines):
        head = line[: line.rfind(b" ") + 1]
        entry = heads.get(head)
        if isinstance(entry, Merge):
            merges.append((position, head, entry))
        elif entry is not None:
            plain += [(position, head, series) for series in entry]
        elif line[:1] == b"#":
            comments.append((position, line))
        else:
            left_out.append((position, head))
    return Layout(
        len(lines),
        _picker([position for position, _, _ in plain]),
        [head for _, head, _ in plain],
        _spans([series for _, _, series in plain]),
        merges,
        comments,
        left_out,
    )


def _picker(positions: list[int]) -> Callable[[list[bytes]], Sequence[bytes]]:
    """Return what picks the items at these positions out of a list."""
    if len(positions) > 1:
        return itemgetter(*positions)
    return lambda lines: [lines[position] for position in positions]


def _spans(series: Sequence[Series]) -> list[tuple[Family, int, int, bytes]]:
    """Return the runs of series of one family as (family, start, end, text with a place for each value)."""
    spans = []
    start = 0
    for family, run in groupby(series, key=lambda one: one.family):
        texts = [one.text.replace(b"%", b"%%") + b"%b\n" for one in run]
        spans.append((family, start, start + len(texts), b"".join(texts)))
        start += len(texts)
    return spans
