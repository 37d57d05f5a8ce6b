"""`inferwatch diagnose --prometheus` over a thousand replicas: seconds and peak memory of the whole process.

    python -m benchmarks.fleet [--replicas 1000] [--store prometheus|victoria-metrics]

The replicas are recordings of real engines under labels of their own, with every series and an idle half hour before:
all but three are the healthy one. The store is a real one, started and filled here, which takes minutes. The process
must name a replica that is not healthy, and its cause.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from recordings.reader import load
from tests.e2e.stores import Line, a_while_ago, ended_at, placed, prometheus_with, victoria_metrics_with

SCRAPE_SECONDS = 15.0
IDLE_SCRAPES = 100
BUDGET_SECONDS = 10.0
BUDGET_MIB = 200.0
SICK = {"llm-17": "kv_preemption", "llm-400": "ttft_queue_burst", "llm-401": "stuck_engine"}
_STORES = {"prometheus": prometheus_with, "victoria-metrics": victoria_metrics_with}


class Run(NamedTuple):
    """One diagnosis: what it took and what it said."""

    seconds: float
    mib: float
    report: dict[str, object]


def fleet(replicas: int, end_seconds: float) -> Iterator[Line]:
    """The samples of all replicas."""
    for number in range(replicas):
        pod = f"llm-{number}"
        yield from served(SICK.get(pod, "healthy_steady"), end_seconds, pod)


def served(recording: str, end_seconds: float, pod: str) -> list[Line]:
    """A recording as one pod's series, which was idle before: its first values, scraped every 15 s for the window."""
    lines = [line for line in ended_at(recording, end_seconds) if not line.name.startswith("DCGM_")]
    first: dict[tuple[str, str], Line] = {}
    for line in lines:
        first.setdefault((line.name, line.labels), line)
    begun = min(line.time_seconds for line in lines)
    idle = [
        line._replace(time_seconds=begun - number * SCRAPE_SECONDS)
        for line in first.values()
        for number in range(IDLE_SCRAPES, 0, -1)
    ]
    return placed([*idle, *lines], 0.0, namespace="prod", pod=pod)


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
    recording = load(SICK[named.removeprefix("prod/")])
    assert found[0]["cause"] in {recording.cause, *recording.accept}, found[0]["cause"]
    seconds, mib = min(run.seconds for run in runs), max(run.mib for run in runs)
    print(f"{'seconds':10} {seconds:8.2f}  budget {BUDGET_SECONDS:g}")
    print(f"{'MiB':10} {mib:8.1f}  budget {BUDGET_MIB:g}")
    sys.exit(seconds > BUDGET_SECONDS or mib > BUDGET_MIB)


if __name__ == "__main__":
    main()
