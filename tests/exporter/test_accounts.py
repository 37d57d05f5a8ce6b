"""What each collection gave becomes the exporter's own series."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import cast

import pytest

from exporter.accounts import Accounts
from exporter.dcgm import DcgmReader
from exporter.engines.fleet import Engine
from exporter.gpus.inventory import SourceState
from exporter.pods.problems import Problem
from exporter.pods.watch import PodView
from exporter.selfmetrics import SelfMetrics
from tests.exporter.nodes import UTIL, StubGpus, engine, gpu, reading, shown

PLACE = ("prod", "p-0", "engine")


@pytest.fixture
def metrics() -> SelfMetrics:
    return SelfMetrics("1")


@pytest.fixture
def accounts(metrics: SelfMetrics) -> Accounts:
    return Accounts(metrics)


def just_now(unix_seconds: float) -> bool:
    return time.time() - 60 < unix_seconds <= time.time()


def test_collections_are_counted_with_their_time(accounts: Accounts, metrics: SelfMetrics) -> None:
    accounts.collection(0.5, 0.002)
    accounts.collection(0.25, 0.003)
    found = shown(metrics)
    assert found["collections_total"] == {(): 2}
    assert found["collection_duration_seconds"] == {(): 0.25}
    assert found["collection_cpu_seconds_total"] == {(): pytest.approx(0.005)}


def test_a_defect_of_this_program_is_counted(accounts: Accounts, metrics: SelfMetrics) -> None:
    accounts.defect()
    assert shown(metrics)["source_errors_total"] == {("collector", "internal"): 1}


def test_whether_the_configuration_is_in_force(accounts: Accounts, metrics: SelfMetrics) -> None:
    accounts.configuration(in_force=True)
    assert shown(metrics)["config_last_reload_successful"] == {(): 1}
    accounts.configuration(in_force=False)
    assert shown(metrics)["config_last_reload_successful"] == {(): 0}


# Engines


def down(reason: str, pod: str = "p-0", *, is_fresh: bool = True) -> Engine:
    return engine(pod, reading(up=False, reason=reason, message="no"), duration_seconds=1.0, is_fresh=is_fresh)


def test_a_failed_scrape_is_counted_once_for_each_reading(accounts: Accounts, metrics: SelfMetrics) -> None:
    for is_fresh in (True, False, False, True):
        accounts.engines([down("timeout", is_fresh=is_fresh)])
    accounts.engines([down("refused")])
    assert shown(metrics)["engine_scrape_errors_total"] == {(*PLACE, "timeout"): 2, (*PLACE, "refused"): 1}


def test_what_was_left_out_is_counted_by_why(accounts: Accounts, metrics: SelfMetrics) -> None:
    given = reading(series=7, bad_lines=2, repeated_series=3, series_over_limit=0)
    for is_fresh in (True, False):
        accounts.engines([engine(given=given, is_fresh=is_fresh)])
    assert shown(metrics)["engine_dropped_total"] == {(*PLACE, "bad_line"): 2, (*PLACE, "repeated_series"): 3}
    accounts.engines([engine(given=reading(series_over_limit=5), is_fresh=True)])
    assert shown(metrics)["engine_dropped_total"][*PLACE, "series_limit"] == 5


def test_the_duration_is_each_engines_and_the_series_are_all_of_theirs(
    accounts: Accounts, metrics: SelfMetrics
) -> None:
    engines = [
        engine("a", reading(series=10), duration_seconds=0.25, is_fresh=True),
        engine("b", reading(series=5), duration_seconds=0.5, is_fresh=False),
    ]
    accounts.engines(engines)
    found = shown(metrics)
    assert found["engine_scrape_duration_seconds"] == {("prod", "a", "engine"): 0.25, ("prod", "b", "engine"): 0.5}
    assert found["series"]["engines",] == 15
    assert just_now(found["last_success_timestamp_seconds"]["engines",])
    assert "engine_scrape_errors_total" not in found


@pytest.mark.parametrize("given", [None, reading(up=None, reason="not_metrics", bad_lines=3, series=4)])
def test_what_was_never_an_engine_has_no_series(accounts: Accounts, metrics: SelfMetrics, given: object) -> None:
    accounts.engines([engine(given=given, is_fresh=True)])  # type: ignore[arg-type]
    found = shown(metrics)
    assert found["series"] == {("engines",): 0}
    assert not [name for name in found if name.startswith("engine_")]


def test_engines_that_are_gone_are_forgotten(accounts: Accounts, metrics: SelfMetrics) -> None:
    accounts.engines(
        [down("timeout", "gone"), engine("gone2", reading(bad_lines=1), is_fresh=True), down("tls", "stays")]
    )
    accounts.engines([down("tls", "stays")])
    found = shown(metrics)
    pods = {labels[1] for name, values in found.items() if name.startswith("engine_") for labels in values}
    assert pods == {"stays"}
    assert found["engine_scrape_errors_total"] == {("prod", "stays", "engine", "tls"): 2}
    accounts.engines([])
    assert not [name for name in shown(metrics) if name.startswith("engine_")]


def test_one_that_comes_back_counts_from_0(accounts: Accounts, metrics: SelfMetrics) -> None:
    for engines in ([down("timeout")], [], [down("timeout")]):
        accounts.engines(engines)
    assert shown(metrics)["engine_scrape_errors_total"] == {(*PLACE, "timeout"): 1}


# GPUs


def test_gpus_expected_and_visible(accounts: Accounts, metrics: SelfMetrics) -> None:
    gpus = StubGpus(statuses=(gpu(0), gpu(1, is_up=False), gpu(2)))
    accounts.gpus(gpus.source, {UTIL: b'a{b="1"} 1\na{b="2"} 1\n'})
    found = shown(metrics)
    assert (found["gpus_expected"], found["gpus_visible"]) == ({(): 3}, {(): 2})
    assert found["series"] == {("gpu",): 2}
    assert "last_success_timestamp_seconds" not in found, "one of them did not answer"


@pytest.mark.parametrize(
    ("state", "is_success"), [("ready", True), ("no_gpus", False), ("disabled", False), ("failed", False)]
)
def test_success_is_that_all_of_them_answered(
    accounts: Accounts, metrics: SelfMetrics, state: str, is_success: bool
) -> None:
    statuses = (gpu(0),) if state in {"ready", "failed"} else ()
    accounts.gpus(StubGpus(SourceState(state), statuses).source, {})  # type: ignore[arg-type]
    found = shown(metrics).get("last_success_timestamp_seconds", {})
    assert set(found) == ({("gpu",)} if is_success else set())
    assert all(map(just_now, found.values()))


def test_a_sources_running_counts_are_brought_over_as_they_rise(accounts: Accounts, metrics: SelfMetrics) -> None:
    gpus = StubGpus()
    seen = []
    for count in (0, 2, 2, 5):
        gpus.errors = {"hanging": count, "never": 0}
        accounts.gpus(gpus.source, {})
        seen.append(shown(metrics).get("source_errors_total", {}).get(("gpu", "hanging")))
    assert seen == [None, 2, 2, 5]
    assert ("gpu", "never") not in shown(metrics)["source_errors_total"]


def test_a_new_source_that_counts_from_0_makes_no_counter_fall(accounts: Accounts, metrics: SelfMetrics) -> None:
    for count in (5, 0, 1, 3):
        accounts.gpus(StubGpus(errors={"hanging": count}).source, {})
    assert shown(metrics)["source_errors_total"]["gpu", "hanging"] == 5 + 3


# Pods, dcgm-exporter, OTLP


def test_pods_count_their_errors_by_source_and_reason(accounts: Accounts, metrics: SelfMetrics) -> None:
    view = PodView(errors={("api_server", "timeout"): 2, ("device_ids", "unknown_shape"): 3}, updated_unix_seconds=50.0)
    accounts.pods(view)
    accounts.pods(view)
    found = shown(metrics)
    assert found["source_errors_total"] == {
        ("pods", "api_server:timeout"): 2,
        ("pods", "device_ids:unknown_shape"): 3,
    }
    assert found["last_success_timestamp_seconds"] == {("pods",): 50.0}


@pytest.mark.parametrize(
    "view",
    [PodView(), PodView(updated_unix_seconds=50.0, problems=(Problem("api_server", "timeout", "no answer"),))],
    ids=["never asked", "in trouble"],
)
def test_pods_that_are_not_known_are_no_success(accounts: Accounts, metrics: SelfMetrics, view: PodView) -> None:
    accounts.pods(view)
    assert "last_success_timestamp_seconds" not in shown(metrics)


def reader(**fields: object) -> DcgmReader:
    return cast(DcgmReader, SimpleNamespace(**{"url": "http://a", "problem": "", "errors": {}, **fields}))


def test_a_dcgm_exporter_is_counted_where_there_is_one(accounts: Accounts, metrics: SelfMetrics) -> None:
    accounts.dcgm(reader(url=""), {})
    assert "series" not in shown(metrics)
    accounts.dcgm(reader(problem="no answer", errors={"timeout": 1}), {})
    found = shown(metrics)
    assert found["series"] == {("dcgm",): 0}
    assert found["source_errors_total"] == {("dcgm", "timeout"): 1}
    assert "last_success_timestamp_seconds" not in found
    accounts.dcgm(reader(errors={"timeout": 1}), {UTIL: b"a 1\nb 2\n"})
    found = shown(metrics)
    assert found["series"] == {("dcgm",): 2}
    assert just_now(found["last_success_timestamp_seconds"]["dcgm",])


def test_pushes_that_failed_are_counted(accounts: Accounts, metrics: SelfMetrics) -> None:
    accounts.otlp({"refused": 2})
    accounts.otlp({"refused": 3})
    assert shown(metrics)["source_errors_total"] == {("otlp", "refused"): 3}
