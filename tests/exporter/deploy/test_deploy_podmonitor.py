"""A real Prometheus, configured as the operator would from the PodMonitor: whose pod do series name?"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from exporter.deploy.objects import kubernetes_objects
from exporter.deploy.release import Release
from exporter.deploy.values import Values
from tests.e2e.prometheus import eventually, free_port, get, process
from tests.exporter.direct_pages import served

PAGE = b"""\
gpu_used{node="n1",namespace="team",pod="llama",container="vllm"} 1
gpu_idle{node="n1"} 2
"""
# What the operator says of a target before the PodMonitor's own relabelings.
TARGET = {"namespace": "inferwatch", "pod": "inferwatch-exporter-x", "container": "exporter", "endpoint": "metrics"}


def scrape_config(port: int) -> dict[str, Any]:
    (monitor,) = (item for item in kubernetes_objects(Values(), Release("1")) if item["kind"] == "PodMonitor")
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    relabelings = [
        {re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", key): value for key, value in rule.items()}
        for rule in endpoint["relabelings"]
    ]
    labels = {**TARGET, "__meta_kubernetes_pod_node_name": "n1"}
    return {
        "job_name": "inferwatch",
        "scrape_interval": "1s",
        "honor_labels": endpoint["honorLabels"],
        "static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": labels}],
        "relabel_configs": relabelings,
    }


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, str]]]:
    """The labels that Prometheus holds, by series name."""
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("prometheus is not installed: apt-get install prometheus")
    folder: Path = tmp_path_factory.mktemp("podmonitor")
    with served(PAGE) as scraped_port:
        (folder / "prometheus.yml").write_text(yaml.safe_dump({"scrape_configs": [scrape_config(scraped_port)]}))
        port = free_port()
        command = [
            binary,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with process(command, folder / "prometheus.log"):

            def series() -> list[dict[str, str]]:
                status, body = get(port, "/api/v1/query?query=" + quote('{job="inferwatch"}'))
                return [item["metric"] for item in json.loads(body)["data"]["result"]] if status == 200 else []

            found = eventually(series, "Prometheus has scraped")
            yield {labels["__name__"]: labels for labels in found}


def test_a_gpu_in_use_names_the_pod_that_holds_it(stored: dict[str, dict[str, str]]) -> None:
    labels = stored["gpu_used"]
    assert (labels["namespace"], labels["pod"], labels["container"]) == ("team", "llama", "vllm")
    assert not [label for label in labels if label.startswith("exported_")]


def test_an_idle_gpu_names_no_pod(stored: dict[str, dict[str, str]]) -> None:
    assert not {"namespace", "pod", "container"} & stored["gpu_idle"].keys()


def test_whether_the_exporter_is_up_is_known_by_its_node(stored: dict[str, dict[str, str]]) -> None:
    assert stored["up"]["node"] == "n1"
