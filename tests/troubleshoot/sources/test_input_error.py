from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troubleshoot.sources.errors import SHOWN_NAME_CHARACTERS, InputError, visible


def test_it_names_the_input_the_problem_and_the_advice_in_one_line() -> None:
    error = InputError("engine.log", "is empty", "give another")
    assert str(error) == "engine.log: is empty; give another"
    assert (error.name, error.problem, error.advice) == ("engine.log", "is empty", "give another")


def test_without_advice_it_ends_with_the_problem() -> None:
    assert str(InputError("x", "is empty")) == "x: is empty"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", "a\\nb"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\u202eb", "a\\u202eb"),
        ("bad\udcff.log", "bad\\udcff.log"),
        ("Café 日本.log", "Café 日本.log"),
    ],
)
def test_what_a_terminal_would_act_on_is_made_visible(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert str(InputError(text, "is empty")) == f"{shown}: is empty"


def test_a_long_name_is_cut_only_where_it_is_printed() -> None:
    error = InputError("a" * 5000 + "z", "is empty")
    assert len(str(error)) < SHOWN_NAME_CHARACTERS + 20
    assert str(error).endswith("az: is empty")
    assert len(error.name) == 5001


@given(st.text(), st.text(), st.text())
def test_it_is_always_one_printable_line(name: str, problem: str, advice: str) -> None:
    assert str(InputError(name, problem, advice)).isprintable()
