"""A log of any size -> the places where signatures stand, in bounded memory.

A stream is read window by window. A large plain file is read in stripes, by several processes. Its two ends are
looked at in full detail; in between, a start-up fact or a statistics line a block is enough, and what only marks an
engine and was seen is no longer searched for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from troubleshoot.logs.interruption import Interruption
from troubleshoot.logs.keeper import Keeper, KeeperState
from troubleshoot.logs.matcher import Matcher, Scanner
from troubleshoot.logs.signature import Keep, Signature
from troubleshoot.logs.window import BLOCK_BYTES, new_buffer, windows
from troubleshoot.logs.workers import MOST_TASKS, WorkerLostError, at_once, in_background, shared_out, usable_workers

_LAST_BYTES = 4096
_SAMPLED = frozenset({Keep.FACT, Keep.SERIES})


class ByteSource(Protocol):
    """What the scan needs of an input: see `troubleshoot.sources.files`."""

    @property
    def name(self) -> str:
        """What to call it in a report."""

    @property
    def size_bytes(self) -> int | None:
        """Bytes of the file, None where there is none."""

    @property
    def seekable_fd(self) -> int | None:
        """The descriptor of a plain file of text, None for anything else."""

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer from its start; the bytes that were there, 0 at the end."""


class Plan(NamedTuple):
    """How a log is divided. The first and the last stripe of a file are looked at in full."""

    block_bytes: int = BLOCK_BYTES
    stripe_bytes: int = 2 << 20
    striped_from_bytes: int = 24 << 20
    workers: int = 4


class Hit(NamedTuple):
    """A line that a signature stands on, at `offset` bytes into the log, on line `line` (from 1).

    `raw` is the line, of a very long one what is near the match; `follow` are the lines after it, from the newline
    on; `context` the lines before it.
    """

    signature: str
    offset: int
    line: int
    raw: bytes
    follow: bytes = b""
    context: bytes = b""


class Located(NamedTuple):
    """A hit with its place in the file: byte offset from 0, line number from 1."""

    hit: Hit
    offset: int
    line: int


class ScanResult(NamedTuple):
    """Everything kept of one log, by signature, in file order.

    `counts` says on how many lines each stood (see `Keep` for where that is not exact); `last_bytes` are the last of
    what was read. Where Ctrl-C ended the reading, all of this is about what was read until then.
    """

    name: str
    size_bytes: int
    lines: int
    counts: dict[str, int]
    located: dict[str, list[Located]]
    last_bytes: bytes
    interrupted: bool


Progress = Callable[[int], None]
"""Told about how many bytes were read so far."""


def scan(
    source: ByteSource,
    signatures: Mapping[str, Signature],
    matcher: Matcher,
    progress: Progress | None = None,
    plan: Plan | None = None,
    meanwhile: Callable[[], None] | None = None,
) -> ScanResult:
    """Read `source` to its end. Ctrl-C ends the reading: the result then holds what was read, and says so.

    `meanwhile` is called while other processes search a large file, where there are such.
    """
    interruption = Interruption()
    with interruption.watched():
        reading = _Reading(signatures, matcher, progress or _silent, interruption, plan or Plan(), meanwhile)
        read = reading.file(source) if _is_striped(source, reading.plan) else reading.stream(source)
    return read.result(source.name, interrupted=interruption.requested)


def _silent(_read_bytes: int) -> None:
    """No progress to tell."""


def _is_striped(source: ByteSource, plan: Plan) -> bool:
    is_plain = source.seekable_fd is not None and hasattr(os, "preadv")
    return is_plain and (source.size_bytes or 0) > max(plan.striped_from_bytes, 0)


class _Stripe(NamedTuple):
    """What one stripe measures."""

    size_bytes: int
    newlines: int
    last_bytes: bytes


_State = tuple[KeeperState, dict[int, tuple[int, int, bytes]]]


class _Read:
    """What has been read: what was kept of it, and the stripes that are done."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self.stripes: dict[int, _Stripe] = {}

    def state(self) -> _State:
        """All of it in plain types, for another process."""
        return self.keeper.state(), {index: (*stripe,) for index, stripe in self.stripes.items()}

    def add(self, states: Sequence[_State]) -> None:
        """Take in what was read of other stripes."""
        self.keeper.merge([keeper for keeper, _ in states])
        for _, stripes in states:
            self.stripes.update((index, _Stripe(*stripe)) for index, stripe in stripes.items())

    def result(self, name: str, *, interrupted: bool) -> ScanResult:
        """The result, with line numbers counted from the log's beginning."""
        newlines_before: dict[int, int] = {}
        size_bytes = lines = 0
        last_bytes = b""
        for index in sorted(self.stripes):
            stripe = self.stripes[index]
            newlines_before[index] = lines
            lines += stripe.newlines
            size_bytes += stripe.size_bytes
            last_bytes = stripe.last_bytes or last_bytes
        if last_bytes and not last_bytes.endswith(b"\n"):
            lines += 1
        located = {
            identity: [
                Located(
                    Hit(identity, kept.offset, line := newlines_before[kept.stripe] + kept.line + 1, *kept[3:]),
                    kept.offset,
                    line,
                )
                for kept in places
            ]
            for identity, places in self.keeper.all().items()
        }
        return ScanResult(name, size_bytes, lines, self.keeper.counts, located, last_bytes, interrupted)


class _Reading(NamedTuple):
    """The two ways to read a log."""

    signatures: Mapping[str, Signature]
    matcher: Matcher
    progress: Progress
    interruption: Interruption
    plan: Plan
    meanwhile: Callable[[], None] | None

    def stream(self, source: ByteSource) -> _Read:
        """Read from the beginning to the end, in this process."""
        read = _Read(Keeper(self.signatures))

        def fill(view: memoryview, _offset: int) -> int:
            try:
                if self.interruption.requested:
                    return 0
                with self.interruption.waiting():
                    return source.readinto(view)
            except KeyboardInterrupt:
                self.interruption.requested = True
                return 0

        size = newlines = 0
        scanner = self.matcher.scanner()
        for window in windows(fill, new_buffer(self.plan.block_bytes)):
            found = scanner.scan(window, read.keeper.known)
            newlines += read.keeper.take(window, found, 0, newlines)
            size += window.end - window.start
            read.stripes[0] = _Stripe(size, newlines, _last_bytes(window.buffer, window.end))
            self.progress(size)
        return read

    def file(self, source: ByteSource) -> _Read:
        """Read a plain file in stripes. Where that fails, read it as a stream, which tells how far it is readable."""
        try:
            return self._stripes(source)
        except (OSError, WorkerLostError):
            return self.stream(source)

    def _stripes(self, source: ByteSource) -> _Read:
        size, descriptor = source.size_bytes or 0, source.seekable_fd
        assert descriptor is not None  # noqa: S101
        number = min(max(3, -(-size // self.plan.stripe_bytes)), MOST_TASKS)
        search = _StripeSearch(descriptor, -(-size // number), number, new_buffer(self.plan.block_bytes))
        head, in_full = _Read(Keeper(self.signatures)), self.matcher.scanner()

        def tail() -> _State:
            search.run(number - 1, in_full, read := _Read(Keeper(self.signatures)))
            return read.state()

        with at_once(tail, usable_workers(self.plan.workers)) as tail_result:
            search.run(0, in_full, head)
            if self.interruption.requested:
                return head
            # The engine compiles outside the interpreter's lock, and searches there too.
            compiled = in_background(partial(self.matcher.scanner, sampled=_SAMPLED, without=head.keeper.known))
            end = tail_result()
        keeper = head.keeper.between(end[0], leaves_texts=True)
        parts = [*self._middle(range(1, number - 1), search, compiled(), keeper)]
        if not self.interruption.requested:
            parts.append(end)
            self.progress(size)
        head.add(parts)
        return head

    def _middle(self, stripes: range, search: _StripeSearch, scanner: Scanner, keeper: Keeper) -> Iterator[_State]:
        """Search stripes in this process and in others; what each of them found."""
        part = _Read(keeper)
        with shared_out(stripes) as workers:

            def child() -> object:
                for index in workers.tasks():
                    search.run(index, scanner, part)
                part.keeper.read_texts(search.fill)
                return part.state()

            for _ in range(number := usable_workers(self.plan.workers) - 1):
                workers.fork(child)
            if number and self.meanwhile:
                self.meanwhile()
            for index in workers.tasks():
                search.run(index, scanner, part)
                self.progress((index + 1) * search.stripe_bytes)
                if self.interruption.requested:
                    workers.drop_tasks()
            part.keeper.read_texts(search.fill)
            yield part.state()
            yield from workers.results()


class _StripeSearch(NamedTuple):
    """A file in `number` stripes."""

    descriptor: int
    stripe_bytes: int
    number: int
    buffer: bytearray

    def run(self, index: int, scanner: Scanner, read: _Read) -> None:
        """Search one stripe. The last one goes to the end of the file, wherever that is by then."""
        begin = index * self.stripe_bytes
        end = begin + self.stripe_bytes if index + 1 < self.number else None
        size = newlines = 0
        last_bytes = b""
        for window in windows(self.fill, self.buffer, begin, end):
            found = scanner.scan(window, read.keeper.known)
            newlines += read.keeper.take(window, found, index, newlines)
            size += window.end - window.start
            last_bytes = _last_bytes(window.buffer, window.end)
        read.stripes[index] = _Stripe(size, newlines, last_bytes)

    def fill(self, view: memoryview, offset: int) -> int:
        """Read bytes of the file: see `window.Read`."""
        return os.preadv(self.descriptor, [view], offset)


def _last_bytes(buffer: bytearray, end: int) -> bytes:
    return bytes(buffer[max(0, end - _LAST_BYTES) : end])
