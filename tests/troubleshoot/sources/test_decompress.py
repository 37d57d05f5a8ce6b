from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from troubleshoot.sources.decompress import TEXT_CHUNK_BYTES, Codec, StreamError, text_chunks

Compress = Callable[[bytes], bytes]
COMPRESS: dict[Codec, Compress] = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}
CODECS = sorted(COMPRESS)
LOG = "".join(
    f"INFO 07-01 12:{second // 60 % 60:02}:{second % 60:02} [loggers.py:123] running {second * 7919 % 64}\n"
    for second in range(8_000)
).encode()


def decoded(codec: Codec, data: bytes) -> tuple[bytes, str]:
    """Return the text and how the stream ended: "" or the kind of `StreamError`."""
    text = bytearray()
    try:
        for chunk in text_chunks(codec, io.BytesIO(data).read):
            assert 0 < len(chunk) <= TEXT_CHUNK_BYTES
            text += chunk
    except StreamError as error:
        return bytes(text), error.kind
    return bytes(text), ""


@pytest.mark.parametrize("codec", CODECS)
def test_a_whole_stream_gives_its_text(codec: Codec) -> None:
    assert decoded(codec, COMPRESS[codec](LOG)) == (LOG, "")


@pytest.mark.parametrize("codec", CODECS)
def test_streams_follow_each_other(codec: Codec) -> None:
    parts = [LOG[:1000], b"", LOG[1000:300_000], LOG[300_000:]]
    assert decoded(codec, b"".join(map(COMPRESS[codec], parts))) == (LOG, "")


@pytest.mark.parametrize("codec", CODECS)
def test_zero_padding_ends_a_stream(codec: Codec) -> None:
    assert decoded(codec, COMPRESS[codec](LOG) + bytes(100_000)) == (LOG, "")


@pytest.mark.parametrize("codec", CODECS)
def test_trailing_garbage_is_told_and_costs_no_text(codec: Codec) -> None:
    assert decoded(codec, COMPRESS[codec](LOG) + b"-- end of upload --") == (LOG, "trailing")


@pytest.mark.parametrize("codec", CODECS)
def test_a_truncated_stream_gives_what_came_before(codec: Codec) -> None:
    noise = random.Random(7).randbytes(2_000_000)  # incompressible: many blocks of every codec
    data = COMPRESS[codec](noise)
    text, end = decoded(codec, data[: len(data) * 2 // 3])
    assert end == "truncated"
    assert noise.startswith(text)
    if codec != "bzip2":  # its blocks are 900 kB and come whole
        assert len(text) > len(noise) * 0.6


@pytest.mark.parametrize("codec", CODECS)
def test_a_wrong_checksum_costs_no_text_that_was_whole(codec: Codec) -> None:
    text = LOG[:50_000]
    data = bytearray(COMPRESS[codec](text))
    data[{"gzip": -5, "zstd": -1, "bzip2": -2, "xz": -1}[codec]] ^= 0xFF
    got, end = decoded(codec, bytes(data))
    assert end == "damaged"
    if codec in {"gzip", "zstd"}:
        assert got == text


def test_gzip_text_that_is_held_back_at_a_chunk_bound_is_not_lost() -> None:
    whole = gzip.compress(bytes(2 * TEXT_CHUNK_BYTES + 1000))
    for cut in range(10, len(whole)):
        text, _ = decoded("gzip", whole[:cut])
        assert text == zlib.decompressobj(wbits=31).decompress(whole[:cut])


def test_gzip_text_before_a_bad_byte_is_kept_to_the_last_symbol() -> None:
    body = zlib.compressobj(wbits=31)
    start = body.compress(LOG[:200_000]) + body.flush(zlib.Z_FULL_FLUSH)
    got, end = decoded("gzip", start + b"\x07" * 50)  # 0b111: the last block, of the reserved type
    assert (got, end) == (LOG[:200_000], "damaged")


def test_zstd_skippable_frames_carry_no_text() -> None:
    frame = b"\x5a\x2a\x4d\x18" + (70_000).to_bytes(4, "little") + bytes(70_000)
    data = COMPRESS["zstd"](LOG)
    assert decoded("zstd", frame + data + frame) == (LOG, "")
    assert decoded("zstd", data + frame[:-1]) == (LOG, "truncated")
    assert decoded("zstd", data + frame[:6]) == (LOG, "truncated")


def test_zstd_frames_of_every_header_shape_are_walked() -> None:
    for content_size in (True, False):
        for checksum in (True, False):
            for size in (0, 1, 255, 256, 70_000, 600_000):
                compressor = zstandard.ZstdCompressor(level=1, write_content_size=content_size, write_checksum=checksum)
                streaming = compressor.compressobj()
                streamed = streaming.compress(LOG[:size]) + streaming.flush()
                for data in (compressor.compress(LOG[:size]), streamed):
                    assert decoded("zstd", data + data) == (LOG[:size] * 2, "")


def test_a_zstd_window_beyond_the_memory_bound_is_damage_and_no_allocation() -> None:
    frame = b"\x28\xb5\x2f\xfd\x00" + bytes([(31 - 10) << 3]) + b"\x01\x00\x00"
    assert decoded("zstd", frame) == (b"", "damaged")


def test_an_xz_header_that_asks_for_gigabytes_is_damage() -> None:
    data = bytearray(lzma.compress(b"log", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 4096}]))
    assert decoded("xz", bytes(data)) == (b"log", "")
    end_of_header = 12 + (data[12] + 1) * 4
    lzma2 = data.index(b"\x21\x01", 12, end_of_header)
    data[lzma2 + 2] = 37  # the dictionary size code of 1 GiB
    data[end_of_header - 4 : end_of_header] = zlib.crc32(data[12 : end_of_header - 4]).to_bytes(4, "little")
    assert decoded("xz", bytes(data)) == (b"", "damaged")


@pytest.mark.parametrize("codec", CODECS)
def test_a_bomb_costs_time_and_never_memory(codec: Codec) -> None:
    size = (50 if codec in {"bzip2", "xz"} else 200) << 20
    block = bytes(1 << 20)
    compressors: dict[Codec, Callable[[], Any]] = {
        "gzip": lambda: zlib.compressobj(9, wbits=31),
        "zstd": lambda: zstandard.ZstdCompressor(level=3).compressobj(),
        "bzip2": lambda: bz2.BZ2Compressor(1),
        "xz": lambda: lzma.LZMACompressor(preset=0),
    }
    compressor = compressors[codec]()
    bomb = b"".join(compressor.compress(block) for _ in range(size >> 20)) + compressor.flush()
    assert len(bomb) < size // 500
    tracemalloc.start()
    try:
        got = sum(map(len, text_chunks(codec, io.BytesIO(bomb).read)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert got == size
    assert peak < 16 << 20


@pytest.mark.parametrize("codec", CODECS)
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_truncation_of_any_text_gives_a_prefix_of_it(codec: Codec, data: st.DataObject) -> None:
    texts = data.draw(st.lists(st.binary(max_size=3000), min_size=1, max_size=4))
    stream = b"".join(map(COMPRESS[codec], texts))
    cut = data.draw(st.integers(0, len(stream)))
    text, end = decoded(codec, stream[:cut])
    assert b"".join(texts).startswith(text)
    assert end in {"", "truncated"}
    if cut == len(stream):
        assert (text, end) == (b"".join(texts), "")


@pytest.mark.parametrize("codec", CODECS)
@given(st.binary(max_size=2000), st.integers(0, 1999), st.integers(1, 255))
@settings(max_examples=100, deadline=None)
def test_damage_anywhere_ends_the_stream_and_never_raises_another_error(
    codec: Codec, text: bytes, position: int, flip: int
) -> None:
    stream = bytearray(COMPRESS[codec](text))
    stream[position % len(stream)] ^= flip
    decoded(codec, bytes(stream))


@pytest.mark.parametrize("codec", CODECS)
@given(st.binary(max_size=2000))
@settings(max_examples=100, deadline=None)
def test_random_bytes_after_the_magic_never_raise_another_error(codec: Codec, noise: bytes) -> None:
    decoded(codec, COMPRESS[codec](b"")[:4] + noise)
    decoded(codec, noise)
