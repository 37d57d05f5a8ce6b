"""Label matchers: read as PromQL writes them, written so that nothing breaks a query, translated for an engine."""

from __future__ import annotations

import promql_parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.engines import ENGINES
from troubleshoot.sources.prometheus.selector import (
    Matcher,
    any_of,
    equal_to,
    for_engine,
    of_place,
    parse,
    quoted,
    text,
)


@pytest.mark.parametrize(
    ("given_text", "found"),
    [
        ('model="x"', [("model", "=", "x")]),
        ('{model="x"}', [("model", "=", "x")]),
        ("model='x'", [("model", "=", "x")]),
        (' namespace =~ "a|b" , pod != "c" ,', [("namespace", "=~", "a|b"), ("pod", "!=", "c")]),
        (r'model="a\"b\\c"', [("model", "=", 'a"b\\c')]),
        ('model="a,b}"', [("model", "=", "a,b}")]),
        ('pod!~"x.*"', [("pod", "!~", "x.*")]),
    ],
)
def test_selectors_are_read(given_text: str, found: list[tuple[str, str, str]]) -> None:
    assert list(parse(given_text)) == [Matcher(*one) for one in found]


@pytest.mark.parametrize("wrong", ["", "{}", "model", "model=x", 'model="x', 'model=="x"', 'a="b" or c="d"', '1a="b"'])
def test_what_is_no_selector_is_said(wrong: str) -> None:
    with pytest.raises(ValueError, match="write"):
        parse(wrong)


@given(st.text(max_size=40))
def test_any_value_makes_a_query_that_prometheus_reads_and_means_it(value: str) -> None:
    query = text(equal_to({"model": value}), "llm_up")
    parsed = promql_parser.parse(query)
    assert isinstance(parsed, promql_parser.VectorSelector)
    assert [(one.name, one.value) for one in parsed.matchers.matchers] == [("model", value)]


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\n"), max_size=30))
def test_what_is_written_is_read_again(value: str) -> None:
    if value.isprintable():
        assert parse(f"model={quoted(value)}") == (Matcher("model", "=", value),)


def test_names_are_joined() -> None:
    assert text((any_of(["b:x", "a"]), Matcher("pod", "=", "p"))) == '{__name__=~"a|b:x",pod="p"}'


def test_an_engines_own_series_bear_its_labels() -> None:
    selection = parse('model="x",engine="vllm",rank="0",namespace="n"')
    assert for_engine(selection, ENGINES["vllm"]) == parse('model_name="x",namespace="n"')
    assert for_engine(selection, ENGINES["sglang"]) is None
    # llama.cpp has no label for its model: it serves one.
    assert for_engine(parse('model="x",pod="p"'), ENGINES["llamacpp"]) == parse('pod="p"')


@pytest.mark.parametrize(
    ("selector", "holds"),
    [('engine="vllm"', True), ('engine!="vllm"', False), ('engine=~"v.*|tgi"', True), ('engine!~"v.*"', False)],
)
def test_an_engine_is_chosen_by_any_operator(selector: str, holds: bool) -> None:
    assert (for_engine(parse(selector), ENGINES["vllm"]) is not None) == holds


def test_a_pattern_that_python_cannot_read_is_left_to_the_store() -> None:
    assert Matcher("engine", "=~", "(?P<").holds("vllm")


def test_a_places_matchers_speak_of_no_model() -> None:
    assert of_place(parse('model="x",model_name="y",engine="vllm",job="j"')) == parse('job="j"')
