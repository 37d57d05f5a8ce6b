"""What raw series mean, and which of their values Prometheus reads."""

from __future__ import annotations

import math

import pytest

from catalog.engines import ENGINES
from catalog.signals import SIGNALS
from exporter.engines.canonical import CanonicalSeries, RawSeries
from exporter.engines.values import are_numbers, is_number, written
from exporter.signal_families import signal_family

PLACE = {"node": "n1", "pod": "p"}

# Families


def test_every_signal_has_a_family_and_so_have_its_parts() -> None:
    for signal in SIGNALS.values():
        family = signal_family(signal.name)
        assert (family.name, family.help) == (signal.name, signal.meaning)
        assert family.kind == ("gauge" if signal.kind == "info" else signal.kind)
        if signal.kind == "histogram":
            for part in ("_bucket", "_sum", "_count"):
                assert signal_family(signal.name + part).name == signal.name


def test_a_family_is_one_object_so_that_sections_agree() -> None:
    assert signal_family("llm_up") is signal_family("llm_up")


@pytest.mark.parametrize("name", ["llm_made_up", "vllm:num_requests_running", "", "_sum"])
def test_a_name_outside_of_the_schema_has_none(name: str) -> None:
    with pytest.raises(KeyError):
        signal_family(name)


def test_canonical_series_are_the_translators() -> None:
    series = CanonicalSeries(ENGINES["vllm"], "0.24.0")
    (route,) = series.routes("vllm:num_requests_running", {"model_name": "m"})
    assert route.name == "llm_requests_running"
    assert series.family(route.name) is signal_family("llm_requests_running")
    assert series.routes("vllm:made_up", {}) == ()
    series.comment(b"# TYPE llm_requests_running counter")
    assert series.family(route.name).kind == "gauge"


# Raw series


def raw(*comments: bytes) -> RawSeries:
    series = RawSeries(PLACE)
    for comment in comments:
        series.comment(comment)
    return series


@pytest.mark.parametrize(
    ("name", "kind", "sample", "family"),
    [
        ("a", "gauge", "a", ("a", "gauge")),
        ("a_total", "counter", "a_total", ("a_total", "counter")),
        # Some print OpenMetrics's way, where the family has no _total.
        ("a", "counter", "a_total", ("a_total", "counter")),
        ("a", "histogram", "a_bucket", ("a", "histogram")),
        ("a", "histogram", "a_sum", ("a", "histogram")),
        ("a", "summary", "a_count", ("a", "summary")),
        ("a", "summary", "a", ("a", "summary")),
        ("a", "gauge", "a_sum", ("a_sum", "unknown")),
        ("a", "untyped", "a", ("a", "unknown")),
        ("a", "stateset", "a", ("a", "unknown")),
        ("other", "gauge", "a", ("a", "unknown")),
    ],
)
def test_a_family_is_as_the_engine_declared_it(name: str, kind: str, sample: str, family: tuple[str, str]) -> None:
    found = raw(f"# HELP {name} Of {name}.".encode(), f"# TYPE {name} {kind}".encode()).family(sample)
    assert (found.name, found.kind) == family
    assert found.help in ("", f"Of {name}.")
    assert found.help or found.kind == "unknown"


@pytest.mark.parametrize(
    "comment", [b"# just words here too", b"# TYPE a", b"#TYPE a gauge x", b"#", b"# HELP a", b"# \xff\xfe a b"]
)
def test_other_comments_say_nothing(comment: bytes) -> None:
    assert raw(comment).family("a").kind == "unknown"


def test_a_series_goes_through_as_it_is() -> None:
    (route,) = raw().routes("vllm:num_requests_running", {"model_name": "m"})
    assert (route.name, route.labels, route.is_plain) == ("vllm:num_requests_running", {"model_name": "m"}, True)
    assert raw().product(route, 5.0) == 5.0


def test_a_label_of_ours_is_kept_under_another_name() -> None:
    (route,) = raw().routes("a", {"pod": "theirs", "x": "1"})
    assert route.labels == {"exported_pod": "theirs", "x": "1"}


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("llm_up", {}),
        ("inferwatch_gpu_up", {}),
        ("DCGM_FI_DEV_GPU_UTIL", {}),
        ("a-b", {}),
        ("1a", {}),
        ("a\n", {}),
        ("a", {"b-c": "1"}),
        ("a", {"": "1"}),
        ("a", {"pod": "1", "exported_pod": "2"}),
    ],
)
def test_an_engine_does_not_speak_for_the_exporter_nor_in_names_that_prometheus_refuses(
    name: str, labels: dict[str, str]
) -> None:
    assert raw().routes(name, labels) == ()


# Values


@pytest.mark.parametrize("text", ["0", "1.0", "-3", "+4", ".5", "5.", "1e3", "1.5E-07", "-1e+300", "00012", "9" * 300])
def test_a_number_is_written_as_it_stands(text: str) -> None:
    assert written(text) == text
    assert math.isfinite(float(text))


@pytest.mark.parametrize(
    ("text", "out"),
    [
        ("NaN", "NaN"),
        ("nan", "NaN"),
        ("-nan", "NaN"),
        ("inf", "+Inf"),
        ("+Inf", "+Inf"),
        ("INFINITY", "+Inf"),
        ("-inf", "-Inf"),
        ("-Infinity", "-Inf"),
    ],
)
def test_what_is_no_number_is_written_in_one_way(text: str, out: str) -> None:
    assert written(text) == out


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "1_000",
        "0x10",
        "1e",
        "1e400",
        "-1e400",
        "1 2",
        " 1",
        "1\n",
        "--1",
        "None",
        "in",
        "\u0661",
    ],
)
def test_what_prometheus_does_not_read_is_not_written(text: str) -> None:
    assert written(text) is None


@pytest.mark.parametrize(
    ("texts", "plain"),
    [
        ([], True),
        (["0", "1.0", "1.5e-07", "123456"], True),
        (["1", "NaN"], False),
        (["1", "-1"], False),
        (["1", ""], False),
        (["1", "1_0"], False),
        (["1\n2"], True),
        (["1e-05", "1.7e+09", "12"], True),
        (["1E5"], True),
        (["1e+09e+09"], False),
        (["1e-09e+09"], False),
        (["e+09"], False),
        (["."], False),
        (["1", ".e+09"], False),
        (["1.2.3"], False),
        (["1..2"], False),
        (["1+2"], False),
        (["1e999"], False),
        (["\xb2"], False),
        (["\u0661"], False),
        (["0", "0." + "1" * 98], True),
        (["1e400"], False),
        (["9" * 400], False),
    ],
)
def test_many_values_are_plain_numbers_or_must_be_looked_at(texts: list[str], plain: bool) -> None:
    assert are_numbers(texts) == plain
    if plain and not any("\n" in text for text in texts):
        assert [written(text) for text in texts] == texts


@pytest.mark.parametrize(
    ("text", "is_one"),
    [("0.5", True), ("+Inf", True), ("-inf", True), ("Infinity", True), ("1e-3", True), ("", False)]
    + [(text, False) for text in ("nan", "NaN", "x", "1_0", "1e999", "+-1")],
)
def test_bounds(text: str, is_one: bool) -> None:
    assert is_number(text) == is_one
