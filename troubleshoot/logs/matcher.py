"""Search a window of a log for every signature at once.

A multi-pattern engine (Hyperscan) finds the literals; the expressions then confirm on the lines where they stand.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, NamedTuple

import hyperscan

from troubleshoot.logs.compiled import compiled
from troubleshoot.logs.literal_table import LITERALS
from troubleshoot.logs.literals import alternatives, compile_bytes, plain_text, required_literals
from troubleshoot.logs.signature import RARE_KEPT, Keep, Signature
from troubleshoot.logs.window import CUT_BYTES, Window

REACH_BYTES = 512
"""An expression's match lies within this distance of its literal: no wording has wider gaps."""

FLOOD = 64
"""Of more places of a literal in a window so many are looked at; where all are confirmed, so is the rest."""

_NEWLINE = 0x0A


class Pieces(dict[int, int]):
    """Where the pieces that match begin in the window's buffer -> where the first match in each ends.

    Of what is routine the middle of many is left out: `unlisted` says how many these are.
    """

    unlisted = 0


class _Wording(NamedTuple):
    signature: Signature
    expression: re.Pattern[bytes] | None
    """None where the literal is the whole expression."""


class _Literal(NamedTuple):
    text: str
    is_caseless: bool
    is_exact: bool
    """Nothing is left to confirm where it stands."""


class Matcher:
    """The signatures' literals, and the expressions that confirm them. Makes one `Scanner` a purpose."""

    def __init__(self, signatures: Mapping[str, Signature]) -> None:
        table: dict[_Literal, dict[tuple[str, str], Signature]] = {}
        for signature in signatures.values():
            for find in _branches(signature):
                for literal in _literals_of(find, caseless=signature.caseless):
                    table.setdefault(literal, {})[signature.id, find] = signature
        self._literals = list(table)
        self._finds = [[(signature, find) for (_, find), signature in finds.items()] for finds in table.values()]
        self._wordings: dict[int, Sequence[_Wording]] = {}

    def scanner(self, *, sampled: Set[Keep] = frozenset(), without: Set[str] = frozenset()) -> Scanner:
        """A scanner: for one thread, as it has scratch memory of its own. Takes about 15 ms where `compiled` has to.

        Of a literal whose signatures are all of a `sampled` kind, only the first place in a window is looked at. With
        such kinds that goes for routine ones, too; how often these stand in the window is then estimated.
        Signatures in `without` may go unreported.
        """
        expressions: list[bytes] = []
        ids: list[int] = []
        flags: list[int] = []
        routine: dict[int, bytes] = {}
        marks: dict[int, bytes] = {}
        for index, (literal, finds) in enumerate(zip(self._literals, self._finds, strict=True)):
            keeps = {signature.keep for signature, _ in finds if signature.id not in without}
            if not keeps:
                continue
            once = keeps <= sampled or (literal.is_exact and keeps == {Keep.MARK})
            # A call back into Python for each request, or for each "vllm", would take longer than the search.
            if not literal.is_caseless and (literal.is_exact, keeps) == (True, {Keep.ROUTINE}):
                once = True
                routine[index] = literal.text.encode()
            if not literal.is_caseless and (literal.is_exact, keeps) == (False, {Keep.MARK}):
                once = True
                marks[index] = literal.text.encode()
            expressions.append(literal.text.encode())
            ids.append(index)
            flags.append(
                (hyperscan.HS_FLAG_CASELESS if literal.is_caseless else 0)
                | (hyperscan.HS_FLAG_SINGLEMATCH if once else 0)
            )
        longest_bytes = max(map(len, expressions))
        database = compiled(expressions, ids, flags)
        return Scanner(self, database, longest_bytes, routine, marks, estimates=bool(sampled))

    def wordings(self, literal: int) -> Sequence[_Wording]:
        """What a literal may be part of."""
        found = self._wordings.get(literal)
        if found is None:
            exact = self._literals[literal].is_exact
            found = self._wordings[literal] = [
                _Wording(signature, None if exact else compile_bytes(find, caseless=signature.caseless))
                for signature, find in self._finds[literal]
            ]
        return found


def _branches(signature: Signature) -> Iterator[str]:
    for find in signature.finds:
        yield from alternatives(find)


def _literals_of(find: str, *, caseless: bool) -> Iterator[_Literal]:
    known = LITERALS.get(find)
    text = plain_text(find) if known is None else None
    if text is not None:
        yield _Literal(text, caseless, is_exact=True)
        return
    for literal in known or required_literals(find):
        yield _Literal(literal, caseless, is_exact=False)


class Scanner:
    """A compiled set of literals with scratch memory."""

    def __init__(
        self,
        matcher: Matcher,
        database: Any,
        longest_bytes: int,
        routine: Mapping[int, bytes],
        marks: Mapping[int, bytes],
        *,
        estimates: bool,
    ) -> None:
        self._matcher = matcher
        self._database = database
        self._longest_bytes = longest_bytes
        self._routine = routine
        self._marks = marks
        self._estimates = estimates

    def scan(self, window: Window, known: Set[str] = frozenset()) -> dict[str, Pieces]:
        """The pieces of the window in which each signature stands; signatures in `known` are not looked at.

        Raises KeyboardInterrupt where Ctrl-C stopped the search.
        """
        found: dict[str, Pieces] = {}
        for literal, places in self._ends(window).items():
            text = self._routine.get(literal)
            ends = places if text is None or self._estimates else window.ends_of(text, RARE_KEPT // 2)
            begins: list[int] | None = None
            for wording in self._matcher.wordings(literal):
                identity = wording.signature.id
                if identity in known:
                    continue
                pieces = found.setdefault(identity, Pieces())
                if literal in self._marks:
                    _confirm_first(window, wording.expression, self._marks[literal], pieces)
                    continue
                if begins is None:
                    begins = _begins(window, ends)
                _confirm(window, wording.expression, begins, ends, pieces)
                if text is not None and (self._estimates or len(ends) == RARE_KEPT):
                    pieces.unlisted += max(0, window.count_of(text, estimate=self._estimates) - len(ends))
        return {identity: pieces for identity, pieces in found.items() if pieces}

    def _ends(self, window: Window) -> Mapping[int, list[int]]:
        """Where each literal ends, by its index: ascending places in `(window.start, window.end]`."""
        low = window.start
        is_inside_line = low > 0 and window.buffer[low - 1] != _NEWLINE
        if is_inside_line:
            low = max(0, low - self._longest_bytes)
        ends: defaultdict[int, list[int]] = defaultdict(list)

        def on_match(literal: int, _from: int, end: int, _flags: int, _context: object) -> None:
            ends[literal].append(end)

        try:
            self._database.scan(memoryview(window.buffer)[low : window.end], match_event_handler=on_match)
        except hyperscan.ScanTerminated:
            # The engine says so, whatever the callback raised: Python runs signal handlers in there.
            raise KeyboardInterrupt from None
        if is_inside_line:
            start = window.start - low
            return {literal: [low + end for end in at if end > start] for literal, at in ends.items()}
        return {literal: [low + end for end in at] for literal, at in ends.items()}


def _begins(window: Window, ends: Sequence[int]) -> list[int]:
    """Where the pieces begin that hold the ascending places."""
    begins = []
    begin, rfind = window.start, window.buffer.rfind
    for end in ends:
        newline = rfind(b"\n", begin, end - 1)
        if newline >= 0:
            begin = newline + 1
        if end - begin > CUT_BYTES:
            begin = window.cut(end - 1)
        begins.append(begin)
    return begins


def _confirm(
    window: Window,
    expression: re.Pattern[bytes] | None,
    begins: Sequence[int],
    ends: Sequence[int],
    pieces: Pieces,
) -> None:
    """Add the pieces in which the expression stands at one of the places."""
    if expression is None or (
        len(ends) > FLOOD
        and all(_stands(window, expression, begins[index], ends[index]) for index in _spread(len(ends), FLOOD))
    ):
        # Backwards, so that of several places in a piece the first stays.
        first = dict(zip(reversed(begins), reversed(ends), strict=True))
        if pieces:
            first.update((begin, end) for begin, end in pieces.items() if end < first.get(begin, end + 1))
        pieces.update(first)
        return
    for begin, end in zip(begins, ends, strict=True):
        known = pieces.get(begin)
        if (known is None or known > end) and _stands(window, expression, begin, end):
            pieces[begin] = end


def _confirm_first(window: Window, expression: re.Pattern[bytes] | None, text: bytes, pieces: Pieces) -> None:
    """Add the first piece in which the expression stands at a place of the text."""
    place = max(0, window.start - len(text) + 1)
    while (place := window.buffer.find(text, place, window.end)) >= 0:
        end = place + len(text)
        (begin,) = _begins(window, (end,))
        if expression is None or _stands(window, expression, begin, end):
            pieces[begin] = min(end, pieces.get(begin, end))
            return
        place += 1


def _stands(window: Window, expression: re.Pattern[bytes], begin: int, end: int) -> bool:
    buffer = window.buffer
    if end - begin > REACH_BYTES or buffer[begin - 1] != _NEWLINE:
        # The piece may begin in the middle of a long line, a match of the expression before it.
        low = max(0, end - REACH_BYTES)
        begin = buffer.rfind(b"\n", low, end - 1) + 1 or low
    high = min(end + REACH_BYTES, window.filled)
    newline = buffer.find(b"\n", end, high)
    return expression.search(buffer, begin, high if newline < 0 else newline) is not None


def _spread(length: int, number: int) -> Iterator[int]:
    """`number` indexes below `length`, evenly spread, the first and the last among them."""
    return (round(index * (length - 1) / (number - 1)) for index in range(number))
