"""Tasks that mostly end at once and may never end: one after another on one thread, on more while one takes long.

A thread for each task costs more than a short task itself: it has to be woken and to get hold of the interpreter.
A lane runs all that are due. When a task has kept it for longer than a turn, another lane takes over the rest, so
that a task that hangs keeps one lane and nothing else.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from exporter.workers import Outcome

__all__ = ["Lanes", "Task"]

T = TypeVar("T")


class Task(Generic[T]):
    """A job to run again and again, and how its last run ended. Made to run by `Lanes.run`."""

    def __init__(self, job: Callable[[], T]) -> None:
        self.job = job
        self._outcome: Outcome[T] = Outcome("idle", 0.0)
        self._begun_seconds: float | None = None

    @property
    def outcome(self) -> Outcome[T]:
        """The last run's outcome; "running", with the time since it began, until it has returned."""
        outcome, begun = self._outcome, self._begun_seconds
        if outcome.state != "running":
            return outcome
        return Outcome("running", 0.0 if begun is None else time.monotonic() - begun)

    @property
    def is_running(self) -> bool:
        """Whether a run is under way or waits for a lane."""
        return self._outcome.state == "running"

    def _due(self) -> None:
        self._begun_seconds = None
        self._outcome = Outcome("running", 0.0)

    def _run(self) -> None:
        self._begun_seconds = begun = time.monotonic()
        try:
            value = self.job()
        except Exception as error:  # noqa: BLE001 - handed on in the outcome; one job's defect must not end the rest
            self._outcome = Outcome("failed", time.monotonic() - begun, error=error)
        else:
            self._outcome = Outcome("done", time.monotonic() - begun, value=value)


class Lanes:
    """Threads that share a queue of tasks. They are daemons: one that hangs does not keep the process alive."""

    def __init__(self, name: str, *, turn_seconds: float, most: int) -> None:
        self._name = name
        self._turn_seconds = turn_seconds
        self._most = most
        self._lock = threading.Lock()
        self._all_ended = threading.Condition(self._lock)
        self._due: deque[Task[Any]] = deque()
        self._ended = 0
        # The last to become idle is the next to work: its stack is still in the processor's cache.
        self._idle: list[threading.Condition] = []
        # Lanes that were told to work and do not yet: on a busy machine that may take longer than a turn.
        self._waking = 0
        self._threads: list[threading.Thread] = []
        self._closed = False

    def run(self, tasks: Sequence[Task[Any]], deadline_monotonic_seconds: float) -> None:
        """Run every task whose last run has returned; come back when all have, or at the deadline."""
        with self._lock:
            fresh = [task for task in tasks if not task.is_running]
            for task in fresh:
                task._due()
            self._due.extend(fresh)
            if self._due:
                self._add_lane()
            ended = self._ended
            while self._due or any(task.is_running for task in fresh):
                left = deadline_monotonic_seconds - time.monotonic()
                if left <= 0:
                    return
                self._all_ended.wait(min(left, self._turn_seconds))
                if self._due and self._ended == ended:
                    self._add_lane()
                ended = self._ended

    def join(self, timeout_seconds: float) -> bool:
        """Wait for the lanes' end after `close`; False when one of them has not returned by then."""
        until = time.monotonic() + timeout_seconds
        for lane in self._threads:
            lane.join(max(0.0, until - time.monotonic()))
        return not any(lane.is_alive() for lane in self._threads)

    def close(self) -> None:
        """Let the lanes end when their tasks return; what was not begun is not run."""
        with self._lock:
            self._closed = True
            self._due.clear()
            while self._idle:
                self._wake()

    def _add_lane(self) -> None:
        """Let one more lane work: one that is idle, or a new one."""
        if self._waking:
            return
        if self._idle:
            self._wake()
        elif len(self._threads) < self._most and not self._closed:
            lane = threading.Thread(target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True)
            self._threads.append(lane)
            lane.start()
            # It waits for the lock that is held here before it counts itself off.
            self._waking += 1

    def _wake(self) -> None:
        self._waking += 1
        self._idle.pop().notify()

    def _work(self) -> None:
        something_due = threading.Condition(self._lock)
        with self._lock:
            self._waking -= 1
        while True:
            with self._lock:
                while not self._due and not self._closed:
                    self._idle.append(something_due)
                    something_due.wait()
                    self._waking -= 1
                if self._closed:
                    return
                task = self._due.popleft()
            task._run()
            with self._lock:
                self._ended += 1
                if not self._due:
                    self._all_ended.notify()
