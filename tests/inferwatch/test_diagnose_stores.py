"""`inferwatch diagnose --prometheus` and `--loki`: options, failures in one line, exit statuses.

The servers are stubs that fail in one way or answer with nothing; what real ones answer is in tests/e2e.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from inferwatch import cli
from recordings.reader import load
from tests.troubleshoot.sources.conftest import PROXY_VARIABLES, LocalServer, http_answer
from tests.troubleshoot.sources.loki_stub import LokiStub, running

SECRET = "s3cr3t-t0ken-value"
KV = load("kv_preemption")
SELECTOR = ("--selector", 'model="x"')
EMPTY = http_answer(b'{"status":"success","data":{"resultType":"vector","result":[]}}')

Said = tuple[int, str, str]
Run = Callable[..., Said]


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process: exit status, output, errors."""

    def run_command(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["inferwatch", "diagnose", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        output, errors = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, output, errors

    return run_command


@pytest.fixture
def serve() -> Iterator[Callable[[bytes], str]]:
    """Start a server that gives one answer to everything; its address."""
    servers: list[LocalServer] = []

    def start(answer: bytes) -> str:
        def respond(_head: bytes, connection: socket.socket) -> None:
            if answer == b"wait":
                connection.recv(1)
            else:
                connection.sendall(answer)

        servers.append(LocalServer(respond))
        return f"http://{servers[-1].address}"

    yield start
    for server in servers:
        server.stop()


def refused_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return f"http://127.0.0.1:{closed.getsockname()[1]}"


# Options


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--prometheus", "u"], "--prometheus needs --selector MATCHERS or --alert NAME"),
        (["--loki", "u"], "--loki needs --query LOGQL"),
        (["--selector", 'a="b"'], "--selector needs --prometheus URL or --loki URL"),
        (["--log", "x", "--at", "02:15"], "--at needs --prometheus URL"),
        (["--log", "x", "--tls-insecure"], "--tls-insecure needs --prometheus URL"),
        (["--log", "x", "--bearer-token-file", "t"], "--bearer-token-file needs"),
        (["--metrics", "saved.om", "--tenant", "t"], "--tenant needs --prometheus URL, --loki URL or --metrics URL"),
        (["--metrics", "http://h:1/metrics", "--tls-key", "k"], "--tls-key needs --tls-cert"),
        (["--prometheus", "u", *SELECTOR, "--query", "{}"], "--query needs --loki URL"),
        (["--loki", "u", "--query", "{}", *SELECTOR], "--selector and --alert need --prometheus URL"),
        (["--prometheus", "u", "--selector", "model"], "--selector: 'model' is no selector; write"),
        (["--prometheus", "u", *SELECTOR, "--at", "noon"], "--at: 'noon' is no time; write 02:15"),
        (["--prometheus", "u", *SELECTOR, "--at", "2999-01-01T00:00Z"], "is still to come"),
        (["--prometheus", "u", *SELECTOR, "--window", "25h"], "out of range; write between 1s and 24h"),
        (["--prometheus", "u", *SELECTOR, "--timeout", "1h"], "--timeout: '1h' is out of range"),
        (["--prometheus", "u", *SELECTOR, "--tenant", "a\nb"], "--tenant is no header's value"),
        (["--prometheus", "u", *SELECTOR, "--tls-key", "k"], "--tls-key needs --tls-cert"),
        (["--prometheus", "u", *SELECTOR, "--basic-password-file", "p"], "--basic-password-file needs --basic-user"),
        (
            ["--prometheus", "u", *SELECTOR, "--basic-user", "u", "--bearer-token-file", "t"],
            "give --bearer-token-file or --basic-user, not both",
        ),
        (["--metrics", "http://h:1/metrics", "--window", "2h"], "--window is out of range; write between 1s and 1h"),
    ],
)
def test_wrong_options_are_one_line(run: Run, options: list[str], said: str) -> None:
    status, output, errors = run(*options)
    assert (status, output) == (2, "")
    assert said in errors
    assert errors.count("\n") == 1


def test_a_credentials_file_that_is_not_there_is_said(run: Run) -> None:
    status, _, errors = run("--prometheus", "u", *SELECTOR, "--bearer-token-file", "/nowhere/token")
    assert (status, errors) == (
        2,
        "inferwatch: /nowhere/token: cannot be read (No such file or directory); check the path and its permissions\n",
    )


PAGE = b"# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running 3.0\n"
Watched = Callable[..., list[bytes]]


@pytest.fixture
def watched(run: Run, tmp_path: Path) -> Watched:
    """Diagnose a live endpoint that wants a token, the one of `token`; the requests that it got."""
    token = tmp_path / "token"
    token.write_text(SECRET)

    def diagnose_endpoint(*options: str, status: int) -> list[bytes]:
        heads: list[bytes] = []

        def respond(head: bytes, connection: socket.socket) -> None:
            heads.append(head)
            is_let_in = f"Authorization: Bearer {SECRET}\r\n".encode() in head
            connection.sendall(http_answer(PAGE) if is_let_in else http_answer(b"", "401 Unauthorized"))

        server = LocalServer(respond)
        try:
            given = ["--metrics", f"http://{server.address}/metrics", "--window", "1s", "--engine", "vllm"]
            found, output, errors = run(*given, *(option.format(token=token) for option in options))
        finally:
            server.stop()
        assert found == status, errors
        assert SECRET not in output + errors
        return heads

    return diagnose_endpoint


def test_a_live_endpoint_gets_the_token_where_there_is_no_store(watched: Watched) -> None:
    assert len(watched("--bearer-token-file", "{token}", status=0)) >= 2


def test_a_live_endpoint_that_wants_one_is_not_read_without(watched: Watched) -> None:
    assert len(watched(status=2)) == 1


def test_the_token_of_a_store_is_not_for_a_live_endpoint(watched: Watched, serve: Callable[[bytes], str]) -> None:
    (head,) = watched("--bearer-token-file", "{token}", "--prometheus", serve(EMPTY), *SELECTOR, status=2)
    assert b"authorization" not in head.lower()


# Failures: alone, and beside a log that is used all the same

FAILURES = {
    "401": (http_answer(b"", "401 Unauthorized"), "answered 401 Unauthorized"),
    "403": (http_answer(b"", "403 Forbidden"), "answered 403 Forbidden"),
    "404": (http_answer(b"", "404 Not Found"), "answered 404 Not Found"),
    "429": (http_answer(b"", "429 Too Many", "Retry-After: 900"), "asks to wait 900 s"),
    "500": (http_answer(b"", "500 Internal Server Error"), "answered 500"),
    "503": (http_answer(b"", "503 Busy", "Retry-After: 900"), "answered 503"),
    "slow": (b"wait", "gave no answer within 0.2 s"),
    "cut off": (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", "closed midway"),
    "huge": (http_answer(b" " * (9 << 20)), "answered with more than 8.4 MB"),
    "wrong JSON": (http_answer(b'{"status":"success","data":{"result":7}}'), "JSON that is none of the API's"),
    "no JSON": (http_answer(b"hello"), "not with the API's JSON"),
    "login page": (http_answer(b"<html><title>Sign in</title>"), "an HTML page titled 'Sign in'"),
    "redirect": (
        http_answer(b"", "302 Found", "Location: https://sso.example.org/?s=1"),
        "redirects to another server",
    ),
    "nothing there": (EMPTY, 'no series match {model="x"} in this window'),
}


@pytest.mark.parametrize("failure", [*FAILURES, "refused"])
def test_a_prometheus_that_fails_is_said_and_the_log_is_used(
    run: Run, serve: Callable[[bytes], str], failure: str, tmp_path: Path
) -> None:
    answer, said = FAILURES.get(failure, (b"", "connection refused"))
    url = refused_address() if failure == "refused" else serve(answer)
    (tmp_path / "token").write_text(SECRET)
    asked = ["--prometheus", url, *SELECTOR, "--timeout", "0.2", "--bearer-token-file", tmp_path / "token"]
    if failure == "huge":
        asked[asked.index("0.2")] = "20"
    status, output, errors = run(*asked)
    assert (status, output) == (2, "")
    assert said in errors and errors.count("\n") == 1 and SECRET not in errors
    status, output, errors = run(*asked, "--log", KV.log_path, "--format", "json")
    report = json.loads(output)
    assert status == 1 and report["verdict"] == "incident"
    assert said in errors and errors.count("\n") == 1 and SECRET not in errors + output
    assert any(said in one["note"] and one["note"].startswith("not read: ") for one in report["inputs"])


@pytest.mark.parametrize("failure", [name for name in FAILURES if name != "nothing there"])
def test_a_loki_that_fails_is_said_and_the_metrics_are_used(
    run: Run, serve: Callable[[bytes], str], failure: str
) -> None:
    answer, said = FAILURES[failure]
    wait = "20" if failure == "huge" else "0.2"
    asked = ["--loki", serve(answer), "--query", '{pod="x"}', "--timeout", wait]
    status, output, errors = run(*asked)
    assert (status, output) == (2, "")
    assert said in errors and errors.count("\n") == 1
    status, output, errors = run(*asked, "--metrics", KV.metrics_path)
    assert status == 1
    assert "thr_preemption_thrash" in output
    assert said in errors and errors.count("\n") == 1


def test_logs_of_loki_are_diagnosed_at_a_time(run: Run) -> None:
    stub = LokiStub()
    lines = KV.log_path.read_text("utf-8").splitlines()
    end_ns = 1_795_300_000 * 10**9
    stub.push({"pod": "llm-0"}, [(end_ns - (len(lines) - index) * 1000, line) for index, line in enumerate(lines)])
    with running(stub) as url:
        options = ["--loki", url, "--query", '{pod="llm-0"}', "--at", "1795300000", "--window", "10m"]
        status, output, errors = run(*options, "--format", "json")
        later = run("--loki", url, "--query", '{pod="llm-0"}', "--at", "1795299000", "--window", "10m")
    report = json.loads(output)
    assert (status, errors) == (1, "")
    assert report["inputs"][0]["name"] == f'{url} {{pod="llm-0"}}'
    assert report["inputs"][0]["lines"] == len(lines)
    assert later[0] == 2
    assert "no lines in this window" in later[2]


def test_help_names_the_stores(run: Run) -> None:
    status, output, _ = run("--help")
    assert status == 0
    for option in ("--prometheus", "--alert", "--loki", "--query", "--tenant", "--timeout"):
        assert option in output
