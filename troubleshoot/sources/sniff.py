"""What the first bytes of an input say it is: a compressed stream, a binary format, an encoding of text."""

from __future__ import annotations

from typing import Final

from troubleshoot.sources.decompress import Codec
from troubleshoot.sources.zstd_stream import FRAME_MAGIC, is_skippable

HEAD_BYTES: Final = 64 << 10
"""How much of an input is looked at."""

_CODEC_MAGIC: Final[tuple[tuple[bytes, Codec], ...]] = (
    (b"\x1f\x8b", "gzip"),
    (FRAME_MAGIC, "zstd"),
    (b"\xfd7zXZ\x00", "xz"),
)
_BZIP2_BLOCKS: Final = (b"1AY&SY", b"\x17rE8P\x90")
"""What follows `BZh1` to `BZh9`: the first block, or the end of an empty file."""

_BINARY_MAGIC: Final[tuple[tuple[int, bytes, str, str], ...]] = (
    (0, b"\x7fELF", "an ELF program or core dump", "give the text log of the engine"),
    (0, b"\x89PNG\r\n", "a PNG image", "give the log as text, not as a screenshot"),
    (0, b"\xff\xd8\xff", "a JPEG image", "give the log as text, not as a screenshot"),
    (0, b"%PDF-", "a PDF document", "give the log as text"),
    (0, b"PK\x03\x04", "a zip archive", "unpack it with unzip and give the files in it"),
    (0, b"PK\x05\x06", "an empty zip archive", "give the log itself"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it and give the files in it"),
    (0, b"Rar!\x1a\x07", "a RAR archive", "unpack it and give the files in it"),
    (257, b"ustar", "a tar archive", "unpack it with tar -xf and give the files in it"),
    (0, b"SQLite format 3\0", "an SQLite database", "give the text log of the engine"),
    (0, b"GGUF", "a GGUF model file", "give the log of the engine, not the model"),
    (0, b"\x04\x22\x4d\x18", "an LZ4 file", "decompress it with lz4 -d first"),
    (0, b"\xff\x06\0\0sNaPpY", "a Snappy file", "decompress it first"),
    (0, b"PAR1", "a Parquet file", "export the log as text"),
    (0, b"LPKSHHRH", "a systemd journal file", "export it with journalctl --file NAME -o cat"),
)
_SAFETENSORS_HEADER_LIMIT_BYTES: Final = 100 << 20
"""The format's own limit of its JSON header, whose length is the first eight bytes."""

_BYTE_ORDER_MARKS: Final = (
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_TEXT_CONTROLS: Final = b"\b\t\n\f\r\x1b"
_CONTROLS: Final = bytes(set(range(0x20)) - set(_TEXT_CONTROLS) | {0x7F})
_NUL_SHARE_LIMIT: Final = 0.02
_CONTROL_SHARE_LIMIT: Final = 0.05
"""Random or encrypted bytes hold 10 % of controls, a log with progress bars and colours next to none."""


def codec_of(head: bytes) -> Codec | None:
    """Return the compression that `head` opens, judged by its bytes and never by a name."""
    for magic, codec in _CODEC_MAGIC:
        if head.startswith(magic):
            return codec
    if is_skippable(head[:4]):
        return "zstd"
    if head[:3] == b"BZh" and head[3:4].isdigit() and head[4:10] in _BZIP2_BLOCKS:
        return "bzip2"
    return None


def encoding_of(head: bytes) -> str | None:
    """Return the encoding that a byte order mark names, None for UTF-8 and everything else."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return encoding
    return None


def binary_problem(head: bytes) -> tuple[str, str] | None:
    """Return (problem, advice) when decompressed bytes are no text to read, None for text.

    Colours and other terminal escapes, invalid UTF-8 and a stray NUL are text.
    """
    for offset, magic, what, advice in _BINARY_MAGIC:
        if head.startswith(magic, offset):
            return f"is {what}, not a text file", advice
    header_bytes = int.from_bytes(head[:8], "little")
    if head[8:10] == b'{"' and header_bytes <= _SAFETENSORS_HEADER_LIMIT_BYTES:
        return "is a safetensors model file, not a text file", "give the log of the engine, not the model"
    nul_count = head.count(b"\0")
    if nul_count == len(head):
        return (
            "starts with NUL bytes, as a log does that was rotated with copytruncate",
            "take them out with: tr -d '\\000'",
        )
    if nul_count > _NUL_SHARE_LIMIT * len(head):
        return _with_many_nuls(head, nul_count)
    if len(head) - len(head.translate(None, _CONTROLS)) > _CONTROL_SHARE_LIMIT * len(head):
        return "looks binary", "give a text file"
    return None


def _with_many_nuls(head: bytes, nul_count: int) -> tuple[str, str]:
    odd = head[1::2].count(b"\0")
    if nul_count > len(head) * 0.3 and (odd in (0, nul_count)):
        encoding = "UTF-16LE" if odd else "UTF-16BE"
        return (
            f"looks like {encoding} text without a byte order mark",
            f"convert it with: iconv -f {encoding} -t UTF-8",
        )
    return "looks binary (it holds NUL bytes)", "give a text file"
