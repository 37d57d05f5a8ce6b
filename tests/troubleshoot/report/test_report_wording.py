from __future__ import annotations

import math

import pytest

from troubleshoot.report.wording import number, size, span


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.99, "0.99"),
        (10.61234, "10.61"),
        (134, "134"),
        (1234, "1234"),
        (235632, "235 632"),
        (12345.6, "12 346"),
        (math.nan, "not a number"),
        (-math.inf, "infinite"),
    ],
)
def test_numbers_read_well(value: float, words: str) -> None:
    assert number(value) == words


@pytest.mark.parametrize(("value", "words"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (14_000_000, "14 MB")])
def test_sizes_are_decimal(value: int, words: str) -> None:
    assert size(value) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(15.0, "15 s"), (3600.0, "60 min"), (12600.0, "3.5 h"), (math.inf, "unknown time")]
)
def test_spans_pick_their_unit(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_a_number_too_large_for_a_float_has_its_digits() -> None:
    assert number(10**400).replace(" ", "") == str(10**400)
