"""Write a recording: the files that `recordings.reader` reads, as a folder or as one archive."""

from __future__ import annotations

import gzip
import io
import math
import re
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from catalog.exposition import Sample

GPU_JOB: Final = "gpu"
ENGINE_JOB: Final = "engine"
_LABEL_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_OF_FAMILY: Final = ("_bucket", "_count", "_sum")
_KINDS: Final = frozenset({"gauge", "counter", "histogram", "summary", "info", "stateset"})
ARCHIVE_ENDINGS: Final = (".tar.gz", ".tgz", ".tar")


class MetricsText:
    """Scrapes, one by one, to the text of `metrics.om.gz`: family after family, each sample with its scrape's time."""

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._families: dict[str, tuple[str, dict[tuple[str, str], list[str]]]] = {}
        self.scrapes = 0

    def add_up(self, time_seconds: float, up: bool) -> None:
        """Whether the server answered."""
        self._add("up", "gauge", Sample("up", {}, float(up), None), time_seconds, ENGINE_JOB)

    def add(self, time_seconds: float, samples: Sequence[Sample], kinds: Mapping[str, str]) -> None:
        """One scrape that was answered; `kinds` are the types of its families as they were printed."""
        self.scrapes += 1
        self.add_up(time_seconds, True)
        for sample in samples:
            family, kind = _family_of(sample.name, kinds)
            job = GPU_JOB if sample.name.startswith("DCGM_FI_") else ENGINE_JOB
            self._add(family, kind, sample, time_seconds, job)

    def _add(self, family: str, kind: str, sample: Sample, time_seconds: float, job: str) -> None:
        series = self._families.setdefault(family, (kind, {}))[1]
        labels = {"job": job, "instance": self._instance}
        own = {
            name: value for name, value in sample.labels.items() if _LABEL_NAME.fullmatch(name) and name not in labels
        }
        text = ",".join(f'{name}="{_escaped(value)}"' for name, value in {**labels, **own}.items())
        line = f"{sample.name}{{{text}}} {_number(sample.value)} {time_seconds:.3f}\n"
        series.setdefault((sample.name, text), []).append(line)

    def text(self) -> str:
        """All of it."""
        parts = []
        for family in sorted(self._families):
            kind, series = self._families[family]
            parts.append(f"# TYPE {family} {kind}\n")
            for lines in series.values():
                parts += lines
        return "".join((*parts, "# EOF\n"))


def _family_of(name: str, kinds: Mapping[str, str]) -> tuple[str, str]:
    """The family in OpenMetrics' terms: a counter's without `_total`, one that lacks that ending is `unknown`."""
    kind = kinds.get(name, "")
    if not kind:
        for ending in _OF_FAMILY:
            base = name.removesuffix(ending)
            if base != name and kinds.get(base) in ("histogram", "summary"):
                return base, kinds[base]
        if name.endswith("_total") and kinds.get(name.removesuffix("_total")) == "counter":
            return name.removesuffix("_total"), "counter"
    if kind == "counter":
        return (name.removesuffix("_total"), "counter") if name.endswith("_total") else (name, "unknown")
    return name, kind if kind in _KINDS else "gauge"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def meta_text(values: Mapping[str, object]) -> str:
    """`meta.yaml`."""
    import yaml

    return str(yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True))


def is_archive(path: Path) -> bool:
    """Whether a recording goes into one file by its name's ending."""
    return path.name.endswith(ARCHIVE_ENDINGS)


def stem(path: Path) -> str:
    """The recording's name: the file's or folder's without its ending."""
    return next((path.name.removesuffix(e) for e in ARCHIVE_ENDINGS if path.name.endswith(e)), path.name)


def write(path: Path, files: Mapping[str, bytes]) -> None:
    """Write the files into a new folder, or into an archive with one folder in it; raise OSError.

    Nothing is overwritten: FileExistsError where something is there (an empty folder is none).
    """
    packed = {name: _packed(content) if name.endswith(".gz") else content for name, content in files.items()}
    if not is_archive(path):
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise FileExistsError(path)
        for name, content in packed.items():
            (path / name).write_bytes(content)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = "x" if path.name.endswith(".tar") else "x:gz"
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in packed.items():
            entry = tarfile.TarInfo(f"{stem(path)}/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def _packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)
