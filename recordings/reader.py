"""Find and read recordings: the bundled runs of real engines, or a folder of the same shape."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from difflib import get_close_matches
from io import BytesIO
from pathlib import Path
from typing import TypeVar

from recordings.openmetrics import MalformedMetricsError, Scrape, regroup
from recordings.stamps import time_lines

__all__ = ["Recording", "RecordingError", "Scrape", "bundled", "load", "log_lines", "read_log", "scrapes"]

_DATA = Path(__file__).parent / "data"
_LOG_NAMES = ("engine.log", "engine.log.gz")
_METRICS_NAME = "metrics.om.gz"
_META_NAME = "meta.yaml"

_T = TypeVar("_T")


class RecordingError(Exception):
    """A recording that cannot be found or read; the message is one line that names it."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One run of an engine: where its files lie and what `meta.yaml` says of it.

    `cause` is the true cause (`healthy`, or an id of the causes that a diagnosis can name), `accept` are
    causes as true as it, `secondary` what else held. Times are unix seconds; `ready_unix_seconds` is None
    when the server never became ready.
    """

    name: str
    folder: Path
    log_path: Path
    metrics_path: Path
    engine: str
    engine_version: str
    model: str
    gpu: str
    cause: str
    accept: tuple[str, ...]
    secondary: tuple[str, ...]
    started_unix_seconds: float
    ready_unix_seconds: float | None
    ended_unix_seconds: float

    @property
    def duration_seconds(self) -> float:
        """From the server's start to the recorder's end."""
        return self.ended_unix_seconds - self.started_unix_seconds


def bundled() -> tuple[str, ...]:
    """The names of the recordings that come with the package, sorted."""
    return tuple(sorted(meta.parent.name for meta in _DATA.glob(f"*/{_META_NAME}")))


def load(name_or_path: str | Path) -> Recording:
    """Load a bundled recording by its name, or one from a folder.

    Raises RecordingError when there is none, or when a file of it is missing or malformed.
    """
    names = bundled()
    if str(name_or_path) in names:
        return _load_folder(_DATA / name_or_path)
    folder = Path(name_or_path)
    if folder.is_dir():
        return _load_folder(folder)
    close = get_close_matches(str(name_or_path), names, n=3)
    hint = f"near it: {', '.join(close)}" if close else f"bundled: {', '.join(names)}"
    raise RecordingError(f"{name_or_path} is neither a bundled recording nor a folder; {hint}")


def scrapes(recording: Recording) -> list[Scrape]:
    """Every scrape of the engine, oldest first, each as the engine served it then."""
    try:
        return regroup(BytesIO(_read(recording.metrics_path)))
    except MalformedMetricsError as error:
        raise RecordingError(f"{recording.metrics_path}: {error}") from error


def read_log(recording: Recording) -> bytes:
    """The engine's log, byte for byte."""
    return _read(recording.log_path)


def log_lines(recording: Recording) -> list[tuple[float, bytes]]:
    """The log's lines, ends included, each with its seconds since the engine's start; these never fall."""
    # BytesIO ends a line at the newline alone; `splitlines` would also cut at a progress bar's carriage
    # returns.
    return time_lines(BytesIO(read_log(recording)), recording.started_unix_seconds)


def _load_folder(folder: Path) -> Recording:
    meta = _Meta(folder / _META_NAME)
    ready = meta.get("ready_unix_s", (int, float, type(None)))
    return Recording(
        name=meta.get("name", str),
        folder=folder,
        log_path=_existing(folder, _LOG_NAMES),
        metrics_path=_existing(folder, (_METRICS_NAME,)),
        engine=meta.get("engine", str),
        engine_version=meta.get("engine_version", str),
        model=meta.get("model", str),
        gpu=meta.get("gpu", str),
        cause=meta.get("cause", str),
        accept=meta.names("accept"),
        secondary=meta.names("secondary"),
        started_unix_seconds=float(meta.get("started_unix_s", (int, float))),
        ready_unix_seconds=None if ready is None else float(ready),
        ended_unix_seconds=float(meta.get("ended_unix_s", (int, float))),
    )


def _existing(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise RecordingError(f"{folder} is no recording: it has no {' or '.join(names)}")


def _read(path: Path) -> bytes:
    """The file's bytes, unpacked when its name ends in `.gz`."""
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        raise RecordingError(f"cannot read {path}: {error}") from error


class _Meta:
    """`meta.yaml` with checked reads."""

    def __init__(self, path: Path) -> None:
        import yaml

        self._path = _existing(path.parent, (path.name,))
        try:
            loaded = yaml.safe_load(_read(path))
        except yaml.YAMLError as error:
            raise RecordingError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
        if not isinstance(loaded, dict):
            raise RecordingError(f"{path} holds no mapping")
        self._values: dict[object, object] = loaded

    def get(self, key: str, kind: type[_T] | tuple[type[_T], ...]) -> _T:
        if key not in self._values:
            raise RecordingError(f"{self._path} lacks {key}")
        value = self._values[key]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise RecordingError(f"{self._path}: {key} is {value!r}, which is of the wrong type")
        return value

    def names(self, key: str) -> tuple[str, ...]:
        """A list of names; empty when the key is absent."""
        value = self._values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise RecordingError(f"{self._path}: {key} is {value!r}, not a list of names")
        return tuple(value)
