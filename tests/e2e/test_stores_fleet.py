"""Fleets, baselines and alerts in real stores: the right replica, since when, and what changed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.canonical_recordings import canonical
from tests.e2e.stores import Line, a_while_ago, ended_at, placed, prometheus_with, victoria_metrics_with
from troubleshoot.diagnosis import diagnose as judge
from troubleshoot.evidence import Evidence
from troubleshoot.metrics.load import load_metrics
from troubleshoot.sources.prometheus import pull
from troubleshoot.sources.prometheus.selector import parse
from troubleshoot.stores import StoreRequest, read_store

pytestmark = pytest.mark.timeout(300)

STORES = {"prometheus": prometheus_with, "victoria-metrics": victoria_metrics_with}
# What runs is the same with each; it is traced with one of them.
BOTH = ["prometheus", pytest.param("victoria-metrics", marks=pytest.mark.no_cover)]
REPLICAS = 1000
SICK = "llm-617"
MOST_BYTES_READ = 6_000_000


def run(url: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a person does."""
    command = [sys.executable, "-m", "inferwatch", "diagnose", "--prometheus", url, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def diagnose(url: str, *options: str) -> tuple[int, dict[str, Any], str]:
    """Its exit status, report and errors."""
    done = run(url, "--format", "json", *options)
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


def fleet(end: float) -> Iterator[Line]:
    """A thousand pods: the sums, counts and gauges of the healthy one, of the sick one every series."""
    healthy = [line for line in ended_at("healthy_steady", end) if not line.name.endswith("_bucket")]
    times = sorted({line.time_seconds for line in healthy if line.name == "vllm:num_requests_running"})[::6]
    thin = [line for line in healthy if line.time_seconds in times]
    for number in range(REPLICAS):
        pod = f"llm-{number}"
        if pod != SICK:
            labels = f',namespace="prod",pod="{pod}"'
            yield from (line._replace(labels=line.labels + labels) for line in thin)
    yield from ended_at("kv_preemption", end, namespace="prod", pod=SICK)


@pytest.mark.no_cover
@pytest.mark.parametrize("store", STORES)
def test_one_sick_replica_of_a_thousand_is_named(store: str, tmp_path: Path) -> None:
    end = a_while_ago()
    with STORES[store](tmp_path, fleet(end)) as url:
        status, report, errors = diagnose(url, "--selector", 'namespace="prod"', "--at", str(end), "--window", "10m")
    assert (status, errors) == (1, "")
    assert report["findings"][0]["cause"] == "thr_preemption_thrash"
    assert report["fleet"]["total"] == REPLICAS
    roles = {one["name"]: (one["role"], one["verdict"]) for one in report["fleet"]["replicas"]}
    assert roles.pop(f"prod/{SICK}") == ("diagnosed", "incident")
    assert set(roles.values()) == {("typical", "healthy")}
    assert len(roles) <= 3
    assert f"{REPLICAS} replicas, of which prod/{SICK} is diagnosed" in report["inputs"][0]["note"]
    assert report["inputs"][0]["size_bytes"] < MOST_BYTES_READ
    assert report["fleet"]["medians"]["requests_waiting"] == 0


@pytest.mark.parametrize("store", BOTH)
def test_since_when_and_what_changed(store: str, tmp_path: Path) -> None:
    """A healthy engine, restarted under another load half a minute later; the day before it was healthy too."""
    end = a_while_ago()
    began = end - 62
    place = {"namespace": "prod", "pod": "llm-0"}
    lines = chain(
        ended_at("healthy_steady", end - 86_400, **place),
        ended_at("healthy_steady", end - 95, **place),
        ended_at("kv_preemption", end, **place),
    )
    with STORES[store](tmp_path, lines) as url:
        options = ["--selector", 'namespace="prod"', "--at", str(end), "--window", "2m"]
        status, report, errors = diagnose(url, *options)
        text = run(url, *options).stdout
    assert (status, errors) == (1, "")
    assert report["findings"][0]["cause"] == "thr_preemption_thrash"
    assert report["since"] == pytest.approx(began, abs=15)
    dated = {one["what"]: one for one in report["changes"] if one["since"] is not None}
    for what in ("requests waiting", "KV cache use", "TTFT mean", "engine restarts"):
        assert dated[what]["after"] > dated[what]["before"], what
        assert dated[what]["since"] == pytest.approx(began, abs=25), what
    times = [one["since"] for one in report["changes"] if one["since"] is not None]
    assert times == sorted(times)
    against = {one["what"]: one for one in report["changes"] if one["against"] == "1 day before"}
    assert against["TTFT mean"]["before"] < 0.1 < against["TTFT mean"]["after"]
    assert report["numbers"]["kv_cache_usage_ratio_before"] < 0.1
    assert report["numbers"]["ttft_mean_seconds_day_before"] < 0.1
    assert "since " in text and "requests waiting 0 -> " in text and "against 1 day before" in text


def test_an_alert_gives_the_time_and_the_engine(tmp_path: Path) -> None:
    """Only canonical series of the alert's namespace are looked at, around the alert's start."""
    end = a_while_ago()
    since = end - 45
    labels = 'alertname="LLMKVCacheFull",severity="page",namespace="kv_preemption",engine="vllm"'
    states = [Line("ALERTS_FOR_STATE", labels, str(since), end - 30 + step) for step in range(0, 31, 5)]
    firing = labels + ',alertstate="firing"'
    alerts = [Line("ALERTS", firing, "1", end - 30 + step) for step in range(0, 31, 5)]
    lines = chain(states, alerts, canonical("kv_preemption", end), canonical("healthy_steady", end))
    with prometheus_with(tmp_path, lines) as url:
        options = ["--at", str(end + 20), "--window", "4m"]
        status, report, errors = diagnose(url, "--alert", "LLMKVCacheFull", *options)
        assert (status, errors) == (1, "")
        assert report["findings"][0]["cause"] == "thr_preemption_thrash"
        assert report["inputs"][0]["name"].endswith('{engine="vllm",namespace="kv_preemption"}')
        status, report, errors = diagnose(url, "--alert", "LLMKVCacheFool", *options)
    assert (status, report) == (2, {})
    assert "no alert LLMKVCacheFool in the day before; there were LLMKVCacheFull" in errors
    assert errors.count("\n") == 1


def test_an_alert_of_a_ruler_without_its_state_is_dated_by_its_samples(tmp_path: Path) -> None:
    """VictoriaMetrics holds what vmalert writes: `ALERTS`, here in two runs, of which the second counts."""
    end = a_while_ago()
    firing = 'alertname="LLMKVCacheFull",alertstate="firing",namespace="kv_preemption"'
    runs = [*range(-7200, -6600, 30), *range(-60, 1, 30)]
    lines = chain((Line("ALERTS", firing, "1", end + at) for at in runs), canonical("kv_preemption", end))
    with victoria_metrics_with(tmp_path, lines) as url:
        status, report, errors = diagnose(url, "--alert", "LLMKVCacheFull", "--at", str(end), "--window", "4m")
    assert (status, errors) == (1, "")
    assert report["findings"][0]["cause"] == "thr_preemption_thrash"


def test_a_replica_that_went_away_is_named(tmp_path: Path) -> None:
    """Its series end six minutes before the others'; it is looked at first, though the others are worse off."""
    end = a_while_ago()
    gone = ended_at("kv_preemption", end - 360, namespace="prod", pod="llm-9")
    lines = [
        *gone,
        *chain.from_iterable(ended_at("healthy_steady", end, namespace="prod", pod=f"llm-{n}") for n in range(6)),
    ]
    with prometheus_with(tmp_path, lines) as url:
        status, report, errors = diagnose(url, "--selector", 'namespace="prod"', "--at", str(end), "--window", "10m")
    assert (status, errors) == (1, "")
    assert report["fleet"]["down"] == 1
    assert [one["name"] for one in report["fleet"]["replicas"] if one["role"] == "diagnosed"] == ["prod/llm-9"]


def test_nothing_that_matches_is_said(tmp_path: Path) -> None:
    end = a_while_ago()
    with prometheus_with(tmp_path, ended_at("healthy_steady", end, namespace="prod")) as url:
        status, report, errors = diagnose(url, "--selector", 'model="other"', "--at", str(end))
    assert (status, report) == (2, {})
    assert errors.count("\n") == 1
    assert 'no series match {model="other"} in this window' in errors


GPU = "DCGM_FI_"
PLACE = {"namespace": "prod", "pod": "llm-0"}


def apart(end: float, gpu_labels: dict[str, str]) -> list[Line]:
    """A recording whose engine's series bear the pod, and whose GPU's series bear other labels."""
    lines = ended_at("kv_preemption", end)
    engine = [line for line in lines if not line.name.startswith(GPU)]
    gpus = [line for line in lines if line.name.startswith(GPU)]
    other = placed(gpus, 0.0, UUID="GPU-other", exported_namespace="prod", exported_pod="llm-1")
    return [*placed(engine, 0.0, **PLACE), *placed(gpus, 0.0, **gpu_labels), *other]


@pytest.mark.parametrize(
    "gpu_labels",
    [
        {"UUID": "GPU-a", "exported_namespace": "prod", "exported_pod": "llm-0", "pod": "dcgm-exporter-7x2"},
        {"UUID": "GPU-a", "namespace": "gpu-operator", "pod": "dcgm-exporter-7x2"},
    ],
    ids=["the exporter's target has a pod too", "joined by UUID"],
)
def test_a_pods_gpus_are_found(gpu_labels: dict[str, str], tmp_path: Path) -> None:
    end = a_while_ago()
    info = 'namespace="prod",pod="llm-0",container="engine",UUID="GPU-a"'
    joined = [Line("inferwatch_pod_gpu_info", info, "1", end - at) for at in range(0, 60, 10)]
    with prometheus_with(tmp_path, [*apart(end, gpu_labels), *joined]) as url:
        status, report, errors = diagnose(url, "--selector", 'pod="llm-0"', "--at", str(end), "--window", "5m")
    assert (status, errors) == (1, "")
    assert report["hardware"] == "1 x NVIDIA H200"
    assert report["numbers"]["gpu_memory_gib"] > 100
    assert report["fleet"] is None


def test_restarts_and_why_the_container_ended(tmp_path: Path) -> None:
    end = a_while_ago()
    labels = 'namespace="prod",pod="llm-0",container="engine"'
    restarts = [
        Line("kube_pod_container_status_restarts_total", labels, str(int(at > -60)), end + at)
        for at in range(-240, 1, 15)
    ]
    why = [
        Line("kube_pod_container_status_last_terminated_reason", labels + ',reason="OOMKilled"', "1", end + at)
        for at in range(-60, 1, 15)
    ]
    limit = Line("kube_pod_container_resource_limits", labels + ',resource="memory",unit="byte"', str(64 << 30), end)
    with prometheus_with(tmp_path, [*ended_at("healthy_steady", end, **PLACE), *restarts, *why, limit]) as url:
        status, report, errors = diagnose(url, "--selector", 'pod="llm-0"', "--at", str(end), "--window", "2m")
        _, later, _ = diagnose(url, "--selector", 'pod="llm-0"', "--at", str(end), "--window", "30s")
    assert (status, errors) == (1, "")
    assert report["findings"][0]["cause"] == "oom_host_memory"
    assert "Its limit is 64 GiB." in report["findings"][0]["explanation"]
    assert "reason OOMKilled, exit code 137, restarted 1 times" in report["findings"][0]["evidence"][0]["text"]
    # A restart before the window is not what is wrong in it.
    assert later["findings"] == [] or later["findings"][0]["cause"] != "oom_host_memory"
    (found,) = [one for one in report["changes"] if one["what"].startswith("container restarts")]
    assert found["what"] == "container restarts (OOMKilled)"
    assert (found["before"], found["after"]) == (0, 1)
    assert found["since"] == pytest.approx(end - 45, abs=10)


def test_a_long_window_is_thinned_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a day of a replica's series: fewer samples, the same verdict."""
    monkeypatch.setattr(pull, "MOST_SAMPLES", 6000)
    end = a_while_ago()
    with prometheus_with(tmp_path, ended_at("kv_preemption", end, **PLACE)) as url:
        request = StoreRequest(url, parse('pod="llm-0"'), at_seconds=end, window_seconds=300.0)
        stored = read_store(request)
    assert sum(len(samples) for samples in stored.servers.values()) <= 7000
    assert "thinned to one in" in stored.note
    found = judge(Evidence(None, load_metrics([], (), stored.servers)))
    assert found.findings[0].cause == "thr_preemption_thrash"
