"""Share numbered tasks out to processes: each takes the next one when it is free.

Processes, because the search calls back into Python, and threads would wait for each other there. They are forked,
because a fresh interpreter takes longer to start than 100 MB take to search.
"""

from __future__ import annotations

import marshal
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

_TASK_BYTES = 4
MOST_TASKS = 8192
"""So many fit into a pipe's buffer."""


class WorkerLostError(Exception):
    """A worker ended without a result."""


class _Child(NamedTuple):
    pid: int
    results: int


class Workers:
    """The tasks that are left, and the child processes that take some of them."""

    def __init__(self, tasks: range) -> None:
        assert len(tasks) <= MOST_TASKS  # noqa: S101
        self._queue, fill = os.pipe()
        os.write(fill, b"".join(task.to_bytes(_TASK_BYTES, "little") for task in tasks))
        os.close(fill)
        self._children: list[_Child] = []

    def tasks(self) -> Iterator[int]:
        """Tasks in ascending order, each given to one process only."""
        while len(task := os.read(self._queue, _TASK_BYTES)) == _TASK_BYTES:
            yield int.from_bytes(task, "little")

    def drop_tasks(self) -> None:
        """Let nobody begin another task."""
        while os.read(self._queue, 1 << 16):
            pass

    def fork(self, work: Callable[[], Any]) -> None:
        """Run `work` in a child process; its result is of plain types."""
        results, answer = os.pipe()
        pid = os.fork()
        if pid == 0:
            _be_child(work, answer)
        os.close(answer)
        self._children.append(_Child(pid, results))

    def results(self) -> Iterator[Any]:
        """Each child's result, when it has one. Raises WorkerLostError where one ended without."""
        while self._children:
            child = self._children[-1]
            with open(child.results, "rb", closefd=False) as results:
                answer = results.read()
            self._children.pop()
            os.close(child.results)
            os.waitpid(child.pid, 0)
            try:
                yield marshal.loads(answer)  # noqa: S302  (what our own child wrote)
            except (EOFError, ValueError, TypeError) as error:
                raise WorkerLostError from error

    def close(self) -> None:
        """End the children that are left."""
        os.close(self._queue)
        for child in self._children:
            os.kill(child.pid, signal.SIGKILL)
            os.waitpid(child.pid, 0)
            os.close(child.results)
        self._children.clear()


@contextmanager
def shared_out(tasks: range) -> Iterator[Workers]:
    """Workers for the tasks; no child outlives the block."""
    workers = Workers(tasks)
    try:
        yield workers
    finally:
        workers.close()


@contextmanager
def at_once(work: Callable[[], T], workers: int) -> Iterator[Callable[[], T]]:
    """Begin `work`, whose result is of plain types, in a child process; the function given waits for its result.

    Where only one process may work, that function does the work itself.
    """
    if workers < 2:
        yield work
        return
    with shared_out(range(0)) as children:
        children.fork(work)
        yield lambda: next(children.results())


def in_background(work: Callable[[], T]) -> Callable[[], T]:
    """Begin `work` in a thread; the function that comes back waits for its result."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001  (raised again where the result is awaited)
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def result() -> T:
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    return result


def usable_workers(most: int) -> int:
    """How many processes may work at once: 1 where this process cannot fork safely (other threads, other systems)."""
    if not hasattr(os, "fork") or sys.platform == "darwin" or threading.active_count() > 1:
        return 1
    return min(most, len(os.sched_getaffinity(0)))


def _be_child(work: Callable[[], Any], answer: int) -> None:
    status = 1
    try:
        # The parent decides what Ctrl-C means.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with open(answer, "wb") as result:
            result.write(marshal.dumps(work()))
        status = 0
    finally:
        os._exit(status)
