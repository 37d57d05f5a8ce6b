"""Opens a file or standard input as a stream of text bytes, whatever its compression."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from troubleshoot.sources.decompress import RAW_CHUNK_BYTES, Codec, StreamError, text_chunks
from troubleshoot.sources.errors import InputError
from troubleshoot.sources.raw_input import STDIN_SPEC, RawInput, open_raw
from troubleshoot.sources.recorded import Part, in_folder, is_archived, open_archived
from troubleshoot.sources.sniff import HEAD_BYTES, binary_problem, codec_of, encoding_of

_LONGEST_MAGIC_BYTES = 10


def human_size(size_bytes: int) -> str:
    """Format a size in decimal units, as `ls --si` does: 512 B, 3.1 kB, 14 MB."""
    size = float(size_bytes)
    units = iter(("B", "kB", "MB", "GB", "TB"))
    unit = next(units)
    while size >= 999.5 and (larger := next(units, None)):
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if unit == "B" or size >= 9.95 else f"{size:.1f} {unit}"


class ByteSource:
    """A stream of text bytes. Damage never raises: the stream ends there and `note` says so.

    `seekable_fd` is the descriptor of a plain, uncompressed regular file, whose text may be read with
    `os.preadv` at any offset; None for everything else.
    """

    def __init__(self, name: str, raw: RawInput) -> None:
        self.name = name
        self._raw = raw
        self._codec: Codec | None = None
        self._chunks: Iterator[bytes] | None = None
        self._pending: deque[bytes] = deque()
        self._offset = 0
        self._text_bytes = 0
        self._notes: list[str] = []
        self._fault_noted = False
        self._sniff()

    @property
    def size_bytes(self) -> int | None:
        """Bytes on disk, None where there is no file."""
        return self._raw.size_bytes

    @property
    def seekable_fd(self) -> int | None:
        """The descriptor to read in parallel from, or None."""
        if self._chunks is not None or self._raw.file is None or not self._raw.size_bytes:
            return None
        return self._raw.file.fileno()

    @property
    def position_bytes(self) -> int:
        """Raw (compressed, where the input is) bytes taken so far, for progress over `size_bytes`."""
        return self._raw.consumed_bytes

    @property
    def note(self) -> str:
        """What was wrong with the input, as far as it was read; empty when nothing was."""
        return "; ".join(self._notes)

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Fill `buffer` from its start and return the count, 0 at the end.

        A file fills it but for the end. A pipe gives what is there, so that an interrupted
        `kubectl logs -f | ...` keeps what it had.
        """
        view = memoryview(buffer).cast("B")
        if self._chunks is None:
            count = self._raw.readinto(view)
            self._note_fault()
            return count
        filled = 0
        while filled < len(view) and (chunk := self._pending_chunk()):
            count = min(len(chunk) - self._offset, len(view) - filled)
            view[filled : filled + count] = memoryview(chunk)[self._offset : self._offset + count]
            filled += count
            self._offset += count
            if self._offset == len(chunk):
                self._pending.popleft()
                self._offset = 0
            if self._raw.is_pipe and not self._pending:
                break
        return filled

    def close(self) -> None:
        """Close the file. Standard input stays open."""
        self._chunks = iter(())
        self._pending.clear()
        self._raw.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _sniff(self) -> None:
        """Choose how to read the input; raise `InputError` when it cannot be a text."""
        head = self._raw.peek(_LONGEST_MAGIC_BYTES)
        if not head:
            raise self._empty_error()
        self._codec = codec_of(head)
        if self._codec:
            self._chunks = text_chunks(self._codec, self._raw.read)
            head = self._head_of_text()
        elif self._raw.file is None:
            self._chunks = iter(lambda: self._raw.read(RAW_CHUNK_BYTES), b"")
        if encoding := encoding_of(head):
            self._transcode(encoding)
            head = self._head_of_text()
            self._notes.append(f"{encoding.upper()} text, read as UTF-8")
        problem = binary_problem(head)
        if problem:
            compressed = f" (inside {self._codec})" if self._codec else ""
            raise InputError(self.name, problem[0] + compressed, problem[1])

    def _transcode(self, encoding: str) -> None:
        chunks = self._chunks or iter(lambda: self._raw.read(RAW_CHUNK_BYTES), b"")
        earlier, self._pending = list(self._pending), deque()
        self._chunks = _utf8_chunks(earlier, chunks, encoding)

    def _head_of_text(self) -> bytes:
        while sum(map(len, self._pending)) < HEAD_BYTES and (chunk := self._next_chunk()):
            self._pending.append(chunk)
        head = b"".join(self._pending)[:HEAD_BYTES]
        if not head:
            raise self._empty_error()
        return head

    def _pending_chunk(self) -> bytes:
        if not self._pending and (chunk := self._next_chunk()):
            self._pending.append(chunk)
        return self._pending[0] if self._pending else b""

    def _next_chunk(self) -> bytes:
        assert self._chunks is not None  # noqa: S101
        try:
            chunk = next(self._chunks, b"")
        except StreamError as fault:
            chunk = b""
            self._notes.append(self._fault_note(fault))
        self._text_bytes += len(chunk)
        if not chunk:
            self._note_fault()
        return chunk

    def _fault_note(self, fault: StreamError) -> str:
        read = human_size(self._text_bytes)
        if fault.kind == "trailing":
            return f"{self._codec} data followed by something else: read {read} of text before it"
        detail = f" ({fault.detail})" if fault.detail else ""
        return f"{fault.kind} {self._codec}{detail}: read {read} of text before the damage"

    def _note_fault(self) -> None:
        if self._raw.fault and not self._fault_noted:
            read = human_size(self._raw.consumed_bytes)
            self._notes.append(f"reading stopped after {read}: {self._raw.fault}")
            self._fault_noted = True

    def _empty_error(self) -> InputError:
        if self._raw.fault:
            return InputError(self.name, f"cannot be read: {self._raw.fault}", "copy it elsewhere first")
        if self._notes:
            return InputError(self.name, f"no text in it: {self._notes[-1]}", "copy it again from where it was written")
        if self._codec:
            return InputError(self.name, f"is empty once decompressed ({self._codec})", "give another file")
        if self.name == STDIN_SPEC:
            return InputError(
                self.name,
                "standard input is empty",
                "check the command before the pipe, for example its errors",
            )
        return InputError(
            self.name,
            "is empty",
            "check where the engine writes its log: vLLM logs to its standard error and output",
        )


def open_bytes(spec: str, part: Part = "log") -> ByteSource:
    """Open `spec`, a path or `-` for standard input; raise `InputError` when no text can come from it.

    Of a recording, a folder or an archive, its `part` is opened.
    """
    archived = open_archived(spec, part) if is_archived(spec) else None
    if archived is None:
        spec = in_folder(spec, part)
        raw = open_raw(spec)
    else:
        spec, raw = archived
    try:
        return ByteSource(spec, raw)
    except BaseException:
        raw.close()
        raise


def _utf8_chunks(earlier: list[bytes], chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Re-encode text that opens with a byte order mark; what is invalid becomes U+FFFD."""
    import codecs

    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    for chunk in earlier:
        yield from _non_empty(decoder.decode(chunk))
    for chunk in chunks:
        yield from _non_empty(decoder.decode(chunk))
    yield from _non_empty(decoder.decode(b"", final=True))


def _non_empty(text: str) -> Iterator[bytes]:
    if text:
        yield text.encode("utf-8", errors="replace")
