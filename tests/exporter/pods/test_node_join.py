"""A whole node in one process: the kubelet says who holds which GPU, the GPUs' series say it too, engines join."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from catalog.exposition import Sample, parse
from exporter.accounts import Accounts
from exporter.collector import Collector
from exporter.config import Config, Engines, Gpu, Kubernetes, Target
from exporter.gpus.source import GpuSource
from exporter.pods.watch import PodWatcher
from exporter.process import device_inventory
from exporter.selfmetrics import SelfMetrics
from tests.exporter.engines.endpoints import VLLM, response, says, serving
from tests.exporter.gpus.conftest import Node, node, stub_library, uuid_of
from tests.exporter.gpus.stub import Mig
from tests.exporter.pods.conftest import Kubelet, gpu_pod, resources_answer

__all__ = ["node", "stub_library"]
LIST = "/v1.PodResourcesLister/List"
MIG_UUID = "MIG-4a1c5b0e-9d0b-5c1e-8f5a-0c5a4d2f7b11"


class Joined:
    """A collector over stub GPUs, a stub kubelet and one engine."""

    def __init__(self, kubelet: Kubelet, engine_url: str) -> None:
        target = Target(url=engine_url, namespace="prod", pod="llama-0", container="engine")
        config = Config(
            node="node-a",
            engines=Engines(targets=(target,)),
            gpu=Gpu(profiling=False),
            kubernetes=Kubernetes(discovery="none", pod_resources_socket=str(kubelet.path)),
        )
        self.gpus = GpuSource(config.gpu, "node-a")
        self.pods = PodWatcher(config.kubernetes, "node-a", lambda: device_inventory(self.gpus))
        metrics = SelfMetrics("test")
        self.collector = Collector(config, self.gpus, self.pods, metrics, Accounts(metrics))

    def samples(self) -> list[Sample]:
        self.pods.refresh()
        return parse(self.collector.collect().body(openmetrics=False, gzipped=False)).samples

    def close(self) -> None:
        self.collector.close()
        self.pods.close()
        self.gpus.close()


@pytest.fixture
def joined(node: Node, kubelet: Kubelet) -> Iterator[Joined]:
    node.become(gpus=3)
    with serving(says(response(VLLM))) as url:
        made = Joined(kubelet, url)
        made.collector.collect()
        yield made
        made.close()


def places(samples: list[Sample], name: str) -> dict[str, tuple[str | None, str | None]]:
    return {
        sample.labels["UUID"]: (sample.labels.get("pod"), sample.labels.get("container"))
        for sample in samples
        if sample.name == name
    }


def test_a_gpu_says_who_holds_it_and_joins_with_the_engine(joined: Joined, kubelet: Kubelet) -> None:
    kubelet.answers[LIST] = resources_answer(gpu_pod("prod", "llama-0", "engine", uuid_of(0), uuid_of(2)))
    found = joined.samples()
    holder, nobody = ("llama-0", "engine"), (None, None)
    assert places(found, "DCGM_FI_DEV_POWER_USAGE") == {uuid_of(0): holder, uuid_of(1): nobody, uuid_of(2): holder}
    info = [sample.labels for sample in found if sample.name == "inferwatch_pod_gpu_info"]
    assert [(one["namespace"], one["pod"], one["UUID"]) for one in info] == [
        ("prod", "llama-0", uuid_of(0)),
        ("prod", "llama-0", uuid_of(2)),
    ]
    (engine,) = [sample.labels for sample in found if sample.name == "llm_requests_running"]
    assert (engine["namespace"], engine["pod"], engine["container"]) == ("prod", *holder)


def test_a_shared_gpu_has_its_series_once_and_all_holders_in_the_info(joined: Joined, kubelet: Kubelet) -> None:
    kubelet.answers[LIST] = resources_answer(
        gpu_pod("prod", "a", "engine", f"{uuid_of(1)}::0"), gpu_pod("prod", "b", "engine", f"{uuid_of(1)}::1")
    )
    found = joined.samples()
    assert places(found, "DCGM_FI_DEV_FB_USED")[uuid_of(1)] == (None, None)
    assert sum(sample.name == "DCGM_FI_DEV_FB_USED" for sample in found) == 3
    holders = {sample.labels["pod"] for sample in found if sample.name == "inferwatch_pod_gpu_info"}
    assert holders == {"a", "b"}


def test_a_mig_instances_holder_is_on_the_instance_alone(joined: Joined, kubelet: Kubelet, node: Node) -> None:
    node.become(mig=(Mig(0, 3, "1g.18gb", MIG_UUID),))
    kubelet.answers[LIST] = resources_answer(gpu_pod("prod", "small", "engine", MIG_UUID))
    found = joined.samples()
    used = [sample.labels for sample in found if sample.name == "DCGM_FI_DEV_FB_USED" and sample.labels["gpu"] == "0"]
    assert [(one.get("GPU_I_ID"), one.get("pod")) for one in used] == [(None, None), ("3", "small")]


def test_a_kubelet_that_is_away_leaves_the_last_answer_and_then_comes_back(joined: Joined, kubelet: Kubelet) -> None:
    kubelet.answers[LIST] = resources_answer(gpu_pod("prod", "llama-0", "engine", uuid_of(0)))
    assert places(joined.samples(), "DCGM_FI_DEV_GPU_TEMP")[uuid_of(0)] == ("llama-0", "engine")
    kubelet.stop()
    assert places(joined.samples(), "DCGM_FI_DEV_GPU_TEMP")[uuid_of(0)] == ("llama-0", "engine")
    assert ("pod_resources", "socket_missing") in joined.pods.view.errors


def test_the_device_files_numbers_lead_to_uuids(joined: Joined, node: Node) -> None:
    node.become(mig=(Mig(1, 5, "2g.35gb", MIG_UUID),))
    joined.collector.collect()
    inventory = device_inventory(joined.gpus)
    assert inventory.gpus == {number: uuid_of(number) for number in range(3)}
    assert inventory.instances == {(1, 5): MIG_UUID}
