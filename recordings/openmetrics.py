"""From the recorder's `metrics.om.gz` to what the engine served at each scrape.

The recorder writes one family after the other, each sample with the unix time of its scrape, and adds the
labels `job` and `instance` and the series `up`. This module reads that format and no other: it is not a
general OpenMetrics parser.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

_SAMPLE = re.compile(rb"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+) ([0-9]+(?:\.[0-9]+)?)")
_LABEL = re.compile(rb'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)",?')
_RECORDER_LABELS = frozenset((b"job", b"instance"))
_GPU_JOB = b"gpu"


class MalformedMetricsError(ValueError):
    """A line that the recorder would not have written; the message names the line."""


@dataclass(frozen=True, slots=True)
class Scrape:
    """One scrape of the engine.

    `time_seconds` is unix time. `up` tells whether the server answered. `exposition` is the payload in
    Prometheus' text format 0.0.4, followed by the GPU series as last read before this scrape; it is empty
    when the server did not answer.
    """

    time_seconds: float
    up: bool
    exposition: bytes


@dataclass(slots=True)
class _Page:
    """The payload of one scrape while it is being put together."""

    lines: list[bytes] = field(default_factory=list)
    family: bytes = b""

    def add(self, family: bytes, declaration: bytes, sample: bytes) -> None:
        if family != self.family:
            self.family = family
            self.lines.append(declaration)
        self.lines.append(sample)


def regroup(lines: Iterable[bytes]) -> list[Scrape]:
    """Regroup samples by scrape time, oldest first.

    Raises MalformedMetricsError for a line that is neither a sample with labels and time nor a comment.
    """
    answered: dict[float, bool] = {}
    engine: dict[float, _Page] = {}
    gpu: dict[float, _Page] = {}
    labels: dict[bytes, tuple[bytes, bytes]] = {}
    family = declaration = b""
    for number, line in enumerate(lines, start=1):
        if line.startswith(b"#"):
            if line.startswith(b"# TYPE "):
                family, declaration = _declaration(line, number)
            continue
        match = _SAMPLE.fullmatch(line.rstrip(b"\n"))
        if match is None:
            raise MalformedMetricsError(f"line {number} is no sample with a time: {line[:80]!r}")
        name, label_text, value, time_text = match.groups(default=b"")
        time_seconds = float(time_text)
        if name == b"up":
            answered[time_seconds] = float(value) == 1
            continue
        if label_text not in labels:
            labels[label_text] = _without_recorder_labels(label_text)
        job, kept = labels[label_text]
        page = (gpu if job == _GPU_JOB else engine).setdefault(time_seconds, _Page())
        page.add(family, declaration, name + kept + b" " + value)
    return _scrapes(answered, engine, gpu)


def _declaration(line: bytes, number: int) -> tuple[bytes, bytes]:
    """The family's name and its `# TYPE` line as text format 0.0.4 writes it.

    OpenMetrics names a counter's family without `_total`. It has no counter without that ending, so the
    recorder typed those (nv_inference_count, llamacpp:n_tokens_max, DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION)
    `unknown`: its only use of that type.
    """
    match line.split():
        case [_, _, name, b"counter"]:
            return name, b"# TYPE " + name + b"_total counter"
        case [_, _, name, b"unknown"]:
            return name, b"# TYPE " + name + b" counter"
        case [_, _, name, kind]:
            return name, b"# TYPE " + name + b" " + kind
        case _:
            raise MalformedMetricsError(f"line {number} is no type declaration: {line[:80]!r}")


def _without_recorder_labels(text: bytes) -> tuple[bytes, bytes]:
    """The value of `job`, and the labels as the engine served them, in braces when any is left."""
    pairs = _LABEL.findall(text)
    kept = b",".join(b'%b="%b"' % pair for pair in pairs if pair[0] not in _RECORDER_LABELS)
    return dict(pairs).get(b"job", b""), b"{" + kept + b"}" if kept else b""


def _scrapes(answered: dict[float, bool], engine: dict[float, _Page], gpu: dict[float, _Page]) -> list[Scrape]:
    gpu_times = sorted(gpu)
    scrapes = []
    for time_seconds, up in sorted(answered.items()):
        lines: list[bytes] = []
        if up:
            before = bisect_right(gpu_times, time_seconds)
            lines += engine.get(time_seconds, _Page()).lines
            lines += gpu[gpu_times[before - 1]].lines if before else []
        scrapes.append(Scrape(time_seconds, up, b"".join(line + b"\n" for line in lines)))
    return scrapes
