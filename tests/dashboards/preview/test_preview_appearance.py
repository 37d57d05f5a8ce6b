"""Names, colours and words of values."""

from __future__ import annotations

from math import nan

import pytest

from charts.blocks import Threshold
from dashboards.preview.appearance import css_colour, legend, lines, mapped, state_colour
from dashboards.preview.board_json import field_of
from tests.dashboards.preview.boards import panel, steps

WORDS = [
    {"type": "value", "options": {"0": {"text": "down", "color": "red"}, "1": {"text": "up"}}},
    {"type": "range", "options": {"from": 10, "to": 20, "result": {"text": "many"}}},
    {"type": "special", "options": {"match": "null+nan", "result": {"text": "unknown"}}},
]


@pytest.mark.parametrize(
    ("template", "labels", "expected"),
    [
        ("p95 {{model}}", {"model": "llama"}, "p95 llama"),
        ("{{cluster}} {{ model }}", {"model": "llama"}, "llama"),
        ("", {"__name__": "llm_up", "pod": "a"}, 'llm_up{pod="a"}'),
        ("__auto", {"pod": "b", "engine": "vllm"}, '{engine="vllm", pod="b"}'),
        ("", {"__name__": "llm_up"}, "llm_up"),
        ("{{missing}}", {}, "value"),
        ("{{a}}", {"a": "{{b}}", "b": "no"}, "{{b}}"),
    ],
)
def test_a_legend_is_filled_in_once(template: str, labels: dict[str, str], expected: str) -> None:
    assert legend(template, labels) == expected


@pytest.mark.parametrize(
    ("value", "colour"), [(0.5, "#009E73"), (0.8, "#E69F00"), (0.99, "#D55E00"), (None, ""), (nan, "")]
)
def test_a_value_has_the_colour_of_the_threshold_it_reached(value: float | None, colour: str) -> None:
    field = field_of(panel("stat", {"thresholds": steps((None, "green"), (0.8, "orange"), (0.95, "red"))}), "")
    assert state_colour(field, value) == colour


def test_thresholds_in_percent_lie_between_the_fields_bounds() -> None:
    thresholds = {**steps((None, "green"), (50, "red")), "mode": "percentage"}
    field = field_of(panel("gauge", {"min": 10, "max": 20, "thresholds": thresholds}), "")
    assert [state_colour(field, value) for value in (14.9, 15.0)] == ["#009E73", "#D55E00"]


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ({"mode": "fixed", "fixedColor": "#123456"}, "#123456"),
        ({"mode": "palette-classic"}, ""),
        ({"mode": "thresholds"}, "#009E73"),
    ],
)
def test_a_field_that_chose_its_colour_keeps_it(colour: dict[str, str], expected: str) -> None:
    field = field_of(panel("stat", {"color": colour, "thresholds": steps((None, "green"))}), "")
    assert state_colour(field, 1.0) == expected


@pytest.mark.parametrize(
    ("value", "words"), [(0.0, "down"), (1.0, "up"), (2.0, ""), (15.0, "many"), (None, "unknown"), (nan, "unknown")]
)
def test_words_stand_for_values(value: float | None, words: str) -> None:
    field = field_of(panel("stat", {"mappings": WORDS}), "")
    assert mapped(field, value) == words


def test_a_words_colour_goes_before_the_threshold() -> None:
    field = field_of(panel("stat", {"mappings": WORDS, "thresholds": steps((None, "green"))}), "")
    assert [state_colour(field, value) for value in (0.0, 1.0)] == ["#D55E00", "#009E73"]


@pytest.mark.parametrize(("style", "expected"), [("line", (Threshold(0.5, "#D55E00"),)), ("off", ()), ("", ())])
def test_thresholds_are_lines_where_the_panel_draws_them(style: str, expected: tuple[Threshold, ...]) -> None:
    defaults = {"thresholds": steps((None, "green"), (0.5, "red")), "custom": {"thresholdsStyle": {"mode": style}}}
    assert lines(field_of(panel("timeseries", defaults), "")) == expected


@pytest.mark.parametrize(
    ("name", "colour"),
    [
        ("semi-dark-red", "#D55E00"),
        ("super-light-blue", "#0072B2"),
        ("#0072B2", "#0072B2"),
        ("text", ""),
        ("rgb(1, 2, 3)", "rgb(1, 2, 3)"),
    ],
)
def test_grafanas_names_of_colours_are_the_safe_ones(name: str, colour: str) -> None:
    assert css_colour(name) == colour
