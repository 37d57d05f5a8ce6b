"""The log that goes into a recording: its beginning and its end, in bounded memory, masked line by line."""

from __future__ import annotations

import io
import threading
from collections import deque
from collections.abc import Iterator
from typing import Final

from troubleshoot.capture.masking import Masking
from troubleshoot.sources.errors import InputError
from troubleshoot.sources.files import ByteSource, human_size, open_bytes

HEAD_BYTES: Final = 16 << 20
TAIL_BYTES: Final = 48 << 20
_CHUNK_BYTES: Final = 1 << 20


class _Ends:
    """The first and the last bytes of a stream."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self.left_out = 0

    def take(self, chunk: bytes) -> None:
        """The next bytes."""
        room = HEAD_BYTES - len(self._head)
        self._head += chunk[:room]
        if rest := chunk[max(room, 0) :]:
            self._tail.append(rest)
            self._tail_bytes += len(rest)
        while self._tail_bytes - len(self._tail[0] if self._tail else b"") >= TAIL_BYTES:
            self._tail_bytes -= len(self._tail[0])
            self.left_out += len(self._tail.popleft())

    def text(self) -> bytes:
        """Both, with a line between them that says how much is missing."""
        tail = b"".join(self._tail)
        if not self.left_out:
            return bytes(self._head) + tail
        # Neither half of a line that was cut.
        head, tail = bytes(self._head).rpartition(b"\n")[0], tail.partition(b"\n")[2]
        return head + f"\n[inferwatch record: {human_size(self.left_out)} left out here]\n".encode() + tail


class LogCopy:
    """A log that is copied at the end of a recording, so that what is written meanwhile is in it.

    Standard input does not wait: it is read from the beginning on, in a thread of its own.
    """

    def __init__(self, spec: str) -> None:
        self._spec = spec
        self._ends = _Ends()
        self._error: InputError | None = None
        self._note = ""
        self._reader: threading.Thread | None = None
        if spec == "-":
            self._reader = threading.Thread(target=self._read, daemon=True)
            self._reader.start()

    def finish(self, masking: Masking) -> tuple[bytes, str]:
        """The masked text, and what was wrong with it; raise `InputError` where there is none."""
        if self._reader is None:
            self._read()
        if self._error is not None:
            raise self._error
        text = b"".join(masking.lines(io.BytesIO(self._ends.text())))
        left_out = f"{human_size(self._ends.left_out)} of its middle left out" if self._ends.left_out else ""
        return text, "; ".join(filter(None, (self._note, left_out)))

    def _read(self) -> None:
        try:
            with open_bytes(self._spec) as source:
                for chunk in _chunks(source):
                    self._ends.take(chunk)
                self._note = source.note
        except InputError as error:
            self._error = error


def _chunks(source: ByteSource) -> Iterator[bytes]:
    buffer = bytearray(_CHUNK_BYTES)
    while count := source.readinto(buffer):
        yield bytes(buffer[:count])
