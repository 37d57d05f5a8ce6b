"""Where an engine's metrics may be: the addresses of a pod to try in turn, until one is recognised.

By the pod's own annotations (`inferwatch.dev/port`, `/path`, `/scheme`, `/engine`; `/scrape: "false"` opts out);
where a key is missing, by `prometheus.io/port`, `/path`, `/scheme` if `prometheus.io/scrape` is "true"; without a
port, by container ports named for metrics, then by the engines' default ports, declared ones first. An annotation
that is out of form leaves the pod without candidates, with a reason, rather than with ones that nobody meant.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from typing import TypeVar

from msgspec import Struct

from catalog.engines import ENGINES
from exporter.pods.addresses import AddressError, metrics_path, pod_host, port_number, shown, url_scheme
from exporter.pods.pod import OWN_PREFIX, PROMETHEUS_PREFIX, Container, ContainerPort, Pod
from exporter.pods.problems import Problem, Reason

METRICS_PORT_NAMES = frozenset({"metrics", "http-metrics"})
DCGM_NAMES = frozenset({"dcgm-exporter", "nvidia-dcgm-exporter"})
DCGM_PORT = 9400
_NAME_LABELS = ("app.kubernetes.io/name", "app")
_DEFAULT_PATH = "/metrics"

T = TypeVar("T")


class Candidate(Struct, frozen=True):
    """One address to try.

    `container` is whose port it is, as far as that can be told. `engine_hint` is the engine that the pod says
    it is, "" where it is to be recognised. `why` says which rule gave it, for the status page.
    """

    url: str
    namespace: str
    pod: str
    container: str
    engine_hint: str
    why: str


class DcgmCandidate(Struct, frozen=True):
    """A dcgm-exporter among the node's pods."""

    url: str
    namespace: str
    pod: str
    container: str


class PodCandidates(Struct, frozen=True):
    """What one pod gives: addresses in the order to try them, or a dcgm-exporter, or a problem, or nothing."""

    engines: tuple[Candidate, ...] = ()
    dcgm: DcgmCandidate | None = None
    problem: Problem | None = None


class _Wish(Struct, frozen=True):
    """What annotations ask for; empty values were not given. `port_from` names the port's annotation."""

    port: int = 0
    port_from: str = ""
    path: str = ""
    scheme: str = "http"
    engine: str = ""


class _Place(Struct, frozen=True):
    """A port to try, the rule that gave it, and the paths that engines serve there."""

    port: int
    container: str
    why: str
    paths: tuple[str, ...]


def candidates_of(pod: Pod, gpu_containers: Collection[str], *, probe_all_pods: bool = False) -> PodCandidates:
    """Return where the pod's engine may answer.

    `gpu_containers` are those of its containers that hold a GPU; a pod without any is tried only with
    `probe_all_pods`. A pod that does not run, or that opted out, gives nothing.
    """
    if pod.phase != "Running" or pod.annotations.get(f"{OWN_PREFIX}scrape", "").strip().lower() == "false":
        return PodCandidates()
    dcgm = _dcgm_container(pod)
    if dcgm is None and not gpu_containers and not probe_all_pods:
        return PodCandidates()
    try:
        host = pod_host(pod.ip)
    except AddressError as error:
        return _refusal(pod, "bad_address", str(error))
    if dcgm is not None:
        url = f"http://{host}:{_dcgm_port(dcgm)}{_DEFAULT_PATH}"
        return PodCandidates(dcgm=DcgmCandidate(url, pod.namespace, pod.name, dcgm.name))
    try:
        wish = _wish(pod.annotations)
    except AddressError as error:
        return _refusal(pod, "bad_annotation", str(error))
    found: dict[str, Candidate] = {}
    for place in _places(pod, wish, gpu_containers):
        for path in _paths(wish, place):
            url = f"{wish.scheme}://{host}:{place.port}{path}"
            found.setdefault(url, Candidate(url, pod.namespace, pod.name, place.container, wish.engine, place.why))
    return PodCandidates(engines=tuple(found.values()))


def _refusal(pod: Pod, reason: Reason, detail: str) -> PodCandidates:
    return PodCandidates(problem=Problem("candidates", reason, f"pod {pod.namespace}/{pod.name}: {detail}"))


# Annotations


def _wish(annotations: Mapping[str, str]) -> _Wish:
    """Read the annotations, each key by the pod's own if it is there, else by Prometheus's. Raises AddressError."""
    prefixes = (OWN_PREFIX, PROMETHEUS_PREFIX) if _for_prometheus(annotations) else (OWN_PREFIX,)
    port_from, port = _read(annotations, prefixes, "port", port_number)
    _, path = _read(annotations, prefixes, "path", metrics_path)
    _, scheme = _read(annotations, prefixes, "scheme", url_scheme)
    _, engine = _read(annotations, (OWN_PREFIX,), "engine", _engine_name)
    return _Wish(port or 0, port_from, path or "", scheme or "http", engine or "")


def _for_prometheus(annotations: Mapping[str, str]) -> bool:
    return annotations.get(f"{PROMETHEUS_PREFIX}scrape", "").strip().lower() == "true"


def _read(
    annotations: Mapping[str, str], prefixes: tuple[str, ...], key: str, read: Callable[[str], T]
) -> tuple[str, T | None]:
    """The first annotation of this key, by name and value. Raises AddressError, which names it."""
    for name in (f"{prefix}{key}" for prefix in prefixes):
        if name in annotations:
            try:
                return name, read(annotations[name])
            except AddressError as error:
                raise AddressError(f"annotation {name}: {error}") from None
    return "", None


def _engine_name(text: str) -> str:
    if text not in ENGINES:
        raise AddressError(f"{shown(text)} is none of {', '.join(ENGINES)}")
    return text


# Ports and paths, in the order to try them


def _places(pod: Pod, wish: _Wish, gpu_containers: Collection[str]) -> Iterator[_Place]:
    holders_first = sorted(pod.containers, key=lambda container: container.name not in gpu_containers)
    holder = next((container.name for container in holders_first), "")
    declared = [(port, container.name) for container in holders_first for port in container.ports if _usable(port)]
    owner_of = {port.number: container for port, container in reversed(declared)}
    if wish.port:
        yield _Place(wish.port, owner_of.get(wish.port, holder), f"annotation {wish.port_from}", _known_paths())
        return
    if _for_prometheus(pod.annotations):
        # As Prometheus's usual configuration has it: without a port, every declared one.
        for port, container in declared:
            yield _Place(port.number, container, f"annotation {PROMETHEUS_PREFIX}scrape", _known_paths())
    for port, container in declared:
        if port.name in METRICS_PORT_NAMES:
            yield _Place(port.number, container, f"container port {port.name}", _known_paths())
    numbers = ENGINES[wish.engine].ports if wish.engine else tuple(_default_places())
    for number in sorted(numbers, key=lambda number: number not in owner_of):
        yield _Place(number, owner_of.get(number, holder), "default port", _default_places()[number])


def _usable(port: ContainerPort) -> bool:
    return 1 <= port.number <= 65535


def _paths(wish: _Wish, place: _Place) -> tuple[str, ...]:
    if wish.path:
        return (wish.path,)
    return (ENGINES[wish.engine].metrics_path,) if wish.engine else place.paths


@cache
def _default_places() -> Mapping[int, tuple[str, ...]]:
    """Every engine's default ports, each with the paths that engines serve there."""
    paths: dict[int, set[str]] = {}
    for engine in ENGINES.values():
        for port in engine.ports:
            paths.setdefault(port, set()).add(engine.metrics_path)
    return {port: tuple(sorted(there, key=_plain_first)) for port, there in paths.items()}


@cache
def _known_paths() -> tuple[str, ...]:
    return tuple(sorted({engine.metrics_path for engine in ENGINES.values()}, key=_plain_first))


def _plain_first(path: str) -> tuple[bool, str]:
    return path != _DEFAULT_PATH, path


# dcgm-exporter


def _dcgm_container(pod: Pod) -> Container | None:
    """The container of a dcgm-exporter, told by its name or the pod's name label.

    Not by port 9400 alone: this exporter listens there too, and would merge itself with itself.
    """
    named = [container for container in pod.containers if container.name in DCGM_NAMES]
    if named:
        return named[0]
    labelled = any(pod.labels.get(label) in DCGM_NAMES for label in _NAME_LABELS)
    return pod.containers[0] if labelled and pod.containers else None


def _dcgm_port(container: Container) -> int:
    usable = [port for port in container.ports if _usable(port)]
    named = [port.number for port in usable if port.name in METRICS_PORT_NAMES]
    return next(iter(named or [port.number for port in usable]), DCGM_PORT)
