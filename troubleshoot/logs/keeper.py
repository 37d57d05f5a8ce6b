"""What stays of a log: of each signature some places with their text, and how often it stood there.

What is kept depends on the log alone, not on how it was divided: keepers of parts, merged, hold what one keeper of
the whole would.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, NamedTuple

from troubleshoot.logs.matcher import Pieces
from troubleshoot.logs.signature import RARE_KEPT, Keep, Signature
from troubleshoot.logs.window import Read, Window, window_around

SERIES_KEPT = 300
SERIES_RECENT = 150


class _Room(NamedTuple):
    """How many of the first and of the last places are kept."""

    first: int
    recent: int


_ALL_ROOM = _Room(RARE_KEPT // 2, RARE_KEPT // 2)


class Kept(NamedTuple):
    """A place with its text. `line` counts newlines from the start of stripe `stripe`."""

    offset: int
    stripe: int
    line: int
    raw: bytes
    follow: bytes
    context: bytes


class _Unread(NamedTuple):
    """As `Kept`, but its text is still in the file, around a match that ends at `match_end`."""

    offset: int
    stripe: int
    line: int
    match_end: int


KeeperState = tuple[dict[str, int], dict[str, list[tuple[Any, ...]]], dict[str, int]]
"""Counts, kept places and how far each series was thinned: see `Keeper.merge`."""


class Keeper:
    """What is kept of each signature (see `Keep`), for text that comes in ascending order."""

    def __init__(self, signatures: Mapping[str, Signature]) -> None:
        self._signatures = signatures
        self.counts: dict[str, int] = {}
        self._first: dict[str, list[Kept]] = {}
        self._recent: dict[str, deque[Kept]] = {}
        self._thinned: dict[str, _Thinned] = {}
        self._unread: dict[str, deque[_Unread]] | None = None
        self._room: Mapping[str, _Room] = {}
        self._full: Set[str] = frozenset()

    @property
    def known(self) -> Set[str]:
        """Marks that were seen, and facts of which enough were: nothing more of them is kept, or has to be counted."""
        marks = {identity for identity in self.counts if self._signatures[identity].keep is Keep.MARK}
        return marks | self._full

    def take(self, window: Window, found: Mapping[str, Pieces], stripe: int, lines: int) -> int:
        """Keep what is worth it of a window that begins `lines` newlines into its stripe; return its newlines."""
        wanted = sorted(
            (begin, pieces[begin], identity)
            for identity, pieces in found.items()
            for begin in self._wanted(identity, pieces, window.base)
        )
        place, line = window.start, lines
        for begin, match_end, identity in wanted:
            line += window.newlines(place, begin)
            place = begin
            if self._unread is not None and self._may_be_pushed_out(identity):
                room = self._room.get(identity, _ALL_ROOM)
                recent = self._unread.setdefault(identity, deque(maxlen=room.recent))
                recent.append(_Unread(window.base + begin, stripe, line, window.base + match_end))
                continue
            text = window.text_of(match_end, begin, self._signatures[identity])
            self._add(identity, Kept(window.base + begin, stripe, line, *text))
        for identity, pieces in found.items():
            is_mark = self._signatures[identity].keep is Keep.MARK
            self.counts[identity] = 1 if is_mark else self.counts.get(identity, 0) + len(pieces) + pieces.unlisted
        return line + window.newlines(place, window.end) - lines

    def _may_be_pushed_out(self, identity: str) -> bool:
        """Whether the next place goes to those of which the last stay."""
        if self._signatures[identity].keep in (Keep.MARK, Keep.SERIES):
            return False
        return len(self._first.get(identity, ())) >= self._room.get(identity, _ALL_ROOM).first

    def read_texts(self, read: Read) -> None:
        """Read the texts that were left in the file: see `between`."""
        for identity, places in (self._unread or {}).items():
            for place in places:
                window = window_around(read, place.offset, place.match_end)
                match_end, begin = place.match_end - window.base, place.offset - window.base
                text = window.text_of(match_end, begin, self._signatures[identity])
                self._add(identity, Kept(place.offset, place.stripe, place.line, *text))
        self._unread = None

    def _wanted(self, identity: str, pieces: Pieces, base: int) -> Iterable[int]:
        """Of a window's places those that may stay, in order: `_add` then drops what does not."""
        keep = self._signatures[identity].keep
        if keep is Keep.MARK:
            return (min(pieces),)
        if keep is Keep.SERIES:
            begins = sorted(pieces)
            shift = self._thinned[identity].shift if identity in self._thinned else 0
            older = {(base + begin) >> shift: begin for begin in reversed(begins[:-SERIES_RECENT])}
            return [*reversed(older.values()), *begins[-SERIES_RECENT:]]
        room = self._room.get(identity, _ALL_ROOM)
        first = room.first - len(self._first.get(identity, ()))
        if first + room.recent == 0:
            return ()
        begins = sorted(pieces)
        if len(begins) <= first + room.recent:
            return begins
        return [*begins[:first], *begins[len(begins) - room.recent :]]

    def _add(self, identity: str, kept: Kept) -> None:
        keep = self._signatures[identity].keep
        if keep is Keep.MARK:
            self._first.setdefault(identity, [kept])
        elif keep is Keep.SERIES:
            recent = self._recent.setdefault(identity, deque())
            recent.append(kept)
            if len(recent) > SERIES_RECENT:
                self._thinned.setdefault(identity, _Thinned()).add(recent.popleft())
        else:
            room = self._room.get(identity, _ALL_ROOM)
            first = self._first.setdefault(identity, [])
            if len(first) < room.first:
                first.append(kept)
            else:
                self._recent.setdefault(identity, deque(maxlen=room.recent)).append(kept)

    def between(self, later: KeeperState, *, leaves_texts: bool = False) -> Keeper:
        """A keeper for text between this one's and `later`'s: with room for what the three, merged, will hold.

        One that `leaves_texts` keeps of the last places of a signature, which each block replaces by its own, only
        where they are, until `read_texts`: for a file that can be read again.
        """
        keeper = Keeper(self._signatures)
        keeper._unread = {} if leaves_texts else None
        _, later_places, _ = later
        keeper._room = {
            identity: _Room(
                _ALL_ROOM.first - len(self._first.get(identity, ())),
                max(0, _ALL_ROOM.recent - len(later_places.get(identity, ()))),
            )
            for identity in {*self._first, *later_places}
            if self._signatures[identity].keep in (Keep.RARE, Keep.FACT, Keep.ROUTINE)
        }
        keeper._full = {
            identity
            for identity, room in keeper._room.items()
            if room == (0, 0) and self._signatures[identity].keep is Keep.FACT
        }
        return keeper

    def all(self) -> dict[str, list[Kept]]:
        """Everything kept, by signature, in file order."""
        kept: dict[str, list[Kept]] = {}
        for identity in self.counts:
            thinned = self._thinned[identity].kept if identity in self._thinned else ()
            kept[identity] = [*self._first.get(identity, ()), *thinned, *self._recent.get(identity, ())]
        return kept

    def state(self) -> KeeperState:
        """All of it in plain types, to be sent to another process: see `merge`."""
        places: dict[str, list[tuple[Any, ...]]] = {
            identity: [tuple(kept) for kept in found] for identity, found in self.all().items()
        }
        return self.counts, places, {identity: thinned.shift for identity, thinned in self._thinned.items()}

    def merge(self, states: Sequence[KeeperState]) -> None:
        """Take in the states of keepers of other parts of the same log."""
        everything = {identity: list(found) for identity, found in self.all().items()}
        shifts = {identity: thinned.shift for identity, thinned in self._thinned.items()}
        for counts, places, other_shifts in states:
            for identity, found in places.items():
                is_mark = self._signatures[identity].keep is Keep.MARK
                self.counts[identity] = 1 if is_mark else self.counts.get(identity, 0) + counts[identity]
                everything.setdefault(identity, []).extend(Kept(*kept) for kept in found)
            for identity, shift in other_shifts.items():
                shifts[identity] = max(shift, shifts.get(identity, 0))
        self._first, self._recent = {}, {}
        self._thinned = {identity: _Thinned(shift) for identity, shift in shifts.items()}
        for identity, places_of_all in everything.items():
            for kept in sorted(places_of_all):
                self._add(identity, kept)


class _Thinned:
    """At most `SERIES_KEPT` places, evenly spread over the file: the first in each stretch of `2 ** shift` bytes."""

    def __init__(self, shift: int = 0) -> None:
        self.shift = shift
        self.kept: list[Kept] = []

    def add(self, kept: Kept) -> None:
        """Add a later place than all before."""
        if self.kept and self.kept[-1].offset >> self.shift == kept.offset >> self.shift:
            return
        self.kept.append(kept)
        while len(self.kept) > SERIES_KEPT:
            self.shift += 1
            first = {place.offset >> self.shift: place for place in reversed(self.kept)}
            self.kept = list(reversed(first.values()))
