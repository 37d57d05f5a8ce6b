"""Ctrl-C while a log is read: the reading ends, what is known stays."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interruption:
    """`requested` becomes true at Ctrl-C. Only a read that waits is broken off, by KeyboardInterrupt."""

    def __init__(self) -> None:
        self.requested = False
        self._is_waiting = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Take Ctrl-C over from Python's own handler; a handler of the caller's stays."""
        is_ours = threading.current_thread() is threading.main_thread() and (
            signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )
        if is_ours:
            signal.signal(signal.SIGINT, self._on_signal)
        try:
            yield
        finally:
            if is_ours:
                signal.signal(signal.SIGINT, signal.default_int_handler)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Around a read that may wait for ever."""
        self._is_waiting = True
        try:
            yield
        finally:
            self._is_waiting = False

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
        if self._is_waiting:
            self._is_waiting = False
            raise KeyboardInterrupt
