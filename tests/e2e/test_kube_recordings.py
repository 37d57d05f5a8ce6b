"""Every bundled recording, served as a pod by the API server's stub, gets the verdict that its files get."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from recordings.reader import Recording, bundled, load, read_log
from recordings.replay import ManualClock, ReplayServer
from tests.e2e.kube_api_stub import Metrics, StubCluster, StubPod, kube_api
from tests.e2e.kube_objects import node, pod
from troubleshoot.collect import Request, collect
from troubleshoot.collect_kube import KubeRequest, collect_kube
from troubleshoot.diagnosis import diagnose
from troubleshoot.findings import Diagnosis
from troubleshoot.replicas import diagnose_replicas
from troubleshoot.sources.endpoint import Clock
from troubleshoot.sources.kube.replica import How
from troubleshoot.sources.kube.target import parse_target

pytestmark = [pytest.mark.no_cover, pytest.mark.timeout(240)]


@cache
def from_files(name: str) -> Diagnosis:
    recording = load(name)
    collected = collect(Request([str(recording.log_path)], [str(recording.metrics_path)]))
    assert collected.evidence is not None
    return diagnose(collected.evidence, collected.inputs)


def played(recording: Recording, clock: ManualClock) -> Metrics:
    """What the engine's port serves, at the clock's time; nothing listens where the engine never did."""
    server = ReplayServer(recording, start="ready", clock=clock)

    def scrape() -> tuple[int, str]:
        found = server.current_scrape()
        return (200, found.exposition.decode()) if found and found.up else (503, "")

    return scrape


def from_pod(name: str, folder: Path) -> Diagnosis:
    recording, clock = load(name), ManualClock()
    stub = StubPod(pod(args=()), logs={"vllm": read_log(recording)})
    started = recording.ready_unix_seconds is not None
    if started:
        stub.ports["8000"] = played(recording, clock)
    with kube_api(StubCluster(nodes={"gpu-1": node()})) as cluster:
        cluster.add(stub)
        served = recording.ended_unix_seconds - (recording.ready_unix_seconds or recording.started_unix_seconds)
        watching = Clock(lambda: recording.started_unix_seconds + clock(), clock, clock.advance)
        how = How(max(served, 2.0), interval_seconds=2.0, clock=watching)
        kubeconfig = str(cluster.kubeconfig(folder / "config"))
        found = collect_kube(KubeRequest(parse_target("llm/vllm-0"), kubeconfig, how), lambda *_: None)
    assert [problem for problem in found.problems if started or "8000" not in problem] == []
    return diagnose_replicas(found.replicas)


@pytest.mark.parametrize("name", bundled())
def test_the_verdict_of_a_pod_is_that_of_its_files(name: str, tmp_path: Path) -> None:
    files, found = from_files(name), from_pod(name, tmp_path)

    assert [finding.cause for finding in found.findings[:1]] == [finding.cause for finding in files.findings[:1]]
    assert found.verdict == files.verdict
    assert (found.engine.name, found.engine.version) == (files.engine.name, files.engine.version)
