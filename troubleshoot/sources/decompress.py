"""Streams of compressed bytes to streams of text, in bounded memory.

Each decoder takes `read`, which returns up to n raw bytes and b"" at the end, and yields what they hold in
non-empty chunks of at most a few hundred KiB, so that a decompression bomb costs time and never memory. What
comes before damage is yielded; then `StreamError` says how the stream ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import zlib

Read = Callable[[int], bytes]
Codec = Literal["gzip", "zstd", "bzip2", "xz"]
FaultKind = Literal["truncated", "damaged", "trailing"]

RAW_CHUNK_BYTES = 64 << 10
TEXT_CHUNK_BYTES = 256 << 10
XZ_MEMORY_LIMIT_BYTES = 128 << 20
"""`xz -9` needs 65 MiB to decompress; a header may ask for 4 GiB."""


class StreamError(Exception):
    """A compressed stream that did not end well.

    `truncated`: it stops before its end. `damaged`: it holds bytes that its format forbids, or its checksum
    differs. `trailing`: it is whole, and something else follows.
    """

    def __init__(self, kind: FaultKind, detail: str = "") -> None:
        super().__init__(kind, detail)
        self.kind: FaultKind = kind
        self.detail = detail


class _BlockDecoder(Protocol):
    """What `bz2.BZ2Decompressor` and `lzma.LZMADecompressor` share."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def text_chunks(codec: Codec, read: Read) -> Iterator[bytes]:
    """Yield the decompressed chunks of the stream behind `read`; raise `StreamError` where it breaks."""
    if codec == "gzip":
        return gzip_chunks(read)
    if codec == "zstd":
        from troubleshoot.sources.zstd_stream import zstd_chunks

        return zstd_chunks(read)
    if codec == "bzip2":
        import bz2

        return _block_chunks(bz2.BZ2Decompressor, OSError, b"BZh", read)
    import lzma

    return _block_chunks(
        lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY_LIMIT_BYTES),
        lzma.LZMAError,
        b"\xfd7zXZ\x00",
        read,
    )


def gzip_chunks(read: Read) -> Iterator[bytes]:
    """Yield the text of a gzip stream of any number of members (RFC 1952)."""
    import zlib

    data = read(RAW_CHUNK_BYTES)
    while True:
        decoder = zlib.decompressobj(wbits=31)
        while not decoder.eof:
            if not data:
                data = read(RAW_CHUNK_BYTES)
            if not data:
                yield from _drained(decoder)
                raise StreamError("truncated")
            yield from _inflated(decoder, data)
            data = decoder.unused_data
        data = _next_stream(data, b"\x1f\x8b", read)
        if not data:
            return


def _inflated(decoder: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    import zlib

    while data and not decoder.eof:
        before = decoder.copy()
        try:
            text = decoder.decompress(data, TEXT_CHUNK_BYTES)
        except zlib.error as error:
            if text := _salvaged(before, data):
                yield text
            raise StreamError("damaged", str(error)) from None
        data = decoder.unconsumed_tail
        if text:
            yield text


def _salvaged(decoder: zlib._Decompress, data: bytes) -> bytes:
    """What `data` gives up to its first bad byte: zlib drops the text of a failing call, so go by bytes."""
    import zlib

    text = bytearray()
    for position in range(len(data)):
        try:
            text += decoder.decompress(data[position : position + 1])
        except zlib.error:
            break
    return bytes(text)


def _drained(decoder: zlib._Decompress) -> Iterator[bytes]:
    """Text that zlib still holds once the raw bytes have run out."""
    while text := decoder.decompress(b"", TEXT_CHUNK_BYTES):
        yield text


def _block_chunks(
    new_decoder: Callable[[], _BlockDecoder], error_type: type[Exception], magic: bytes, read: Read
) -> Iterator[bytes]:
    """Yield the text of a bzip2 or xz file of any number of streams."""
    data = read(RAW_CHUNK_BYTES)
    while True:
        decoder = new_decoder()
        while not decoder.eof:
            if decoder.needs_input and not data:
                data = read(RAW_CHUNK_BYTES)
                if not data:
                    raise StreamError("truncated")
            try:
                text = decoder.decompress(data, TEXT_CHUNK_BYTES)
            except error_type as error:
                raise StreamError("damaged", str(error)) from None
            data = b""
            if text:
                yield text
        data = _next_stream(decoder.unused_data, magic, read)
        if not data:
            return


def _next_stream(data: bytes, magic: bytes, read: Read) -> bytes:
    """Skip zero padding after a stream and return the start of the next one, b"" at the end of the input."""
    while len(data := data.lstrip(b"\0")) < len(magic):
        more = read(RAW_CHUNK_BYTES)
        if not more:
            break
        data += more
    if data and not data.startswith(magic):
        raise StreamError("truncated" if magic.startswith(data) else "trailing")
    return data
