"""A real Prometheus that holds recordings: canonical series as the exporter gives them, and what the rules record."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from catalog.engines import ENGINES
from catalog.exposition import Sample, parse
from catalog.translate import Translator
from recordings.reader import Recording, scrapes
from tests.e2e.prometheus import Prometheus, eventually, free_port, get, process

_RULES = Path(__file__).resolve().parents[2] / "alerts/generated/prometheus"
# Rules read what other rules recorded, three deep.
_PASSES = 3
_GPU_PREFIX = "DCGM_"
_STEP_SECONDS = 5


@dataclass(frozen=True)
class Recorded:
    """A Prometheus over recordings that all ended at `end` (unix seconds); the longest began at `start`."""

    prometheus: Prometheus
    start: int
    end: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.prometheus.port}"


@contextmanager
def recorded_prometheus(
    folder: Path, recordings: Mapping[str, Recording], *, extra: str = "", rules: bool = True
) -> Iterator[Recorded]:
    """Run a Prometheus that holds recordings, each in a namespace of its name, as the replica whose pod is its key.

    They are moved in time so that all end together. `extra` are lines of OpenMetrics with times of their own, each
    line's family being its own.
    """
    prometheus, promtool = shutil.which("prometheus"), shutil.which("promtool")
    if prometheus is None or promtool is None:
        pytest.skip("prometheus is not installed: apt-get install prometheus")
    end = int(max(recording.ended_unix_seconds for recording in recordings.values()))
    samples = [sample for pod, recording in recordings.items() for sample in canonical(recording, pod, end)]
    start = int(min(sample.timestamp or end for sample in samples))
    data = folder / "tsdb"
    exposition = folder / "canonical.om"
    exposition.write_text(openmetrics(samples) + extra + "# EOF\n")
    _run(promtool, "tsdb", "create-blocks-from", "openmetrics", exposition, data)
    if rules:
        for _ in range(_PASSES):
            with _serving(prometheus, folder, data) as running:
                span = [f"--start={start}", f"--end={end}", f"--eval-interval={_STEP_SECONDS}s"]
                span += [f"--url=http://127.0.0.1:{running.port}", f"--output-dir={folder / 'recorded'}"]
                _run(promtool, "tsdb", "create-blocks-from", "rules", *span, *sorted(_RULES.glob("*-records-*.yaml")))
            for block in (folder / "recorded").iterdir():
                block.rename(data / block.name)
    with _serving(prometheus, folder, data) as running:
        yield Recorded(running, start, end)


def canonical(recording: Recording, pod: str, end: int) -> Iterator[Sample]:
    """Return a recording's samples under the canonical schema, with the labels of a place, ending at `end`."""
    place = {"node": f"node-of-{pod}", "namespace": recording.name, "pod": pod, "container": "engine"}
    catalogue = ENGINES[recording.engine]
    translator = Translator(catalogue, recording.engine_version)
    taken = scrapes(recording)
    later = end - taken[-1].time_seconds
    process = {"engine": recording.engine, "model": recording.model, "rank": "0", **place}
    for scrape in taken:
        time = scrape.time_seconds + later
        yield Sample("llm_up", process, float(scrape.up), time)
        if not scrape.up:
            continue
        yield Sample("llm_engine_info", {**process, "version": recording.engine_version}, 1.0, time)
        raw = parse(scrape.exposition).samples
        for sample in translator.translate_all(raw):
            yield Sample(sample.name, {**place, **sample.labels}, sample.value, time)
        for sample in raw:
            if sample.name.startswith(_GPU_PREFIX):
                gpu = {
                    "UUID": f"GPU-{pod}",
                    "Hostname": place["node"],
                    **{name: place[name] for name in ("namespace", "pod", "container")},
                }
                yield Sample(sample.name, {**sample.labels, **gpu}, sample.value, time)


def openmetrics(samples: list[Sample]) -> str:
    """Return samples as lines, all of one name together, as OpenMetrics wants them."""
    by_name: dict[str, list[Sample]] = {}
    for sample in samples:
        by_name.setdefault(sample.name, []).append(sample)
    return "".join(f"{_line(sample)}\n" for name in sorted(by_name) for sample in by_name[name])


def _line(sample: Sample) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in sorted(sample.labels.items()))
    return f"{sample.name}{{{pairs}}} {sample.value!r} {sample.timestamp:.3f}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@contextmanager
def _serving(binary: str, folder: Path, data: Path) -> Iterator[Prometheus]:
    configuration = folder / "prometheus.yml"
    configuration.write_text("scrape_configs: []\n")
    port = free_port()
    options = [f"--config.file={configuration}", f"--storage.tsdb.path={data}", "--storage.tsdb.retention.time=100y"]
    with process([binary, *options, f"--web.listen-address=127.0.0.1:{port}"], folder / "prometheus.log"):
        eventually(lambda: get(port, "/-/ready")[0] == 200, "Prometheus is ready")
        yield Prometheus(port, folder / "prometheus.log")


def _run(*command: str | Path) -> None:
    done = subprocess.run(
        [os.fspath(part) for part in command], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
