"""Files that are made from code: written where they differ, or named where they are not what would be written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

__all__ = ["stale", "write"]


def stale(files: Mapping[str, str], folder: Path, *, kinds: Iterable[str] = (".yaml",)) -> list[str]:
    """Return the paths below `folder` that are missing, differ, or that nothing generates (of these suffixes)."""
    there = {
        path.relative_to(folder).as_posix() for kind in kinds for path in folder.rglob(f"*{kind}") if path.is_file()
    }
    differing = {
        name for name, text in files.items() if name not in there or (folder / name).read_text("utf-8") != text
    }
    return sorted(differing | (there - set(files)))


def write(files: Mapping[str, str], folder: Path, *, kinds: Iterable[str] = (".yaml",)) -> list[str]:
    """Write what is stale and delete what nothing generates any more. Returns the paths. Raises OSError."""
    changed = stale(files, folder, kinds=kinds)
    for name in changed:
        path = folder / name
        if name in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[name], "utf-8")
        else:
            path.unlink()
    return changed
