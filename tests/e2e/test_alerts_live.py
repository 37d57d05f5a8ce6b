"""From a failing engine to the person on call: exporter, Prometheus with the generated rules, Alertmanager, webhook.

The rules are those of a user's configuration that shortens how long things must hold; nothing else differs.
"""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from inferwatch.commands.alerts import command
from recordings.reader import load
from recordings.replay import ReplayServer
from runbooks import alert_page
from tests.e2e.prometheus import eventually, exporter, free_port, get, process

SLO = """
interval: 1s
links: {runbooks: "https://wiki.test/runbooks/alerts/", dashboards: "https://grafana.test/"}
thresholds:
  saturation: {kv_cache_window: 5s, kv_cache_for: 2s}
"""


@contextmanager
def webhook() -> Iterator[tuple[str, queue.Queue[dict[str, Any]]]]:
    """A receiver of Alertmanager's notifications: its address, and what arrived."""
    arrived: queue.Queue[dict[str, Any]] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            arrived.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", arrived
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def alertmanager(folder: Path, url: str) -> Iterator[int]:
    """An Alertmanager that passes everything on at once."""
    (folder / "alertmanager.yml").write_text(
        yaml.safe_dump(
            {
                "route": {"receiver": "hook", "group_by": ["alertname"], "group_wait": "0s", "group_interval": "1s"},
                "receivers": [{"name": "hook", "webhook_configs": [{"url": url}]}],
            }
        )
    )
    port = free_port()
    arguments = [
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with process(["prometheus-alertmanager", *arguments], folder / "alertmanager.log"):
        eventually(lambda: get(port, "/-/ready")[0] == 200, "Alertmanager is ready")
        yield port


@contextmanager
def prometheus(folder: Path, scraped: int, alerts_to: int) -> Iterator[int]:
    """A Prometheus with the generated rules."""
    (folder / "prometheus.yml").write_text(
        yaml.safe_dump(
            {
                "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                "rule_files": [str(folder / "rules/prometheus/*.yaml")],
                "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alerts_to}"]}]}]},
                "scrape_configs": [
                    {
                        "job_name": "inferwatch",
                        "honor_labels": True,
                        "static_configs": [{"targets": [f"127.0.0.1:{scraped}"]}],
                    }
                ],
            }
        )
    )
    port = free_port()
    arguments = [
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with process(["prometheus", *arguments], folder / "prometheus.log"):
        eventually(lambda: get(port, "/-/ready")[0] == 200, "Prometheus is ready")
        yield port


def arrival(arrived: queue.Queue[dict[str, Any]], name: str) -> dict[str, Any]:
    """The first notification of an alert. Raises queue.Empty when none comes."""
    while True:
        for alert in arrived.get(timeout=60)["alerts"]:
            if alert["labels"]["alertname"] == name and alert["status"] == "firing":
                found: dict[str, Any] = alert
                return found


def test_a_full_kv_cache_reaches_the_person_on_call(tmp_path: Path) -> None:
    (tmp_path / "slo.yaml").write_text(SLO)
    generated = CliRunner().invoke(
        command, ["generate", "--config", str(tmp_path / "slo.yaml"), "--output", str(tmp_path / "rules")]
    )
    assert generated.exit_code == 0, generated.output
    with ReplayServer(load("kv_preemption"), start="ready", repeat=True) as engine, webhook() as (url, arrived):
        (tmp_path / "exporter.yaml").write_text(
            "interval_seconds: 1\ngpu: {enabled: false}\nkubernetes: {discovery: none}\n"
            f"engines: {{targets: [{{url: '{engine.url}', name: llama-0, namespace: chat}}]}}\n"
        )
        with (
            exporter(tmp_path, "--config", str(tmp_path / "exporter.yaml")) as (_, exporter_port),
            alertmanager(tmp_path, url) as alertmanager_port,
            prometheus(tmp_path, exporter_port, alertmanager_port) as prometheus_port,
        ):
            alert = arrival(arrived, "LLMKVCacheSaturated")
            failed = [
                rule["name"]
                for group in json.loads(get(prometheus_port, "/api/v1/rules")[1])["data"]["groups"]
                for rule in group["rules"]
                if rule["health"] == "err"
            ]
    assert failed == []
    assert (alert["labels"]["namespace"], alert["labels"]["model"]) == ("chat", "llama-2-7b")
    assert alert["labels"]["severity"] == "warning"
    assert alert["annotations"]["runbook_url"] == "https://wiki.test/runbooks/alerts/LLMKVCacheSaturated.md"
    assert alert_page("LLMKVCacheSaturated").startswith("# LLMKVCacheSaturated")
    assert "var-namespace=chat&" in alert["annotations"]["dashboard_url"]
    assert "llama-2-7b" in alert["annotations"]["summary"]
    assert "{{" not in json.dumps(alert["annotations"])


@pytest.fixture(autouse=True)
def _is_there() -> None:
    import shutil

    if shutil.which("prometheus-alertmanager") is None:
        pytest.skip("prometheus-alertmanager is not installed: apt-get install prometheus-alertmanager")
