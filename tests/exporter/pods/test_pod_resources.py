"""Reading the kubelet's pod-resources API and its Pods API, from stubs of a kubelet."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.pods import unary_call
from exporter.pods.kubelet import Assignment, list_assignments
from exporter.pods.messages import MESSAGES, decode
from exporter.pods.pod import Container, ContainerPort, Pod, is_name
from exporter.pods.pods_api import list_pods
from exporter.pods.problems import SourceError
from tests.exporter.pods.conftest import (
    GPU,
    LIST_PODS,
    POD_RESOURCES,
    core_pod,
    devices,
    gpu_pod,
    pod_resources,
    pods_answer,
    resources_answer,
    wire,
)

if TYPE_CHECKING:
    from tests.exporter.pods.conftest import Kubelet


def test_every_device_of_every_container_is_listed(kubelet: Kubelet, socket_path: Path) -> None:
    kubelet.answers[POD_RESOURCES] = resources_answer(
        pod_resources(
            "ai",
            "llama-0",
            "engine",
            wire(2, devices("nvidia.com/gpu", GPU.format(0), GPU.format(1))),
            wire(2, devices("example.com/nic", "nic-3")),
            wire(3, 4),  # cpu_ids
        ),
        pod_resources("web", "nginx", "nginx"),
    )
    assert list_assignments(str(socket_path), 10.0) == (
        Assignment("ai", "llama-0", "engine", "nvidia.com/gpu", GPU.format(0)),
        Assignment("ai", "llama-0", "engine", "nvidia.com/gpu", GPU.format(1)),
        Assignment("ai", "llama-0", "engine", "example.com/nic", "nic-3"),
    )


def test_a_device_of_dynamic_resource_allocation_is_listed(kubelet: Kubelet, socket_path: Path) -> None:
    claimed = (
        wire(1, wire(1, "k8s.gpu.nvidia.com/device=x")) + wire(2, "gpu.nvidia.com") + wire(3, "n1") + wire(4, "gpu-0")
    )
    claim = wire(2, "claim") + wire(3, "ai") + wire(4, claimed)
    kubelet.answers[POD_RESOURCES] = resources_answer(pod_resources("ai", "llama-0", "engine", wire(5, claim)))
    assert list_assignments(str(socket_path), 10.0) == (
        Assignment("ai", "llama-0", "engine", "gpu.nvidia.com", "gpu-0", dynamic=True),
    )


def test_a_full_node_of_110_pods(kubelet: Kubelet, socket_path: Path) -> None:
    kubelet.answers[POD_RESOURCES] = resources_answer(
        *(gpu_pod("ai", f"pod-{number}", "engine", GPU.format(number)) for number in range(110))
    )
    found = list_assignments(str(socket_path), 10.0)
    assert [assignment.device_id for assignment in found] == [GPU.format(number) for number in range(110)]


def test_no_pods_at_all(kubelet: Kubelet, socket_path: Path) -> None:
    kubelet.answers |= {POD_RESOURCES: b"", LIST_PODS: b""}
    assert list_assignments(str(socket_path), 10.0) == ()
    assert list_pods(str(socket_path), 10.0) == ()


def test_a_restarted_kubelet_is_asked_again(kubelet: Kubelet, socket_path: Path) -> None:
    kubelet.answers[POD_RESOURCES] = resources_answer(gpu_pod("ai", "before", "engine", GPU.format(0)))
    assert list_assignments(str(socket_path), 10.0)[0].pod == "before"
    inode = socket_path.stat().st_ino
    kubelet.stop()
    with pytest.raises(SourceError, match="no such socket"):
        list_assignments(str(socket_path), 10.0)
    (socket_path.parent / "takes-the-inode").touch()
    kubelet.answers[POD_RESOURCES] = resources_answer(gpu_pod("ai", "after", "engine", GPU.format(0)))
    kubelet.start()
    assert socket_path.stat().st_ino != inode
    assert list_assignments(str(socket_path), 10.0)[0].pod == "after"


@pytest.mark.parametrize("answer", [b"\xff", wire(1, b"\x0a\xff"), wire(1, wire(1, b"\xff\xfe"))])
def test_an_answer_that_is_no_protobuf(kubelet: Kubelet, socket_path: Path, answer: bytes) -> None:
    kubelet.answers |= {POD_RESOURCES: answer, LIST_PODS: wire(1, answer)}
    for ask in (list_assignments, list_pods):
        with pytest.raises(SourceError) as caught:
            ask(str(socket_path), 10.0)
        assert caught.value.reason == "malformed"


def mutated(answer: bytes) -> st.SearchStrategy[bytes]:
    """The answer with one slice replaced by any bytes."""
    places = st.integers(0, len(answer))
    return st.builds(lambda a, b, new: answer[:a] + new + answer[b:], places, places, st.binary(max_size=6))


RESOURCES = resources_answer(gpu_pod("ai", "llama-0", "engine", GPU.format(0), "nvidia0/gi3"))
PODS = pods_answer(core_pod(annotations={"prometheus.io/port": "80"}, labels={"app": "x"}, more_ips=["10.0.0.7"]))


@settings(deadline=None, derandomize=True, max_examples=400)
@given(mutated(RESOURCES) | st.binary(max_size=60), mutated(PODS) | st.binary(max_size=60))
def test_any_bytes_are_an_answer_or_a_named_reason(resources: bytes, pods: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for ask, data in ((list_assignments, resources), (list_pods, pods)):
            patch.setattr(unary_call, "call", lambda *_, data=data: data)
            try:
                found: tuple[object, ...] = ask("kubelet.sock", 1.0)
            except SourceError as error:
                assert error.reason == "malformed"
            else:
                assert all(isinstance(each, Assignment | Pod) for each in found)


# The Pods API


def test_a_pod_of_the_pods_api(kubelet: Kubelet, socket_path: Path) -> None:
    kubelet.answers[LIST_PODS] = pods_answer(
        core_pod(
            annotations={"prometheus.io/port": "8000", "inferwatch.dev/engine": "vllm", "kubectl/last": "x" * 9000},
            labels={"app": "llama"},
            containers=[("engine", [("http", 8000), ("metrics", 9000)]), ("sidecar", [])],
            ready=["engine"],
            more_ips=["10.0.0.7", "fd00::7"],
        )
    )
    assert list_pods(str(socket_path), 10.0) == (
        Pod(
            namespace="ai",
            name="llama-0",
            uid="uid-1",
            ip="10.0.0.7",
            phase="Running",
            annotations={"prometheus.io/port": "8000", "inferwatch.dev/engine": "vllm"},
            labels={"app": "llama"},
            containers=(
                Container("engine", (ContainerPort("http", 8000), ContainerPort("metrics", 9000)), ready=True),
                Container("sidecar"),
            ),
        ),
    )


def test_the_first_of_several_addresses_stands_in_for_a_missing_one(kubelet: Kubelet, socket_path: Path) -> None:
    kubelet.answers[LIST_PODS] = pods_answer(
        core_pod(name="a", ip="", more_ips=["fd00::7", "10.0.0.7"]), core_pod(name="b", ip="")
    )
    assert [pod.ip for pod in list_pods(str(socket_path), 10.0)] == ["fd00::7", ""]


def test_pods_with_names_that_kubernetes_forbids_are_left_out(kubelet: Kubelet, socket_path: Path) -> None:
    kubelet.answers[LIST_PODS] = pods_answer(
        core_pod(name='x"} 1\nevil 2'), core_pod(namespace=""), core_pod(name="good")
    )
    assert [pod.name for pod in list_pods(str(socket_path), 10.0)] == ["good"]


def test_a_kubelet_without_the_pods_api(kubelet: Kubelet, socket_path: Path) -> None:
    kubelet.answers[POD_RESOURCES] = b""
    with pytest.raises(SourceError) as caught:
        list_pods(str(socket_path), 10.0)
    assert caught.value.reason == "unimplemented"


@pytest.mark.parametrize("name", ["a", "llama-0", "kube-proxy.node-1", "0", "a" * 253])
def test_a_name_of_kubernetes(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a_b", "a\n", "ä", "a" * 254, "a/b", 'a"'])
def test_no_name_of_kubernetes(name: str) -> None:
    assert not is_name(name)


# The message table


def test_every_message_of_the_table_can_be_read() -> None:
    for name in MESSAGES:
        assert str(decode(name, b"")) == ""


def test_asking_no_kubelet_loads_neither_grpc_nor_protobuf() -> None:
    heavy = {"grpclib", "google", "h2", "asyncio", "kubernetes"}
    loaded = "{name.partition('.')[0] for name in sys.modules}"
    script = f"import sys, exporter.pods.watch\nprint(*sorted({heavy} & {loaded}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == ""
