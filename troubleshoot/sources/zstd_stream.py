"""Zstandard streams, decoded one block at a time.

The library's calls either return everything that an input chunk holds (a bomb: 4 bytes can stand for
128 KiB) or cannot tell a truncated frame from a whole one. So the frames are walked here (RFC 8878, section
3.1): a block never holds more than 128 KiB of text, and a frame that stops short is seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from troubleshoot.sources.decompress import RAW_CHUNK_BYTES, Read, StreamError

FRAME_MAGIC: Final = b"\x28\xb5\x2f\xfd"
SKIPPABLE_MAGIC_TAIL: Final = b"\x2a\x4d\x18"
"""The last three bytes of a skippable frame's magic; the first is 0x50 to 0x5f."""

_DICTIONARY_ID_BYTES = (0, 1, 2, 4)
_CONTENT_SIZE_BYTES = (0, 2, 4, 8)
_RLE_BLOCK = 1


class _Taker:
    """Hands out exact numbers of bytes; fewer only at the end of the input."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._data = b""
        self._position = 0

    def take(self, count: int) -> bytes:
        if len(self._data) - self._position < count:
            parts = [self._data[self._position :]]
            held = len(parts[0])
            while held < count and (more := self._read(RAW_CHUNK_BYTES)):
                parts.append(more)
                held += len(more)
            self._data, self._position = b"".join(parts), 0
        taken = self._data[self._position : self._position + count]
        self._position += len(taken)
        return taken


def is_skippable(magic: bytes) -> bool:
    """Whether four bytes open a skippable frame."""
    return len(magic) == 4 and magic[0] & 0xF0 == 0x50 and magic[1:] == SKIPPABLE_MAGIC_TAIL


def zstd_chunks(read: Read) -> Iterator[bytes]:
    """Yield the text of a zstd stream of any number of frames, at most 128 KiB a chunk."""
    import zstandard

    source = _Taker(read)
    first = True
    while magic := source.take(4):
        if is_skippable(magic):
            _skip_frame(source)
        elif magic == FRAME_MAGIC:
            decoder = zstandard.ZstdDecompressor().decompressobj()
            for piece in _frame_pieces(source):
                try:
                    text = decoder.decompress(piece)
                except zstandard.ZstdError as error:
                    raise StreamError("damaged", str(error)) from None
                if text:
                    yield text
        elif FRAME_MAGIC.startswith(magic):
            raise StreamError("truncated")
        elif first or magic.strip(b"\0"):
            raise StreamError("damaged" if first else "trailing")
        first = False


def _skip_frame(source: _Taker) -> None:
    size = source.take(4)
    remaining = int.from_bytes(size, "little")
    while remaining:
        skipped = len(source.take(min(remaining, RAW_CHUNK_BYTES)))
        remaining -= skipped
        if not skipped:
            break
    if len(size) < 4 or remaining:
        raise StreamError("truncated")


def _frame_pieces(source: _Taker) -> Iterator[bytes]:
    """Yield the bytes of one frame whose magic was taken: its header, each block, its checksum."""
    descriptor = source.take(1)
    if not descriptor:
        raise StreamError("truncated")
    flags = descriptor[0]
    single_segment = flags >> 5 & 1
    content_size_flag = flags >> 6
    header_bytes = (
        (0 if single_segment else 1)
        + _DICTIONARY_ID_BYTES[flags & 3]
        + (_CONTENT_SIZE_BYTES[content_size_flag] or single_segment)
    )
    yield FRAME_MAGIC + descriptor + _exactly(source, header_bytes)
    last = False
    while not last:
        block_header = _exactly(source, 3)
        value = int.from_bytes(block_header, "little")
        last = bool(value & 1)
        size = 1 if value >> 1 & 3 == _RLE_BLOCK else value >> 3
        content = source.take(size)
        yield block_header + content
        if len(content) < size:
            raise StreamError("truncated")
    if flags >> 2 & 1:
        yield _exactly(source, 4)


def _exactly(source: _Taker, count: int) -> bytes:
    taken = source.take(count)
    if len(taken) < count:
        raise StreamError("truncated")
    return taken
