"""A real Prometheus, and the exporter as a process, for tests."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

_WAIT_SECONDS = 60.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def get(port: int, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers=dict(headers or {}))
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def eventually(condition: Callable[[], Any], what: str) -> Any:
    """Wait until the condition gives something true, and return it."""
    until = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < until:
        try:
            found = condition()
        except (OSError, http.client.HTTPException):
            found = None
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {_WAIT_SECONDS:.0f} s: {what}")


@contextmanager
def process(
    command: list[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program while the context is open; its output goes to a file."""
    with log.open("wb") as output:
        started = subprocess.Popen(command, env={**os.environ, **(environment or {})}, stdout=output, stderr=output)
    try:
        yield started
    finally:
        if started.poll() is None:
            started.send_signal(signal.SIGTERM)
        try:
            started.wait(15)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


@contextmanager
def exporter(
    folder: Path, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run `inferwatch exporter` until it is ready; yields the process and its port."""
    port = free_port()
    command = [sys.executable, "-m", "inferwatch", "exporter", "--listen", f"127.0.0.1:{port}", *options]
    with process(command, folder / "exporter.log", {"NODE_NAME": "node-a", **(environment or {})}) as started:
        eventually(lambda: get(port, "/readyz")[0] == 200, (folder / "exporter.log").read_text())
        yield started, port


@dataclass(frozen=True)
class Prometheus:
    """A Prometheus that runs."""

    port: int
    log: Path

    def query(self, expression: str) -> list[dict[str, Any]]:
        status, body = get(self.port, f"/api/v1/query?query={quote(expression)}")
        assert status == 200, body
        result: list[dict[str, Any]] = json.loads(body)["data"]["result"]
        return result

    def value(self, expression: str) -> float:
        (only,) = self.query(expression)
        return float(only["value"][1])


@contextmanager
def prometheus(folder: Path, port_to_scrape: int) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes a port of this machine every second."""
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("prometheus is not installed: apt-get install prometheus")
    configuration = folder / "prometheus.yml"
    configuration.write_text(
        "global: {scrape_interval: 1s}\n"
        "scrape_configs:\n"
        "  - job_name: inferwatch\n"
        "    honor_labels: true\n"
        f"    static_configs: [{{targets: ['127.0.0.1:{port_to_scrape}']}}]\n"
    )
    port = free_port()
    command = [
        binary,
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with process(command, folder / "prometheus.log"):
        eventually(lambda: get(port, "/-/ready")[0] == 200, "Prometheus is ready")
        yield Prometheus(port, folder / "prometheus.log")
