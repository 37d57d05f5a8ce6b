"""A slow reading of a log, one line after the other, to compare the scan with; and sources of bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from troubleshoot.logs.literals import compile_bytes
from troubleshoot.logs.signature import Keep, Signature


class Place(NamedTuple):
    """Where a signature stands: byte offset of the line, its number from 1, its text."""

    offset: int
    line: int
    raw: bytes


Reference = Callable[[bytes, Mapping[str, Signature]], dict[str, list[Place]]]


class StreamSource:
    """Bytes that come `chunk_bytes` at a time, as from a pipe."""

    name = "stream"
    size_bytes = None
    seekable_fd = None

    def __init__(self, content: bytes, chunk_bytes: int = 1 << 16) -> None:
        self._content = content
        self._chunk_bytes = chunk_bytes
        self._position = 0

    def readinto(self, buffer: memoryview) -> int:
        number = min(len(buffer), self._chunk_bytes, len(self._content) - self._position)
        buffer[:number] = self._content[self._position : self._position + number]
        self._position += number
        return number


class FileSource:
    """A plain file, which can be read at any place."""

    name = "file"

    def __init__(self, path: Path) -> None:
        self.seekable_fd = os.open(path, os.O_RDONLY)
        self.size_bytes = os.fstat(self.seekable_fd).st_size

    def readinto(self, buffer: memoryview) -> int:
        return os.readv(self.seekable_fd, [buffer])


@pytest.fixture
def stream_source() -> type[StreamSource]:
    return StreamSource


@pytest.fixture
def file_source(tmp_path: Path) -> Iterator[Callable[[bytes], FileSource]]:
    sources: list[FileSource] = []

    def make(content: bytes) -> FileSource:
        path = tmp_path / f"{len(sources)}.log"
        path.write_bytes(content)
        sources.append(FileSource(path))
        return sources[-1]

    yield make
    for source in sources:
        os.close(source.seekable_fd)


@pytest.fixture
def reference() -> Reference:
    return _reference


def _reference(content: bytes, signatures: Mapping[str, Signature]) -> dict[str, list[Place]]:
    """Every line on which each signature stands; of a MARK the first."""
    lines: list[Place] = []
    offset = 0
    for number, raw in enumerate(content.split(b"\n"), start=1):
        lines.append(Place(offset, number, raw))
        offset += len(raw) + 1
    found: dict[str, list[Place]] = {}
    for signature in signatures.values():
        expressions = [compile_bytes(find, caseless=signature.caseless) for find in signature.finds]
        live = [expression for expression in expressions if expression.search(content)]
        places = [line for line in lines if any(expression.search(line.raw) for expression in live)]
        if places:
            found[signature.id] = places[:1] if signature.keep is Keep.MARK else places
    return found
