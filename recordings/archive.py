"""Recordings in an archive: found by name, read without being unpacked to where their paths say."""

from __future__ import annotations

import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final

from recordings.reader import RecordingError
from recordings.writer import is_archive

PARTS: Final = ("meta.yaml", "engine.log", "engine.log.gz", "metrics.om.gz", "requests.csv.gz")
MAX_PART_BYTES: Final = 1 << 30
_MOST_MEMBERS: Final = 64
_DEEPEST: Final = 2
DAMAGE: Final = (tarfile.TarError, EOFError, zlib.error, OSError, ValueError)
"""What reading a damaged archive raises."""


def part_of(member: tarfile.TarInfo) -> str:
    """Which file of a recording a member is, "" for none. Only plain files at the top or in one folder count."""
    path = PurePosixPath(member.name)
    is_part = member.isreg() and path.name in PARTS and len(path.parts) <= _DEEPEST and ".." not in path.parts
    return path.name if is_part and member.size <= MAX_PART_BYTES else ""


def members(archive: tarfile.TarFile) -> Iterator[tuple[str, tarfile.TarInfo]]:
    """The files of the recording in an archive, each once."""
    seen: set[str] = set()
    for number, member in enumerate(archive):
        # To go on behind a huge one would be to decompress it.
        if number >= _MOST_MEMBERS or member.size > MAX_PART_BYTES:
            return
        part = part_of(member)
        if part and part not in seen:
            seen.add(part)
            yield part, member


@contextmanager
def unpacked(name_or_path: str) -> Iterator[str]:
    """The recording as `reader.load` takes it: an archive's files in a folder that is gone afterwards, others as named.

    Raises RecordingError for an archive that cannot be read.
    """
    path = Path(name_or_path)
    if not (is_archive(path) and path.is_file()):
        yield name_or_path
        return
    with tempfile.TemporaryDirectory(prefix="recording-") as folder:
        try:
            with tarfile.open(path) as archive:
                for part, member in members(archive):
                    content = archive.extractfile(member)
                    if content is not None:
                        with (Path(folder) / part).open("wb") as out:
                            while chunk := content.read(1 << 20):
                                out.write(chunk)
        except DAMAGE as error:
            raise RecordingError(f"cannot read {path}: {error}") from error
        yield folder
