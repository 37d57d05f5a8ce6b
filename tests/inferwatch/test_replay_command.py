from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from inferwatch.commands.replay import stop_on_signals
from recordings.reader import bundled, load, read_log


def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "inferwatch", "replay", *arguments]
    return subprocess.run(command, capture_output=True, timeout=60, check=False)


@contextmanager
def replaying(*arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A running replay and the address that it printed."""
    command = [sys.executable, "-m", "inferwatch", "replay", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            announced = process.stderr.readline().decode()
            assert announced.startswith("listening on http://127.0.0.1:")
            yield process, announced.split()[-1]
        finally:
            process.kill()


def test_once_prints_the_whole_log_and_exits() -> None:
    done = run("kv_preemption", "--speed", "10000", "--once")
    assert done.returncode == 0
    assert done.stdout == read_log(load("kv_preemption"))
    assert done.stderr.startswith(b"listening on http://127.0.0.1:")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(number: signal.Signals) -> None:
    with replaying("healthy_steady") as (process, _):
        process.send_signal(number)
        output, errors = process.communicate(timeout=30)
    assert (process.returncode, output, errors) == (0, b"", b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_arrives_while_the_event_is_locked_is_no_deadlock(number: signal.Signals) -> None:
    with stop_on_signals() as stop:
        with stop._cond:  # type: ignore[attr-defined]
            signal.raise_signal(number)
        assert stop.wait(30)


def test_it_serves_on_the_address_that_it_prints() -> None:
    with replaying("healthy_steady", "--from", "ready", "--speed", "10000") as (process, url):
        assert process.stdout is not None
        for _ in read_log(load("healthy_steady")).splitlines():
            process.stdout.readline()
        with urllib.request.urlopen(url, timeout=10) as response:
            assert b"\nvllm:num_requests_running{" in response.read()


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "inferwatch", "replay", "kv_preemption", "--speed", "10000", "--once"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(writer)
    assert done.returncode == 141
    assert done.stderr.count(b"\n") == 1


def test_list_names_every_recording_with_its_cause() -> None:
    done = run("--list")
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 0
    assert [line.split()[0] for line in lines] == list(bundled())
    assert all(line.endswith(load(line.split()[0]).cause) for line in lines)


def test_a_folder_is_a_recording_too() -> None:
    done = run(str(load("c_port_in_use").folder), "--speed", "10000", "--once")
    assert done.stdout == read_log(load("c_port_in_use"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["kv_premption"], "near it: kv_preemption"),
        ([], "Missing argument 'RECORDING'"),
        (["c_port_in_use", "--from", "ready"], "c_port_in_use never became ready"),
        (["c_idle", "--speed", "0"], "not above 0"),
        (["c_idle", "--speed", "nan"], "not above 0"),
        (["c_idle", "--port", "70000"], "--port"),
        (["c_idle", "--host", "256.0.0.1"], "cannot listen on 256.0.0.1 port 0"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == b""
    assert said in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1


def test_a_folder_without_files_says_what_is_missing(tmp_path: Path) -> None:
    done = run(str(tmp_path))
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert b"has no meta.yaml" in done.stderr


def test_a_port_in_use_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("c_idle", "--port", port)
    assert done.returncode == 2
    assert f"port {port} of 127.0.0.1 is in use" in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1
