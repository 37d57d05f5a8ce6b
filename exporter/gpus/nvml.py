"""NVML made safe: its life as a session that many share, and calls that give a value or nothing.

The session is initialised and shut down by the inventory alone. Everybody else holds it while it uses handles,
so that none is used after a shutdown. pynvml releases the interpreter's lock in every call.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import pynvml

from exporter.gpus.reasons import SESSION_LOST, Counts, Reason, reason_of

__all__ = ["Backoff", "Calls", "DeviceGoneError", "Session"]

T = TypeVar("T")

_GONE: frozenset[Reason] = SESSION_LOST.union(("gpu_lost", "reset_required"))
_NEVER: frozenset[Reason] = frozenset({"not_supported", "function_not_found"})


class DeviceGoneError(Exception):
    """The GPU, or NVML itself, no longer answers: the rest of this reading is pointless."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class Calls:
    """The NVML calls of one GPU: each gives its value, or None and a counted reason.

    What is not supported is not asked again until `forget`. `current` names the call under way and when it
    began (monotonic seconds), so that one that hangs can be named from another thread.
    """

    def __init__(self, counts: Counts, clock: Callable[[], float] = time.monotonic) -> None:
        self._counts = counts
        self._clock = clock
        self._absent: set[str] = set()
        self.current: tuple[str, float] | None = None
        self.answered = 0
        self.refused: Reason | None = None

    def begin(self) -> None:
        """Start a reading: nothing answered, nothing refused."""
        self.answered, self.refused = 0, None

    def forget(self) -> None:
        """Ask again for what was not supported: the GPU or its MIG instances have changed."""
        self._absent.clear()

    def is_absent(self, key: str) -> bool:
        """Tell whether this was refused for good."""
        return key in self._absent

    def get(self, key: str, function: Callable[..., T], *arguments: object) -> T | None:
        """Return what the function gives, or None where NVML refuses.

        `key` names the call, arguments that matter included. Raises DeviceGoneError when the GPU is lost.
        """
        if key in self._absent:
            return None
        self.current = (key, self._clock())
        try:
            value = function(*arguments)
        except pynvml.NVMLError as error:
            self.refuse(key, error.value)
            return None
        except UnicodeDecodeError:
            self._counts.add("undecodable")
            return None
        finally:
            self.current = None
        self.answered += 1
        return value

    def raw(self, name: str, *arguments: object) -> int | None:
        """Call a function of the library with buffers of our own; the return code, or None where it is missing."""
        if name in self._absent:
            return None
        try:
            function = getattr(pynvml.nvmlLib, name)
        except AttributeError:
            self.refuse(name, pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)
            return None
        self.current = (name, self._clock())
        try:
            return int(function(*arguments))
        finally:
            self.current = None

    def refuse(self, key: str, code: int) -> None:
        """Count a refusal and remember one that is for good; raises DeviceGoneError when the GPU is lost."""
        if code == pynvml.NVML_ERROR_NOT_FOUND:
            return  # an answer: no such MIG device, no such process
        reason = reason_of(code)
        self._counts.add(reason)
        self.refused = reason
        if reason in _NEVER:
            self._absent.add(key)
        if reason in _GONE:
            raise DeviceGoneError(reason)

    def hanging_call(self) -> tuple[str, float] | None:
        """Return the call under way and for how many seconds."""
        current = self.current
        return (current[0], self._clock() - current[1]) if current else None


class Session:
    """NVML's life. Each initialisation is a generation; handles are of one generation and die with it."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._users = 0
        self._draining = False
        self._open = False
        self._generation = 0

    @property
    def is_open(self) -> bool:
        """Whether NVML is initialised."""
        return self._open

    @property
    def is_draining(self) -> bool:
        """Whether someone waits to shut NVML down: long waiters should leave."""
        return self._draining

    @property
    def generation(self) -> int:
        """The number of initialisations so far."""
        return self._generation

    def enter(self, generation: int) -> bool:
        """Begin to use handles of this generation; False when they are no longer valid."""
        with self._condition:
            if not self._open or self._draining or generation != self._generation:
                return False
            self._users += 1
            return True

    def leave(self) -> None:
        """End what `enter` began."""
        with self._condition:
            self._users -= 1
            self._condition.notify_all()

    def open(self) -> None:
        """Initialise NVML; raises pynvml.NVMLError, the library's absence included."""
        pynvml.nvmlInit()
        with self._condition:
            self._generation += 1
            self._open = True

    def close(self, patience_seconds: float, release: Callable[[], None]) -> bool:
        """Shut NVML down once nobody uses it, after `release` has freed what belongs to it.

        Returns False, and leaves all as it is, when somebody is still in a call after the patience.
        """
        with self._condition:
            if not self._open:
                return True
            self._draining = True
            try:
                if not self._condition.wait_for(lambda: self._users == 0, patience_seconds):
                    return False
                self._open = False
            finally:
                self._draining = False
        release()
        # A driver that was reloaded has no session left to shut down; `open` reports what stays wrong.
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()
        return True


class Backoff:
    """When to try again: at once, then after a delay that doubles from `first` to `last` seconds."""

    def __init__(self, first_seconds: float, last_seconds: float, clock: Callable[[], float]) -> None:
        self._first, self._last, self._clock = first_seconds, last_seconds, clock
        self.reset()

    def reset(self) -> None:
        """Forget earlier tries: the next one is due at once."""
        self._delay = self._first
        self._due: float | None = None

    def is_due(self) -> bool:
        """Whether the delay since the last try is over."""
        return self._due is None or self._clock() >= self._due

    def tried(self) -> None:
        """Note a try; the next is due after the delay."""
        self._due = self._clock() + self._delay
        self._delay = min(self._delay * 2, self._last)
