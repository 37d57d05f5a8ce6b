"""A recording given as an input: the log or the metrics in its folder or its archive."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Final, Literal

from troubleshoot.sources.errors import InputError
from troubleshoot.sources.raw_input import RawInput

Part = Literal["log", "metrics"]

_FILES: Final[dict[str, tuple[str, ...]]] = {"log": ("engine.log", "engine.log.gz"), "metrics": ("metrics.om.gz",)}
_META: Final = "meta.yaml"
_ARCHIVES: Final = (".tar.gz", ".tgz", ".tar")


def in_folder(spec: str, part: Part) -> str:
    """The path of the part where `spec` is a recording's folder, else `spec`."""
    folder = Path(spec)
    try:
        if not all((folder / name).is_file() for name in (_META, *_FILES["metrics"])):
            return spec
        return next((str(folder / name) for name in _FILES[part] if (folder / name).is_file()), spec)
    except (OSError, ValueError):  # no path at all; who opens it says why
        return spec


def is_archived(spec: str) -> bool:
    """Whether the name is that of an archive."""
    return spec.endswith(_ARCHIVES)


def open_archived(spec: str, part: Part) -> tuple[str, RawInput] | None:
    """The part in an archive of a recording, with a name for it; None where the archive holds none.

    Raises `InputError` for damage.
    """
    import tarfile

    from recordings.archive import DAMAGE, members

    try:
        archive = tarfile.open(spec)  # noqa: SIM115  (closed by the input)
    except DAMAGE:
        return None
    try:
        found = {}
        name = ""
        # Not to its end: of an archive that was cut off, what comes before is whole.
        for each, member in members(archive):
            found[each] = member
            name = name or (each if each in _FILES[part] else "")
            if name and _META in found:
                break
        content = archive.extractfile(found[name]) if name and _META in found else None
    except DAMAGE as error:
        archive.close()
        raise InputError(spec, f"is a damaged archive ({type(error).__name__})", "copy it again") from None
    if content is None:
        archive.close()
        return None

    def read(limit: int) -> bytes:
        try:
            return content.read(limit)
        except DAMAGE as error:
            raise OSError(errno.EIO, f"damaged archive ({type(error).__name__})") from None

    return f"{spec}/{name}", RawInput(read, archive.close, size_bytes=found[name].size, is_pipe=False)
