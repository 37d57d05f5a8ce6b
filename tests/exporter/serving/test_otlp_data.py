"""From an exposition to OpenTelemetry's data: types, names, units, start times, bucket counts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    Sum,
)

from exporter.serving.otlp_data import Converter

TEXT = b"""# TYPE llm_requests_running gauge
llm_requests_running{engine="vllm",pod="a"} 3
llm_requests_running{engine="vllm",pod="b"} 0
# TYPE llm_generation_tokens_total counter
llm_generation_tokens_total{engine="vllm",pod="a"} 1200
# TYPE llm_time_to_first_token_seconds histogram
llm_time_to_first_token_seconds_bucket{pod="a",le="0.1"} 2
llm_time_to_first_token_seconds_bucket{pod="a",le="0.5"} 5
llm_time_to_first_token_seconds_bucket{pod="a",le="+Inf"} 9
llm_time_to_first_token_seconds_sum{pod="a"} 7.5
llm_time_to_first_token_seconds_count{pod="a"} 9
# TYPE DCGM_FI_DEV_GPU_TEMP gauge
DCGM_FI_DEV_GPU_TEMP{gpu="0"} 41
untyped_thing 1.5
"""


@pytest.fixture
def converter() -> Converter:
    return Converter({"service.name": "inferwatch", "host.name": "node-a"}, "1.2.3")


def metrics(data: MetricsData) -> dict[str, Metric]:
    [resource] = data.resource_metrics
    [scope] = resource.scope_metrics
    return {metric.name: metric for metric in scope.metrics}


def points(metric: Metric) -> Iterator[NumberDataPoint]:
    assert isinstance(metric.data, Sum | Gauge)
    yield from metric.data.data_points


def histogram(metric: Metric) -> HistogramDataPoint:
    assert isinstance(metric.data, Histogram)
    [point] = metric.data.data_points
    return point


def test_resource_and_scope(converter: Converter) -> None:
    [resource] = converter.convert(TEXT, 1).resource_metrics
    assert dict(resource.resource.attributes) == {"service.name": "inferwatch", "host.name": "node-a"}
    assert (resource.scope_metrics[0].scope.name, resource.scope_metrics[0].scope.version) == ("inferwatch", "1.2.3")


def test_a_gauge_is_a_gauge(converter: Converter) -> None:
    metric = metrics(converter.convert(TEXT, 7))["llm_requests_running"]
    assert isinstance(metric.data, Gauge)
    assert [(dict(point.attributes or {}), point.value, point.time_unix_nano) for point in points(metric)] == [
        ({"engine": "vllm", "pod": "a"}, 3.0, 7),
        ({"engine": "vllm", "pod": "b"}, 0.0, 7),
    ]
    assert metric.unit == "{requests}"
    assert metric.description == "Requests in the running batch."


@pytest.mark.parametrize("name", ["DCGM_FI_DEV_GPU_TEMP", "untyped_thing"])
def test_what_the_catalogue_does_not_describe_is_passed_on(converter: Converter, name: str) -> None:
    metric = metrics(converter.convert(TEXT, 7))[name]
    assert isinstance(metric.data, Gauge)
    assert (metric.unit, metric.description) == ("", "")


def test_a_counter_is_a_monotonic_cumulative_sum(converter: Converter) -> None:
    metric = metrics(converter.convert(TEXT, 7))["llm_generation_tokens_total"]
    assert isinstance(metric.data, Sum)
    assert metric.data.is_monotonic
    assert metric.data.aggregation_temporality is AggregationTemporality.CUMULATIVE
    [point] = points(metric)
    assert point.value == 1200
    assert metric.unit == "{tokens}"


def test_a_histogram_has_the_name_of_the_conventions_and_counts_of_each_bucket(converter: Converter) -> None:
    found = metrics(converter.convert(TEXT, 7))
    metric = found["gen_ai.server.time_to_first_token"]
    assert "llm_time_to_first_token_seconds" not in found
    assert metric.unit == "s"
    point = histogram(metric)
    assert (list(point.explicit_bounds), list(point.bucket_counts)) == ([0.1, 0.5], [2, 3, 4])
    assert (point.count, point.sum) == (9, 7.5)
    assert dict(point.attributes or {}) == {"pod": "a"}


@pytest.mark.parametrize(
    ("signal", "name"),
    [
        ("llm_time_per_output_token_seconds", "gen_ai.server.time_per_output_token"),
        ("llm_request_duration_seconds", "gen_ai.server.request.duration"),
        ("llm_inter_token_latency_seconds", "llm_inter_token_latency_seconds"),
    ],
)
def test_other_histograms(converter: Converter, signal: str, name: str) -> None:
    text = f'# TYPE {signal} histogram\n{signal}_bucket{{le="+Inf"}} 4\n{signal}_count 4\n'.encode()
    point = histogram(metrics(converter.convert(text, 1))[name])
    assert (point.count, list(point.bucket_counts), list(point.explicit_bounds)) == (4, [4], [])
    assert point.sum is None


def test_a_histogram_without_its_last_bucket_takes_the_count(converter: Converter) -> None:
    text = b'# TYPE h histogram\nh_bucket{le="1"} 3\nh_count 5\nh_sum 9\n'
    point = histogram(metrics(converter.convert(text, 1))["h"])
    assert (point.count, list(point.bucket_counts), list(point.explicit_bounds)) == (5, [3, 2], [1.0])


def test_a_summary_becomes_sums_and_gauges(converter: Converter) -> None:
    text = b'# TYPE s summary\ns{quantile="0.5"} 1.5\ns_sum 9\ns_count 4\n'
    found = metrics(converter.convert(text, 1))
    assert isinstance(found["s"].data, Gauge)
    assert isinstance(found["s_sum"].data, Sum)
    assert isinstance(found["s_count"].data, Sum)


@pytest.mark.parametrize(
    "text",
    [
        b'# TYPE h histogram\nh_bucket{le="1"} 5\nh_bucket{le="+Inf"} 3\nh_count 3\n',
        b'# TYPE h histogram\nh_bucket{le="1"} 5\n',
        b'# TYPE h histogram\nh_bucket{le="one"} 5\nh_bucket{le="+Inf"} 5\n',
        b"# TYPE h histogram\nh_bucket 5\nh_count 5\n",
        b'# TYPE h histogram\nh_bucket{le="1"} NaN\nh_count 5\n',
        b"# TYPE h histogram\nh_count -1\n",
        b"# TYPE c_total counter\nc_total NaN\n",
        b"# TYPE c_total counter\nc_total -1\n",
    ],
)
def test_what_is_no_counter_or_histogram_is_dropped_and_counted(converter: Converter, text: bytes) -> None:
    found = metrics(converter.convert(text + b"good 1\n", 1))
    assert set(found) == {"good"}
    assert converter.dropped == 1
    converter.convert(TEXT, 2)
    assert converter.dropped == 0


def counter_start(converter: Converter, value: int, time: int) -> int:
    text = f"# TYPE c_total counter\nc_total {value}\n".encode()
    [point] = points(metrics(converter.convert(text, time))["c_total"])
    assert point.value == value
    return point.start_time_unix_nano


def test_a_counter_begins_when_first_seen_and_anew_when_it_falls(converter: Converter) -> None:
    assert counter_start(converter, 5, 100) == 100
    assert counter_start(converter, 8, 200) == 100
    assert counter_start(converter, 8, 300) == 100
    assert counter_start(converter, 1, 400) == 300
    assert counter_start(converter, 2, 500) == 300


def test_a_histogram_begins_anew_when_its_count_falls(converter: Converter) -> None:
    starts = []
    for time, count in ((100, 5), (200, 6), (300, 1)):
        text = f'# TYPE h histogram\nh_bucket{{le="+Inf"}} {count}\n'.encode()
        starts.append(histogram(metrics(converter.convert(text, time))["h"]).start_time_unix_nano)
    assert starts == [100, 100, 200]


def test_a_series_that_went_away_is_forgotten(converter: Converter) -> None:
    assert counter_start(converter, 5, 100) == 100
    converter.convert(b"", 200)
    assert counter_start(converter, 9, 300) == 300


@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 1000)), min_size=1, max_size=8, unique_by=lambda x: x[0]))
def test_bucket_counts_always_add_up_to_the_count(buckets: list[tuple[float, int]]) -> None:
    total, lines = 0, ["# TYPE h histogram"]
    for bound, count in sorted(buckets):
        total += count
        lines.append(f'h_bucket{{le="{bound!r}"}} {total}')
    lines.append(f'h_bucket{{le="+Inf"}} {total + 1}')
    point = histogram(metrics(Converter({}, "1").convert("\n".join(lines).encode(), 1))["h"])
    assert point.count == sum(point.bucket_counts) == total + 1
    assert [*point.bucket_counts] == [*(count for _, count in sorted(buckets)), 1]
    assert len(point.bucket_counts) == len(point.explicit_bounds) + 1


@given(st.binary(max_size=300))
def test_no_exposition_raises(text: bytes) -> None:
    assert Converter({}, "1").convert(b"# TYPE h histogram\n# TYPE c_total counter\n" + text, 1).resource_metrics
