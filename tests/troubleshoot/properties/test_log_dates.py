"""The date of a log or of metrics does not matter."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest

from tests.troubleshoot.properties.failures import (
    FAILURES,
    SMALL,
    Judge,
    log_of,
    metrics_of,
)

# Not traced for coverage, which would triple the time of much work over lines that the tests of causes cover.
pytestmark = pytest.mark.no_cover


_STAMPS = (
    (re.compile(rb"(?<=[A-Z] )\d\d-\d\d \d\d:\d\d:\d\d"), "%m-%d %H:%M:%S"),  # vLLM
    (re.compile(rb"(?<=\"asctime\": \")\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "%Y-%m-%d %H:%M:%S"),  # in JSON
    (re.compile(rb"(?m)(?<=^[IWE])\d{4} \d\d:\d\d:\d\d"), "%m%d %H:%M:%S"),  # Triton
)


def shifted_log(log: bytes, by: timedelta) -> bytes:
    """The log as it would be had it been written later."""
    for expression, form in _STAMPS:

        def later(match: re.Match[bytes], form: str = form) -> bytes:
            year = "" if "%Y" in form else "2026 "
            moment = datetime.strptime(year + match.group().decode(), ("%Y " if year else "") + form)
            return (moment + by).strftime(form).encode()

        log = expression.sub(later, log)
    return log


_SAMPLE_TIME = re.compile(rb"(?m)(?<= )(\d{10}(?:\.\d+)?)$")


def shifted_metrics(metrics: bytes, by: timedelta) -> bytes:
    """The scrapes as they would be had they been taken later."""
    seconds = by.total_seconds()
    return _SAMPLE_TIME.sub(lambda match: b"%.3f" % (float(match.group(1)) + seconds), metrics)


OFFSETS = {
    "a second": timedelta(seconds=1),
    "over midnight": timedelta(hours=4, minutes=15, seconds=25),
    "over the new year": timedelta(days=40, hours=4, minutes=15, seconds=25),
    "months back": timedelta(days=-200),
    "years on": timedelta(days=800),
}


@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("name", [*(name for name in SMALL if not name.startswith("llamacpp")), *FAILURES])
def test_the_date_of_a_log_does_not_matter(judge: Judge, name: str, offset: str) -> None:
    assert judge(shifted_log(log_of(name), OFFSETS[offset])) == judge(log_of(name))


def test_a_log_is_really_shifted() -> None:
    log = b"(APIServer pid=1) INFO 12-31 23:59:58 [a.py:1] x\nI1231 23:59:59.5 7 b.cc:2] y\n"
    assert shifted_log(log, timedelta(seconds=3)) == (
        b"(APIServer pid=1) INFO 01-01 00:00:01 [a.py:1] x\nI0101 00:00:02.5 7 b.cc:2] y\n"
    )


@pytest.mark.parametrize("name", ["kv_preemption", "stuck_engine", "ttft_queue_burst", "healthy_steady"])
@pytest.mark.parametrize("minutes", [*range(258, 262), 57_858, 57_860])
def test_midnight_and_new_year_within_a_log_do_not_matter(judge: Judge, name: str, minutes: int) -> None:
    """Some of these offsets put the turn of the day, or of the year, between two lines of the busy time."""
    assert judge(shifted_log(log_of(name), timedelta(minutes=minutes))) == judge(log_of(name))


@pytest.mark.parametrize("offset", ["over midnight", "over the new year", "months back", "years on"])
@pytest.mark.parametrize("name", ["kv_preemption", "stuck_engine", "llamacpp_busy", "triton_queue_reject"])
def test_the_date_of_metrics_does_not_matter(judge: Judge, name: str, offset: str) -> None:
    metrics = metrics_of(name)
    later = shifted_metrics(metrics, OFFSETS[offset])
    assert later != metrics
    assert judge(None, later) == judge(None, metrics)
