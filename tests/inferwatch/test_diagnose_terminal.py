"""`inferwatch diagnose` at a terminal and in a pipe, and what Ctrl-C leaves of it."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import threading
import time
from array import array
from collections.abc import Callable
from fcntl import ioctl
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from termios import FIONREAD

from recordings.reader import load, read_log, scrapes
from tests.inferwatch.diagnose_runs import (
    COMMAND,
    INCIDENT,
    PATIENCE_SECONDS,
    Answer,
    Done,
    no_proxies,
    send,
    serve,
    spawn,
)

__all__ = ["no_proxies", "serve"]


# Terminals


def on_terminal(*arguments: str, environment: dict[str, str]) -> bytes:
    """What the command draws on a terminal of its own."""
    leader, follower = pty.openpty()
    clean = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "TERM", "COLUMNS"}}
    with subprocess.Popen([*COMMAND, *arguments], stdout=follower, env={**clean, **environment}) as process:
        os.close(follower)
        drawn = b""
        try:
            while part := os.read(leader, 65536):
                drawn += part
        except OSError:  # how Linux says that the other end of a terminal is closed
            process.wait(PATIENCE_SECONDS)
    os.close(leader)
    return drawn


def test_a_terminal_gets_colours_unless_it_wants_none() -> None:
    arguments = ("--log", str(INCIDENT.log_path))
    assert b"\x1b[" in on_terminal(*arguments, environment={"TERM": "xterm-256color"})
    assert b"\x1b" not in on_terminal(*arguments, environment={"TERM": "xterm-256color", "NO_COLOR": "1"})
    assert b"\x1b" not in on_terminal(*arguments, environment={"TERM": "dumb"})


def test_a_pipe_gets_plain_text() -> None:
    done = spawn("--log", INCIDENT.log_path, env={**os.environ, "TERM": "xterm-256color"})
    assert b"\x1b" not in done.stdout + done.stderr
    assert b"\r" not in done.stdout


def test_a_reader_that_goes_away_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with subprocess.Popen(
        [*COMMAND, "--log", INCIDENT.log_path], stdout=writer, stderr=subprocess.PIPE, text=True
    ) as process:
        os.close(writer)
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert errors == ""
    assert process.returncode == 141


# Ctrl-C


def interrupt(process: subprocess.Popen[str]) -> Done:
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=PATIENCE_SECONDS)
    return Done(process.returncode, output, errors)


def start(*arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_until_read(descriptor: int) -> None:
    """Wait until nothing that was written to the pipe is left in it."""
    unread = array("i", [1])
    deadline = time.monotonic() + PATIENCE_SECONDS
    while unread[0] and time.monotonic() < deadline:
        ioctl(descriptor, FIONREAD, unread)
        select.select([], [], [], 0.01)
    assert unread[0] == 0


def feed(pipe: int, writer: int) -> None:
    """Write a log and one line more: who has read that line is past looking at the beginning."""
    for part in (read_log(INCIDENT), b"INFO:     Shutting down\n"):
        os.write(writer, part)
        wait_until_read(pipe)


def test_ctrl_c_while_a_pipe_is_read_prints_what_is_known() -> None:
    reader, writer = os.pipe()
    with start("--log", "-", stdin=reader) as process:
        feed(reader, writer)
        done = interrupt(process)
    os.close(reader)
    os.close(writer)
    assert (done.status, done.errors) == (1, "")
    assert "oom_kv_cache_no_blocks" in done.output
    assert "interrupted: this covers only what was read until then" in done.output


def test_ctrl_c_while_a_fifo_is_read_prints_what_is_known(tmp_path: Path) -> None:
    fifo = tmp_path / "engine.fifo"
    os.mkfifo(fifo)
    both_ends = os.open(fifo, os.O_RDWR)
    with start("--log", str(fifo)) as process:
        feed(both_ends, both_ends)
        done = interrupt(process)
    os.close(both_ends)
    assert (done.status, done.errors) == (1, "")
    assert "oom_kv_cache_no_blocks" in done.output
    assert "interrupted" in done.output


def test_ctrl_c_while_an_engine_is_watched_prints_what_is_known(serve: Callable[[Answer], str]) -> None:
    served = [scrape.exposition for scrape in scrapes(load("kv_preemption")) if scrape.up][4:]
    asked = iter(range(100))
    third_request, over = threading.Event(), threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        number = next(asked)
        if number >= 2:
            third_request.set()
            over.wait(PATIENCE_SECONDS)
            return
        send(handler, served[number])

    with start("--metrics", serve(answer), "--window", "10s") as process:
        assert third_request.wait(PATIENCE_SECONDS)
        done = interrupt(process)
    over.set()
    assert (done.status, done.errors) == (1, "")
    assert "thr_preemption_thrash" in done.output
    assert "interrupted" in done.output


def test_ctrl_c_before_anything_was_read_is_quiet() -> None:
    reader, writer = os.pipe()
    with start("--log", "-", stdin=reader) as process:
        os.write(writer, b"x")
        wait_until_read(reader)
        done = interrupt(process)
    os.close(reader)
    os.close(writer)
    assert "Traceback" not in done.errors
    assert done.status in (3, 130)
