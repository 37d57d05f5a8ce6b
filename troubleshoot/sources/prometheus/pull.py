"""The raw samples of one replica, with the times at which they were scraped: what a file of its metrics would hold.

A range vector as an instant query gives samples as they were stored, so the same verdict comes of them. Queries are
cut so that each answer stays small; where a window holds more than `MOST_SAMPLES`, samples are thinned evenly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from catalog import kubernetes
from catalog.exposition import Sample
from troubleshoot.metrics.load import Server, server_name
from troubleshoot.sources.errors import InputError
from troubleshoot.sources.prometheus.api import PrometheusApi
from troubleshoot.sources.prometheus.naming import UP, Naming, every_name
from troubleshoot.sources.prometheus.selector import Matcher, Matchers, any_of, equal_to, of_place, text

MOST_SAMPLES = 120_000
"""Half an hour of vLLM's 400 series, scraped every six seconds. To judge them takes 0.6 KB of memory a sample."""
_SAMPLES_A_QUERY = 30_000
"""At 30 bytes a sample an answer of 1 MB."""

_PROCESS = ("process_open_fds", "process_start_time_seconds", "process_cpu_seconds_total")
_GPU_NAMES = Matcher("__name__", "=~", "DCGM_FI_.+|inferwatch_gpu_.+")
_CANONICAL_NAMES = Matcher("__name__", "=~", "llm_.+")
_POD_GPUS = "inferwatch_pod_gpu_info"
_KUBERNETES = (
    kubernetes.CONTAINER_RESTARTS,
    kubernetes.LAST_TERMINATED_EXIT_CODE,
    kubernetes.LAST_TERMINATED_REASON,
    kubernetes.RESOURCE_LIMITS,
    kubernetes.MEMORY_WORKING_SET,
    kubernetes.OOM_EVENTS,
)


@dataclass(frozen=True)
class Pulled:
    """Samples by server, and what was left out."""

    servers: dict[Server, list[Sample]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def samples(self) -> int:
        """How many samples."""
        return sum(len(samples) for samples in self.servers.values())


def pull(
    api: PrometheusApi,
    naming: Naming,
    own: Matchers,
    number: int,
    at_seconds: float,
    window_seconds: float,
) -> Pulled:
    """Read the series of a replica (`own` are its matchers) over the window that ends at a time.

    `number` tells replicas apart in the result. Raises `InputError`.
    """
    pulled = Pulled()
    for matchers in _selections(naming, own):
        _pull_into(pulled, api, matchers, number, at_seconds, window_seconds)
    labels = {one.label: one.value for one in own if one.operator == "="}
    try:
        for gpu in _gpu_selections(api, naming, labels, at_seconds, window_seconds):
            if _pull_into(pulled, api, (_GPU_NAMES, *gpu), number, at_seconds, window_seconds):
                break
        place = _pod(labels)
        if place:
            names = any_of(one.name for one in _KUBERNETES)
            _pull_into(pulled, api, (names, *equal_to(place)), number, at_seconds, window_seconds)
    except InputError as error:
        pulled.notes.append(f"without GPU and Kubernetes series: {error.problem}")
    return pulled


def _pod(labels: dict[str, str]) -> dict[str, str]:
    """The replica's namespace and pod by their plain names; empty where no pod is known."""
    named = {name: labels.get(f"exported_{name}") or labels.get(name, "") for name in ("namespace", "pod")}
    return {name: value for name, value in named.items() if value} if named["pod"] else {}


def _selections(naming: Naming, own: Matchers) -> Iterator[Matchers]:
    """The engine's series, and those of its process, under each of their names."""
    if naming.canonical:
        yield (_CANONICAL_NAMES, *naming.selection, *own)
        return
    for engine in naming.engines:
        yield (any_of(every_name(engine) - set(_PROCESS)), *naming.matchers_of(engine), *own)
    place = (*of_place(naming.selection), *own)
    if place:
        yield (any_of((UP, *_PROCESS)), *place)


def _gpu_selections(
    api: PrometheusApi, naming: Naming, labels: dict[str, str], at_seconds: float, window_seconds: float
) -> Iterator[Matchers]:
    """Where the replica's GPUs may stand, the surest first: under its pod, by their UUIDs, under the selection."""
    pod = _pod(labels)
    if not pod:
        place = of_place(naming.selection)
        if place:
            yield place
        return
    places = [equal_to(pod), equal_to({f"exported_{name}": value for name, value in pod.items()})]
    yield from places
    for place in places:
        info = f"count by (UUID) (last_over_time({text(place, _POD_GPUS)}[{window_seconds:.0f}s]))"
        uuids = [row.labels["UUID"] for row in api.query(f"topk(16, {info})", at_seconds) if row.labels.get("UUID")]
        if uuids:
            yield (Matcher("UUID", "=~", "|".join(sorted(uuids))),)


def _pull_into(
    pulled: Pulled, api: PrometheusApi, matchers: Matchers, number: int, at_seconds: float, window_seconds: float
) -> bool:
    """Add the series that match; False where there are none."""
    window = f"{window_seconds:.0f}s"
    selector = text(matchers)
    series = {
        row.labels.get("__name__", ""): int(row.value)
        for row in api.query(f"count by (__name__) (last_over_time({selector}[{window}]))", at_seconds)
    }
    if not series:
        return False
    each = api.value(f"max(count_over_time({text(_one_name(matchers, series))}[{window}]))", at_seconds) or 1.0
    total = each * sum(series.values())
    room = MOST_SAMPLES - pulled.samples
    span = window
    if total > room:
        step = math.ceil(window_seconds / max(1.0, each * max(room, 1) / total))
        if step >= window_seconds / 2:
            pulled.notes.append(
                f"left out {sum(series.values())} series of {', '.join(sorted(series)[:2])}...: too many"
            )
            return True
        pulled.notes.append(f"{round(total)} samples: thinned to one in {step} s")
        span, each = f"{window}:{step}s", window_seconds / step
    for names in _portions(series, each):
        for row in api.query(f"{text((any_of(names), *matchers[1:]))}[{span}]", at_seconds):
            labels = dict(row.labels)
            name = labels.pop("__name__", "")
            key: Server | None = None
            for time_seconds, value in row.points:
                sample = Sample(name, labels, value, time_seconds)
                key = key or (number, "" if name.startswith("llm_") else server_name(sample))
                pulled.servers.setdefault(key, []).append(sample)
    return True


def _one_name(matchers: Matchers, series: dict[str, int]) -> Matchers:
    """The same with the name that has the most series. Over many names at once `count_over_time` is an error."""
    most = max(series, key=lambda name: (series[name], name))
    return (any_of([most]), *matchers[1:])


def _portions(series: dict[str, int], samples_each: float) -> Iterator[Sequence[str]]:
    """Names in groups, each of which answers with about `_SAMPLES_A_QUERY` samples at most, or is one name."""
    names: list[str] = []
    samples = 0.0
    for name, count in sorted(series.items()):
        if names and samples + count * samples_each > _SAMPLES_A_QUERY:
            yield names
            names, samples = [], 0.0
        names.append(name)
        samples += count * samples_each
    if names:
        yield names
