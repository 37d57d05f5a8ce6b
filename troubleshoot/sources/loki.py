"""Logs from Loki, as files that the log scanner reads like any other: one for each place that wrote them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, NamedTuple

from troubleshoot.sources.access import Access
from troubleshoot.sources.errors import InputError
from troubleshoot.sources.files import human_size
from troubleshoot.sources.http_api import HttpApi
from troubleshoot.sources.loki_pages import Labels, Pages

MOST_BYTES: Final = 256 << 20
"""Text that is kept on disk at most."""
MOST_PLACES: Final = 16

_PLACE_LABELS: Final = (
    "cluster",
    "namespace",
    "k8s_namespace_name",
    "pod",
    "k8s_pod_name",
    "container",
    "k8s_container_name",
    "host",
    "hostname",
    "instance",
    "node",
    "node_name",
    "nodename",
)
"""Labels that say which process wrote a line. Others (stdout or stderr, a detected level) split one process's log,
whose lines belong together."""


@dataclass(frozen=True, slots=True)
class LokiRequest:
    """What to ask Loki: a log query, over the window that ends at `at_seconds` (unix; None for now)."""

    url: str
    query: str
    at_seconds: float | None = None
    window_seconds: float = 1800.0
    access: Access = field(default_factory=Access)


class LokiLog(NamedTuple):
    """One place's lines in a file. `name` is for reports: the server and the labels."""

    name: str
    path: Path


@dataclass
class LokiLogs:
    """What a query gave. `note` says what is missing."""

    name: str
    logs: list[LokiLog] = field(default_factory=list)
    note: str = ""
    interrupted: bool = False


@contextmanager
def loki_logs(request: LokiRequest, end_seconds: float, told: Callable[[int], None]) -> Iterator[LokiLogs]:
    """Read a query's lines into files that are there while the context is open.

    `told` is called with the bytes read so far. Raises `InputError` where there is no line; an error behind the first
    page, or Ctrl-C, ends the reading and is noted.
    """
    with tempfile.TemporaryDirectory(prefix="inferwatch-") as folder, HttpApi(request.url, request.access) as http:
        end_ns = int(end_seconds * 1e9)
        pages = Pages(http, request.query, end_ns - int(request.window_seconds * 1e9), end_ns)
        found = LokiLogs(f"{http.name} {request.query}")
        with _Files(Path(folder)) as files:
            _spool(pages, files, found, told)
        if not files.paths:
            raise InputError(found.name, "no lines in this window", "check --query, --at and --window, and --tenant")
        found.logs = [LokiLog(f"{http.name} {_shown(labels)}", path) for labels, path in files.paths.items()]
        notes = [found.note, pages.note]
        if files.dropped:
            notes.append(f"lines of more than {MOST_PLACES} places: the first {MOST_PLACES} were read")
        found.note = "; ".join(note for note in notes if note)
        yield found


def _spool(pages: Pages, files: _Files, found: LokiLogs, told: Callable[[int], None]) -> None:
    try:
        for entries in pages:
            for entry in entries:
                files.write(entry.labels, entry.line)
            told(files.size_bytes)
            if files.size_bytes > MOST_BYTES:
                found.note = f"stopped after {human_size(files.size_bytes)}: ask for less with --query or --window"
                return
    except InputError as error:
        if not files.paths:
            raise
        found.note = f"reading stopped after {human_size(files.size_bytes)}: {error.problem}"
    except KeyboardInterrupt:
        found.interrupted = True


class _Files:
    """One file for each place; lines are appended."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[Labels, IO[bytes]] = {}
        self._stack = ExitStack()
        self.paths: dict[Labels, Path] = {}
        self.size_bytes = 0
        self.dropped = 0

    def __enter__(self) -> _Files:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def write(self, labels: Labels, line: str) -> None:
        """Append a line to its place's file; beyond `MOST_PLACES` it is counted alone."""
        place = tuple((name, value) for name, value in labels if name in _PLACE_LABELS)
        file = self._open.get(place)
        if file is None:
            if len(self._open) == MOST_PLACES:
                self.dropped += 1
                return
            path = self._folder / f"{len(self._open)}.log"
            file = self._open[place] = self._stack.enter_context(path.open("wb"))
            self.paths[place] = path
        text = line.encode("utf-8", "replace") + b"\n"
        file.write(text)
        self.size_bytes += len(text)


def _shown(labels: Labels) -> str:
    inside = ", ".join(f'{name}="{value}"' for name, value in labels)
    return f"{{{inside}}}"
