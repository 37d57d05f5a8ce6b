"""`inferwatch diagnose --prometheus` over a thousand replicas: seconds and peak memory of the whole process.

    python -m benchmarks.fleet [--replicas 1000] [--store prometheus|victoria-metrics]

The replicas are recordings of real engines under labels of their own, with every series and an idle quarter of an hour
before: all but three are the healthy one. The store is a real one, started and filled here, which takes minutes. The
process must name a replica that is not healthy, and its cause.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from recordings.reader import load
from tests.e2e.stores import Line, a_while_ago, ended_at, placed, prometheus_over, victoria_metrics_over

SCRAPE_SECONDS = 15.0
IDLE_SCRAPES = 60
BUDGET_SECONDS = 10.0
BUDGET_MIB = 200.0
SICK = {"llm-17": "kv_preemption", "llm-400": "ttft_queue_burst", "llm-401": "stuck_engine"}
POD = "@POD@"
_CONSTANT = re.compile(r"^up$|^process_|_info$")
_SECONDS = re.compile(r"(\d+)\.(\d{3})$", re.MULTILINE)


class Run(NamedTuple):
    """One diagnosis: what it took and what it said."""

    seconds: float
    mib: float
    report: dict[str, object]


def served(recording: str, end_seconds: float) -> dict[str, str]:
    """A recording as a pod's series, by name; `POD` stands for the pod. Times are in seconds.

    The pod was idle before: every counter and gauge was 0, scraped every 15 s.
    """
    lines = [line for line in ended_at(recording, end_seconds) if not line.name.startswith("DCGM_")]
    first: dict[tuple[str, str], Line] = {}
    for line in lines:
        first.setdefault((line.name, line.labels), line)
    begun = min(line.time_seconds for line in lines)
    idle = [
        line._replace(
            time_seconds=begun - number * SCRAPE_SECONDS, value=line.value if _CONSTANT.search(line.name) else "0"
        )
        for line in first.values()
        for number in range(IDLE_SCRAPES, 0, -1)
    ]
    families: dict[str, list[str]] = {}
    for line in placed([*idle, *lines], 0.0, namespace="prod", pod=POD):
        text = f"{line.name}{{{line.labels}}} {line.value} {line.time_seconds:.3f}\n"
        families.setdefault(line.name, []).append(text)
    return {name: "".join(texts) for name, texts in families.items()}


def fleet(replicas: int, end_seconds: float) -> dict[str, dict[str, str]]:
    """Pod -> its series by name, as `served` gives them."""
    kinds = {name: served(name, end_seconds) for name in {"healthy_steady", *SICK.values()}}
    return {pod: kinds[SICK.get(pod, "healthy_steady")] for pod in (f"llm-{number}" for number in range(replicas))}


def prometheus_of(folder: Path, pods: Mapping[str, Mapping[str, str]]) -> AbstractContextManager[str]:
    """A Prometheus that holds the fleet."""

    def write(path: Path) -> None:
        with path.open("w", encoding="utf-8") as file:
            for name in sorted({name for series in pods.values() for name in series}):
                file.write(f"# TYPE {name} unknown\n")
                for pod, series in pods.items():
                    file.write(series.get(name, "").replace(POD, pod))
            file.write("# EOF\n")

    return prometheus_over(folder, write)


def victoria_metrics_of(folder: Path, pods: Mapping[str, Mapping[str, str]]) -> AbstractContextManager[str]:
    """A VictoriaMetrics that holds the fleet. It wants times in milliseconds."""
    whole = {id(series): _SECONDS.sub(r"\1\2", "".join(series.values())) for series in pods.values()}
    return victoria_metrics_over(folder, (whole[id(series)].replace(POD, pod) for pod, series in pods.items()))


def diagnosed(url: str, end_seconds: float) -> Run:
    """Run the command and measure it."""
    command = [sys.executable, "-m", "inferwatch", "diagnose", "--prometheus", url, "--selector", 'namespace="prod"']
    command += ["--at", str(end_seconds), "--window", "30m", "--format", "json"]
    with tempfile.TemporaryFile() as output:
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        assert process.returncode == 1, output.read()[-2000:]
        return Run(seconds, usage.ru_maxrss / 1024, json.load(output))


_STORES = {"prometheus": prometheus_of, "victoria-metrics": victoria_metrics_of}


def main() -> None:
    """Fill a store, diagnose three times, print the best time and the largest memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicas", type=int, default=1000)
    parser.add_argument("--store", choices=_STORES, default="prometheus")
    arguments = parser.parse_args()
    end = a_while_ago()
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        with _STORES[arguments.store](Path(folder), fleet(arguments.replicas, end)) as url:
            print(f"{arguments.store} filled with {arguments.replicas} replicas in {time.perf_counter() - begun:.0f} s")
            runs = [diagnosed(url, end) for _ in range(3)]
    report = runs[0].report
    found, replicas = report["findings"], report["fleet"]
    assert isinstance(found, list) and isinstance(replicas, dict)
    named = next(one["name"] for one in replicas["replicas"] if one["role"] == "diagnosed")
    print(f"named {named}: {found[0]['cause']}")
    seconds, mib = min(run.seconds for run in runs), max(run.mib for run in runs)
    print(f"{'seconds':10} {seconds:8.2f}  budget {BUDGET_SECONDS:g}")
    print(f"{'MiB':10} {mib:8.1f}  budget {BUDGET_MIB:g}")
    recording = load(SICK[named.removeprefix("prod/")])
    assert found[0]["cause"] in {recording.cause, *recording.accept}, found[0]["cause"]
    sys.exit(seconds > BUDGET_SECONDS or mib > BUDGET_MIB)


if __name__ == "__main__":
    main()
