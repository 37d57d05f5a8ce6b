"""Literals compiled for the multi-pattern engine, kept on disk so that not every start has to compile them.

The files lie in `$XDG_CACHE_HOME/inferwatch`, by default `~/.cache/inferwatch`, about 250 KB each. Nothing depends on
them: what cannot be read, or was not written by this user, is compiled anew.
"""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hyperscan

_SUFFIX = ".hsdb"
_MOST_FILES = 12
_MOST_BYTES = 16 << 20
_LENGTH_BYTES = 4


def compiled(expressions: Sequence[bytes], ids: Sequence[int], flags: Sequence[int]) -> Any:
    """The database of the literals, in block mode, with scratch memory of its own."""
    key = repr((expressions, ids, flags)).encode()
    serialized = _read(key)
    database = None
    if serialized is not None:
        try:
            database = hyperscan.loadb(serialized, hyperscan.HS_MODE_BLOCK)
        except hyperscan.error:
            # Damaged, or written by another version of the engine or for another kind of processor.
            database = None
    if database is None:
        database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        database.compile(expressions=expressions, ids=ids, elements=len(ids), flags=flags, literal=True)
        _write(key, hyperscan.dumpb(database))
    database.scratch = hyperscan.Scratch(database)
    return database


def _path(key: bytes) -> Path | None:
    """Where the database of these literals lies; None where there is no place for it."""
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    except RuntimeError:
        return None
    if not base.is_absolute() or not hasattr(os, "geteuid"):
        return None
    return base / "inferwatch" / f"literals-{zlib.crc32(key):08x}{_SUFFIX}"


def _read(key: bytes) -> bytes | None:
    """What was written under the key; None where there is nothing that this user wrote and only this user can write."""
    path = _path(key)
    if path is None:
        return None
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            if not (_is_private(os.fstat(file.fileno())) and _is_private(path.parent.stat())):
                return None
            content = file.read(_MOST_BYTES)
    except OSError:
        return None
    head = _head(key)
    return content[len(head) :] if content.startswith(head) else None


def _write(key: bytes, serialized: bytes) -> None:
    """Keep it under the key, where this user may: another process sees the whole file or none."""
    path = _path(key)
    if path is None:
        return
    try:
        if _is_own(path.parent):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _replace(path, _head(key) + serialized)
            _drop_oldest(path.parent)
    except OSError:
        return


def _replace(path: Path, content: bytes) -> None:
    from tempfile import NamedTemporaryFile

    with NamedTemporaryFile(dir=path.parent, suffix=_SUFFIX, delete=False) as file:
        try:
            file.write(content)
            file.flush()
            Path(file.name).replace(path)
        except OSError:
            Path(file.name).unlink(missing_ok=True)
            raise


def _head(key: bytes) -> bytes:
    return len(key).to_bytes(_LENGTH_BYTES, "little") + key


def _is_private(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _is_own(folder: Path) -> bool:
    """Whether the folder, or what of its path there is, is the user's: with sudo, HOME may be somebody else's."""
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    return existing.stat().st_uid == os.geteuid()


def _drop_oldest(folder: Path) -> None:
    """Of other versions and engines a few stay."""
    files = sorted(folder.glob(f"*{_SUFFIX}"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files[_MOST_FILES:]:
        file.unlink(missing_ok=True)
