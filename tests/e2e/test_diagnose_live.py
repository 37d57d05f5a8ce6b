"""`inferwatch diagnose --metrics URL` against a real HTTP server that plays a recording back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from inferwatch import cli
from recordings.reader import load
from recordings.replay import ManualClock, ReplayServer
from troubleshoot.sources import endpoint


class Case(NamedTuple):
    """A recording, the moment to look at it (recorded seconds since the engine's start), and for how long."""

    recording: str
    from_seconds: float
    window_seconds: int


# Each is looked at in the middle of its trouble; the healthy one while it serves.
CASES = (
    Case("kv_preemption", 80, 30),
    Case("ttft_queue_burst", 95, 30),
    Case("stuck_engine", 60, 20),
    Case("healthy_steady", 75, 30),
    Case("llamacpp_busy", 10, 14),
    Case("triton_queue_reject", 8, 18),
)


RealClock = endpoint.Clock
Run = Callable[..., dict[str, object]]


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def time_flies(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """One clock for the server and for who watches it: waiting moves it and takes no time."""
    clock = ManualClock()
    begin = 1_795_000_000.0
    watcher = RealClock(unix=lambda: begin + clock(), monotonic=clock, sleep=clock.advance)
    monkeypatch.setattr(endpoint, "Clock", lambda: watcher)
    return clock


@pytest.fixture
def diagnose(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process; gives its JSON report with the exit status as "status"."""

    def run(*arguments: str | Path) -> dict[str, object]:
        monkeypatch.setattr(sys, "argv", ["inferwatch", "diagnose", *map(str, arguments), "--format", "json"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        output, errors = capsys.readouterr()
        assert errors == ""
        report: dict[str, object] = json.loads(output)
        return {**report, "status": ended.value.code}

    return run


def alarms(report: dict[str, object]) -> list[str]:
    """The causes of what is more than a note, in order."""
    findings = report["findings"]
    assert isinstance(findings, list)
    return [finding["cause"] for finding in findings if finding["severity"] != "info"]


@pytest.mark.parametrize("case", CASES, ids=[case.recording for case in CASES])
def test_a_live_engine_is_diagnosed_as_from_its_files(diagnose: Run, time_flies: ManualClock, case: Case) -> None:
    recording = load(case.recording)
    expected = diagnose("--log", recording.log_path, "--metrics", recording.metrics_path)
    with ReplayServer(recording, clock=time_flies) as server:
        time_flies.advance(case.from_seconds)
        live = diagnose("--log", recording.log_path, "--metrics", server.url, "--window", f"{case.window_seconds}s")
    assert time_flies() == case.from_seconds + case.window_seconds
    assert (live["verdict"], live["status"]) == (expected["verdict"], expected["status"])
    assert alarms(live)[:1] == alarms(expected)[:1]
    assert live["engine"] == expected["engine"]
    assert recording.cause == "healthy" or alarms(live)[0] in {recording.cause, *recording.accept}


@pytest.mark.parametrize("case", CASES, ids=[case.recording for case in CASES])
def test_the_endpoint_alone_names_the_cause(diagnose: Run, time_flies: ManualClock, case: Case) -> None:
    recording = load(case.recording)
    with ReplayServer(recording, clock=time_flies) as server:
        time_flies.advance(case.from_seconds)
        live = diagnose("--metrics", server.url, "--window", f"{case.window_seconds}s")
    if recording.cause == "healthy":
        assert (live["verdict"], live["status"], alarms(live)) == ("healthy", 0, [])
    else:
        assert (live["verdict"], live["status"]) == ("incident", 1)
        assert alarms(live)[0] in {recording.cause, *recording.accept}


def test_an_engine_that_dies_while_it_is_watched_is_told(
    diagnose: Run, time_flies: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scrapes before are used, and the report says how many failed."""
    recording = load("kv_preemption")
    with ReplayServer(recording, clock=time_flies) as server:
        time_flies.advance(80)
        alive = server.current_scrape
        monkeypatch.setattr(server._http, "current_scrape", lambda: alive() if time_flies() < 95 else None)
        live = diagnose("--metrics", server.url, "--window", "30s")
    assert live["verdict"] == "incident"
    assert "of 16 scrapes failed, the first: answered 503" in json.dumps(live["inputs"])


def test_an_engine_that_still_loads_is_no_evidence(time_flies: ManualClock, capsys: pytest.CaptureFixture[str]) -> None:
    with ReplayServer(load("kv_preemption"), clock=time_flies) as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["inferwatch", "diagnose", "--metrics", server.url])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    output, errors = capsys.readouterr()
    assert (ended.value.code, output) == (2, "")
    assert errors.count("\n") == 1
    assert "the engine may still be loading its model" in errors


def test_two_processes_over_the_network() -> None:
    """`inferwatch replay` in one, `inferwatch diagnose` in another, no clock but the real one."""
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    command = [sys.executable, "-m", "inferwatch"]
    replay = [*command, "replay", "kv_preemption", "--speed", "4", "--from", "ready"]
    with subprocess.Popen(replay, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment) as engine:
        assert engine.stderr is not None
        url = engine.stderr.readline().decode().split()[-1]
        try:
            done = subprocess.run(
                [*command, "diagnose", "--metrics", url, "--window", "3s"],
                capture_output=True,
                timeout=60,
                check=False,
                env=environment,
            )
        finally:
            engine.terminate()
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"thr_preemption_thrash" in done.stdout
