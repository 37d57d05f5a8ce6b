"""The exposition parser: both formats, every escape, and no input that makes it raise."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from catalog.exposition import Sample, parse

PAYLOADS = Path(__file__).resolve().parents[2] / ".." / "shared" / "payloads"


def one(line: bytes) -> Sample:
    parsed = parse(line)
    assert parsed.bad_lines == 0, parsed.first_bad_line
    (sample,) = parsed.samples
    return sample


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"up 1", Sample("up", {}, 1.0, None)),
        (b"up\t1", Sample("up", {}, 1.0, None)),
        (b'a:b_total{x="1"} 2.5', Sample("a:b_total", {"x": "1"}, 2.5, None)),
        (b'a{x="1",} 2', Sample("a", {"x": "1"}, 2.0, None)),
        (b'a{ x = "1" , y="2" } 2', Sample("a", {"x": "1", "y": "2"}, 2.0, None)),
        (b"a{} 2", Sample("a", {}, 2.0, None)),
        (b"  a 2  \r\n", Sample("a", {}, 2.0, None)),
        (b'a{le="+Inf"} +Inf', Sample("a", {"le": "+Inf"}, math.inf, None)),
        (b'{"a.b",x="1"} 3', Sample("a.b", {"x": "1"}, 3.0, None)),
    ],
)
def test_sample_lines(line: bytes, expected: Sample) -> None:
    assert one(line) == expected


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (rb"say \"hi\"", 'say "hi"'),
        (rb"C:\\dir\\n", "C:\\dir\\n"),
        (rb"two\nlines", "two\nlines"),
        (rb"odd\q", "odd\\q"),
        (b'a} b, c="d'.replace(b'"', b'\\"'), 'a} b, c="d'),
        (b"} 5", "} 5"),
        ("größe".encode(), "größe"),
        (b"\xff", "\ufffd"),
    ],
)
def test_label_values_may_hold_anything_within_quotes(raw: bytes, text: str) -> None:
    sample = one(b'm{first="1",v="' + raw + b'",last="2"} 7')
    assert sample == Sample("m", {"first": "1", "v": text, "last": "2"}, 7.0, None)


def test_timestamps_are_seconds_in_openmetrics_and_milliseconds_in_the_text_format() -> None:
    parsed = parse(b"a 1 1795289861.610\na 1 1795289861610\n")
    assert [sample.timestamp for sample in parsed.samples] == [1795289861.61, 1795289861.61]


def test_exemplars_are_dropped() -> None:
    text = (
        b'a_bucket{le="1"} 3 # {trace_id="} 9"} 0.5 1795289861.6\nb_total 4 17 # {t="x"} 0.5\nc_total 5 # {t="x"} 1\n'
    )
    parsed = parse(text)
    assert [(s.name, s.value, s.timestamp) for s in parsed.samples] == [
        ("a_bucket", 3.0, None),
        ("b_total", 4.0, 17.0),
        ("c_total", 5.0, None),
    ]
    assert parsed.bad_lines == 0


def test_creation_times_are_dropped_and_gauges_named_so_are_kept() -> None:
    parsed = parse(
        b"# TYPE a_total counter\na_total 1\n# TYPE a_created gauge\na_created 1.7e9\n"
        b"# TYPE h histogram\nh_count 1\nh_created 1.7e9\n"
        b"# TYPE kube_pod_created gauge\nkube_pod_created 1.7e9\n"
    )
    assert [sample.name for sample in parsed.samples] == ["a_total", "h_count", "kube_pod_created"]


def test_types_and_the_end_mark_are_read() -> None:
    parsed = parse(b"# HELP a what it is\n# TYPE a counter\n# UNIT a seconds\na_total 1\n# EOF\n")
    assert parsed.kinds == {"a": "counter"}
    assert parsed.openmetrics
    assert not parse(b"a 1\n").openmetrics


@pytest.mark.parametrize(
    "line",
    [
        b"...",
        b"a",
        b"a{",
        b'a{x="1" 2',
        b"a{x=1} 2",
        b"a one",
        b"a 1 2 3",
        b"a 1_0",
        b"a-1 2",
        b'{x="1"} 2',
        b'a{x="1}',
    ],
)
def test_a_bad_line_is_counted_and_the_rest_is_read(line: bytes) -> None:
    parsed = parse(b"before 1\n" + line + b"\nafter 2\n")
    assert [sample.name for sample in parsed.samples] == ["before", "after"]
    assert (parsed.bad_lines, parsed.first_bad_line) == (1, line.decode())


def test_samples_of_one_series_share_their_labels() -> None:
    parsed = parse(b'a{x="1"} 1 10\na{x="1"} 2 20\n')
    assert parsed.samples[0].labels is parsed.samples[1].labels


@given(st.binary(max_size=300))
def test_no_bytes_raise(text: bytes) -> None:
    assert parse(text).bad_lines >= 0


@given(st.dictionaries(st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True), st.text(max_size=12), max_size=4))
def test_any_label_values_that_a_client_writes_are_read_back(labels: dict[str, str]) -> None:
    registry = CollectorRegistry()
    names = [name for name in labels if not name.startswith("__")]
    gauge = Gauge("g", "help", names, registry=registry)
    clean = {name: labels[name].encode("utf-8", "replace").decode() for name in names}
    (gauge.labels(**clean) if names else gauge).set(2.5)
    assert one(generate_latest(registry)) == Sample("g", clean, 2.5, None)


def registry_with_everything() -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter("requests", "help", ["model"], registry=registry).labels('a"\\\nb').inc(3)
    Gauge("usage", "help", registry=registry).set(0.25)
    histogram = Histogram("latency_seconds", "help", ["model"], registry=registry, buckets=(0.1, 1.0))
    histogram.labels("m").observe(0.3)
    return registry


@pytest.mark.parametrize("write", [generate_latest, generate_openmetrics])
def test_what_the_client_library_writes_in_either_format(write: object) -> None:
    assert callable(write)
    parsed = parse(write(registry_with_everything()))
    read = {(s.name, s.labels.get("le", ""), s.value) for s in parsed.samples if not s.name.endswith("_sum")}
    assert read == {
        ("requests_total", "", 3.0),
        ("usage", "", 0.25),
        ("latency_seconds_bucket", "0.1", 0.0),
        ("latency_seconds_bucket", "1.0", 1.0),
        ("latency_seconds_bucket", "+Inf", 1.0),
        ("latency_seconds_count", "", 1.0),
    }
    assert parsed.bad_lines == 0


def bare(name: str) -> str:
    """Undo the `_total` that the client library's parser adds to counters which the server prints without."""
    return name.removesuffix("_total")


def test_parity_with_the_client_librarys_parser_on_real_payloads() -> None:
    if not PAYLOADS.is_dir():
        pytest.skip("../shared/payloads is not here")
    compared = 0
    for path in sorted(PAYLOADS.glob("*.prom")):
        text = path.read_bytes()
        parsed = parse(text)
        if parsed.bad_lines:
            continue
        families = text_string_to_metric_families(text.decode())
        theirs = [(bare(s.name), s.labels, float(s.value)) for family in families for s in family.samples]
        ours = [(bare(s.name), s.labels, s.value) for s in parsed.samples]
        assert sorted(ours, key=repr) == sorted(
            (sample for sample in theirs if not sample[0].endswith("_created")), key=repr
        ), path.name
        compared += 1
    assert compared > 20
