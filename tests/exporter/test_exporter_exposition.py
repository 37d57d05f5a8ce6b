"""Sections become one exposition in either format."""

from __future__ import annotations

import math

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from exporter.exposition import Family, label_text, number_text, render, series_head

UP = Family("llm_up", "gauge", "Whether it answers.")
TOKENS = Family("llm_generation_tokens_total", "counter", 'Tokens "made"\nby \\ it.')
ENERGY = Family("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "counter", "Energy.")
TTFT = Family("ttft_seconds", "histogram", "Time.")


def test_lines_of_one_family_stand_together_whoever_they_come_from() -> None:
    sections = [{UP: b'llm_up{pod="a"} 1\n', TOKENS: b"llm_generation_tokens_total 5\n"}, {UP: b'llm_up{pod="b"} 0\n'}]
    (up, tokens) = read_text(render(sections, openmetrics=False).decode())
    assert [(sample.labels["pod"], sample.value) for sample in up.samples] == [("a", 1.0), ("b", 0.0)]
    assert (tokens.type, tokens.documentation) == ("counter", 'Tokens "made"\nby \\ it.')


def test_two_declarations_of_one_name_become_the_first() -> None:
    other = Family("llm_up", "counter", "Another.")
    text = render([{UP: b'llm_up{a="1"} 1\n'}, {other: b'llm_up{a="2"} 1\n'}], openmetrics=False)
    assert text.count(b"# TYPE") == 1
    assert b"# TYPE llm_up gauge\n" in text


def test_openmetrics_types_what_it_has_a_type_for() -> None:
    section = {
        TOKENS: b"llm_generation_tokens_total 5\n",
        ENERGY: b"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION 7\n",
        TTFT: b'ttft_seconds_bucket{le="+Inf"} 2\nttft_seconds_sum 1.5\nttft_seconds_count 2\n',
    }
    text = render([section], openmetrics=True).decode() + "# EOF\n"
    families = {family.name: family for family in read_openmetrics(text)}  # type: ignore[no-untyped-call]
    assert {name: family.type for name, family in families.items()} == {
        "llm_generation_tokens": "counter",
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": "unknown",
        "ttft_seconds": "histogram",
    }
    assert families["llm_generation_tokens"].documentation == TOKENS.help


def test_a_family_without_lines_is_not_declared() -> None:
    assert render([{UP: b""}, {}], openmetrics=False) == b""


def test_labels_are_escaped() -> None:
    text = series_head("a", {"b": 'x"y\\z\n', "c": ""}) + " 1\n"
    ((sample,),) = [family.samples for family in read_text(text)]
    assert sample.labels == {"b": 'x"y\\z\n', "c": ""}
    assert series_head("a", {}) == "a"
    assert label_text({}) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1"), (0.1, "0.1"), (-3.0, "-3"), (1e15, "1000000000000000.0"), (math.inf, "+Inf"), (-math.inf, "-Inf")],
)
def test_numbers(value: float, text: str) -> None:
    assert number_text(value) == text
    assert float(text) == value


def test_no_number() -> None:
    assert number_text(math.nan) == "NaN"


def test_a_stray_part_of_a_histogram_stands_under_it() -> None:
    """Two engines that are passed through, of which one does not declare its histogram."""
    other = {
        Family("ttft_seconds_sum", "unknown", ""): b'ttft_seconds_sum{pod="b"} 3\n',
        Family("ttft_seconds_count", "unknown", ""): b'ttft_seconds_count{pod="b"} 4\n',
        Family("ttft_seconds_bucket", "unknown", ""): b'ttft_seconds_bucket{pod="b"} 4\n',
    }
    declared = {TTFT: b'ttft_seconds_bucket{le="+Inf"} 2\nttft_seconds_sum 1.5\nttft_seconds_count 2\n'}
    for sections in ([declared, other], [other, declared]):
        (family,) = read_text(render(sections, openmetrics=False).decode())
        assert family.type == "histogram"
        assert sorted(sample.value for sample in family.samples) == [1.5, 2.0, 2.0, 3.0, 4.0]
