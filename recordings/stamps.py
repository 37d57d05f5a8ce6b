"""When each line of an engine's log was written, in seconds since the engine's start.

Wall-clock stamps carry neither zone nor, mostly, year; both follow from the start, which is known in unix
time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

# vLLM: `(APIServer pid=2041) INFO 11-21 19:38:41 [api_utils.py:339] ...`, whole seconds.
_VLLM = re.compile(rb"(?:\([^)]{1,80}\) )?[A-Z]{4,8} (\d\d)-(\d\d) (\d\d):(\d\d):(\d\d) \[")
# glog (Triton; behind a `[` PyTorch's lines in vLLM's log): `I1121 20:50:22.315862 27528 server.cc:241] ...`.
_GLOG = re.compile(rb"\[?[IWEF](\d\d)(\d\d) (\d\d):(\d\d):(\d\d\.\d+) ")
# vLLM with --logging-config.formatter json: `{"asctime": "2026-11-21 21:04:02,773", ...}`.
_JSON = re.compile(rb'\{.*?"asctime": ?"(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d),(\d{3})"')
# llama.cpp: `0.39.147.899 I slot ...`: minutes, seconds, milliseconds, microseconds since the start.
_LLAMACPP = re.compile(rb"(\d+)\.(\d\d)\.(\d{3})\.(\d{3}) [A-Z] ")

_ZONE_STEP_SECONDS = 900


def time_lines(lines: Iterable[bytes], started_unix_seconds: float) -> list[tuple[float, bytes]]:
    """Pair every line with its offset from the start, in seconds; the offsets never fall.

    A line without a stamp takes the offset of the line before it (0 for the first ones). Zones are whole
    quarter hours, so the zone is right as long as the first stamp comes within 7.5 minutes after the start.
    """
    timed = []
    offset = 0.0
    zone_seconds: float | None = None
    for line in lines:
        uptime = _uptime(line)
        if uptime is not None:
            offset = max(offset, uptime)
        else:
            wall = _wall_clock(line, started_unix_seconds)
            if wall is not None:
                if zone_seconds is None:
                    steps = round((wall - started_unix_seconds) / _ZONE_STEP_SECONDS)
                    zone_seconds = steps * _ZONE_STEP_SECONDS
                offset = max(offset, wall - zone_seconds - started_unix_seconds)
        timed.append((offset, line))
    return timed


def _uptime(line: bytes) -> float | None:
    match = _LLAMACPP.match(line)
    if match is None:
        return None
    minutes, seconds, milliseconds, microseconds = map(int, match.groups())
    return minutes * 60 + seconds + milliseconds / 1e3 + microseconds / 1e6


def _wall_clock(line: bytes, started_unix_seconds: float) -> float | None:
    """The line's stamp read as if it were UTC, in unix seconds; None where there is none."""
    if match := _JSON.match(line):
        year, month, day, hour, minute, second, millisecond = map(int, match.groups())
        return _unix_seconds((year, month, day), hour * 3600 + minute * 60 + second + millisecond / 1e3)
    match = _VLLM.match(line) or _GLOG.match(line)
    if match is None:
        return None
    month, day, hour, minute = map(int, match.groups()[:4])
    second_of_day = hour * 3600 + minute * 60 + float(match[5])
    year = datetime.fromtimestamp(started_unix_seconds, UTC).year
    readings = (_unix_seconds((candidate, month, day), second_of_day) for candidate in (year - 1, year, year + 1))
    return min(
        (reading for reading in readings if reading is not None),
        key=lambda reading: abs(reading - started_unix_seconds),
        default=None,
    )


def _unix_seconds(date: tuple[int, int, int], second_of_day: float) -> float | None:
    try:
        return datetime(*date, tzinfo=UTC).timestamp() + second_of_day
    except ValueError:  # digits in a stamp's place that name no date, or 29 February of another year
        return None
