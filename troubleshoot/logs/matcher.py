"""Search one block of a log for every signature at once.

A multi-pattern engine (Hyperscan) finds the literals; the expressions then confirm on the lines where they stand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import hyperscan

from troubleshoot.logs.literals import alternatives, compile_bytes, required_literals
from troubleshoot.logs.signature import Keep, Signature

LINE_LIMIT_BYTES = 16 << 10
CONTEXT_LIMIT_BYTES = 12 << 10
REACH_BYTES = 512
"""An expression's match lies within this distance of its literal: no wording has wider gaps."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A confirmed match in a block. `offset` and `line` are relative to the block's own first byte and line."""

    signature: str
    offset: int
    line: int
    raw: bytes
    follow: bytes = b""
    context: bytes = b""


@dataclass(frozen=True, slots=True)
class BlockResult:
    """What a block holds: how often each signature stands in it, its lines, and the hits that were kept."""

    counts: Mapping[str, int]
    hits: Sequence[Hit]
    newlines: int


@dataclass(frozen=True, slots=True)
class _Wording:
    signature: Signature
    expression: re.Pattern[bytes]


class Matcher:
    """Compiled signatures. Cheap to make (about 15 ms); `scan` is safe in one thread per Matcher clone."""

    def __init__(self, signatures: Mapping[str, Signature]) -> None:
        table: dict[str, list[tuple[Signature, str]]] = {}
        for signature in signatures.values():
            for find in (branch for find in signature.finds for branch in alternatives(find)):
                for literal in required_literals(find):
                    table.setdefault(literal, []).append((signature, find))
        self._literals = sorted(table)
        self._finds = [table[literal] for literal in self._literals]
        self._wordings: dict[int, list[_Wording]] = {}

    def _compile(self, once: frozenset[Keep]) -> Any:
        database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        flags = [
            hyperscan.HS_FLAG_CASELESS
            | (hyperscan.HS_FLAG_SINGLEMATCH if all(signature.keep in once for signature, _ in finds) else 0)
            for finds in self._finds
        ]
        database.compile(
            expressions=[literal.encode() for literal in self._literals],
            ids=list(range(len(self._literals))),
            elements=len(self._literals),
            flags=flags,
            literal=True,
        )
        return database

    def _wordings_of(self, literal: int) -> list[_Wording]:
        found = self._wordings.get(literal)
        if found is None:
            found = [_Wording(signature, compile_bytes(find)) for signature, find in self._finds[literal]]
            self._wordings[literal] = found
        return found

    @cached_property
    def _in_full(self) -> bytes:
        return bytes(hyperscan.dumpb(self._compile(frozenset({Keep.MARK}))))

    @cached_property
    def _in_bulk(self) -> bytes:
        return bytes(hyperscan.dumpb(self._compile(frozenset({Keep.MARK, Keep.FACT, Keep.SERIES}))))

    def scanner(self, *, bulk: bool = False) -> Scanner:
        """A scanner for one thread: with a database handle and scratch memory of its own.

        In bulk, of start-up facts and statistics only one a block is reported.
        """
        return Scanner(self, self._in_bulk if bulk else self._in_full)


class Scanner:
    """One thread's view of a Matcher: its own database handle and scratch memory."""

    def __init__(self, matcher: Matcher, serialized: bytes) -> None:
        self._matcher = matcher
        self._database = hyperscan.loadb(serialized, mode=hyperscan.HS_MODE_BLOCK)
        self._database.scratch = hyperscan.Scratch(self._database)

    def scan(self, buffer: bytearray, start: int, end: int, length: int, sample: int) -> BlockResult:
        """Search `buffer[:length]`; report matches that end in `(start, end]`, the rest is context on either side.

        At most `sample` matches of one literal are looked at one by one as long as every one of them is confirmed;
        where one is not, all are.
        """
        ends: dict[int, list[int]] = {}

        def on_match(literal: int, _from: int, to: int, _flags: int, _context: object) -> None:
            if start < to <= end:
                found = ends.get(literal)
                if found is None:
                    ends[literal] = [to]
                else:
                    found.append(to)

        view = memoryview(buffer)
        self._database.scan(buffer if length == len(buffer) else view[:length], match_event_handler=on_match)
        newlines = buffer.count(b"\n", start, end)
        confirm = _Confirm(buffer, start, length)
        for literal, offsets in ends.items():
            for wording in self._matcher._wordings_of(literal):
                confirm.wording(wording, offsets, sample)
        return BlockResult(confirm.counts, confirm.hits(), newlines)


class _Found(NamedTuple):
    signature: str
    raw: bytes
    follow: bytes
    context: bytes


class _Confirm:
    """Look at the lines where a literal stands, and keep what the expressions confirm."""

    def __init__(self, buffer: bytearray, start: int, length: int) -> None:
        self._buffer = buffer
        self._start = start
        self._length = length
        self.counts: dict[str, int] = {}
        self._found: dict[tuple[int, str], _Found] = {}

    def wording(self, wording: _Wording, offsets: list[int], sample: int) -> None:
        examined = offsets if len(offsets) <= sample else _spread(offsets, sample)
        confirmed = [self._line(wording, offset) for offset in examined]
        if len(examined) < len(offsets):
            if all(confirmed):
                self._count(wording, len(offsets))
                return
            confirmed = [self._line(wording, offset) for offset in offsets]
        self._count(wording, sum(1 for is_new in confirmed if is_new == _NEW))

    def _count(self, wording: _Wording, number: int) -> None:
        if number:
            identity = wording.signature.id
            self.counts[identity] = self.counts.get(identity, 0) + number

    def _line(self, wording: _Wording, offset: int) -> int:
        buffer = self._buffer
        begin = buffer.rfind(b"\n", 0, offset - 1) + 1
        finish = buffer.find(b"\n", offset, self._length)
        finish = self._length if finish < 0 else finish
        key = (begin, wording.signature.id)
        if key in self._found:
            return _KNOWN
        if not wording.expression.search(buffer, max(begin, offset - REACH_BYTES), min(finish, offset + REACH_BYTES)):
            return _NO
        low = max(begin, offset - LINE_LIMIT_BYTES)
        high = min(finish, offset + LINE_LIMIT_BYTES)
        self._found[key] = self._hit(wording.signature, begin, low, high)
        return _NEW

    def _hit(self, signature: Signature, begin: int, low: int, high: int) -> _Found:
        buffer = self._buffer
        follow = context = b""
        if signature.follow:
            stop = high
            for _ in range(signature.follow):
                stop = buffer.find(b"\n", stop + 1, self._length)
                if stop < 0:
                    stop = self._length
                    break
            follow = bytes(buffer[high : min(stop, high + 4096)])
        if signature.context_lines:
            context = bytes(buffer[max(0, begin - CONTEXT_LIMIT_BYTES) : begin])
            lines = context.split(b"\n")
            context = b"\n".join(lines[-signature.context_lines - 1 :])
        return _Found(signature.id, bytes(buffer[low:high]), follow, context)

    def hits(self) -> list[Hit]:
        """What was found, in order. Lines are counted from one hit to the next, so each byte is looked at once."""
        buffer, start = self._buffer, self._start
        hits: list[Hit] = []
        place, line = start, 0
        for begin, signature in sorted(self._found):
            if begin < place:
                line -= buffer.count(b"\n", begin, place)
            else:
                line += buffer.count(b"\n", place, begin)
            place = begin
            found = self._found[begin, signature]
            hits.append(Hit(signature, begin - start, line, found.raw, found.follow, found.context))
        return hits


_NO, _NEW, _KNOWN = 0, 1, 2


def _spread(offsets: list[int], number: int) -> list[int]:
    """`number` of the offsets, evenly spread, the first and the last among them."""
    step = (len(offsets) - 1) / (number - 1)
    return [offsets[round(index * step)] for index in range(number)]
