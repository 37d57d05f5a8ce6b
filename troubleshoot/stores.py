"""Evidence from a store of metrics: the replica to diagnose, and what surrounds it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple

from troubleshoot.circumstances import Circumstances
from troubleshoot.findings import FleetSummary, ReplicaSummary, Severity
from troubleshoot.metrics.load import Server, load_metrics
from troubleshoot.sources.access import Access
from troubleshoot.sources.errors import InputError
from troubleshoot.sources.http_api import HttpApi
from troubleshoot.sources.prometheus.alert import find_alert
from troubleshoot.sources.prometheus.api import PrometheusApi
from troubleshoot.sources.prometheus.baseline import compare
from troubleshoot.sources.prometheus.naming import Naming, probe
from troubleshoot.sources.prometheus.pods import pod_facts
from troubleshoot.sources.prometheus.pull import Pulled, pull
from troubleshoot.sources.prometheus.replicas import Fleet, Replica, survey
from troubleshoot.sources.prometheus.selector import Matchers, text

if TYPE_CHECKING:
    from catalog.exposition import Sample
    from troubleshoot.findings import Diagnosis
    from troubleshoot.pod_facts import PodFacts

_BEFORE_AN_ALERT = 0.25
"""Share of the window that lies before an alert's start: what led to it came first, since alerts wait and average."""


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """What to ask a store of metrics. The window ends at `at_seconds` (unix; None for now).

    With `alert`, it holds that alert's start instead, and the alert's labels narrow `selection`.
    """

    url: str
    selection: Matchers = ()
    alert: str = ""
    at_seconds: float | None = None
    window_seconds: float = 1800.0
    access: Access = field(default_factory=Access)


@dataclass(frozen=True)
class Stored:
    """The samples of the replica to diagnose, by server, and what surrounds them. `note` says what is not whole."""

    name: str
    size_bytes: int
    window: tuple[float, float]
    servers: Mapping[Server, Sequence[Sample]]
    circumstances: Circumstances = field(default_factory=Circumstances)
    note: str = ""
    pod: PodFacts | None = None


class _Looked(NamedTuple):
    """A replica whose series were read; None where no engine's series match."""

    replica: Replica | None
    pulled: Pulled
    diagnosis: Diagnosis


def read_store(request: StoreRequest, engine: str = "", symptom: str = "") -> Stored:
    """Read what a store has of a selection. Raises `InputError` where it gives nothing to judge."""
    with HttpApi(request.url, request.access) as http:
        api = PrometheusApi(http)
        selection, at_seconds, note = _where(api, request)
        naming = probe(api, selection, at_seconds, request.window_seconds)
        fleet = survey(api, naming, at_seconds, request.window_seconds)
        notes = [note] if note else []
        looked = _look(api, naming, fleet, at_seconds, request.window_seconds, notes, engine, symptom)
        worst = max(looked, key=_badness)
        window = (at_seconds - request.window_seconds, at_seconds)
        circumstances = Circumstances(fleet=_summary(fleet, looked, worst) if fleet.total > 1 else None)
        if naming.found and worst.replica is not None:
            before = compare(api, naming, worst.replica.matchers, window, _interval(worst))
            notes += before.notes
            circumstances = Circumstances(before.since, before.changes, before.numbers, circumstances.fleet)
        notes += worst.pulled.notes
        if worst.replica is not None and fleet.total > 1:
            notes.insert(0, f"{fleet.total} replicas, of which {worst.replica.name} is diagnosed")
        notes += [f"the store warns: {warning}" for warning in api.warnings]
        name = f"{api.name} {text(selection)}"
        pod = pod_facts(worst.pulled.servers, at_seconds)
        return Stored(name, api.bytes_read, window, worst.pulled.servers, circumstances, "; ".join(notes), pod)


def _where(api: PrometheusApi, request: StoreRequest) -> tuple[Matchers, float, str]:
    """The selection and the end of the window, by the alert where one is named."""
    now = time.time()
    at_seconds = now if request.at_seconds is None else request.at_seconds
    if not request.alert:
        return request.selection, at_seconds, ""
    alert = find_alert(api, request.alert, request.selection, at_seconds)
    end = min(alert.since + (1 - _BEFORE_AN_ALERT) * request.window_seconds, at_seconds)
    return alert.selection, end, alert.note


def _look(
    api: PrometheusApi,
    naming: Naming,
    fleet: Fleet,
    at_seconds: float,
    window_seconds: float,
    notes: list[str],
    engine: str,
    symptom: str,
) -> list[_Looked]:
    """Read and judge each chosen replica by itself. One that cannot be read is noted, unless it is the only one."""
    looked = []
    failed: InputError | None = None
    for number, replica in enumerate(fleet.chosen or (None,)):
        own = replica.matchers if replica else ()
        try:
            pulled = pull(api, naming, own, number, at_seconds, window_seconds)
        except InputError as error:
            failed = failed or error
            notes.append(f"{replica.name if replica else 'the series'}: {error.problem}")
            continue
        if pulled.servers:
            looked.append(_Looked(replica, pulled, _judged(pulled, at_seconds, engine, symptom)))
            worst = max(looked, key=_badness)
            # Only one replica's samples are held at a time, beside the worst one's.
            looked = [one if one is worst else one._replace(pulled=Pulled()) for one in looked]
    if not looked and failed:
        raise failed
    if not looked:
        problem = f"no series match {text(naming.selection)} in this window"
        raise InputError(api.name, problem, "check --selector and --at; canonical series have the label model")
    return looked


def _judged(pulled: Pulled, at_seconds: float, engine: str, symptom: str) -> Diagnosis:
    from troubleshoot.diagnosis import diagnose
    from troubleshoot.evidence import Evidence

    pod = pod_facts(pulled.servers, at_seconds)
    return diagnose(Evidence(None, load_metrics([], (), pulled.servers), symptom, engine, pod=pod))


def _badness(looked: _Looked) -> tuple[bool, int, float]:
    """How much a replica needs looking at: its verdict, its worst finding, its distance from the others."""
    severity = max((finding.severity for finding in looked.diagnosis.findings), default=Severity.INFO)
    distance = looked.replica.distance if looked.replica else 0.0
    return looked.diagnosis.verdict == "incident", int(severity), distance


def _interval(looked: _Looked) -> float:
    """Seconds between two scrapes of the engine: the median, 15 where there is one alone."""
    most = max(looked.pulled.servers.values(), key=len)
    times = sorted({sample.timestamp or 0.0 for sample in most if sample.name == most[0].name})
    gaps = sorted(after - before for before, after in pairwise(times))
    return gaps[len(gaps) // 2] if gaps else 15.0


def _summary(fleet: Fleet, looked: Sequence[_Looked], worst: _Looked) -> FleetSummary:
    return FleetSummary(
        fleet.total,
        fleet.down,
        dict(fleet.medians),
        tuple(_replica_summary(one, one is worst) for one in looked if one.replica is not None),
    )


def _replica_summary(looked: _Looked, diagnosed: bool) -> ReplicaSummary:
    replica, found = looked.replica, looked.diagnosis
    assert replica is not None  # noqa: S101
    return ReplicaSummary(
        replica.name,
        "diagnosed" if diagnosed else _role(looked),
        found.verdict,
        found.findings[0].cause if found.findings and found.verdict == "incident" else "",
        {name: round(value, 4) for name, value in replica.measures.items()},
    )


def _role(looked: _Looked) -> Literal["down", "worst", "typical"]:
    if looked.replica is not None and looked.replica.is_down:
        return "down"
    return "worst" if looked.diagnosis.verdict == "incident" else "typical"
