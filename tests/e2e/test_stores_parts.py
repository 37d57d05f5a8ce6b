"""What a real store has only in part, or answers only in part: the rest is used and the gap is said."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

import pytest

from tests.e2e.canonical_recordings import canonical
from tests.e2e.stores import Line, a_while_ago, ended_at, prometheus_with
from troubleshoot.collect import Request, collect
from troubleshoot.diagnosis import diagnose
from troubleshoot.findings import Diagnosis
from troubleshoot.sources.errors import InputError
from troubleshoot.sources.prometheus.api import PrometheusApi, Row
from troubleshoot.sources.prometheus.selector import parse
from troubleshoot.stores import StoreRequest

END = a_while_ago()
PROD = 'namespace="prod"'


def asked(url: str, selector: str = PROD, alert: str = "", at: float = END, window: float = 240.0) -> Diagnosis:
    selection = parse(selector) if selector else ()
    collected = collect(Request(store=StoreRequest(url, selection, alert, at, window)))
    assert collected.evidence is not None, collected.problems
    assert collected.problems == []
    return diagnose(collected.evidence, collected.inputs)


def two_pods() -> list[Line]:
    """One that thrashes, and one whose requests wait too, for a cap."""
    sick = ended_at("kv_preemption", END, namespace="prod", pod="llm-0")
    return [*sick, *ended_at("healthy_steady", END, namespace="prod", pod="llm-1")]


def failing(monkeypatch: pytest.MonkeyPatch, pattern: str) -> None:
    """From here on the store gives no answer to queries that match."""
    ask = PrometheusApi.query

    def query(self: PrometheusApi, expression: str, at_seconds: float) -> list[Row]:
        if re.search(pattern, expression):
            raise InputError(self.name, "gave no answer within 30 s", "wait longer")
        return ask(self, expression, at_seconds)

    monkeypatch.setattr(PrometheusApi, "query", query)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        (r"DCGM_FI", "without GPU and Kubernetes series: gave no answer within 30 s"),
        (r"\[480s:", "the comparison with before is not whole: gave no answer within 30 s"),
        (r'__name__=.*pod="llm-1"', "prod/llm-1: gave no answer within 30 s"),
    ],
    ids=["GPUs", "before", "another replica"],
)
def test_a_query_that_fails_leaves_the_rest(
    pattern: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with prometheus_with(tmp_path, two_pods()) as url:
        failing(monkeypatch, pattern)
        found = asked(url)
    assert found.findings[0].cause == "thr_preemption_thrash"
    assert said in found.inputs[0].note


def test_the_only_replica_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with prometheus_with(tmp_path, ended_at("kv_preemption", END, namespace="prod", pod="llm-0")) as url:
        failing(monkeypatch, r'__name__=.*pod="llm-0"')
        collected = collect(Request(store=StoreRequest(url, parse(PROD), at_seconds=END, window_seconds=240.0)))
    assert collected.evidence is None
    assert collected.problems == [f"{url}: gave no answer within 30 s; wait longer"]


def test_a_store_and_a_file_are_read_together(tmp_path: Path) -> None:
    """The file's log with the store's metrics: one engine, one diagnosis."""
    from recordings.reader import load

    recording = load("kv_preemption")
    with prometheus_with(tmp_path, ended_at("kv_preemption", END, namespace="prod", pod="llm-0")) as url:
        store = StoreRequest(url, parse(PROD), at_seconds=END, window_seconds=240.0)
        collected = collect(Request([str(recording.log_path)], store=store))
    assert collected.evidence is not None
    found = diagnose(collected.evidence, collected.inputs)
    assert found.findings[0].cause == "thr_preemption_thrash"
    assert found.engine.version == recording.engine_version
    assert {one.kind for one in found.inputs} == {"log", "metrics"}


# Alerts


def alert_states(since: float, first: float, last: float, labels: str) -> list[Line]:
    times = [first + step for step in range(0, int(last - first) + 1, 15)]
    return [Line("ALERTS_FOR_STATE", f'alertname="KVFull",{labels}', str(since), at) for at in times]


def test_several_alerts_are_one_selection_and_the_first_gives_the_time(tmp_path: Path) -> None:
    """They share namespace and engine; which of their pods is the worst is found as in any fleet."""
    states = chain(
        alert_states(END - 40, END - 30, END, 'namespace="prod",engine="vllm",pod="llm-0",severity="page"'),
        alert_states(END - 20, END - 15, END, 'namespace="prod",engine="vllm",pod="llm-1",severity="page"'),
    )
    with prometheus_with(tmp_path, [*two_pods(), *states]) as url:
        found = asked(url, "", "KVFull", END + 10)
    assert found.inputs[0].name.endswith('{engine="vllm",namespace="prod"}')
    assert "2 alerts KVFull: the first is taken for the start" in found.inputs[0].note
    assert found.findings[0].cause == "thr_preemption_thrash"


def test_an_alert_that_has_ended_is_found(tmp_path: Path) -> None:
    states = alert_states(END - 50, END - 45, END, 'namespace="prod",pod="llm-0"')
    with prometheus_with(tmp_path, [*two_pods(), *states]) as url:
        found = asked(url, "", "KVFull", END + 3000)
    assert "the alert has ended" in found.inputs[0].note
    assert found.findings[0].cause == "thr_preemption_thrash"


def test_an_alert_that_says_not_where_needs_a_selector(tmp_path: Path) -> None:
    states = alert_states(END - 50, END - 45, END, 'severity="page"')
    with prometheus_with(tmp_path, [*two_pods(), *states]) as url:
        store = StoreRequest(url, (), "KVFull", END, 240.0)
        (problem,) = collect(Request(store=store)).problems
        found = asked(url, PROD, "KVFull")
        (unknown,) = collect(Request(store=store.__class__(url, (), "Nope", END, 240.0))).problems
    assert problem.endswith("the alert KVFull has no label that says which engine it is about; give --selector too")
    assert found.findings[0].cause == "thr_preemption_thrash"
    assert unknown.endswith(
        "no alert Nope in the day before; check that the rules are evaluated here, or give --at TIME"
    )


# Canonical series


def test_a_new_version_is_a_change_and_the_newest_is_the_engines(tmp_path: Path) -> None:
    place = 'namespace="healthy_steady",pod="healthy_steady-0",engine="vllm"'
    versions = [("0.9.1", range(-235, -60, 5)), ("0.10.0", range(-60, 1, 5))]
    lines = [
        Line("llm_engine_info", f'{place},version="{version}"', "1", END + at)
        for version, times in versions
        for at in times
    ]
    with prometheus_with(tmp_path, chain(canonical("healthy_steady", END), lines)) as url:
        found = asked(url, 'namespace="healthy_steady"', window=120.0)
    (change,) = [one for one in found.changes if one.what == "version"]
    assert (change.before, change.after) == ("0.9.1", "0.10.0")
    assert change.since == pytest.approx(END - 60, abs=5)
    assert found.engine.version == "0.10.0"
    assert found.since is None  # it is healthy


def test_what_a_store_says_is_safe_to_print(tmp_path: Path) -> None:
    """A pod's name with a terminal escape and a secret in it comes out as neither."""
    from troubleshoot.report.text import render_text

    pod = "llm-\x1b[31m-hf_abcdefghijklmnopqrstuvwxyzABCDEFGH"
    with prometheus_with(tmp_path, [*two_pods(), *ended_at("kv_preemption", END, namespace="prod", pod=pod)]) as url:
        text = render_text(asked(url))
    assert "\x1b" not in text
    assert "hf_abcdefghij" not in text
