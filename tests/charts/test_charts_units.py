"""Values as people read them."""

from __future__ import annotations

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charts.units import scale_for, text


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.0123, "s", "12.3 ms"),
        (0.001, "s", "1 ms"),
        (61.0, "s", "1.02 min"),
        (250.0, "ms", "250 ms"),
        (0.000_004, "s", "4 µs"),
        (0.5578, "percentunit", "55.8 %"),
        (1.0, "percentunit", "100 %"),
        (97.25, "percent", "97.2 %"),
        (1536.0, "bytes", "1.5 KiB"),
        (141_120.0, "mbytes", "138 GiB"),
        (2.5e9, "decbytes", "2.5 GB"),
        (1234.0, "reqps", "1.23k req/s"),
        (0.25, "reqps", "0.25 req/s"),
        (3421.7, "suffix:tok/s", "3,422 tok/s"),
        (3.5, "prefix:€", "€3.5"),
        (3.5, "currency:CHF ", "CHF 3.5"),
        (346.0, "count:tok/s", "346 tok/s"),
        (34_600.0, "count:tok/s", "34.6 ktok/s"),
        (0.4871, "currencyUSD", "$0.487"),
        (-0.4871, "currencyUSD", "−$0.487"),
        (569.8, "watt", "570 W"),
        (51.0, "celsius", "51 °C"),
        (1_000_000.0, "short", "1 M"),
        (12.0, "", "12"),
        (12.0, "tokens", "12 tokens"),
        (0.0, "s", "0 s"),
        (0.0, "bytes", "0 B"),
        (1.0, "bool_yes_no", "yes"),
        (0.0, "bool", "false"),
        (0.0, "dateTimeAsIso", "1970-01-01 00:00:00 UTC"),
        (None, "s", "–"),
        (nan, "s", "–"),
        (inf, "s", "∞"),
        (-inf, "s", "−∞"),
    ],
)
def test_a_value_is_written_in_its_unit(value: float | None, unit: str, expected: str) -> None:
    assert text(value, unit) == expected


@pytest.mark.parametrize(("decimals", "expected"), [(0, "3 s"), (2, "3.14 s"), (None, "3.14 s")])
def test_decimals_are_those_that_are_asked_for(decimals: int | None, expected: str) -> None:
    assert text(3.14159, "s", decimals) == expected


@given(st.floats(allow_nan=True, allow_infinity=True), st.sampled_from(["", "s", "bytes", "short", "dateTimeAsIso"]))
def test_every_number_can_be_written(value: float, unit: str) -> None:
    written = text(value, unit)
    assert written
    assert written.isprintable()


@given(st.floats(min_value=1e-9, max_value=1e9), st.sampled_from(["s", "ms", "bytes", "decbytes", "watt", "short"]))
def test_the_scale_is_the_largest_that_leaves_a_whole(value: float, unit: str) -> None:
    scale = scale_for(unit, value)
    smallest = scale_for(unit, 1e-30)
    assert value / scale.divisor >= 1 - 1e-6 or scale == smallest
