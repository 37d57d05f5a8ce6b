"""Moments and lengths of time as a person gives them."""

from __future__ import annotations

import pytest

from dashboards.preview.times import moment_of, seconds_of

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("90s", 90), ("30m", 1800), ("1h30m", 5400), ("7d", 604_800), ("2w", 1_209_600), ("1.5h", 5400)],
)
def test_a_length_is_read(written: str, seconds: float) -> None:
    assert seconds_of(written) == seconds


@pytest.mark.parametrize("written", ["", "1", "h", "1y", "-1h", "1h ", "0s", "5ms", "9999w", "1h-1m", "٣h"])
def test_a_wrong_length_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"is no length of time|is not between a second and a year"):
        seconds_of(written)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("now", NOW),
        ("now-2h", NOW - 7200),
        ("1700000000", 1.7e9),
        ("1700000000.5", 1.7e9 + 0.5),
        ("2023-11-14T22:13:20Z", 1.7e9),
        ("2023-11-14 22:13:20", 1.7e9),
        ("2023-11-15T00:13:20+02:00", 1.7e9),
        ("2023-11-14", 1_699_920_000),
    ],
)
def test_a_moment_is_read(written: str, seconds: float) -> None:
    assert moment_of(written, NOW) == seconds


@pytest.mark.parametrize(
    "written", ["", "then", "now-", "now+1h", "now-1y", "1700000000000", "2023-13-01", "-5", "inf"]
)
def test_a_wrong_moment_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"is no moment|is no length of time"):
        moment_of(written, NOW)
