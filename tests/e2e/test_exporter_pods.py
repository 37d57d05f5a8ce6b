"""An engine found as a pod: from the kubelet's sockets over the pod's address to series with the pod's labels."""

from __future__ import annotations

import ipaddress
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog.exposition import Sample, parse
from recordings.reader import load
from recordings.replay import ReplayServer
from tests.e2e.prometheus import eventually, exporter, get
from tests.exporter.gpus.conftest import uuid_of
from tests.exporter.gpus.stub import STATE_VARIABLE, StubState, build
from tests.exporter.pods.conftest import (
    LIST_PODS,
    POD_RESOURCES,
    Kubelet,
    core_pod,
    gpu_pod,
    pods_answer,
    resources_answer,
)

NAMESPACE, POD, CONTAINER = "ai", "llama-0", "server"
PLACE = {"namespace": NAMESPACE, "pod": POD, "container": CONTAINER}
# Addresses for documentation (RFC 5737, RFC 3849): to be routed to, never sent to.
ELSEWHERE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))


def address_of_this_machine() -> str | None:
    """An address that a pod could have: neither loopback nor link-local. None where there is none."""
    for family, elsewhere in ELSEWHERE:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((elsewhere, 9))
            except OSError:
                continue
            found = ipaddress.ip_address(probe.getsockname()[0])
        if not (found.is_loopback or found.is_link_local or found.is_unspecified):
            return str(found)
    return None


@pytest.fixture
def engine() -> Iterator[ReplayServer]:
    """A recorded engine at an address of this machine's network, as a pod's is."""
    address = address_of_this_machine()
    if address is None:
        pytest.skip("this machine has no address but loopback and link-local ones, which no pod can have")
    with ReplayServer(load("healthy_steady"), host=address, start="ready", repeat=True) as replay:
        yield replay


@pytest.fixture
def kubelet() -> Iterator[Kubelet]:
    """A kubelet with both of its APIs on one socket, whose path is short enough for one."""
    folder = Path(tempfile.mkdtemp(prefix="kubelet-"))
    served = Kubelet(folder / "kubelet.sock")
    served.start()
    yield served
    served.stop()
    shutil.rmtree(folder)


def samples(port: int) -> list[Sample]:
    status, body = get(port, "/metrics")
    assert status == 200, body
    parsed = parse(body)
    assert parsed.bad_lines == 0, parsed.first_bad_line
    return parsed.samples


def of_pod(port: int, name: str) -> list[Sample]:
    """The samples of this name that carry all of the pod's labels."""
    return [sample for sample in samples(port) if sample.name == name and PLACE.items() <= sample.labels.items()]


def test_an_engine_in_a_pod_is_found_scraped_and_served_with_the_pods_labels(
    tmp_path: Path, engine: ReplayServer, kubelet: Kubelet
) -> None:
    host, _, port_text = engine.url.removeprefix("http://").removesuffix("/metrics").rpartition(":")
    pod = core_pod(
        NAMESPACE,
        POD,
        ip=host.strip("[]"),
        containers=((CONTAINER, (("metrics", int(port_text)),)),),
        ready=(CONTAINER,),
    )
    kubelet.answers[LIST_PODS] = pods_answer(pod)
    kubelet.answers[POD_RESOURCES] = resources_answer(gpu_pod(NAMESPACE, POD, CONTAINER, uuid_of(1)))
    build(tmp_path)
    StubState(gpus=2).write(tmp_path / "state")
    config = tmp_path / "exporter.yaml"
    config.write_text(
        "interval_seconds: 0.3\nnode: node-1\nkubernetes:\n  discovery: pods_api\n  refresh_seconds: 0.2\n"
        f"  pods_api_socket: {kubelet.path}\n  pod_resources_socket: {kubelet.path}\n"
    )
    stub = {"LD_LIBRARY_PATH": str(tmp_path), STATE_VARIABLE: str(tmp_path / "state")}
    with exporter(tmp_path, "--config", str(config), environment=stub) as (_, port):
        assert eventually(lambda: of_pod(port, "llm_up"), "the pod's engine is found")
        (up,) = of_pod(port, "llm_up")
        assert (up.value, up.labels["engine"], up.labels["node"]) == (1.0, "vllm", "node-1")
        for name in ("llm_requests_running", "llm_kv_cache_usage_ratio", "llm_time_to_first_token_seconds_count"):
            (series,) = of_pod(port, name)
            assert series.labels["model"] == up.labels["model"], name

        def holders() -> dict[str, str]:
            temperatures = [one for one in samples(port) if one.name == "DCGM_FI_DEV_GPU_TEMP"]
            return {one.labels["UUID"]: one.labels.get("pod", "") for one in temperatures}

        assert eventually(lambda: holders() == {uuid_of(0): "", uuid_of(1): POD}, "one GPU is the pod's")
        (info,) = of_pod(port, "inferwatch_pod_gpu_info")
        assert info.labels["UUID"] == uuid_of(1)

        kubelet.answers[LIST_PODS] = pods_answer()
        kubelet.answers[POD_RESOURCES] = resources_answer()
        assert eventually(lambda: not any(one.name.startswith("llm_") for one in samples(port)), "gone with its pod")
        assert eventually(lambda: set(holders().values()) == {""}, "the GPU is nobody's")
