"""A log of any size -> the events in it, in bounded memory.

A plain file is read in blocks by two threads (the search runs outside the interpreter lock); a stream block by
block. Each block is searched with some text of its neighbours around it, so that no line and no traceback is cut.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from troubleshoot.logs.matcher import BlockResult, Hit, Matcher, Scanner
from troubleshoot.logs.signature import Keep, Signature

BLOCK_BYTES = 1 << 20
LEAD_BYTES = 32 << 10
TAIL_BYTES = 16 << 10
THREADS = 2
RARE_KEPT = 40
SERIES_KEPT = 1200
SERIES_RECENT = 300
FULL_DETAIL_BYTES = 24 << 20
SAMPLE_IN_FULL = 4000
SAMPLE_IN_BULK = 6


class ByteSource(Protocol):
    """What the scan needs of an input: see `troubleshoot.sources.files`."""

    @property
    def name(self) -> str: ...
    @property
    def size_bytes(self) -> int | None: ...
    @property
    def seekable_fd(self) -> int | None: ...
    def readinto(self, buffer: memoryview, /) -> int: ...


@dataclass(frozen=True, slots=True)
class Located:
    """A hit with its place in the file: byte offset from 0, line number from 1."""

    hit: Hit
    offset: int
    line: int


@dataclass(slots=True)
class ScanResult:
    """Everything kept of one log, by signature, in file order; `counts` says how often each stood there."""

    name: str
    size_bytes: int = 0
    lines: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    located: dict[str, list[Located]] = field(default_factory=dict)
    last_bytes: bytes = b""
    interrupted: bool = False


Progress = Callable[[int], None]


def scan(source: ByteSource, signatures: Mapping[str, Signature], matcher: Matcher, progress: Progress | None = None) -> ScanResult:
    """Read `source` to its end. Ctrl-C ends the reading: the result then holds what was read, and says so."""
    result = ScanResult(source.name)
    keeper = _Keeper(signatures)
    blocks = _file_blocks(source, matcher) if source.seekable_fd is not None else _stream_blocks(source, matcher)
    try:
        for block in blocks:
            keeper.take(block.result, result.size_bytes, result.lines)
            result.size_bytes += block.size_bytes
            result.lines += block.result.newlines
            result.last_bytes = block.last_bytes
            if progress:
                progress(result.size_bytes)
    except KeyboardInterrupt:
        result.interrupted = True
    finally:
        blocks.close()
    if result.last_bytes and not result.last_bytes.endswith(b"\n"):
        result.lines += 1
    result.counts = keeper.counts
    result.located = keeper.located()
    return result


@dataclass(frozen=True, slots=True)
class _Block:
    result: BlockResult
    size_bytes: int
    last_bytes: bytes


def _file_blocks(source: ByteSource, matcher: Matcher) -> Iterator[_Block]:
    descriptor = source.seekable_fd
    size = source.size_bytes or 0
    assert descriptor is not None
    if size <= BLOCK_BYTES:
        yield from _stream_blocks(source, matcher)
        return
    buffers = [bytearray(LEAD_BYTES + BLOCK_BYTES + TAIL_BYTES) for _ in range(THREADS + 1)]
    idle = {bulk: [matcher.scanner(bulk=bulk) for _ in buffers] for bulk in (False, size > FULL_DETAIL_BYTES)}

    def work(begin: int) -> _Block:
        bulk = size > FULL_DETAIL_BYTES and FULL_DETAIL_BYTES / 4 < begin < size - FULL_DETAIL_BYTES / 4
        scanner, buffer = idle[bulk].pop(), buffers.pop()
        try:
            return _read_block(descriptor, begin, scanner, buffer, SAMPLE_IN_BULK if bulk else SAMPLE_IN_FULL)
        finally:
            idle[bulk].append(scanner)
            buffers.append(buffer)

    with ThreadPoolExecutor(THREADS) as pool:
        pending: deque[Future[_Block]] = deque()
        try:
            for begin in range(0, size, BLOCK_BYTES):
                pending.append(pool.submit(work, begin))
                if len(pending) > THREADS:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def _read_block(descriptor: int, begin: int, scanner: Scanner, buffer: bytearray, sample: int) -> _Block:
    low = max(0, begin - LEAD_BYTES)
    lead = begin - low
    length = _pread_full(descriptor, buffer, low)
    end = min(lead + BLOCK_BYTES, length)
    result = scanner.scan(buffer, lead, end, length, sample)
    return _Block(result, max(0, end - lead), bytes(buffer[max(0, end - 4096) : end]))


def _pread_full(descriptor: int, buffer: bytearray, offset: int) -> int:
    view, length = memoryview(buffer), 0
    while length < len(buffer):
        number = os.preadv(descriptor, [view[length:]], offset + length)
        if number == 0:
            break
        length += number
    return length


def _stream_blocks(source: ByteSource, matcher: Matcher) -> Iterator[_Block]:
    """Blocks of a stream. The buffer holds [lead | block | tail]; the tail becomes part of the next block."""
    scanner = matcher.scanner()
    buffer = bytearray(LEAD_BYTES + BLOCK_BYTES + TAIL_BYTES)
    view = memoryview(buffer)
    lead, filled, done, total = 0, 0, False, 0
    while not done or filled > lead:
        while not done and filled < len(buffer):
            number = source.readinto(view[filled:])
            done = number == 0
            filled += number
        end = filled if done else filled - TAIL_BYTES
        bulk = total > FULL_DETAIL_BYTES
        result = scanner.scan(buffer, lead, end, filled, SAMPLE_IN_BULK * 8 if bulk else SAMPLE_IN_FULL)
        yield _Block(result, end - lead, bytes(buffer[max(0, end - 4096) : end]))
        total += end - lead
        keep_from = max(0, end - LEAD_BYTES)
        remaining = filled - keep_from
        buffer[:remaining] = buffer[keep_from:filled]
        lead, filled = end - keep_from, remaining
        if done:
            break


class _Keeper:
    """What stays of each signature: see `Keep`."""

    def __init__(self, signatures: Mapping[str, Signature]) -> None:
        self._signatures = signatures
        self.counts: dict[str, int] = {}
        self._first: dict[str, list[Located]] = {}
        self._recent: dict[str, deque[Located]] = {}
        self._stride: dict[str, int] = {}
        self._seen: dict[str, int] = {}

    def take(self, block: BlockResult, base_offset: int, base_lines: int) -> None:
        for identity, number in block.counts.items():
            self.counts[identity] = self.counts.get(identity, 0) + number
        for hit in block.hits:
            located = Located(hit, base_offset + hit.offset, base_lines + hit.line + 1)
            if self._signatures[hit.signature].keep is Keep.SERIES:
                self._thin(located)
            else:
                self._first_and_last(located)

    def _first_and_last(self, located: Located) -> None:
        identity = located.hit.signature
        first = self._first.setdefault(identity, [])
        if len(first) < RARE_KEPT // 2:
            first.append(located)
            return
        self._recent.setdefault(identity, deque(maxlen=RARE_KEPT // 2)).append(located)

    def _thin(self, located: Located) -> None:
        identity = located.hit.signature
        recent = self._recent.setdefault(identity, deque(maxlen=SERIES_RECENT))
        if len(recent) == SERIES_RECENT:
            self._retire(identity, recent[0])
        recent.append(located)

    def _retire(self, identity: str, located: Located) -> None:
        kept = self._first.setdefault(identity, [])
        stride = self._stride.setdefault(identity, 1)
        seen = self._seen[identity] = self._seen.get(identity, 0) + 1
        if seen % stride == 0:
            kept.append(located)
        if len(kept) >= SERIES_KEPT:
            del kept[::2]
            self._stride[identity] = stride * 2

    def located(self) -> dict[str, list[Located]]:
        identities = {*self._first, *self._recent}
        return {identity: [*self._first.get(identity, ()), *self._recent.get(identity, ())] for identity in identities}
