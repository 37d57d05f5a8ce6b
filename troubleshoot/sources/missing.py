"""Advice for a path that is not a readable file: near matches of a name, log files of a folder."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

from troubleshoot.sources.errors import InputError

LISTED_FILES = 3
SCANNED_ENTRIES = 5000
"""A folder may hold a million files; no more than this many are looked at for advice."""


def missing_problem(spec: str) -> InputError:
    """Return the error for a path that leads nowhere."""
    if not spec:
        return InputError(spec, "the path is empty", "check the variable it comes from")
    if "\0" in spec:
        return InputError(spec, "no path holds a NUL character", "check the path")
    if "://" in spec:
        return InputError(spec, "is a URL, not a file", "give an engine's address to --metrics")
    path = Path(spec)
    if any(character in spec for character in "*?["):
        return InputError(spec, "no file matches this pattern", "give names that exist; the shell expands patterns")
    if spec.startswith("~"):
        return InputError(spec, "no such file; the shell did not expand ~", "write $HOME, or a space before the path")
    if not path.parent.is_dir():
        return InputError(spec, f"no such file: the folder {path.parent} does not exist", "check the path")
    import difflib

    near = difflib.get_close_matches(path.name, _names(path.parent), n=LISTED_FILES, cutoff=0.6)
    if near:
        return InputError(spec, "no such file", f"did you mean {_listed(path.parent, near)}?")
    return InputError(spec, "no such file", "check the path")


def directory_advice(spec: str) -> str:
    """Return what to give in place of a folder: up to three logs in it, `engine.log` first, or files."""
    folder = Path(spec)
    files = [name for name in _names(folder) if (folder / name).is_file()]
    logs = sorted((name for name in files if ".log" in name), key=lambda name: (name != "engine.log", name))
    shown = (logs or files)[:LISTED_FILES]
    return f"name the files in it, such as {_listed(folder, shown)}" if shown else "give a file"


def _names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in islice(entries, SCANNED_ENTRIES))
    except OSError:
        return []


def _listed(folder: Path, names: list[str]) -> str:
    return ", ".join(str(folder / name) for name in names)
