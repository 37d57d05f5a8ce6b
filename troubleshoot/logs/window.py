"""A stretch of a log in memory: whole lines, with text of their neighbours on both sides.

Long lines are cut so that memory stays bounded. Where a cut falls depends on the text near it alone, never on where
reading began: a line ends at its newline; and each multiple of `CUT_BYTES` in the file, before which no newline
stands for `CUT_BYTES`, is a cut too. So a piece is at most `2 * CUT_BYTES` long, and readers that begin at different
places agree on the pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from troubleshoot.logs.signature import Signature

CUT_BYTES = 16 << 10
BLOCK_BYTES = 1 << 20
LEAD_BYTES = 48 << 10
"""Text kept before a block: up to two cuts of an unfinished line, and the context of a hit."""

TAIL_BYTES = 24 << 10
"""Text kept after a block: the rest of a long line, and the lines that follow it."""

_LINE_LIMIT_BYTES = 16 << 10
_CONTEXT_LIMIT_BYTES = 12 << 10
_FOLLOW_LIMIT_BYTES = 4 << 10
_COUNT_PIECE_BYTES = 64 << 10
_SAMPLE_BYTES = 64 << 10

Read = Callable[[memoryview, int], int]
"""Fills the view from its start with the bytes at a file offset, as many as there are at once; 0 at the end."""


class Window:
    """`buffer[start:end]` are pieces to search; `base` is the file offset of `buffer[0]`. Good until the next one."""

    __slots__ = ("base", "buffer", "end", "filled", "start")

    def __init__(self, buffer: bytearray, base: int, start: int, end: int, filled: int) -> None:
        self.buffer = buffer
        self.base = base
        self.start = start
        self.end = end
        self.filled = filled

    def cut(self, position: int) -> int:
        """The place in the buffer where the piece that holds `position` begins."""
        line = self.buffer.rfind(b"\n", max(0, position - 2 * CUT_BYTES), position) + 1
        forced = (self.base + position) // CUT_BYTES * CUT_BYTES - self.base
        return forced if line <= forced - CUT_BYTES else line

    def newlines(self, begin: int, end: int) -> int:
        """Newlines in `buffer[begin:end]`.

        Up to CPython 3.12 `count` looks at one byte at a time; `replace` is three times as fast. Copies of more than
        128 KiB would come fresh from the operating system each time, and cost as much again in page faults.
        """
        if end - begin < 8192:
            return self.buffer.count(b"\n", begin, end)
        total = 0
        for piece_begin in range(begin, end, _COUNT_PIECE_BYTES):
            piece = self.buffer[piece_begin : min(piece_begin + _COUNT_PIECE_BYTES, end)]
            total += len(piece) - len(piece.replace(b"\n", b""))
        return total

    def ends_of(self, text: bytes, most: int) -> list[int]:
        """Where a text without line ends stands in the pieces: the ends of the first and of the last `most` places."""
        low = max(0, self.start - len(text) + 1)
        first: list[int] = []
        place = low
        while len(first) < most and (place := self.buffer.find(text, place, self.end)) >= 0:
            place += len(text)
            first.append(place)
        last: list[int] = []
        high = self.end
        while first and len(last) < most and (high := self.buffer.rfind(text, first[-1], high)) >= 0:
            last.append(high + len(text))
        return [*first, *reversed(last)]

    def count_of(self, text: bytes, *, estimate: bool) -> int:
        """How often a text stands in the pieces; with `estimate` from the first of them only."""
        sample_end = min(self.end, self.start + _SAMPLE_BYTES) if estimate else self.end
        number = self.buffer.count(text, max(0, self.start - len(text) + 1), sample_end)
        return round(number * (self.end - self.start) / (sample_end - self.start))

    def text_of(self, match_end: int, begin: int, signature: Signature) -> tuple[bytes, bytes, bytes]:
        """The line around a match, the lines after it and those before `begin`, as the signature asks for."""
        buffer = self.buffer
        low = max(0, match_end - _LINE_LIMIT_BYTES)
        low = buffer.rfind(b"\n", low, match_end - 1) + 1 or low
        high = buffer.find(b"\n", match_end, min(match_end + _LINE_LIMIT_BYTES, self.filled))
        is_whole = high >= 0
        if not is_whole:
            high = min(match_end + _LINE_LIMIT_BYTES, self.filled)
        follow = self._after(high, signature.follow) if is_whole and signature.follow else b""
        context = self._before(begin, signature.context_lines) if signature.context_lines else b""
        return bytes(buffer[low:high]), follow, context

    def _after(self, newline: int, lines: int) -> bytes:
        limit = min(newline + _FOLLOW_LIMIT_BYTES, self.filled)
        stop = newline
        for _ in range(lines):
            stop = self.buffer.find(b"\n", stop + 1, limit)
            if stop < 0:
                stop = limit
                break
        return bytes(self.buffer[newline:stop])

    def _before(self, begin: int, lines: int) -> bytes:
        limit = max(0, begin - _CONTEXT_LIMIT_BYTES)
        place = begin - 1
        for _ in range(lines):
            place = self.buffer.rfind(b"\n", limit, max(place, 0))
            if place < 0:
                return bytes(self.buffer[limit:begin])
        return bytes(self.buffer[place + 1 : begin])


def window_around(read: Read, begin: int, match_end: int) -> Window:
    """A window of its own over what `text_of` looks at for a match that was found before, at these file offsets."""
    base = max(0, min(begin - _CONTEXT_LIMIT_BYTES, match_end - _LINE_LIMIT_BYTES))
    buffer = bytearray(match_end + TAIL_BYTES - base)
    view = memoryview(buffer)
    filled = 0
    while filled < len(buffer) and (number := read(view[filled:], base + filled)):
        filled += number
    return Window(buffer, base, begin - base, match_end - base, filled)


def new_buffer(block_bytes: int = BLOCK_BYTES) -> bytearray:
    """Memory for `windows` that bring at least `block_bytes` at a time."""
    return bytearray(LEAD_BYTES + max(block_bytes, 4 * CUT_BYTES) + TAIL_BYTES)


def windows(read: Read, buffer: bytearray, begin: int = 0, end: int | None = None) -> Iterator[Window]:
    """The pieces that begin in `[begin, end)` of a text, in one window after the other over the same buffer.

    Without `end`, to the end of the text.
    """
    view = memoryview(buffer)
    window = Window(buffer, max(0, begin - LEAD_BYTES), 0, 0, 0)
    is_first, done = True, False
    while True:
        room = len(buffer) if end is None else min(len(buffer), end + TAIL_BYTES - window.base)
        while not done and window.filled < room:
            number = read(view[window.filled : room], window.base + window.filled)
            done = number == 0
            window.filled += number
        if is_first:
            if begin > 0 and window.base + window.filled <= begin:
                return
            window.start = window.cut(min(begin - window.base, window.filled))
            is_first = False
        is_last = done or (end is not None and window.base + window.filled >= end + TAIL_BYTES)
        _set_end(window, end, done=done, is_last=is_last)
        if window.end > window.start:
            yield window
        if is_last:
            return
        _slide(window)


def _set_end(window: Window, end: int | None, *, done: bool, is_last: bool) -> None:
    if is_last and end is not None and window.base + window.filled > end:
        window.end = window.cut(end - window.base)
    elif done:
        window.end = window.filled
    else:
        window.end = window.cut(window.filled - TAIL_BYTES)


def _slide(window: Window) -> None:
    keep_from = max(0, window.end - LEAD_BYTES)
    remaining = window.filled - keep_from
    window.buffer[:remaining] = window.buffer[keep_from : window.filled]
    window.base += keep_from
    window.start = window.end - keep_from
    window.filled = remaining
