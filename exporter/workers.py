"""Jobs that may never come back: each on a thread of its own, so that it can hold up nothing else.

A call into a GPU's driver or a read from a server cannot be interrupted from outside. A worker that overruns
keeps its own thread, is told from one that failed, and is not started again until it returns.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, Literal, TypeVar

from msgspec import Struct

T = TypeVar("T")


class Outcome(Struct, Generic[T], frozen=True):
    """How a job's last start ended.

    `state` is "done" with `value`, "failed" with `error`, "running" when it has not returned by the deadline,
    or "idle" when it was never started. `duration_seconds` is from start to return, or up to now.
    """

    state: Literal["done", "failed", "running", "idle"]
    duration_seconds: float
    value: T | None = None
    error: Exception | None = None


class Worker(Generic[T]):
    """Runs one job at a time on a daemon thread, begun with the first start.

    An exception of the job becomes a "failed" outcome: whoever waits decides what it means.
    """

    def __init__(self, name: str, job: Callable[[], T]) -> None:
        self.name = name
        self._job = job
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._wanted = self._closed = False
        self._started_seconds = 0.0
        self._outcome: Outcome[T] = Outcome("idle", 0.0)

    def start(self) -> bool:
        """Run the job once; False, and nothing is done, while the last run has not returned."""
        with self._condition:
            if self._closed or self._outcome.state == "running":
                return False
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
                self._thread.start()
            self._outcome = Outcome("running", 0.0)
            self._started_seconds = time.monotonic()
            self._wanted = True
            self._condition.notify_all()
            return True

    def wait(self, deadline_monotonic_seconds: float) -> Outcome[T]:
        """Return the last run's outcome, waiting for it until the deadline at most."""
        with self._condition:
            while self._outcome.state == "running":
                left = deadline_monotonic_seconds - time.monotonic()
                if left <= 0 or not self._condition.wait(left):
                    break
            if self._outcome.state == "running":
                return Outcome("running", time.monotonic() - self._started_seconds)
            return self._outcome

    def close(self) -> None:
        """Let the thread end when its job returns. A job that never returns does not keep the process alive."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def join(self, timeout_seconds: float) -> bool:
        """Wait for the thread's end after `close`; False when its job has not returned by then."""
        thread = self._thread
        if thread is None:
            return True
        thread.join(timeout_seconds)
        return not thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._wanted and not self._closed:
                    self._condition.wait()
                if not self._wanted:
                    return
                self._wanted = False
            outcome = self._once()
            with self._condition:
                self._outcome = outcome
                self._condition.notify_all()

    def _once(self) -> Outcome[T]:
        begun = time.monotonic()
        try:
            value = self._job()
        except Exception as error:  # noqa: BLE001 - handed on in the outcome; one job's defect must not end the rest
            return Outcome("failed", time.monotonic() - begun, error=error)
        return Outcome("done", time.monotonic() - begun, value=value)
