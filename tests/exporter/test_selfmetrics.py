"""What the exporter says of itself, against the catalogue."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from catalog.exporter_signals import EXPORTER_SIGNALS, PROCESS_SIGNALS, ExporterSignal
from exporter.exposition import render
from exporter.selfmetrics import SelfMetrics

P = "inferwatch_exporter_"
ALL: tuple[ExporterSignal, ...] = (*EXPORTER_SIGNALS.values(), *PROCESS_SIGNALS)
Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def filled() -> SelfMetrics:
    """Every series once, its labels named after themselves."""
    metrics = SelfMetrics("1.2.3")
    for signal in EXPORTER_SIGNALS.values():
        labels = {label: f"a {label}" for label in signal.labels}
        (metrics.add if signal.kind == "counter" else metrics.set)(signal.name, 2, **labels)
    return metrics


def families(metrics: SelfMetrics, *, openmetrics: bool) -> list[Metric]:
    text = render([metrics.section()], openmetrics=openmetrics).decode()
    read: Iterable[Metric] = read_openmetrics(text + "# EOF\n") if openmetrics else read_text(text)  # type: ignore[no-untyped-call]
    return list(read)


def series(metrics: SelfMetrics) -> Series:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families(metrics, openmetrics=False)
        for sample in family.samples
    }


def value(metrics: SelfMetrics, name: str, **labels: str) -> float | None:
    return series(metrics).get((name, tuple(sorted(labels.items()))))


@pytest.mark.parametrize("openmetrics", [False, True])
def test_kinds_labels_and_help_are_the_catalogues(openmetrics: bool) -> None:
    found = {
        sample.name: (family, sample)
        for family in families(filled(), openmetrics=openmetrics)
        for sample in family.samples
    }
    assert set(found) == {signal.name for signal in ALL}
    for signal in ALL:
        family, sample = found[signal.name]
        assert family.type == signal.kind, signal.name
        assert family.documentation == signal.meaning
        assert set(sample.labels) == set(signal.labels), signal.name


def test_counters_without_labels_are_there_from_the_start_with_0() -> None:
    """So that the first increase is one that a rate sees."""
    metrics = SelfMetrics("1.2.3")
    wanted = {signal.name for signal in EXPORTER_SIGNALS.values() if signal.kind == "counter" and not signal.labels}
    assert wanted
    assert {name: value(metrics, name) for name in wanted} == dict.fromkeys(wanted, 0.0)
    assert value(metrics, f"{P}build_info", version="1.2.3") == 1.0


def test_gauges_are_not_there_before_they_are_known() -> None:
    names = {name for name, _ in series(SelfMetrics("1"))}
    assert names & {f"{P}gpus_expected", f"{P}gpus_visible", f"{P}config_last_reload_successful"} == set()


def test_a_gauge_is_what_was_set_last_and_a_counter_the_sum_of_what_was_added() -> None:
    metrics = SelfMetrics("1")
    counted = []
    for amount in (1.0, 0.25, 0.0, 3.0):
        metrics.add(f"{P}collection_cpu_seconds_total", amount)
        metrics.set(f"{P}gpus_visible", amount)
        counted.append(value(metrics, f"{P}collection_cpu_seconds_total"))
    assert counted == [1.0, 1.25, 1.25, 4.25]
    assert value(metrics, f"{P}gpus_visible") == 3.0


def test_each_set_of_labels_counts_for_itself() -> None:
    metrics = SelfMetrics("1")
    for source, reason in (("gpu", "hanging"), ("pods", "timeout"), ("gpu", "hanging")):
        metrics.add(f"{P}source_errors_total", source=source, reason=reason)
    assert value(metrics, f"{P}source_errors_total", source="gpu", reason="hanging") == 2
    assert value(metrics, f"{P}source_errors_total", reason="timeout", source="pods") == 1


def test_labels_come_from_outside_and_are_escaped() -> None:
    metrics = SelfMetrics("1")
    strange = 'a"b\\c\nd{}'
    metrics.set(f"{P}engine_scrape_duration_seconds", 1, namespace=strange, pod="p", container="")
    assert value(metrics, f"{P}engine_scrape_duration_seconds", namespace=strange, pod="p", container="") == 1


def test_what_is_gone_is_forgotten_under_every_reason_and_nothing_else_is() -> None:
    metrics = SelfMetrics("1")
    name = f"{P}engine_scrape_errors_total"
    for pod in ("gone", "stays"):
        for reason in ("timeout", "refused"):
            metrics.add(name, 5, namespace="n", pod=pod, container="c", reason=reason)
    metrics.forget(name, namespace="n", pod="gone", container="c")
    left = [dict(labels) for found, labels in series(metrics) if found == name]
    assert {labels["pod"] for labels in left} == {"stays"}
    assert len(left) == 2
    metrics.forget(name, namespace="n", pod="never there", container="c")
    metrics.add(name, 1, namespace="n", pod="gone", container="c", reason="timeout")
    assert value(metrics, name, namespace="n", pod="gone", container="c", reason="timeout") == 1


def test_a_label_is_matched_by_its_name_not_by_its_value() -> None:
    metrics = SelfMetrics("1")
    name = f"{P}source_errors_total"
    metrics.add(name, source="timeout", reason="gpu")
    metrics.add(name, source="gpu", reason="timeout")
    metrics.forget(name, source="gpu")
    assert value(metrics, name, source="timeout", reason="gpu") == 1
    assert value(metrics, name, source="gpu", reason="timeout") is None


@pytest.mark.parametrize(
    "labels", [{}, {"source": "gpu"}, {"source": "gpu", "kind": "x"}, {"source": "gpu", "reason": "x", "more": "y"}]
)
def test_wrong_labels_are_a_defect_that_shows(labels: dict[str, str]) -> None:
    metrics = SelfMetrics("1")
    with pytest.raises(KeyError):
        metrics.add(f"{P}source_errors_total", 1, **labels)
    assert f"{P}source_errors_total" not in {name for name, _ in series(metrics)}


def test_a_name_that_is_not_in_the_catalogue_is_a_defect_that_shows() -> None:
    metrics = SelfMetrics("1")
    with pytest.raises(KeyError):
        metrics.set("inferwatch_exporter_made_up", 1)
    with pytest.raises(KeyError):
        metrics.add("inferwatch_exporter_made_up_total")


def test_what_is_said_of_the_process_is_plausible() -> None:
    before = time.time()
    metrics = SelfMetrics("1")
    first, second = series(metrics), series(metrics)
    started = first[f"{P}process_start_time_seconds", ()]
    assert before <= started <= time.time()
    assert second[f"{P}process_start_time_seconds", ()] == started
    assert 5 << 20 < first[f"{P}process_resident_memory_bytes", ()] < 1 << 40
    cpu = f"{P}process_cpu_seconds_total"
    assert 0 < first[cpu, ()] <= second[cpu, ()] <= sum(os.times()[:2]) + 0.02


def test_open_descriptors_are_counted() -> None:
    metrics = SelfMetrics("1")
    before = value(metrics, f"{P}process_open_fds")
    reader, writer = os.pipe()
    try:
        after = value(metrics, f"{P}process_open_fds")
    finally:
        os.close(reader)
        os.close(writer)
    assert before is not None
    assert after == before + 2
