"""A container's log as a byte source: first that of the container before it, then its own, as one stream.

The scanner then sees a crash and the start after it as it sees them in a file, and knows that the engine came back.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

from troubleshoot.sources.files import human_size
from troubleshoot.sources.kube.calls import READ_LOG
from troubleshoot.sources.kube.cluster import Cluster
from troubleshoot.sources.kube.problems import ClusterError

MAX_LOG_BYTES: Final = 256 << 20
"""Of one container. The kubelet keeps 10 MiB of a log by default, so that this is rarely met."""

READ_SECONDS: Final = 120.0
TAIL_LINES: Final = 20_000
"""What is read of the end where the whole is longer than the bound."""


class PodLog:
    """See the module. `lines_before` is how many lines are of the container before; `note` says what is missing."""

    size_bytes: int | None = None
    seekable_fd: int | None = None

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        pod: str,
        container: str,
        *,
        with_previous: bool,
    ) -> None:
        self.name = "/".join(part for part in (namespace, pod, container) if part)
        self.lines_before = 0
        self.errors: list[ClusterError] = []
        self._notes: list[str] = []
        self._cluster = cluster
        self._place = {"namespace": namespace, "name": pod}
        self._query = {"container": container} if container else {}
        self._until = time.monotonic() + READ_SECONDS
        self._chunks = self._all(with_previous=with_previous)
        self._rest = b""

    @property
    def note(self) -> str:
        """What could not be read, as far as it was read."""
        return "; ".join(self._notes)

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer from its start; 0 at the end. A stream that breaks ends there, and `note` says so."""
        while not self._rest:
            following = next(self._chunks, None)
            if following is None:
                return 0
            self._rest = following
        count = min(len(self._rest), len(buffer))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def _all(self, *, with_previous: bool) -> Iterator[bytes]:
        if with_previous:
            last = b""
            for chunk in self._part({"previous": "true"}, "of the container before"):
                last = chunk
                self.lines_before += chunk.count(b"\n")
                yield chunk
            if last and not last.endswith(b"\n"):
                self.lines_before += 1
                yield b"\n"
        yield from self._part({}, "")

    def _part(self, query: dict[str, str], what: str) -> Iterator[bytes]:
        """One log; of one that is too long the beginning and the last lines."""
        size = 0
        for chunk in self._read({**query, "limitBytes": str(MAX_LOG_BYTES)}, what):
            size += len(chunk)
            yield chunk
            if size >= MAX_LOG_BYTES:
                break
        if size >= MAX_LOG_BYTES:
            whole = human_size(MAX_LOG_BYTES)
            self._notes.append(f"longer than {whole}: its beginning and its last {TAIL_LINES} lines were read")
            yield b"\n"
            tail = 0
            for chunk in self._read({**query, "tailLines": str(TAIL_LINES)}, what):
                tail += len(chunk)
                yield chunk
                if tail >= MAX_LOG_BYTES:
                    return

    def _read(self, query: dict[str, str], what: str) -> Iterator[bytes]:
        size = 0
        try:
            response = self._cluster.stream(READ_LOG, {**self._query, **query}, **self._place)
            for chunk in self._cluster.chunks(response, READ_LOG, self._until):
                size += len(chunk)
                yield chunk
        except ClusterError as error:
            # There is no container before this one, or this one has not begun: nothing is missing.
            if error.status == HTTPStatus.BAD_REQUEST and ("previous" in query or "waiting to start" in error.said):
                return
            if error.status == HTTPStatus.NOT_FOUND and "previous" in query:
                return
            self.errors.append(error)
            part = f"the log {what}".strip()
            if size:
                self._notes.append(f"{part} ends after {human_size(size)}: {error.problem}")
