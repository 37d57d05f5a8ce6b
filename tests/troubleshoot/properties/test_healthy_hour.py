"""A healthy hour before does not hide the failure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recordings.reader import Recording, bundled, load, scrapes
from tests.troubleshoot.properties.failures import (
    FAILURES,
    OM_LINE,
    Judge,
    diagnosis_of,
    log_of,
    metrics_of,
)

# Not traced for coverage, which would triple the time of much work over lines that the tests of causes cover.
pytestmark = pytest.mark.no_cover


def healthy_hour() -> bytes:
    """What a healthy engine prints in an hour, up to a minute before the recordings and failures begin."""
    begin = datetime(2026, 11, 21, 18, 20, tzinfo=UTC)
    lines: list[str] = []
    for number in range(360):
        clock = (begin + timedelta(seconds=10 * number)).strftime("%m-%d %H:%M:%S")
        lines.append(
            f"(APIServer pid=10) INFO {clock} [loggers.py:273] Engine 000: Avg prompt throughput: 310.5 tokens/s, "
            f"Avg generation throughput: {900 + number % 40}.0 tokens/s, Running: {4 + number % 3} reqs, "
            "Waiting: 0 reqs, GPU KV cache usage: 6.1%, Prefix cache hit rate: 0.0%"
        )
        lines += ['(APIServer pid=10) INFO:     10.0.0.9:40000 - "POST /v1/completions HTTP/1.1" 200 OK'] * 3
    return "\n".join(lines).encode() + b"\n"


VLLM_INCIDENTS = [name for name in bundled() if load(name).engine == "vllm" and load(name).cause != "healthy"]


@pytest.mark.parametrize("name", [*VLLM_INCIDENTS, *FAILURES])
def test_a_healthy_hour_in_the_log_before_does_not_hide_the_failure(judge: Judge, name: str) -> None:
    assert judge(healthy_hour() + log_of(name)) == judge(log_of(name))


def _model_in(recording: Recording, text: bytes) -> bytes:
    return text.replace(b'model_name="llama-2-7b"', b'model_name="%s"' % recording.model.encode())


def with_healthy_hour(recording: Recording) -> bytes:
    """The recording's scrapes after an hour of those of the healthy one, in the same process: its counters go on."""
    counters = {
        line.split()[2].removesuffix(b"_total")
        for line in metrics_of("healthy_steady").split(b"\n")
        if line.startswith(b"# TYPE ") and line.endswith((b" counter", b" histogram"))
    }

    def is_counter(series: bytes) -> bool:
        name = series.partition(b"{")[0]
        return any(name.removesuffix(part) in counters for part in (b"_total", b"_bucket", b"_sum", b"_count"))

    ups = [scrape for scrape in scrapes(load("healthy_steady")) if scrape.up]
    first, last = (dict(_values(_model_in(recording, scrape.exposition))) for scrape in (ups[2], ups[-3]))
    span = ups[-3].time_seconds - ups[2].time_seconds
    begin = min(scrape.time_seconds for scrape in scrapes(recording) if scrape.up) - 3630
    hour: list[bytes] = []
    gained: dict[bytes, float] = {}
    for number in range(61):
        for series, value in last.items():
            if is_counter(series):
                gained[series] = (value - first.get(series, value)) * number * 60 / span
            hour.append(b"%s %r %.3f" % (series, gained.get(series, value), begin + number * 60))
    after = []
    for line in metrics_of(recording.name).split(b"\n"):
        match = OM_LINE.match(line)
        bare = _bare(match["series"]) if match else b""
        if match and bare in gained:
            after.append(b"%s %r %s" % (match["series"], float(match["value"]) + gained[bare], match["time"]))
        else:
            after.append(line)
    labelled = [_with_job(line) for line in hour]
    return b"\n".join([*labelled, *after])


def _values(exposition: bytes) -> Iterator[tuple[bytes, float]]:
    for line in exposition.split(b"\n"):
        if line and not line.startswith(b"#"):
            series, _, value = line.rpartition(b" ")
            yield series, float(value)


_JOB = re.compile(rb'job="[^"]*",instance="[^"]*",?')


def _bare(series: bytes) -> bytes:
    """A series of a recording as the engine itself names it."""
    return _JOB.sub(b"", series).replace(b"{}", b"")


def _with_job(sample: bytes) -> bytes:
    name, brace, labels = sample.partition(b"{")
    job = b'job="vllm",instance="127.0.0.1:8000"'
    if not brace:
        series, value, time = sample.rsplit(b" ", 2)
        return b"%s{%s} %s %s" % (series, job, value, time)
    return b"%s{%s,%s" % (name, job, labels)


@pytest.mark.parametrize("name", ["kv_preemption", "ttft_queue_burst", "stuck_engine", "ttft_long_prefill"])
def test_a_healthy_hour_of_metrics_before_does_not_hide_the_failure(folder: Path, judge: Judge, name: str) -> None:
    longer = with_healthy_hour(load(name))
    hour = longer.removesuffix(metrics_of(name))[: longer.index(metrics_of(name)[:40])]
    assert diagnosis_of(folder, None, hour).verdict == "healthy"
    assert judge(None, longer) == judge(None, metrics_of(name))
