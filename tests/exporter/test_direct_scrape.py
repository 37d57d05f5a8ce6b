"""What a real Prometheus makes of engines by the generated relabelings is what the catalogue's translation gives."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from catalog.engines import ENGINES
from catalog.exposition import Sample, parse
from catalog.translate import Translator, combine
from exporter.direct_scrape import DirectScrape, direct_scrape, pod_monitor, relabelings
from recordings.reader import load
from recordings.replay import ManualClock, ReplayServer
from tests.e2e.prometheus import eventually, free_port, get, process
from tests.exporter.direct_pages import served, synthetic_page

RECORDED = {"kv_preemption": "vllm", "cpu_healthy": "vllm", "llamacpp_busy": "llamacpp", "triton_healthy": "triton"}
OLDEST = ", oldest names"
RAY = "vllm under Ray"
# Every series of each engine as it is, and where names changed also as they were at first.
MADE = {
    **{engine: engine for engine in ENGINES},
    **{engine + OLDEST: engine for engine in ENGINES if any(m.until for m in ENGINES[engine].mappings)},
    RAY: "vllm",
}
JOBS = [*RECORDED, *MADE]
# Labels that Prometheus adds itself.
ADDED = {"job", "instance"}
Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


# One Prometheus that scrapes them all


class Scraped:
    """What each page said, and what Prometheus holds of it by job."""

    def __init__(self, pages: dict[str, tuple[str, bytes]], port: int) -> None:
        self.pages = pages
        self._port = port

    def stored(self, job: str) -> list[tuple[dict[str, str], float]]:
        return [(item["metric"], float(item["value"][1])) for item in self.query(f'{{job="{job}"}}')]

    def query(self, expression: str) -> list[dict[str, Any]]:
        status, body = get(self._port, f"/api/v1/query?query={quote(expression)}")
        assert status == 200, body
        found: list[dict[str, Any]] = json.loads(body)["data"]["result"]
        return found


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("prometheus is not installed: apt-get install prometheus")
    folder = tmp_path_factory.mktemp("direct")
    clock = ManualClock()
    with ExitStack() as stack:
        pages: dict[str, tuple[str, bytes]] = {}
        ports: dict[str, int] = {}
        for name in RECORDED:
            replay = stack.enter_context(ReplayServer(load(name), start="ready", clock=clock))
            ports[name] = int(replay.url.rsplit(":", 1)[1].partition("/")[0])
        clock.advance(20)
        for name, engine in RECORDED.items():
            pages[name] = (engine, get(ports[name], "/metrics")[1])
        for job, engine in MADE.items():
            page = synthetic_page(ENGINES[engine], oldest=job.endswith(OLDEST))
            if job == RAY:
                page = page.replace(b"vllm:", b"ray_vllm_").replace(b"_total{", b"{")
            pages[job] = (engine, page)
            ports[job] = stack.enter_context(served(page))
        configuration = folder / "prometheus.yml"
        configuration.write_text(
            yaml.safe_dump({"global": {"scrape_interval": "1s"}, "scrape_configs": jobs(pages, ports)})
        )
        port = free_port()
        command = [
            binary,
            f"--config.file={configuration}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        stack.enter_context(process(command, folder / "prometheus.log"))
        eventually(lambda: get(port, "/-/ready")[0] == 200, "Prometheus is ready")
        found = Scraped(pages, port)
        twice = "up == 1 and count_over_time(up[1m]) > 1"
        eventually(lambda: len(found.query(twice)) == len(pages), "every page is scraped twice")
        yield found


def jobs(pages: dict[str, tuple[str, bytes]], ports: dict[str, int]) -> list[dict[str, Any]]:
    return [
        {
            "job_name": job,
            "metrics_path": "/metrics",
            "static_configs": [{"targets": [f"127.0.0.1:{ports[job]}"]}],
            "metric_relabel_configs": [rule.for_prometheus() for rule in relabelings(direct_scrape(ENGINES[engine]))],
        }
        for job, (engine, _) in pages.items()
    ]


# What must hold


def by_translation(direct: DirectScrape, page: bytes) -> Series:
    """The canonical series of the mappings that relabeling claims to carry out, by the catalogue's own translation."""
    engine = replace(direct.engine, mappings=direct.mappings)
    return gathered(Translator(engine).translate_all(parse(page).samples))


def by_prometheus(stored: list[tuple[dict[str, str], float]], known: Callable[[str, str], bool]) -> Series:
    """Prometheus's canonical series; labels beyond the schema taken away, by the schema's own rule for that."""
    samples = [
        Sample(
            metric["__name__"],
            {label: value for label, value in metric.items() if known(metric["__name__"], label)},
            value,
            None,
        )
        for metric, value in stored
        if metric["__name__"].startswith("llm_")
    ]
    return gathered(samples)


def gathered(samples: list[Sample]) -> Series:
    found: dict[tuple[str, tuple[tuple[str, str], ...]], list[float]] = {}
    for sample in samples:
        labels = tuple(sorted((label, value) for label, value in sample.labels.items() if value))
        found.setdefault((sample.name, labels), []).append(sample.value)
    return {key: (max if combine(key[0]) == "max" else math.fsum)(values) for key, values in found.items()}


@pytest.mark.parametrize("job", JOBS)
def test_prometheus_holds_what_the_translation_gives(scraped: Scraped, job: str) -> None:
    engine, page = scraped.pages[job]
    direct = direct_scrape(ENGINES[engine])
    wanted = by_translation(direct, page)
    labels = {(name, label) for name, pairs in wanted for label, _ in pairs}
    stored = by_prometheus(scraped.stored(job), lambda name, label: (name, label) in labels)
    assert wanted
    assert stored.keys() == wanted.keys()
    assert stored == pytest.approx(wanted)


@pytest.mark.parametrize("job", JOBS)
def test_no_series_is_lost(scraped: Scraped, job: str) -> None:
    engine, page = scraped.pages[job]
    stored = scraped.stored(job)
    own = [metric for metric, _ in stored if not metric["__name__"].startswith(("up", "scrape_"))]
    assert len(own) == len({(sample.name, tuple(sample.labels.items())) for sample in parse(page).samples})
    renamed = {sample.name for sample in parse(page).samples} - {metric["__name__"] for metric in own}
    mapped = {
        mapping.series + part
        for mapping in direct_scrape(ENGINES[engine]).mappings
        for part in (("_bucket", "_sum", "_count") if mapping.kind == "histogram" else ("",))
    }
    assert {name.replace("ray_vllm_", "vllm:") for name in renamed} <= mapped | {
        name.removesuffix("_total") for name in mapped if job == RAY
    }


@pytest.mark.parametrize("job", MADE)
def test_raw_series_that_stay_keep_their_labels(scraped: Scraped, job: str) -> None:
    _, page = scraped.pages[job]
    given = {
        (sample.name, frozenset((label, value) for label, value in sample.labels.items() if value))
        for sample in parse(page).samples
    }
    kept = [
        (metric["__name__"], frozenset((k, v) for k, v in metric.items() if k not in {*ADDED, "__name__"}))
        for metric, _ in scraped.stored(job)
        if not metric["__name__"].startswith(("llm_", "up", "scrape_"))
    ]
    assert [series for series in kept if series not in given] == []


# What is left out, and why


@pytest.mark.parametrize("engine", ENGINES)
def test_every_mapping_is_carried_out_or_named_with_a_reason(engine: str) -> None:
    direct = direct_scrape(ENGINES[engine])
    assert len(direct.mappings) + len(direct.left_out) == len(ENGINES[engine].mappings)
    assert all(left.reason for left in direct.left_out)


def reasons(engine: str) -> dict[tuple[str, str], str]:
    return {(left.mapping.series, left.mapping.signal): left.reason for left in direct_scrape(ENGINES[engine]).left_out}


def test_what_changes_its_unit_is_left_out() -> None:
    scaled = {mapping.series for mapping in ENGINES["triton"].mappings if mapping.scale != 1.0}
    assert scaled
    left = {series for (series, _), reason in reasons("triton").items() if "unit changes" in reason}
    assert left == scaled


def test_a_product_is_left_out() -> None:
    assert sum("product" in reason for reason in reasons("tensorrt_llm").values()) == 2


def test_a_value_in_labels_is_left_out() -> None:
    assert "stands in labels" in " ".join(reasons("vllm").values())


def test_of_two_names_that_may_stand_side_by_side_the_newer_is_taken() -> None:
    usage = [mapping for mapping in ENGINES["vllm"].mappings if mapping.signal == "llm_kv_cache_usage_ratio"]
    assert len(usage) == 2
    assert usage[0] in direct_scrape(ENGINES["vllm"]).mappings
    assert usage[0].series in reasons("vllm")[usage[1].series, usage[1].signal]


def test_names_that_never_stand_side_by_side_are_both_taken() -> None:
    queue = [mapping for mapping in ENGINES["sglang"].mappings if mapping.signal == "llm_request_queue_seconds"]
    assert len(queue) == 2
    assert [mapping for mapping in direct_scrape(ENGINES["sglang"]).mappings if mapping in queue] == queue


# The PodMonitor


@pytest.mark.parametrize("engine", ENGINES)
def test_the_pod_monitor_scrapes_where_the_engine_serves(engine: str) -> None:
    direct = direct_scrape(ENGINES[engine])
    spec = pod_monitor(direct)["spec"]
    assert spec["selector"] == {"matchLabels": {"inferwatch.dev/direct-scrape": engine}}
    (endpoint,) = spec["podMetricsEndpoints"]
    assert endpoint["path"] == ENGINES[engine].metrics_path
    assert endpoint["relabelings"][0]["regex"].split("|") == [str(port) for port in ENGINES[engine].ports]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_pod_monitor_has_the_rules_that_prometheus_was_given(engine: str) -> None:
    direct = direct_scrape(ENGINES[engine])
    (endpoint,) = pod_monitor(direct)["spec"]["podMetricsEndpoints"]
    names = {"sourceLabels": "source_labels", "targetLabel": "target_label"}
    rules = [{names.get(key, key): value for key, value in rule.items()} for rule in endpoint["metricRelabelings"]]
    assert rules == [rule.for_prometheus() for rule in relabelings(direct)]
    assert all(rule.replacement for rule in relabelings(direct))


def test_the_model_comes_from_the_most_trusted_label() -> None:
    """An engine whose label for it is neither of the two usual ones."""
    engine = replace(ENGINES["vllm"], model_label="served")
    targets = [(rule.source_labels[-1], rule.target_label) for rule in relabelings(direct_scrape(engine))]
    assert targets.index(("model_name", "model")) < targets.index(("served", "model"))
    assert ("served", "served") in targets


def test_a_prometheus_that_reads_the_monitors_is_configured_without_a_complaint(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    pages = {engine: (engine, b"") for engine in ENGINES}
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml.safe_dump({"scrape_configs": jobs(pages, dict.fromkeys(ENGINES, 9))}))
    with process([promtool, "check", "config", str(file)], tmp_path / "log") as started:
        assert started.wait(20) == 0, (tmp_path / "log").read_text()
