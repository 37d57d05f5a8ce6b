"""A progress bar on standard error, where a person looks at it and the wait is long enough to need one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SHOW_AFTER_SECONDS = 0.4


@contextmanager
def progress_on(stream: TextIO) -> Iterator[Callable[[str, int, int | None], None]]:
    """Give a function to report progress with. Nothing is drawn unless `stream` is a terminal."""
    if not stream.isatty():
        yield lambda _name, _done, _total: None
        return
    bar = _Bar(stream)
    try:
        yield bar.report
    finally:
        bar.close()


class _Bar:
    """Loads the drawing library only when the wait turns out to be long."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._started = time.monotonic()
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def report(self, name: str, done: int, total: int | None) -> None:
        if self._progress is None:
            if time.monotonic() - self._started < SHOW_AFTER_SECONDS:
                return
            from rich.console import Console
            from rich.progress import Progress

            self._progress = Progress(console=Console(file=self._stream), transient=True)
            self._progress.start()
        progress = self._progress
        if name not in self._tasks:
            self._tasks[name] = progress.add_task(name.replace("[", r"\["), total=total)
        progress.update(self._tasks[name], completed=done)

    def close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
