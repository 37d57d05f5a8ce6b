"""YAML into values with lines: what kubectl would make of it, and bounds that hostile text cannot pass."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troubleshoot.sources import yaml_documents
from troubleshoot.sources.yaml_documents import Document, YamlError, documents


def only(text: str) -> Document:
    (document,) = documents(text)
    return document


def test_each_entry_and_item_has_its_line() -> None:
    document = only("# comment\na:\n  b: [1, 2]\n  c:\n  - d: 1\n  - |\n    x\n    y\n")
    assert document.line == 2
    assert document.lines[("a",)] == 2
    assert document.lines["a", "b", 1] == 3
    assert document.lines["a", "c", 0, "d"] == 5
    assert document.lines["a", "c", 1, 1] == 8  # the second line of a text in literal style


def test_documents_follow_each_other_and_empty_ones_are_left_out() -> None:
    found = list(documents("---\n# nothing\n---\na: 1\n---\nb: 2\n...\n"))
    assert [(each.value, each.line) for each in found] == [({"a": 1}, 4), ({"b": 2}, 6)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0755", 0o755),
        ("0x1f", 31),
        ("1_000", 1000),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("yes", True),
        ("off", False),
        ("~", None),
        ('"1"', "1"),
        ("64Gi", "64Gi"),
        ("2026-01-01", "2026-01-01"),
        ("!custom x", "x"),
        ("1" * 5000, float("inf")),
        ("v0.3.0", "v0.3.0"),
        ("12:30:45", "12:30:45"),
    ],
)
def test_scalars(text: str, value: object) -> None:
    found = only(f"a: {text}").value
    assert isinstance(found, dict)
    if value != float("inf"):
        assert found["a"] == value
    else:
        assert isinstance(found["a"], str)


def test_anchors_and_merges() -> None:
    document = only("base: &b {x: 1, y: 2}\nown:\n  <<: *b\n  y: 3\nlist: [*b]\n")
    assert document.value == {"base": {"x": 1, "y": 2}, "own": {"x": 1, "y": 3}, "list": [{"x": 1, "y": 2}]}


def test_json_is_read_too() -> None:
    assert only('{"a": [1, {"b": null}]}').value == {"a": [1, {"b": None}]}


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a: 1\nb: [1\nc: 2\n", 3, "expected"),
        ("a: b: c\n", 1, "not allowed"),
        ("a: &x [*x]\n", 1, "alias"),
        ("a: *nothing\n", 1, "alias"),
        ("? [1, 2]\n: 3\n", 1, "key"),
        ("\x00", 0, "control characters"),
        ("\t- a\n", 1, "token"),
    ],
)
def test_what_is_broken_names_the_line(text: str, line: int, problem: str) -> None:
    with pytest.raises(YamlError) as caught:
        list(documents(text))
    assert caught.value.line == line
    assert problem in caught.value.problem
    assert "\n" not in caught.value.problem


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


def test_aliases_that_multiply_are_refused() -> None:
    with pytest.raises(YamlError, match="aliases expand"):
        list(documents(bomb(12)))
    assert only(bomb(3))


def test_nesting_is_bounded() -> None:
    with pytest.raises(YamlError, match="levels deep"):
        list(documents("[" * 50_000))
    with pytest.raises(YamlError, match="levels deep"):
        list(documents("\n".join(" " * n + "a:" for n in range(300))))


def test_the_number_of_values_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_documents, "MAX_NODES", 100)
    with pytest.raises(YamlError, match="more than 100 values"):
        list(documents("- 1\n" * 200))


# Without controls and the line breaks of Unicode, which JSON writes as they are and YAML folds.
_TEXT = st.text(
    alphabet=st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="\ufeff"), max_size=12
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(_JSON)
def test_what_is_written_is_read(value: Any) -> None:
    text = json.dumps({"value": value}, ensure_ascii=False, indent=1)
    assert only(text).value == {"value": value}


@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%\n ?,<~0x", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = list(documents(text))
    except YamlError as error:
        assert error.problem
    else:
        assert all(document.line >= 1 for document in found)
