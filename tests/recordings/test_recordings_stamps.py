from __future__ import annotations

from datetime import UTC, datetime

import pytest

from recordings.stamps import time_lines

STARTED = datetime(2026, 11, 21, 19, 38, 25, 250_000, tzinfo=UTC).timestamp()


def offsets(*lines: bytes, started: float = STARTED) -> list[float]:
    return [round(offset, 3) for offset, _ in time_lines(lines, started)]


@pytest.mark.parametrize(
    ("line", "offset"),
    [
        (b"(APIServer pid=2041) INFO 11-21 19:38:41 [api_utils.py:339] x\n", 15.75),
        (b"WARNING 11-21 19:38:41 [api_utils.py:339] x\n", 15.75),
        (b"I1121 19:38:41.315862 27528 server.cc:241] x\n", 16.066),
        (b"[W1121 19:38:41.160050244 socket.cpp:207] x\n", 15.91),
        (b'{"asctime": "2026-11-21 19:38:41,773", "levelname": "INFO"}\n', 16.523),
        (b'{"levelname": "INFO", "asctime": "2026-11-21 19:38:41,773"}\n', 16.523),
        (b"1.39.147.899 I slot release: x\n", 99.148),
    ],
)
def test_each_engines_stamp_is_read(line: bytes, offset: float) -> None:
    assert offsets(line) == [offset]


@pytest.mark.parametrize("stamp", [b"11-21 19:38:41", b"11-22 01:08:41", b"11-21 11:38:41", b"11-22 01:23:41"])
def test_any_zone_of_whole_quarter_hours_is_found(stamp: bytes) -> None:
    assert offsets(b"INFO " + stamp + b" [a.py:1] x\n") == [15.75]


def test_the_zone_is_taken_once_so_a_long_silence_stays_long() -> None:
    assert offsets(b"INFO 11-21 20:38:41 [a.py:1] x\n", b"INFO 11-21 22:38:41 [a.py:1] x\n") == [
        15.75,
        7215.75,
    ]


def test_lines_without_a_stamp_come_with_the_line_before() -> None:
    lines = (
        b"Triton is disabled\n",
        b"INFO 11-21 19:38:41 [a.py:1] x\n",
        b'INFO:     "GET /metrics" 200\n',
        b"\n",
    )
    assert offsets(*lines) == [0.0, 15.75, 15.75, 15.75]


def test_a_stamp_that_goes_back_does_not_turn_the_clock_back() -> None:
    assert offsets(b"INFO 11-21 19:38:43 [a.py:1] x\n", b"INFO 11-21 19:38:41 [a.py:1] x\n") == [17.75, 17.75]


def test_a_stamp_before_the_start_is_the_start() -> None:
    """A whole-second stamp loses up to a second."""
    assert offsets(b"INFO 11-21 19:38:25 [a.py:1] x\n") == [0.0]


def test_a_run_over_new_year_stays_in_order() -> None:
    started = datetime(2026, 12, 31, 23, 59, 50, tzinfo=UTC).timestamp()
    lines = (b"INFO 12-31 23:59:55 [a.py:1] x\n", b"INFO 01-01 00:00:05 [a.py:1] x\n")
    assert offsets(*lines, started=started) == [5.0, 15.0]


def test_the_leap_day_has_a_stamp() -> None:
    started = datetime(2028, 2, 29, 12, 0, 0, tzinfo=UTC).timestamp()
    assert offsets(b"INFO 02-29 12:00:05 [a.py:1] x\n", started=started) == [5.0]


def test_digits_that_name_no_date_are_no_stamp() -> None:
    assert offsets(b"INFO 13-45 19:38:41 [a.py:1] x\n") == [0.0]
