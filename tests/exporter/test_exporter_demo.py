"""A node to try the exporter with."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.accounts import Accounts
from exporter.collector import Collector
from exporter.config import Config, Engines, Gpu
from exporter.demo import DEMO_RECORDINGS, demo_node
from exporter.gpus.source import GpuSource
from exporter.pods.owners import DeviceInventory
from exporter.pods.watch import PodWatcher
from exporter.selfmetrics import SelfMetrics

PODS = {name.replace("_", "-") for name in DEMO_RECORDINGS}


@pytest.fixture
def config() -> Iterator[Config]:
    base = Config(
        listen="127.0.0.1:0",
        interval_seconds=7.0,
        gpu=Gpu(names="dcgm4.6", hostname_label="hostname"),
        engines=Engines(passthrough=True),
    )
    with demo_node(base) as config:
        yield config


def test_it_touches_no_hardware_and_no_cluster(config: Config) -> None:
    assert not config.gpu.enabled
    assert config.kubernetes.discovery == "none"
    assert config.node_name == "demo"
    assert len(config.engines.targets) == len(DEMO_RECORDINGS) == len(PODS)
    assert all(target.url.startswith("http://127.0.0.1:") for target in config.engines.targets)


def test_what_was_asked_for_holds(config: Config) -> None:
    assert (config.listen, config.interval_seconds) == ("127.0.0.1:0", 7.0)
    assert (config.gpu.names, config.gpu.hostname_label) == ("dcgm4.6", "hostname")
    assert config.engines.passthrough


def ready(collector: Collector) -> bool:
    collector.collect()
    return all(engine.reading is not None and engine.reading.up for engine in collector.engines)


def test_every_engine_is_recognised_and_up_and_a_gpu_is_there(config: Config) -> None:
    metrics = SelfMetrics("1")
    gpus = GpuSource(config.gpu, config.node_name)
    pods = PodWatcher(config.kubernetes, config.node_name, DeviceInventory)
    collector = Collector(config, gpus, pods, metrics, Accounts(metrics))
    try:
        # Two of the recordings begin a moment before their engine answered.
        until = time.monotonic() + 30
        while not ready(collector):
            assert time.monotonic() < until, [engine.reading for engine in collector.engines]
            time.sleep(0.1)
        assert collector.snapshot is not None
        body = collector.snapshot.body(openmetrics=False, gzipped=False)
        engines = {engine.target.pod: engine.reading for engine in collector.engines}
    finally:
        collector.close()
        gpus.close()
    assert {pod: (reading.up, reading.bad_lines) for pod, reading in engines.items() if reading} == dict.fromkeys(
        PODS, (True, 0)
    )
    found = [sample for family in text_string_to_metric_families(body.decode()) for sample in family.samples]
    up = {sample.labels["pod"]: sample for sample in found if sample.name == "llm_up"}
    assert {pod: sample.value for pod, sample in up.items()} == dict.fromkeys(PODS, 1)
    assert {sample.labels["engine"] for sample in up.values()} == {"vllm", "llamacpp", "triton"}
    gpu = [sample for sample in found if sample.name == "DCGM_FI_DEV_GPU_UTIL_RATIO"]
    assert len(gpu) == 1
    assert gpu[0].labels["modelName"] == "NVIDIA H200"
    assert gpu[0].labels["hostname"]
    assert any(sample.name == "vllm:num_requests_running" for sample in found), "passed through as asked for"
