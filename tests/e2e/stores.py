"""Real stores that hold every bundled recording: Prometheus with blocks that promtool made, VictoriaMetrics by import.

Each series gets the label `recording`. Times are kept, but for a whole number of seconds that brings a recording's end
to one moment in the past, since VictoriaMetrics keeps a month by default and refuses what lies in the future.
"""

from __future__ import annotations

import gzip
import http.client
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pytest

from recordings.reader import bundled, load
from tests.e2e.prometheus import eventually, free_port, get, process

_LINES_AN_IMPORT = 200_000
_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+) (\S+)")


class Line(NamedTuple):
    """One stored sample."""

    name: str
    labels: str
    value: str
    time_seconds: float


@cache
def lines_of(recording: str) -> tuple[Line, ...]:
    """The samples of a recording's metrics file, as they stand in it."""
    content = gzip.decompress(load(recording).metrics_path.read_bytes())
    found = []
    for line in content.decode().splitlines():
        match = None if line.startswith("#") else _SAMPLE.fullmatch(line)
        if match:
            found.append(Line(match[1], match[2] or "", match[3], float(match[4])))
    return tuple(found)


def placed(lines: Iterable[Line], shift_seconds: float, **labels: str) -> list[Line]:
    """The samples at another time and with more labels."""
    more = ",".join(f'{name}="{value}"' for name, value in labels.items())
    return [
        Line(one.name, ",".join(filter(None, (one.labels, more))), one.value, one.time_seconds + shift_seconds)
        for one in lines
    ]


def ended_at(name: str, end_seconds: float, **labels: str) -> list[Line]:
    """A recording whose last sample lies within the second before a time."""
    lines = lines_of(name)
    last = max((one.time_seconds for one in lines), default=end_seconds)
    return placed(lines, float(int(end_seconds - last)), **labels)


def all_recordings(end_seconds: float) -> list[Line]:
    """Every bundled recording, under label `recording`."""
    return [line for name in bundled() for line in ended_at(name, end_seconds, recording=name)]


def write_open_metrics(lines: Iterable[Line], path: Path) -> None:
    """Write the samples as promtool reads them: one family after the other."""
    families: dict[str, list[str]] = {}
    for one in lines:
        families.setdefault(one.name, []).append(f"{one.name}{{{one.labels}}} {one.value} {one.time_seconds:.3f}\n")
    with path.open("w", encoding="utf-8") as file:
        for name, found in sorted(families.items()):
            file.write(f"# TYPE {name} unknown\n")
            file.writelines(found)
        file.write("# EOF\n")


def a_while_ago() -> float:
    """A moment that blocks may be written for: Prometheus keeps the newest two hours elsewhere."""
    return float(int(time.time()) // 7200 * 7200 - 7200)


def prometheus_with(folder: Path, lines: Iterable[Line]) -> AbstractContextManager[str]:
    """A Prometheus that holds these samples; gives its address."""
    return prometheus_over(folder, lambda path: write_open_metrics(lines, path))


@contextmanager
def prometheus_over(folder: Path, write: Callable[[Path], None]) -> Iterator[str]:
    """A Prometheus that holds the samples of an OpenMetrics file; yields its address."""
    if shutil.which("promtool") is None:
        pytest.skip("prometheus is not installed: apt-get install prometheus")
    write(folder / "all.om")
    command = [
        "promtool",
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        "-q",
        str(folder / "all.om"),
        str(folder / "tsdb"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    (folder / "all.om").unlink()
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "prometheus.yml").write_text("global: {}\n")
    port = free_port()
    server = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        "--storage.tsdb.retention.time=10y",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with process(server, folder / "prometheus.log"):
        eventually(lambda: get(port, "/-/ready")[0] == 200, "Prometheus is ready")
        yield f"http://127.0.0.1:{port}"


def victoria_metrics_with(folder: Path, lines: Iterable[Line]) -> AbstractContextManager[str]:
    """A VictoriaMetrics that holds these samples; gives its address."""
    texts = (f"{one.name}{{{one.labels}}} {one.value} {one.time_seconds * 1000:.0f}\n" for one in lines)
    return victoria_metrics_over(folder, iter(lambda: "".join(islice(texts, _LINES_AN_IMPORT)), ""))


@contextmanager
def victoria_metrics_over(folder: Path, bodies: Iterable[str]) -> Iterator[str]:
    """A VictoriaMetrics that has imported texts of the exposition format with times; yields its address."""
    if shutil.which("victoria-metrics") is None:
        pytest.skip("VictoriaMetrics is not installed: apt-get install victoria-metrics")
    port = free_port()
    server = [
        "victoria-metrics",
        f"-storageDataPath={folder / 'victoria'}",
        "-retentionPeriod=10y",
        f"-httpListenAddr=127.0.0.1:{port}",
    ]
    with process(server, folder / "victoria.log"):
        eventually(lambda: get(port, "/health")[0] == 200, "VictoriaMetrics is ready")
        for body in bodies:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("POST", "/api/v1/import/prometheus", body.encode())
            assert connection.getresponse().status == 204
            connection.close()
        get(port, "/internal/force_flush")  # what was imported can be searched from now on
        yield f"http://127.0.0.1:{port}"
