"""`inferwatch diagnose` on inputs that cannot be read: one line each, and the rest is used."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.inferwatch.diagnose_runs import (
    FORMATS,
    INCIDENT,
    PATIENCE_SECONDS,
    Answer,
    Done,
    Run,
    causes,
    folder,
    no_proxies,
    run,
    send,
    serve,
    spawn,
)
from troubleshoot.sources import endpoint

__all__ = ["folder", "no_proxies", "run", "serve"]


def assert_one_line(done: Done, name: str, said: str) -> None:
    """Status 2, nothing on standard output, one line that names the input, what is wrong and what to do."""
    assert done.status == 2
    assert done.output == ""
    assert done.errors.startswith(f"inferwatch: {name}: ")
    assert said in done.errors
    assert "; " in done.errors.removeprefix(f"inferwatch: {name}: ")
    assert (done.errors.count("\n"), done.errors[-1]) == (1, "\n")


@pytest.mark.parametrize(
    ("option", "file", "said"),
    [
        ("--log", "emty.log", "no such file; did you mean"),
        ("--log", "nowhere/engine.log", "does not exist"),
        ("--log", "empty.log", "is empty"),
        ("--log", "empty.log.gz", "is empty once decompressed"),
        ("--log", "cut.log.gz", "truncated gzip"),
        ("--log", "core", "is an ELF program or core dump"),
        ("--log", "noise.log", "looks binary"),
        ("--log", "logs", "is a directory; name the files in it"),
        ("--metrics", "emty.log", "no such file; did you mean"),
        ("--metrics", "empty.log", "is empty"),
        ("--metrics", "noise.log", "looks binary"),
        ("--metrics", "logs", "is a directory; name the files in it"),
        ("--metrics", "page.html", "holds no metrics: it looks like an HTML page"),
        ("--metrics", "answer.json", "holds no metrics: it looks like JSON"),
    ],
)
def test_an_unreadable_file_is_one_line(run: Run, folder: Path, option: str, file: str, said: str) -> None:
    assert_one_line(run(option, folder / file), str(folder / file), said)


def test_a_log_given_as_metrics_is_sent_to_the_right_option(run: Run) -> None:
    done = run("--metrics", INCIDENT.log_path)
    assert_one_line(done, str(INCIDENT.log_path), "it looks like a log; give it to --log")


@pytest.mark.parametrize("content", [b"", b"\0" * 100])
def test_standard_input_without_a_log_is_one_line(content: bytes) -> None:
    done = spawn("--log", "-", input=content)
    assert_one_line(Done(done.returncode, done.stdout.decode(), done.stderr.decode()), "-", "")


def send_200_mb(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(200_000_000))
    handler.end_headers()
    line = b'vllm:num_requests_running{engine="0"} 1.0\n' * 20_000
    for _ in range(200_000_000 // len(line)):
        handler.wfile.write(line)


def break_off(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"vllm:num_requests_running 1.0\n")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda handler: send(handler, b"not found", 404), "answered 404 Not Found"),
        (lambda handler: send(handler, b"", 503), "the engine may still be loading its model"),
        (lambda handler: send(handler, b"", 401), "give --bearer-token-file or --basic-user"),
        (lambda handler: send(handler, b"<html><title>Grafana</title>", kind="text/html"), "an HTML page titled 'Graf"),
        (lambda handler: send(handler, b'{"data": []}', kind="application/json"), "answered with JSON, not metrics"),
        (lambda handler: send(handler, b""), "answered with an empty body"),
        (lambda handler: send(handler, b"hello\n"), "answered with text that holds no metrics"),
        (send_200_mb, "answered with more than"),
        (break_off, "the connection closed midway through the answer"),
        (lambda handler: handler.connection.close(), "the connection closed without an answer"),
    ],
)
def test_an_endpoint_that_answers_no_metrics_is_one_line(
    run: Run, serve: Callable[[Answer], str], answer: Answer, said: str
) -> None:
    url = serve(answer)
    assert_one_line(run("--metrics", url), url, said)


def test_an_endpoint_that_never_answers_is_one_line(
    run: Run, serve: Callable[[Answer], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    monkeypatch.setitem(endpoint.watch.__kwdefaults__ or {}, "timeout_seconds", 2.0)

    def stay_silent(_handler: BaseHTTPRequestHandler) -> None:
        over.wait(PATIENCE_SECONDS)

    url = serve(stay_silent)
    done = run("--metrics", url)
    over.set()
    assert_one_line(done, url, "connected, but got no answer within 2 s")


def test_an_endpoint_that_refuses_is_one_line(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/metrics"
    assert_one_line(run("--metrics", url), url, "connection refused")


@pytest.mark.parametrize(
    ("address", "said"), [("ftp://host/metrics", "is not an http://"), ("http://[::1/metrics", "is not a valid addre")]
)
def test_an_address_that_is_none_is_one_line(run: Run, address: str, said: str) -> None:
    assert_one_line(run("--metrics", address), address, said)


def test_a_password_in_an_address_is_not_repeated(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}/metrics"
    done = run("--metrics", f"http://me:hunter2@{place}")
    assert_one_line(done, f"http://***@{place}", "connection refused")
    assert "hunter2" not in done.errors


def test_what_can_be_read_is_used_and_the_rest_is_said(run: Run, folder: Path) -> None:
    missing = folder / "emty.log"
    done = run("--log", missing, "--log", INCIDENT.log_path, "--format", "json")
    assert done.status == 1
    assert causes(done.output)[0] == "oom_kv_cache_no_blocks"
    assert done.errors.startswith(f"inferwatch: {missing}: no such file")
    assert done.errors.count("\n") == 1


def test_a_dead_endpoint_does_not_hide_what_the_log_says(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/metrics"
    done = run("--log", INCIDENT.log_path, "--metrics", url, "--format", "json")
    assert done.status == 1
    assert causes(done.output)[0] == "oom_kv_cache_no_blocks"
    assert done.errors.startswith(f"inferwatch: {url}: connection refused")


@pytest.mark.parametrize("form", FORMATS)
def test_the_report_itself_names_an_input_that_could_not_be_read(run: Run, folder: Path, form: str) -> None:
    """Standard error is gone where the report is mailed or stored."""
    done = run("--log", folder / "emty.log", "--log", INCIDENT.log_path, "--format", form)
    assert "emty.log" in done.output


def test_every_unreadable_input_gets_its_line(run: Run, folder: Path) -> None:
    done = run("--log", folder / "core", "--log", folder / "logs", "--metrics", folder / "page.html")
    assert (done.status, done.output) == (2, "")
    named = [line.split(": ")[1] for line in done.errors.splitlines()]
    assert sorted(named) == [str(folder / name) for name in ("core", "logs", "page.html")]
