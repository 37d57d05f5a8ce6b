"""What carries a log does not change the diagnosis."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recordings.reader import bundled, load
from recordings.reader import log_lines as timed_lines
from tests.troubleshoot.properties.failures import (
    FAILURES,
    SMALL,
    STEADY,
    Judge,
    diagnosis_of,
    log_of,
)

# Not traced for coverage, which would triple the time of much work over lines that the tests of causes cover.
pytestmark = pytest.mark.no_cover


Wrap = Callable[[bytes, str], bytes]
"""A line and the time at which it was written (ISO, in UTC, to nanoseconds) -> the line as the carrier gives it."""


def _docker(line: bytes, time: str) -> bytes:
    return json.dumps({"log": line.decode("utf-8", "replace") + "\n", "stream": "stderr", "time": time}).encode()


def _journald(line: bytes, time: str) -> bytes:
    moment = datetime.fromisoformat(time[:19] + "+00:00")
    return moment.strftime("%b %d %H:%M:%S gpu-node-01 vllm[1234]: ").encode() + line


def _journald_json(line: bytes, time: str) -> bytes:
    microseconds = round(datetime.fromisoformat(time[:19] + "+00:00").timestamp() * 1e6)
    return json.dumps(
        {
            "__REALTIME_TIMESTAMP": str(microseconds),
            "_HOSTNAME": "gpu-node-01",
            "SYSLOG_IDENTIFIER": "vllm",
            "PRIORITY": "6",
            "MESSAGE": line.decode("utf-8", "replace"),
        }
    ).encode()


_LEVELS = re.compile(rb"\b(INFO|WARNING|ERROR)\b")
_PROCESS = re.compile(rb"^(\([A-Za-z]\w* pid=\d+\)) ?")


def _coloured(line: bytes, _time: str) -> bytes:
    line = _LEVELS.sub(lambda level: b"\x1b[32m%s\x1b[0m" % level[1], line)
    return _PROCESS.sub(lambda process: b"\x1b[1;36m%s\x1b[0;0m " % process[1], line)


WRAPPERS: Mapping[str, Wrap] = {
    "CRLF": lambda line, _: line + b"\r",
    "colours": _coloured,
    "kubectl --timestamps": lambda line, time: time.encode() + b" " + line,
    "kubectl --prefix": lambda line, _: b"[pod/vllm-0/vllm] " + line,
    "kubectl --prefix --timestamps": lambda line, time: b"[pod/vllm-0/vllm] " + time.encode() + b" " + line,
    "CRI": lambda line, time: time.encode() + b" stderr F " + line,
    "docker JSON": _docker,
    "docker compose": lambda line, _: b"vllm-1  | " + line,
    "docker compose --timestamps": lambda line, time: b"vllm-1  | " + time.encode() + b" " + line,
    "journald": _journald,
    "journald JSON": _journald_json,
    "CRLF in docker JSON": lambda line, time: _docker(line + b"\r", time),
    "colours in CRI": lambda line, time: time.encode() + b" stdout F " + _coloured(line, time),
}


def wrapped(name: str, wrap: Wrap) -> bytes:
    if name in FAILURES:
        begin = datetime(2026, 11, 21, 19, 44, tzinfo=UTC).timestamp()
        timed = [(float(number), line) for number, line in enumerate(log_of(name).splitlines(keepends=True))]
    else:
        begin = load(name).started_unix_seconds
        timed = timed_lines(load(name))
    carried = []
    for seconds, line in timed:
        moment = datetime.fromtimestamp(begin + seconds, UTC)
        carried.append(wrap(line.removesuffix(b"\n"), moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "123Z"))
    return b"\n".join(carried) + b"\n"


CARRIED = [
    *((name, carrier) for name in (*SMALL, *FAILURES) for carrier in WRAPPERS),
    *((name, carrier) for name in bundled() if name not in SMALL for carrier in ("docker JSON", "colours in CRI")),
]


@pytest.mark.parametrize(("name", "carrier"), CARRIED)
def test_what_carries_a_log_does_not_change_the_diagnosis(judge: Judge, name: str, carrier: str) -> None:
    assert judge(wrapped(name, WRAPPERS[carrier])) == judge(log_of(name))


@pytest.mark.parametrize("carrier", WRAPPERS)
@pytest.mark.parametrize("name", ["kv_preemption", "c_json_native", "oom_no_kv_blocks", "thr_preemption_thrash"])
def test_engine_and_settings_are_read_through_every_carrier(folder: Path, name: str, carrier: str) -> None:
    carried = diagnosis_of(folder, wrapped(name, WRAPPERS[carrier]))
    assert carried.engine == diagnosis_of(folder, log_of(name)).engine


@settings(STEADY, max_examples=40)
@given(
    name=st.sampled_from([*SMALL, *FAILURES]),
    carriers=st.lists(st.sampled_from([name for name in WRAPPERS if "JSON" not in name]), min_size=2, max_size=2),
)
def test_carriers_within_carriers_do_not_change_the_diagnosis(judge: Judge, name: str, carriers: list[str]) -> None:
    """`docker compose logs` piped into the journal, CRI lines shown with a prefix, ..."""

    def wrap(line: bytes, time: str) -> bytes:
        for carrier in carriers:
            line = WRAPPERS[carrier](line, time)
        return line

    assert judge(wrapped(name, wrap)) == judge(log_of(name))


@settings(STEADY, max_examples=15)
@given(prefix=st.text(string.ascii_lowercase, min_size=1, max_size=12), name=st.sampled_from([*SMALL, *FAILURES]))
def test_the_container_may_have_any_name(judge: Judge, prefix: str, name: str) -> None:
    log = b"\n".join(f"{prefix}-1  | ".encode() + line for line in log_of(name).split(b"\n"))
    assert judge(log) == judge(log_of(name))
