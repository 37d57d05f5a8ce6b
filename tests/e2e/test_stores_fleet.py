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
from tests.e2e.stores import Line, a_while_ago, ended_at, prometheus_with, victoria_metrics_with

pytestmark = [pytest.mark.no_cover, pytest.mark.timeout(300)]

STORES = {"prometheus": prometheus_with, "victoria-metrics": victoria_metrics_with}
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


@pytest.mark.parametrize("store", STORES)
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
