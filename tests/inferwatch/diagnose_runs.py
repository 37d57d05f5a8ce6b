"""Runs of `inferwatch diagnose`, in this process and in one of its own, and what they are given."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from inferwatch import cli
from inferwatch.commands.diagnose import command
from recordings.reader import load

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
