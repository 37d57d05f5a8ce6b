"""A real Prometheus and a real VictoriaMetrics give the verdict of the metrics' files, for every recording."""

from __future__ import annotations

from functools import cache
from itertools import chain
from pathlib import Path

import pytest

from recordings.reader import bundled, load
from tests.e2e.canonical_recordings import canonical
from tests.e2e.stores import a_while_ago, all_recordings, prometheus_with, victoria_metrics_with
from troubleshoot.collect import Request, collect
from troubleshoot.diagnosis import diagnose
from troubleshoot.findings import Diagnosis
from troubleshoot.sources.prometheus.selector import parse
from troubleshoot.stores import StoreRequest

pytestmark = [pytest.mark.no_cover, pytest.mark.timeout(300)]

STORES = {"prometheus": prometheus_with, "victoria-metrics": victoria_metrics_with}
WINDOW_SECONDS = 600.0
MORE_LABELS_THAN_VICTORIA_METRICS_KEEPS = {"kv_cache_capacity_tokens"}
"""vLLM's cache_config_info has more than the 30 labels of a series that VictoriaMetrics keeps by default."""


@cache
def from_file(name: str) -> Diagnosis:
    collected = collect(Request(metrics=[str(load(name).metrics_path)]))
    assert collected.evidence is not None
    return diagnose(collected.evidence, collected.inputs)


def from_store(url: str, selector: str, end: float) -> Diagnosis:
    request = StoreRequest(url, parse(selector), at_seconds=end, window_seconds=WINDOW_SECONDS)
    collected = collect(Request(store=request))
    assert collected.evidence is not None, collected.problems
    assert collected.problems == []
    return diagnose(collected.evidence, collected.inputs)


def verdict(diagnosis: Diagnosis) -> tuple[str, list[str]]:
    return diagnosis.verdict, [finding.cause for finding in diagnosis.findings]


def measured(diagnosis: Diagnosis, names: set[str]) -> dict[str, object]:
    return {name: value for name, value in diagnosis.numbers.items() if name in names}


@pytest.mark.parametrize("store", STORES)
def test_the_engines_own_series_give_the_verdict_of_the_file(store: str, tmp_path: Path) -> None:
    end = a_while_ago()
    with STORES[store](tmp_path, all_recordings(end)) as url:
        said = {name: from_store(url, f'recording="{name}"', end) for name in bundled()}
    assert {name: verdict(one) for name, one in said.items()} == {name: verdict(from_file(name)) for name in bundled()}
    missing = MORE_LABELS_THAN_VICTORIA_METRICS_KEEPS if store == "victoria-metrics" else set()
    for name, one in said.items():
        wanted = set(from_file(name).numbers) - missing
        assert measured(one, wanted) == measured(from_file(name), wanted), name
        assert one.engine.name == from_file(name).engine.name


@pytest.mark.parametrize("store", STORES)
def test_canonical_series_give_the_verdict_of_the_file(store: str, tmp_path: Path) -> None:
    end = a_while_ago()
    lines = chain.from_iterable(canonical(name, end) for name in bundled())
    with STORES[store](tmp_path, lines) as url:
        said = {name: from_store(url, f'namespace="{name}"', end) for name in bundled()}
    first = {name: verdict(one)[1][:1] for name, one in said.items() if one.verdict == "incident"}
    assert first == {
        name: verdict(from_file(name))[1][:1] for name in bundled() if from_file(name).verdict == "incident"
    }
    assert {name: one.verdict for name, one in said.items()} == {name: from_file(name).verdict for name in bundled()}
