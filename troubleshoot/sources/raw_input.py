"""The bytes of a file or of standard input, as they are stored."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

from troubleshoot.sources.errors import InputError
from troubleshoot.sources.missing import directory_advice, missing_problem
from troubleshoot.sources.sniff import HEAD_BYTES

STDIN_SPEC = "-"


class RawInput:
    """The bytes as they lie on disk or come down a pipe. A failing read ends the stream and sets `fault`."""

    def __init__(
        self,
        read: Callable[[int], bytes | None],
        close: Callable[[], None],
        *,
        file: io.FileIO | None = None,
        size_bytes: int | None = None,
        is_pipe: bool = True,
    ) -> None:
        self._read = read
        self._head = b""
        self.close = close
        self.file = file
        self.size_bytes = size_bytes
        self.is_pipe = is_pipe
        self.consumed_bytes = 0
        self.fault = ""

    def read(self, limit: int) -> bytes:
        """Return up to `limit` bytes, b"" at the end."""
        data = self._head[:limit] or self._read_more(limit)
        self._head = self._head[len(data) :]
        self.consumed_bytes += len(data)
        return data

    def peek(self, least: int) -> bytes:
        """Return the bytes ahead without consuming them: at least `least`, fewer only at the end."""
        while len(self._head) < least and (data := self._read_more(HEAD_BYTES)):
            self._head += data
        return self._head

    def readinto(self, buffer: memoryview) -> int:
        """Fill `buffer` straight from a plain file; 0 at the end."""
        assert self.file is not None  # noqa: S101
        filled = len(head := self._head[: len(buffer)])
        buffer[:filled] = head
        self._head = self._head[filled:]
        try:
            while not self.fault and filled < len(buffer) and (count := self.file.readinto(buffer[filled:])):
                filled += count
        except OSError as error:
            self.fault = _reason(error)
        self.consumed_bytes += filled
        return filled

    def _read_more(self, limit: int) -> bytes:
        if self.fault:
            return b""
        try:
            return self._read(limit) or b""
        except OSError as error:
            self.fault = _reason(error)
            return b""


def open_raw(spec: str) -> RawInput:
    """Open `spec`, a path or `-`; raise `InputError` when it cannot be opened or is no file, pipe or FIFO."""
    return _open_stdin() if spec == STDIN_SPEC else _open_path(spec)


def _open_stdin() -> RawInput:
    advice = "pipe a log into it, for example: kubectl logs POD | inferwatch diagnose --log -"
    if sys.stdin is None or sys.stdin.closed:
        raise InputError(STDIN_SPEC, "standard input is closed", advice)
    if sys.stdin.isatty():
        raise InputError(STDIN_SPEC, "standard input is a terminal", advice)
    stream = sys.stdin.buffer
    return RawInput(getattr(stream, "read1", stream.read), lambda: None)


def _open_path(spec: str) -> RawInput:
    if not spec:
        raise missing_problem(spec)
    try:
        mode = Path(spec).stat().st_mode
        if stat.S_ISDIR(mode):
            raise InputError(spec, "is a directory", directory_advice(spec))
        if stat.S_ISSOCK(mode):
            raise InputError(spec, "is a socket", "give a log file, or pipe the log in with --log -")
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            raise InputError(spec, "is a device", "give a log file, or - for standard input")
        file = io.FileIO(spec, "r")
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise missing_problem(spec) from None
    except PermissionError:
        raise InputError(spec, "permission denied", "run as a user who may read it, or copy it") from None
    except OSError as error:
        raise InputError(spec, f"cannot be opened: {_reason(error)}", "check the path") from None
    status = os.fstat(file.fileno())
    is_file = stat.S_ISREG(status.st_mode)
    return RawInput(
        file.read,
        file.close,
        file=file if is_file else None,
        size_bytes=status.st_size if is_file else None,
        is_pipe=not is_file,
    )


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
