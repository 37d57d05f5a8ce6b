"""The exporter as a process, its GPUs a stub of NVML, its engines recorded, scraped by a real Prometheus."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from catalog.engines import recognise
from catalog.exposition import parse
from catalog.translate import Translator
from recordings.reader import load
from recordings.replay import ManualClock, ReplayServer
from tests.e2e.prometheus import Prometheus, eventually, exporter, get, prometheus
from tests.exporter.gpus.stub import STATE_VARIABLE, StubState, build

RECORDINGS = ("kv_preemption", "healthy_steady", "llamacpp_busy", "triton_healthy")
GPUS = 2


@dataclass(frozen=True)
class Node:
    """What runs: recorded engines, each stopped at a moment; the exporter; Prometheus."""

    replays: dict[str, ReplayServer]
    port: int
    prometheus: Prometheus


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("node")
    build(folder)
    state = folder / "state"
    StubState(gpus=GPUS).write(state)
    clock = ManualClock()
    with ExitStack() as stack:
        replays = {
            name: stack.enter_context(ReplayServer(load(name), start="ready", clock=clock)) for name in RECORDINGS
        }
        clock.advance(20)
        config = folder / "exporter.yaml"
        config.write_text(
            "interval_seconds: 0.5\nkubernetes: {discovery: none}\nengines:\n  targets:\n"
            + "".join(f"    - {{url: '{replay.url}', name: {name}}}\n" for name, replay in replays.items())
        )
        environment = {"LD_LIBRARY_PATH": str(folder), STATE_VARIABLE: str(state)}
        _, port = stack.enter_context(exporter(folder, "--config", str(config), environment=environment))
        running = stack.enter_context(prometheus(folder, port))
        eventually(
            lambda: running.query("llm_up == 1") and running.query("count_over_time(up[1m]) > 3"), "some scrapes"
        )
        yield Node(replays, port, running)


def test_prometheus_scrapes_without_an_error(node: Node) -> None:
    assert node.prometheus.value("min_over_time(up[1m])") == 1
    assert node.prometheus.value("count(llm_up == 1)") == len(RECORDINGS)
    log = node.prometheus.log.read_text()
    assert not re.search(r"level=(warn|error)", log), log
    for counter in ("duplicate_timestamp", "out_of_order", "exceeded_sample_limit"):
        _, own = get(node.prometheus.port, "/metrics")
        counts = re.findall(rf"(?m)^prometheus_target_\w*{counter}\w*_total (\S+)$", own.decode())
        assert set(counts) == {"0"}, counter


@pytest.mark.parametrize("name", RECORDINGS)
def test_every_canonical_series_has_the_value_that_the_engine_showed(node: Node, name: str) -> None:
    shown = node.replays[name].current_scrape()
    assert shown is not None
    samples = parse(shown.exposition).samples
    engine = recognise(sample.name for sample in samples)
    assert engine is not None
    expected = {
        (sample.name, *sorted((label, value) for label, value in sample.labels.items() if value)): sample.value
        for sample in Translator(engine).translate_all(samples)
    }
    added = {"__name__", "pod", "node", "job", "instance"}
    found = {
        (one["metric"]["__name__"], *sorted((k, v) for k, v in one["metric"].items() if k not in added)): float(
            one["value"][1]
        )
        for one in node.prometheus.query(f'{{__name__=~"llm_.+",__name__!="llm_up",pod="{name}"}}')
    }
    assert len(found) > 5
    # OpenMetrics has bounds as floats: Prometheus reads le="1" and le="1.0" as they are written.
    assert found == pytest.approx(expected, nan_ok=True)


def test_the_gpus_are_there_under_dcgms_names(node: Node) -> None:
    assert node.prometheus.value("count(inferwatch_gpu_up == 1)") == GPUS
    assert node.prometheus.value("count(DCGM_FI_DEV_FB_TOTAL > 100000)") == GPUS
    (one, *_) = node.prometheus.query("DCGM_FI_DEV_POWER_USAGE")
    assert {"gpu", "UUID", "pci_bus_id", "device", "modelName", "Hostname"} <= set(one["metric"])


def test_promtool_finds_nothing_but_dcgms_own_names(node: Node) -> None:
    promtool = shutil.which("promtool")
    assert promtool is not None
    _, body = get(node.port, "/metrics")
    done = subprocess.run([promtool, "check", "metrics"], input=body, capture_output=True, check=False, timeout=60)
    complaints = [line for line in done.stderr.decode().splitlines() if line.strip()]
    assert "error while linting" not in done.stderr.decode()
    assert [line for line in complaints if not line.startswith("DCGM_")] == []


@pytest.mark.parametrize("accept", ["text/plain;version=0.0.4", "application/openmetrics-text;version=1.0.0"])
def test_both_formats_hold_the_same_series(node: Node, accept: str) -> None:
    status, body = get(node.port, "/metrics", {"Accept": accept})
    assert status == 200
    assert body.endswith(b"# EOF\n") == ("openmetrics" in accept)
    parsed = parse(body)
    assert parsed.bad_lines == 0
    assert sum(sample.name == "llm_up" for sample in parsed.samples) == len(RECORDINGS)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/health", "/"])
def test_the_other_pages_answer(node: Node, path: str) -> None:
    assert get(node.port, path)[0] == 200
