"""Directly scraped engines: relabeling and these rules together give what the catalogue's translation gives."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from alerts.config import Config
from alerts.emit import rule_file
from alerts.records import direct
from alerts.rule import Record
from catalog.direct_scrape import direct_scrape, may_coincide, monitor_name
from catalog.engines import ENGINES
from catalog.exposition import Sample, parse
from catalog.signals import COMMON_LABELS, SIGNALS
from catalog.translate import Translator, combine
from exporter import direct_scrape as relabeling
from tests.alerts.promql_tree import matchers, selectors
from tests.e2e.prometheus import eventually, free_port, get, process
from tests.exporter.direct_pages import served, synthetic_page

RULES = [rule for rule in direct.group(Config()).rules if isinstance(rule, Record)]
LEFT_OUT = {(left.engine, left.signal) for left in direct.left_out()}
PLACE = {"namespace": "chat", "container": "c", "node": "n"}
Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]

OLDEST, RAY = ", oldest names", "vllm, under Ray"
PAGES = {
    **{name: (name, synthetic_page(engine, oldest=False)) for name, engine in ENGINES.items()},
    **{
        name + OLDEST: (name, synthetic_page(engine, oldest=True))
        for name, engine in ENGINES.items()
        if any(mapping.until for mapping in engine.mappings)
    },
    RAY: (
        "vllm",
        synthetic_page(ENGINES["vllm"], oldest=True).replace(b"vllm:", b"ray_vllm_").replace(b"_total{", b"{"),
    ),
}
"""Pages by pod: the engine, and all that it may show."""


# What the rules are made of


@pytest.mark.parametrize("engine", ENGINES)
def test_the_exporters_relabeling_is_what_the_rules_build_on(engine: str) -> None:
    monitor = relabeling.pod_monitor(direct_scrape(ENGINES[engine]))
    assert monitor_name(ENGINES[engine]) == monitor["metadata"]["name"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.labels['engine']}-{rule.record}")
def test_a_rule_reads_its_engines_job_and_leaves_none(rule: Record) -> None:
    for selector, _ in selectors(rule.expr):
        (job,) = (matcher.value for matcher in matchers(selector) if matcher.name == "job")
        assert job.endswith(monitor_name(ENGINES[rule.labels["engine"]]))
    assert "job" not in rule.expr.replace('job=~"(.+/)?inferwatch-direct-', "")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.labels['engine']}-{rule.record}")
def test_a_rule_records_a_canonical_series(rule: Record) -> None:
    name = rule.record
    base = next((name.removesuffix(part) for part in ("_bucket", "_sum", "_count") if name.endswith(part)), name)
    assert name in SIGNALS or SIGNALS[base].kind == "histogram"


def test_what_cannot_be_had_is_said() -> None:
    assert {(left.series, left.reason.partition(",")[0]) for left in direct.left_out()} == {
        ("vllm:cache_config_info", "its value stands in labels"),
        ("sglang:cache_config_info", "its value stands in labels"),
        ("vllm:gpu_prefix_cache_queries_total", "its unit depends on the release"),
        ("vllm:gpu_prefix_cache_hits_total", "its unit depends on the release"),
    }


@pytest.mark.parametrize("engine", ENGINES)
def test_all_the_rest_is_recorded(engine: str) -> None:
    recorded = {rule.record for rule in RULES if rule.labels["engine"] == engine}
    for left in direct_scrape(ENGINES[engine]).left_out:
        if (engine, left.mapping.signal) in LEFT_OUT:
            continue
        part = "_count" if left.mapping.kind == "histogram" else f"_{left.mapping.part}" if left.mapping.part else ""
        assert left.mapping.signal + part in recorded


# One Prometheus that scrapes them all, with the relabelings and the rules


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("prometheus is not installed: apt-get install prometheus")
    folder = tmp_path_factory.mktemp("direct")
    rules = rule_file(direct.group(Config(interval="1s")), Config().links)
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules), "utf-8")
    with ExitStack() as stack:
        ports = {pod: stack.enter_context(served(page)) for pod, (_, page) in PAGES.items()}
        configuration = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [scrape(pod, PAGES[pod][0], ports[pod]) for pod in PAGES],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration), "utf-8")
        listening = free_port()
        command = [
            binary,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{listening}",
        ]
        stack.enter_context(process(command, folder / "prometheus.log"))
        eventually(lambda: get(listening, "/-/ready")[0] == 200, "Prometheus is ready")
        eventually(lambda: len(query(listening, "count_over_time(up[1m]) > 2")) == len(PAGES), "all are scraped")
        # Several times, so that a rule that read what it wrote would show it.
        evaluated = 'count_over_time(llm_up{job=""}[1m]) > 4'
        eventually(lambda: len(query(listening, evaluated)) == len(PAGES), "the rules are evaluated several times")
        yield listening


def scrape(pod: str, engine: str, port: int) -> dict[str, Any]:
    relabelings = relabeling.relabelings(direct_scrape(ENGINES[engine]))
    return {
        "job_name": pod,
        "static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": {**PLACE, "pod": pod}}],
        "relabel_configs": [{"target_label": "job", "replacement": f"monitoring/{monitor_name(ENGINES[engine])}"}],
        "metric_relabel_configs": [rule.for_prometheus() for rule in relabelings],
    }


def query(port: int, expression: str) -> list[dict[str, Any]]:
    status, body = get(port, f"/api/v1/query?query={quote(expression)}")
    assert status == 200, body
    found: list[dict[str, Any]] = json.loads(body)["data"]["result"]
    return found


def by_translation(pod: str) -> Series:
    """What the translation gives, but for second names of amounts whose first name is there, which it merges by max."""
    name, page = PAGES[pod]
    engine = ENGINES[name]
    relabelled = direct_scrape(engine)
    shown = PAGES[name + OLDEST if pod == RAY else pod][1].decode()
    merged = [
        left.mapping
        for left in relabelled.left_out
        if SIGNALS[left.mapping.signal].kind != "gauge" or combine(left.mapping.signal) == "max"
        for first in relabelled.mappings
        if first.signal == left.mapping.signal and first.series != left.mapping.series and f"\n{first.series}" in shown
        if may_coincide(first, left.mapping) or (left.mapping.part and first.kind == "histogram")
    ]
    counted = replace(engine, mappings=tuple(mapping for mapping in engine.mappings if mapping not in merged))
    samples = Translator(counted).translate_all(parse(page).samples)
    return gathered([Sample(one.name, {**one.labels, **PLACE, "pod": pod}, one.value, None) for one in samples])


def by_prometheus(port: int, pod: str) -> Series:
    stored = query(port, f'{{__name__=~"llm_.+", pod={json.dumps(pod)}}}')
    return gathered(
        [
            Sample(metric["__name__"], canonical(metric), float(item["value"][1]), None)
            for item in stored
            for metric in [item["metric"]]
            if metric["__name__"] != "llm_up"
        ]
    )


def canonical(metric: dict[str, str]) -> dict[str, str]:
    name = metric["__name__"]
    base = next((name.removesuffix(part) for part in ("_bucket", "_sum", "_count") if name.endswith(part)), name)
    known = {*COMMON_LABELS, *(SIGNALS.get(name) or SIGNALS[base]).labels, "le"}
    return {label: value for label, value in metric.items() if label in known}


def gathered(samples: list[Sample]) -> Series:
    found: dict[tuple[str, tuple[tuple[str, str], ...]], list[float]] = {}
    for sample in samples:
        labels = {label: value for label, value in sample.labels.items() if value}
        if "le" in labels:
            labels["le"] = f"{float(labels['le']):g}"
        found.setdefault((sample.name, tuple(sorted(labels.items()))), []).append(sample.value)
    return {key: (max if combine(key[0]) == "max" else math.fsum)(values) for key, values in found.items()}


@pytest.mark.parametrize("pod", PAGES)
def test_prometheus_holds_what_the_translation_gives(port: int, pod: str) -> None:
    engine = PAGES[pod][0]
    wanted = {key: value for key, value in by_translation(pod).items() if (engine, key[0]) not in LEFT_OUT}
    stored = {key: value for key, value in by_prometheus(port, pod).items() if (engine, key[0]) not in LEFT_OUT}
    assert wanted
    assert stored.keys() == wanted.keys()
    assert stored == pytest.approx(wanted)


@pytest.mark.parametrize("pod", PAGES)
def test_an_engine_that_answers_is_up(port: int, pod: str) -> None:
    (up,) = query(port, f'llm_up{{pod={json.dumps(pod)}, engine="{PAGES[pod][0]}"}}')
    assert up["value"][1] == "1"
    assert {"namespace", "pod", "container", "node", "rank"} <= up["metric"].keys()
