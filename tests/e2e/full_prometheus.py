"""A Prometheus that holds all that the boards ask for: recordings, every engine of the catalogue, GPUs, a cluster."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from catalog.engines import ENGINES
from catalog.gpu import GPU_FIELDS
from recordings.reader import bundled, load
from tests.alerts.stretched import SPAN_SECONDS, Stretched, Written, open_metrics, stretched, written
from tests.e2e.catalogue_engines import CONTAINER, canonical_series, place_of
from tests.e2e.cluster_series import Firing, Pod, cluster_series
from tests.e2e.gpu_pages import MIG_UUIDS, pages, spread
from tests.e2e.rule_passes import STEP_SECONDS, served, store
from tests.exporter.gpus.conftest import uuid_of

_FIRING = Path(__file__).parents[1] / "alerts" / "recordings.yaml"
_STARTED_BEFORE_SECONDS = 3600
_ALERT = "LLMQueueGrowing"
# One GPU an engine, one that is cut in two, one that does nothing.
_GPUS = len(ENGINES) + 2


@dataclass(frozen=True)
class Full:
    """Where it listens, from when to when it holds data (unix seconds)."""

    port: int
    start: int
    end: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def full_prometheus(folder: Path, read: Iterable[str]) -> Iterator[Full]:
    """Run it. `read` are the names of series that are asked for: of GPU fields, the exporter gives these."""
    if shutil.which("prometheus") is None or shutil.which("promtool") is None:
        pytest.skip("prometheus is not installed: apt-get install prometheus")
    # Within one block of storage, with a whole hour in it: some rules read samples that stand at whole hours.
    end = int(time.time()) // 7200 * 7200 - 1800
    start = end - SPAN_SECONDS
    times = [float(at) for at in range(start, end + 1, STEP_SECONDS)]
    holders = {uuid_of(number): _pod_of(name) for number, name in enumerate(ENGINES)}
    holders |= {uuid: ("sliced", f"sliced-{number}", CONTAINER) for number, uuid in enumerate(MIG_UUIDS)}
    fields = tuple(sorted(set(GPU_FIELDS) & set(read)))
    gpus = spread(pages(folder, holders, _GPUS, fields), times)
    recorded = [stretched(name, end) for name in bundled()]
    pods = [Pod(place["namespace"], place["pod"], place["node"]) for place in map(place_of, ENGINES.values())]
    pods += [Pod(one.name, f"{one.name}-0", f"node-{one.name}", f"GPU-{one.name}") for one in recorded]
    made = [
        *(_lines(name, canonical_series(ENGINES[name], times, start - _STARTED_BEFORE_SECONDS)) for name in ENGINES),
        _lines("gpus", ((at, written(sample)) for at, sample in gpus)),
        _lines("cluster", ((at, written(sample)) for at, sample in cluster_series(pods, _firing(), times))),
    ]
    store(folder, open_metrics([*recorded, *made]), start, end)
    with served(folder) as port:
        yield Full(port, start, end)


def _pod_of(engine: str) -> tuple[str, str, str]:
    place = place_of(ENGINES[engine])
    return place["namespace"], place["pod"], place["container"]


def _firing() -> list[Firing]:
    """Of recordings, the alerts that fire on them; of each engine, one."""
    of_recordings: dict[str, list[str]] = yaml.safe_load(_FIRING.read_text("utf-8"))
    found = [Firing(alert, name, load(name).engine) for name, alerts in of_recordings.items() for alert in alerts]
    return [*found, *(Firing(_ALERT, place_of(one)["namespace"], one.name) for one in ENGINES.values())]


def _lines(name: str, samples: Iterable[tuple[float, Written]]) -> Stretched:
    lines: dict[str, list[str]] = {}
    for at, (sample_name, series, value) in samples:
        lines.setdefault(sample_name, []).append(f"{series} {value!r} {at:.3f}")
    return Stretched(name, 1.0, lines)
