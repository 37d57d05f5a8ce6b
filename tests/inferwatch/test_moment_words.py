"""Moments as a person on call writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from inferwatch.commands.moments import unix_seconds

NOW = datetime(2026, 11, 22, 2, 30, 0, tzinfo=timezone(timedelta(hours=1)))
MIDNIGHT = datetime(2026, 11, 22, tzinfo=NOW.tzinfo).timestamp()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("02:15", MIDNIGHT + 2 * 3600 + 900),
        ("02:15:30", MIDNIGHT + 2 * 3600 + 930),
        ("23:50", MIDNIGHT - 600),
        ("02:30", NOW.timestamp()),
        ("-20m", NOW.timestamp() - 1200),
        ("-90", NOW.timestamp() - 90),
        ("2026-11-22T02:15:00+01:00", MIDNIGHT + 2 * 3600 + 900),
        ("2026-11-22T01:15Z", MIDNIGHT + 2 * 3600 + 900),
        ("2026-11-22 02:15", MIDNIGHT + 2 * 3600 + 900),
        ("1795293850", 1795293850.0),
        ("1795293850.5", 1795293850.5),
        (" 02:15 ", MIDNIGHT + 2 * 3600 + 900),
    ],
)
def test_moments_are_read(text: str, seconds: float) -> None:
    assert unix_seconds(text, NOW) == seconds


@pytest.mark.parametrize(
    "text", ["", "now", "25:00", "12", "-x", "-", "nan", "inf", "2026-13-01T00:00", "1e400", "-1000d"]
)
def test_what_is_no_moment_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="is no time; write 02:15"):
        unix_seconds(text, NOW)


@pytest.mark.parametrize("text", ["2026-11-22T02:45+01:00", "1995293850", "9999-12-31T23:59Z"])
def test_what_is_still_to_come_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="still to come"):
        unix_seconds(text, NOW)


def test_the_zone_of_a_moment_counts() -> None:
    assert unix_seconds("01:15", NOW.astimezone(UTC)) == unix_seconds("02:15", NOW)
