"""The exporter as a process when something is wrong: what it says, and what it serves all the same."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from catalog.exposition import Sample, parse
from recordings.reader import load
from recordings.replay import ReplayServer
from tests.e2e.prometheus import eventually, exporter, get
from tests.exporter.gpus.stub import STATE_VARIABLE, StubState, build, hangs, lost

GPUS = 3


class Node:
    """A node of stub GPUs and one recorded engine."""

    def __init__(self, folder: Path, engine_url: str) -> None:
        self.folder = folder
        self.engine_url = engine_url
        self.state = StubState(gpus=GPUS)
        self.config = folder / "exporter.yaml"
        self.configure()
        self.become(self.state)

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_LIBRARY_PATH": str(self.folder), STATE_VARIABLE: str(self.folder / "state")}

    def become(self, state: StubState) -> None:
        self.state = state
        state.write(self.folder / "state")

    def configure(self, more_targets: str = "", rest: str = "") -> None:
        fresh = self.config.with_suffix(".new")
        fresh.write_text(
            "interval_seconds: 0.3\nkubernetes: {discovery: none}\ngpu: {timeout_seconds: 0.2}\n"
            f"engines:\n  targets:\n    - {{url: '{self.engine_url}', name: first}}\n{more_targets}{rest}"
        )
        fresh.replace(self.config)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    build(tmp_path)
    with ReplayServer(load("healthy_steady"), start="ready", repeat=True) as replay:
        yield Node(tmp_path, replay.url)


def samples(port: int) -> list[Sample]:
    status, body = get(port, "/metrics")
    assert status == 200, body
    parsed = parse(body)
    assert parsed.bad_lines == 0
    return parsed.samples


def values(port: int, name: str, label: str) -> dict[str, float]:
    return {sample.labels.get(label, ""): sample.value for sample in samples(port) if sample.name == name}


def test_without_nvml_engines_are_served_and_readiness_says_what_is_missing(node: Node, tmp_path: Path) -> None:
    with exporter(tmp_path, "--config", str(node.config), environment={"LD_LIBRARY_PATH": "/nonexistent"}) as (_, port):
        assert eventually(lambda: values(port, "llm_up", "pod") == {"first": 1.0}, "the engine is up")
        assert values(port, "inferwatch_gpu_up", "gpu") == {}
        status, text = get(port, "/readyz")
        assert status == 200
        assert b"GPUs: NVML cannot be initialised" in text
        assert get(port, "/healthz")[0] == 200


def test_a_gpu_that_falls_off_the_bus_is_down_under_its_name_and_the_others_go_on(node: Node, tmp_path: Path) -> None:
    with exporter(tmp_path, "--config", str(node.config), environment=node.environment) as (_, port):
        assert eventually(lambda: values(port, "inferwatch_gpu_up", "gpu") == {"0": 1, "1": 1, "2": 1}, "all up")
        uuids = {sample.labels["UUID"] for sample in samples(port) if sample.name == "inferwatch_gpu_up"}
        node.become(replace(node.state, rules=(lost(1),)))
        assert eventually(lambda: values(port, "inferwatch_gpu_up", "gpu") == {"0": 1, "1": 0, "2": 1}, "one down")
        found = samples(port)
        assert {sample.labels["UUID"] for sample in found if sample.name == "inferwatch_gpu_up"} == uuids
        assert {s.labels["gpu"] for s in found if s.name == "DCGM_FI_DEV_POWER_USAGE"} == {"0", "2"}
        assert values(port, "llm_up", "pod") == {"first": 1.0}
        assert values(port, "inferwatch_exporter_gpus_expected", "") == {"": 3}
        assert values(port, "inferwatch_exporter_gpus_visible", "") == {"": 2}
        assert b"1 of 3 did not answer" in get(port, "/readyz")[1]
        node.become(replace(node.state, rules=()))


def test_a_call_that_hangs_in_the_driver_is_named_and_the_rest_goes_on(node: Node, tmp_path: Path) -> None:
    with exporter(tmp_path, "--config", str(node.config), environment=node.environment) as (process, port):
        assert eventually(lambda: values(port, "inferwatch_gpu_up", "gpu") == {"0": 1, "1": 1, "2": 1}, "all up")
        node.become(replace(node.state, rules=(hangs("nvmlDeviceGetPowerUsage", 2),)))
        assert eventually(lambda: values(port, "inferwatch_gpu_up", "gpu") == {"0": 1, "1": 1, "2": 0}, "one hangs")
        before = values(port, "inferwatch_exporter_collections_total", "")[""]
        assert eventually(
            lambda: values(port, "inferwatch_exporter_collections_total", "")[""] > before + 2, "collections go on"
        )
        assert b"nvmlDeviceGetPowerUsage" in get(port, "/")[1]
        assert values(port, "llm_up", "pod") == {"first": 1.0}
        errors = {
            (sample.labels["source"], sample.labels["reason"])
            for sample in samples(port)
            if sample.name == "inferwatch_exporter_source_errors_total"
        }
        assert ("gpu", "hanging") in errors
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.mark.parametrize("by", ["signal", "file"])
def test_a_reload_adds_an_engine_without_an_empty_scrape(node: Node, tmp_path: Path, by: str) -> None:
    with (
        exporter(tmp_path, "--config", str(node.config), environment=node.environment) as (process, port),
        ReplayServer(load("llamacpp_busy"), start="ready", repeat=True) as second,
    ):
        assert eventually(lambda: values(port, "llm_up", "pod") == {"first": 1.0}, "the engine is up")
        seen: list[tuple[bool, bool]] = []
        stop = threading.Event()

        def watch() -> None:
            while not stop.is_set():
                names = {(sample.name, sample.labels.get("pod")) for sample in samples(port)}
                seen.append((("llm_up", "first") in names, ("inferwatch_gpu_up", None) in names))

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            assert eventually(lambda: seen, "scrapes before the reload")
            node.configure(f"    - {{url: '{second.url}', name: second, engine: llamacpp}}\n")
            if by == "signal":
                process.send_signal(signal.SIGHUP)
            assert eventually(lambda: set(values(port, "llm_up", "pod")) == {"first", "second"}, "the second is there")
            during = len(seen)
            assert eventually(lambda: len(seen) >= during + 5, "scrapes go on after the reload")
        finally:
            stop.set()
            watching.join()
        assert set(seen) == {(True, True)}
        assert values(port, "inferwatch_exporter_config_last_reload_successful", "") == {"": 1}


def test_a_bad_reload_changes_nothing_and_is_said(node: Node, tmp_path: Path) -> None:
    with exporter(tmp_path, "--config", str(node.config), environment=node.environment) as (process, port):
        node.configure(rest="nonsense: 1\n")
        process.send_signal(signal.SIGHUP)
        name = "inferwatch_exporter_config_last_reload_successful"
        assert eventually(lambda: values(port, name, "") == {"": 0}, "the reload is refused")
        assert values(port, "llm_up", "pod") == {"first": 1.0}
        log = (tmp_path / "exporter.log").read_text()
        assert f"not reloaded: {node.config}: Object contains unknown field `nonsense`" in log
        assert "Traceback" not in log
        node.configure()
        assert eventually(lambda: values(port, name, "") == {"": 1}, "the file is good again")


def test_a_reload_of_the_gpus_settings_keeps_serving(node: Node, tmp_path: Path) -> None:
    with exporter(tmp_path, "--config", str(node.config), environment=node.environment) as (_, port):
        assert eventually(lambda: values(port, "DCGM_FI_DEV_POWER_USAGE", "gpu"), "GPUs are there")
        node.config.write_text(node.config.read_text().replace("gpu: {", "gpu: {names: dcgm4.6, "))
        assert eventually(lambda: values(port, "DCGM_FI_DEV_BOARD_POWER_WATTS", "gpu"), "the new spelling")
        assert values(port, "DCGM_FI_DEV_POWER_USAGE", "gpu") == {}
        assert values(port, "llm_up", "pod") == {"first": 1.0}


def test_sigterm_ends_the_process_with_status_0(node: Node, tmp_path: Path) -> None:
    with exporter(tmp_path, "--config", str(node.config), environment=node.environment) as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    assert "Traceback" not in (tmp_path / "exporter.log").read_text()


def test_a_port_in_use_ends_the_start_with_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            [sys.executable, "-m", "inferwatch", "exporter", "--listen", address],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert address in line
    assert "another process listens there" in line
