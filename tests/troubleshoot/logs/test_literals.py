from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from troubleshoot.logs.literals import alternatives, compile_bytes, plain_text, required_literals
from troubleshoot.logs.signatures import SIGNATURES

FINDS = sorted({find for signature in SIGNATURES.values() for find in signature.finds})
BRANCHES = sorted({branch for find in FINDS for branch in alternatives(find)})


@pytest.mark.parametrize(
    ("expression", "literals"),
    [
        ("CUDA out of memory", {"CUDA out of memory"}),
        (r"died \(PID: \d+\) with signal", {") with signal"}),
        ("[Aa]ddress already in use", {"ddress already in use"}),
        ("exllama.{0,40}(?:disabled|not available)", {"exllama"}),
        ("(?:EngineCore|WorkerProc) failed", {"EngineCore failed", "WorkerProc failed"}),
        ("(?:illegal|misaligned) address", {"illegal address", "misaligned address"}),
        ("NCCLx? abort", {"NCCL abort", "NCCLx abort"}),
        ("(?:gibberish)*zyxwv", {"zyxwv"}),
        ("(?:gibberish)+ a", {"gibberish"}),
    ],
)
def test_the_rarest_fixed_text_is_chosen(expression: str, literals: set[str]) -> None:
    assert required_literals(expression) == literals


def test_common_words_are_not_chosen_where_there_is_something_rarer() -> None:
    assert required_literals(r"version .GLIBC\w*[\d.]+. not found") == {"GLIBC"}


@pytest.mark.parametrize("expression", [r"\d+", "ab", "a.b.c", "(?:abc)?", "[abc]{3}", "abcd|x"])
def test_without_fixed_text_is_an_error(expression: str) -> None:
    with pytest.raises(ValueError, match="no fixed text"):
        required_literals(expression)


def test_flags_inside_an_expression_are_an_error() -> None:
    with pytest.raises(ValueError, match="flags"):
        required_literals("(?i)illegal memory access")


@pytest.mark.parametrize(
    ("expression", "branches"),
    [
        ("a|b", ["a", "b"]),
        ("a(?:b|c)|d[|]|e", ["a(?:b|c)", "d[|]", "e"]),
        (r"a\|b|c", [r"a\|b", "c"]),
        (r"[(|]x|y[)]", ["[(|]x", "y[)]"]),
        (r"[^\]|]x|y", [r"[^\]|]x", "y"]),
        ("plain", ["plain"]),
    ],
)
def test_alternatives_are_the_outermost_branches(expression: str, branches: list[str]) -> None:
    assert alternatives(expression) == branches


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("NCCL WARN", "NCCL WARN"),
        (r"\(EngineCore", "(EngineCore"),
        (r"HTTP/1\.1\" 200", 'HTTP/1.1" 200'),
        (r"a\\b", r"a\b"),
        (r"\bvLLM", None),
        ("ab?", None),
        ("", None),
    ],
)
def test_a_plain_text_is_told_from_an_expression(expression: str, text: str | None) -> None:
    assert plain_text(expression) == text


def test_each_signature_has_literals_that_select() -> None:
    found = {branch: required_literals(branch) for branch in BRANCHES}
    wrong = {
        branch: literals
        for branch, literals in found.items()
        if any(len(literal) < 3 or "\n" in literal for literal in literals)
    }
    assert wrong == {}
    assert len(found) > 500


def test_a_plain_text_matches_itself() -> None:
    texts = {branch: plain_text(branch) for branch in BRANCHES}
    plain = {branch: text for branch, text in texts.items() if text is not None}
    assert [branch for branch, text in plain.items() if not re.fullmatch(branch, text)] == []
    assert {branch: required_literals(branch) for branch in plain} == {branch: {text} for branch, text in plain.items()}
    assert len(plain) > 200


@settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
@pytest.mark.parametrize("branch", [branch for branch in BRANCHES if plain_text(branch) is None])
@pytest.mark.no_cover
def test_what_an_expression_matches_holds_one_of_its_literals(branch: str, data: st.DataObject) -> None:
    text = data.draw(st.from_regex(branch, alphabet=st.characters(codec="ascii")))
    match = re.search(branch, text)
    assert match is not None
    assert any(literal in match.group() for literal in required_literals(branch))


def test_caseless_expressions_ignore_case_and_lines_are_lines() -> None:
    assert compile_bytes("^killed$", caseless=True).search(b"x\nKILLED\ny")
    assert not compile_bytes("^killed$").search(b"x\nKILLED\ny")
