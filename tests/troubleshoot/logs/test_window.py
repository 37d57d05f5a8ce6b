from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from troubleshoot.logs.signature import Signature
from troubleshoot.logs.window import CUT_BYTES, Read, Window, new_buffer, window_around, windows


def reader(content: bytes, most: int = 1 << 30) -> Read:
    def read(view: memoryview, offset: int) -> int:
        part = content[offset : offset + min(len(view), most)]
        view[: len(part)] = part
        return len(part)

    return read


def pieces(content: bytes, begin: int = 0, end: int | None = None, block_bytes: int = 1) -> list[tuple[int, bytes]]:
    return [
        (window.base + window.start, bytes(window.buffer[window.start : window.end]))
        for window in windows(reader(content, 30_000), new_buffer(block_bytes), begin, end)
    ]


def long_text(seed: int) -> bytes:
    """Lines from nothing to several cuts long."""
    choose = random.Random(seed)
    lengths = [
        choose.choice((0, 1, 80, 80, 300, CUT_BYTES - 1, CUT_BYTES, 3 * CUT_BYTES, 9 * CUT_BYTES)) for _ in range(120)
    ]
    return b"\n".join(b"x" * length for length in lengths)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("block_bytes", [1, 100_000, 1 << 20])
def test_windows_tile_the_text(seed: int, block_bytes: int) -> None:
    content = long_text(seed)
    parts = pieces(content, block_bytes=block_bytes)
    assert b"".join(text for _, text in parts) == content
    offset = 0
    for begin, text in parts:
        assert begin == offset
        offset += len(text)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("border", [1, CUT_BYTES, 200_001, 400_000])
def test_stretches_read_apart_tile_the_text(seed: int, border: int) -> None:
    content = long_text(seed)
    first = b"".join(text for _, text in pieces(content, 0, border))
    second = b"".join(text for _, text in pieces(content, border))
    assert first + second == content


@pytest.mark.parametrize("seed", range(3))
def test_where_a_piece_begins_does_not_depend_on_where_reading_began(seed: int) -> None:
    content = long_text(seed)
    whole = Window(bytearray(content), 0, 0, len(content), len(content))
    for window in windows(reader(content), new_buffer(1), 123_456):
        for place in range(window.start, window.end, 997):
            assert window.base + window.cut(place) == whole.cut(window.base + place)


def test_a_piece_is_never_longer_than_two_cuts() -> None:
    content = b"short\n" + b"x" * 500_000
    whole = Window(bytearray(content), 0, 0, len(content), len(content))
    assert max(place - whole.cut(place) for place in range(0, len(content), 101)) < 2 * CUT_BYTES


def test_a_line_that_is_not_over_long_is_one_piece() -> None:
    content = b"a" * 100 + b"\n" + b"b" * (CUT_BYTES - 1) + b"\n"
    whole = Window(bytearray(content), 0, 0, len(content), len(content))
    assert {whole.cut(place) for place in range(len(content))} == {0, 101}


@settings(deadline=None, derandomize=True)
@given(st.lists(st.sampled_from([b"", b"\n", b"x", b"line\n", b"y" * 9000, b"\n" * 9000])), st.data())
def test_newlines_are_counted_exactly(parts: list[bytes], data: st.DataObject) -> None:
    content = b"".join(parts)
    window = Window(bytearray(content), 0, 0, len(content), len(content))
    begin = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(begin, len(content)))
    assert window.newlines(begin, end) == content.count(b"\n", begin, end)


def around(content: bytes, match: bytes, signature: Signature) -> tuple[bytes, bytes, bytes]:
    window = Window(bytearray(content), 0, 0, len(content), len(content))
    end = content.index(match) + len(match)
    return window.text_of(end, window.cut(end - 1), signature)


def test_the_line_and_the_lines_around_it_are_kept_as_asked() -> None:
    content = b"one\ntwo\nthree\nhit here\nfour\nfive\nsix\n"
    signature = Signature("s", ("hit",), follow=2, context_lines=2)
    assert around(content, b"hit", signature) == (b"hit here", b"\nfour\nfive", b"two\nthree\n")


def test_fewer_lines_around_than_asked() -> None:
    signature = Signature("s", ("hit",), follow=5, context_lines=5)
    assert around(b"one\nhit\ntwo", b"hit", signature) == (b"hit", b"\ntwo", b"one\n")
    assert around(b"hit", b"hit", signature) == (b"hit", b"", b"")


def test_of_a_long_line_the_part_near_the_match_is_kept() -> None:
    content = b"before\n" + b"a" * 100_000 + b"hit" + b"b" * 100_000 + b"\nafter\n"
    raw, follow, _ = around(content, b"hit", Signature("s", ("hit",), follow=1, context_lines=1))
    assert raw == b"a" * (CUT_BYTES - 3) + b"hit" + b"b" * CUT_BYTES
    assert follow == b""


@pytest.mark.parametrize("seed", range(4))
def test_a_text_read_later_is_the_text_that_stood_in_the_window(seed: int) -> None:
    choose = random.Random(seed)
    content = long_text(seed)
    read = reader(content, 30_000)
    signature = Signature("s", ("x",), follow=choose.choice((0, 2)), context_lines=choose.choice((0, 40)))
    for window in windows(read, new_buffer(1)):
        for end in sorted(choose.sample(range(window.start + 1, window.end + 1), 20)):
            begin = window.cut(end - 1)
            later = window_around(read, window.base + begin, window.base + end)
            shift = window.base - later.base
            assert later.text_of(end + shift, begin + shift, signature) == window.text_of(end, begin, signature)


def test_an_empty_text_has_no_windows() -> None:
    assert pieces(b"") == []


def test_a_file_that_became_shorter_ends_where_it_ends() -> None:
    content = b"line\n" * 1000
    assert b"".join(text for _, text in pieces(content, 2000, 9000)) == content[2000:]
    assert pieces(content, 5000, 9000) == []
    assert pieces(content, 8000, 9000) == []
