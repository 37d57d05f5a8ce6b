from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from fcntl import ioctl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from termios import FIONREAD
from typing import Any, NamedTuple

import jsonschema
import pytest
import zstandard

import troubleshoot.report
from inferwatch import cli
from inferwatch.commands.diagnose import command
from recordings.reader import load, read_log, scrapes
from troubleshoot.sources import endpoint

COMMAND = [sys.executable, "-m", "inferwatch", "diagnose"]
FORMATS = next(list(option.type.choices) for option in command.params if option.name == "report")  # type: ignore[attr-defined]
PATIENCE_SECONDS = 60

HEALTHY = load("healthy_steady")
INCIDENT = load("oom_no_kv_blocks")


class Done(NamedTuple):
    """How a run ended and what it wrote."""

    status: int
    output: str
    errors: str


Run = Callable[..., Done]


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """`inferwatch diagnose` in this process, through the same entry as the installed command."""

    def run_command(*arguments: str | Path) -> Done:
        monkeypatch.setattr(sys, "argv", ["inferwatch", "diagnose", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert isinstance(ended.value.code, int)
        return Done(ended.value.code, *capfd.readouterr())

    return run_command


def spawn(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, timeout=PATIENCE_SECONDS, check=False, **options
    )


def causes(report: str) -> list[str]:
    return [finding["cause"] for finding in json.loads(report)["findings"]]


def inputs_of(name: str) -> list[str]:
    recording = load(name)
    return ["--log", str(recording.log_path), "--metrics", str(recording.metrics_path)]


# Exit status


@pytest.mark.parametrize(
    ("recording", "options", "status"),
    [
        ("healthy_steady", [], 0),
        ("healthy_steady", ["--fail-on", "info"], 0),
        ("c_idle", [], 0),
        ("kv_preemption", [], 1),
        ("kv_preemption", ["--fail-on", "critical"], 1),
        ("oom_no_kv_blocks", ["--fail-on", "critical"], 1),
        ("ttft_long_prefill", [], 1),
        ("ttft_long_prefill", ["--fail-on", "critical"], 0),
        ("thr_serial_client", [], 0),
        ("thr_serial_client", ["--fail-on", "info"], 1),
    ],
)
def test_the_exit_status_follows_the_worst_finding(run: Run, recording: str, options: list[str], status: int) -> None:
    done = run(*inputs_of(recording), *options)
    assert (done.status, done.errors) == (status, "")


@pytest.mark.parametrize("fail_on", ["info", "warning", "critical"])
def test_what_says_nothing_is_inconclusive_with_status_3(run: Run, tmp_path: Path, fail_on: str) -> None:
    (tmp_path / "notes.log").write_text("hello\nworld\n")
    done = run("--log", tmp_path / "notes.log", "--fail-on", fail_on)
    assert (done.status, done.errors) == (3, "")
    assert "INCONCLUSIVE" in done.output


def test_the_process_ends_with_the_same_status() -> None:
    done = spawn("--log", INCIDENT.log_path)
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"oom_kv_cache_no_blocks" in done.stdout


def test_a_complaint_raises_what_is_else_only_a_note(run: Run) -> None:
    quiet = run(*inputs_of("thr_serial_client"))
    complained = run(*inputs_of("thr_serial_client"), "--symptom", "throughput", "--format", "json")
    assert (quiet.status, complained.status) == (0, 1)
    assert causes(complained.output)[0] == "thr_insufficient_load"


# Forms of the report


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_names_the_cause_and_ends_with_a_newline(run: Run, form: str) -> None:
    done = run("--log", INCIDENT.log_path, "--format", form)
    assert (done.status, done.errors) == (1, "")
    assert "oom_kv_cache_no_blocks" in done.output
    assert done.output.endswith("\n")


@pytest.mark.parametrize("form", FORMATS)
def test_output_writes_to_a_file_what_else_goes_to_standard_output(run: Run, tmp_path: Path, form: str) -> None:
    shown = run("--log", INCIDENT.log_path, "--format", form)
    written = run("--log", INCIDENT.log_path, "--format", form, "-o", tmp_path / "report")
    assert (written.status, written.output, written.errors) == (1, "", "")
    assert (tmp_path / "report").read_text(encoding="utf-8") == shown.output


@pytest.mark.parametrize("recording", ["kv_preemption", "healthy_steady", "c_port_in_use", "triton_queue_reject"])
def test_json_follows_the_published_schema(run: Run, recording: str) -> None:
    schema = json.loads((Path(troubleshoot.report.__file__).parent / "schema.json").read_text(encoding="utf-8"))
    report = json.loads(run(*inputs_of(recording), "--format", "json").output)
    jsonschema.Draft202012Validator(schema).validate(report)


def test_a_stream_that_cannot_show_all_characters_gets_escapes() -> None:
    done = spawn("--log", INCIDENT.log_path, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (1, b"")
    assert done.stdout.isascii()


@pytest.mark.parametrize("form", FORMATS)
def test_no_format_lets_out_a_secret_or_an_escape_of_the_log(run: Run, tmp_path: Path, form: str) -> None:
    secret = "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZ012345"
    hostile = b"\x1b]0;owned\x07\x1b[31m ValueError: No available memory for the cache blocks. token=" + secret.encode()
    (tmp_path / "engine.log").write_bytes(
        read_log(INCIDENT).replace(b"ValueError: No available memory for the cache blocks.", hostile)
    )
    done = run("--log", tmp_path / "engine.log", "--format", form)
    assert done.status == 1
    assert "oom_kv_cache_no_blocks" in done.output
    assert secret not in done.output
    assert "\x1b" not in done.output


# Inputs that can be read


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        (".gz", gzip.compress),
        (".zst", zstandard.ZstdCompressor().compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
        ("", gzip.compress),
    ],
)
def test_a_compressed_log_gives_the_same_diagnosis(
    run: Run, tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes]
) -> None:
    plain, packed = tmp_path / "a" / "engine.log", tmp_path / "b" / f"engine.log{suffix}"
    for path in (plain, packed):
        path.parent.mkdir()
    plain.write_bytes(read_log(INCIDENT))
    packed.write_bytes(compress(read_log(INCIDENT)))
    reports = [run("--log", path, "--format", "json").output.replace(str(path), "LOG") for path in (plain, packed)]
    first, second = ({**json.loads(report), "inputs": []} for report in reports)
    assert first["findings"][0]["cause"] == "oom_kv_cache_no_blocks"
    assert first == second


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.ZstdCompressor().compress])
def test_standard_input_gives_the_same_diagnosis(run: Run, compress: Callable[[bytes], bytes]) -> None:
    expected = run("--log", INCIDENT.log_path, "--format", "json").output.replace(str(INCIDENT.log_path), "-")
    piped = spawn("--log", "-", "--format", "json", input=compress(read_log(INCIDENT)))
    assert (piped.returncode, piped.stderr) == (1, b"")
    assert json.loads(piped.stdout)["findings"] == json.loads(expected)["findings"]


def test_a_log_in_several_files_is_read_as_one(run: Run, tmp_path: Path) -> None:
    lines = read_log(INCIDENT).splitlines(keepends=True)
    parts = [tmp_path / "engine.log.1", tmp_path / "engine.log"]
    parts[0].write_bytes(b"".join(lines[:20]))
    parts[1].write_bytes(b"".join(lines[20:]))
    whole = run("--log", INCIDENT.log_path, "--format", "json")
    split = run("--log", parts[0], "--log", parts[1], "--format", "json")
    assert split.status == 1
    assert causes(split.output) == causes(whole.output)
    assert [given["name"] for given in json.loads(split.output)["inputs"]] == [str(part) for part in parts]


def test_metrics_alone_suffice(run: Run) -> None:
    done = run("--metrics", load("kv_preemption").metrics_path, "--format", "json")
    assert done.status == 1
    assert causes(done.output)[0] == "thr_preemption_thrash"


def test_a_truncated_gzip_is_read_and_said(run: Run, tmp_path: Path) -> None:
    packed = gzip.compress(read_log(INCIDENT))
    path = tmp_path / "engine.log.gz"
    path.write_bytes(packed[:-200])
    done = run("--log", path)
    assert (done.status, done.errors) == (1, "")
    assert "oom_kv_cache_no_blocks" in done.output
    assert "truncated gzip: read" in " ".join(done.output.split())


def test_one_scrape_is_used_and_its_lack_said(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "metrics.txt"
    path.write_bytes(scrapes(load("kv_preemption"))[-10].exposition)
    done = run("--log", load("kv_preemption").log_path, "--metrics", path)
    assert done.status == 1
    assert "one scrape: rates cannot be computed" in " ".join(done.output.split())


# Inputs that cannot


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Inputs as they lie around: none can be diagnosed."""
    (tmp_path / "empty.log").touch()
    (tmp_path / "empty.log.gz").write_bytes(gzip.compress(b""))
    (tmp_path / "core").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 20)
    (tmp_path / "noise.log").write_bytes(bytes(range(256)) * 40)
    (tmp_path / "cut.log.gz").write_bytes(gzip.compress(b"x" * 100)[:8])
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "engine.log").write_text("INFO\n")
    (tmp_path / "page.html").write_text("<!doctype html><html><title>Login</title></html>")
    (tmp_path / "answer.json").write_text('{"object": "list"}')
    return tmp_path


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


Answer = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], str]]:
    """Serve every GET with a function; gives the address of /metrics."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Answer) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                try:
                    answer(self)
                except OSError:
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it so)
                """Nothing to tell."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/metrics"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def send(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, kind: str = "text/plain") -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


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
        (lambda handler: send(handler, b"", 401), "give credentials in the address"),
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
    monkeypatch.setitem(endpoint.watch.__kwdefaults__ or {}, "timeout_seconds", 0.2)

    def stay_silent(_handler: BaseHTTPRequestHandler) -> None:
        over.wait(PATIENCE_SECONDS)

    url = serve(stay_silent)
    done = run("--metrics", url)
    over.set()
    assert_one_line(done, url, "connected, but got no answer within 0.2 s")


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


# Bad usage


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to read; give --log FILE, --metrics URL, or both"),
        (["--nonsense"], "No such option"),
        (["engine.log"], "unexpected extra argument"),
        (["--log"], "requires an argument"),
        (["--log", "x", "--format", "xml"], "'--format'"),
        (["--log", "x", "--fail-on", "healthy"], "'--fail-on'"),
        (["--log", "x", "--engine", "gpt"], "'--engine'"),
        (["--log", "x", "--symptom", "slow"], "'--symptom'"),
        (["--log", "x", "--window", "soon"], "'soon' is no duration; write 15s, 2m or 90"),
        (["--log", "x", "--window", ""], "is no duration"),
        (["--log", "x", "--window", "0"], "is out of range"),
        (["--log", "x", "--window", "-5s"], "is out of range"),
        (["--log", "x", "--window", "nan"], "is out of range"),
        (["--log", "x", "--window", "2h"], "is out of range"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(run: Run, arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert (done.status, done.output) == (2, "")
    assert done.errors.startswith("inferwatch")
    assert said in done.errors
    assert done.errors.count("\n") == 1


@pytest.mark.parametrize("window", ["1", "2m", "15s", "1h", "0.5m"])
def test_durations_that_are_taken(run: Run, window: str) -> None:
    assert run("--log", INCIDENT.log_path, "--window", window).status == 1


@pytest.mark.parametrize("place", ["nowhere/report.txt", "logs"])
def test_a_report_that_cannot_be_written_is_one_line(run: Run, folder: Path, place: str) -> None:
    done = run("--log", INCIDENT.log_path, "-o", folder / place)
    assert (done.status, done.output) == (2, "")
    assert str(folder / place) in done.errors
    assert done.errors.count("\n") == 1


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
