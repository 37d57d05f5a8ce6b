"""The watcher against a stub kubelet: discovery, restarts, what is kept, what is published."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from exporter.config import Kubernetes
from exporter.gpus.owners import Owner
from exporter.pods import api_server
from exporter.pods.api_server import ApiServer
from exporter.pods.owners import DeviceInventory
from exporter.pods.pod import Container, ContainerPort, Pod
from exporter.pods.problems import SourceError
from exporter.pods.watch import PodView, PodWatcher
from tests.exporter.pods.conftest import (
    GPU,
    LIST_PODS,
    POD_RESOURCES,
    Kubelet,
    core_pod,
    gpu_pod,
    pods_answer,
    resources_answer,
)

if TYPE_CHECKING:
    from exporter.pods.problems import Problem

INVENTORY = DeviceInventory(gpus={0: GPU.format(0), 1: GPU.format(1)})
ENGINE_POD = Pod(
    "ai", "llama-0", ip="10.0.0.7", phase="Running", containers=(Container("engine", (ContainerPort("http", 8000),)),)
)


class Clock:
    """The monotonic clock that the watcher sees."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


class ApiServerStub:
    """Stands where the API server's client is called."""

    def __init__(self) -> None:
        self.answer: tuple[Pod, ...] | SourceError = (ENGINE_POD,)
        self.asked: list[str] = []

    def __call__(self, server: ApiServer, node_name: str, timeout_seconds: float) -> tuple[Pod, ...]:
        self.asked.append(node_name)
        if isinstance(self.answer, SourceError):
            raise self.answer
        return self.answer


@pytest.fixture
def listing(monkeypatch: pytest.MonkeyPatch) -> ApiServerStub:
    stub = ApiServerStub()
    monkeypatch.setattr(api_server, "list_pods", stub)
    return stub


Watch = Callable[..., PodWatcher]


@pytest.fixture
def make_watcher(socket_path: Path, clock: Clock) -> Iterator[Watch]:
    """A watcher of the stub kubelet, which serves both of its APIs on one socket; in no cluster unless told."""
    made: list[PodWatcher] = []

    def make(
        inventory: Callable[[], DeviceInventory] = lambda: INVENTORY, *, in_cluster: bool = False, **changes: Any
    ) -> PodWatcher:
        server = ApiServer("127.0.0.1", 1) if in_cluster else None
        sockets = {"pods_api_socket": str(socket_path), "pod_resources_socket": str(socket_path)}
        config = Kubernetes(**(sockets | changes))
        watcher = PodWatcher(
            config,
            "node-1",
            inventory,
            find_api_server=lambda: server,
            call_timeout_seconds=10.0,
            monotonic_seconds=clock,
        )
        made.append(watcher)
        return watcher

    yield make
    for watcher in made:
        watcher.close()


@pytest.fixture
def busy(kubelet: Kubelet) -> Kubelet:
    """A kubelet with one engine that holds a GPU, and one pod without."""
    kubelet.answers[POD_RESOURCES] = resources_answer(gpu_pod("ai", "llama-0", "engine", GPU.format(0)))
    kubelet.answers[LIST_PODS] = pods_answer(core_pod("web", "nginx"), core_pod("ai", "llama-0"))
    return kubelet


def reasons(problems: tuple[Problem, ...]) -> list[tuple[str, str]]:
    return [(problem.source, problem.reason) for problem in problems]


def wait_for(watcher: PodWatcher, condition: Callable[[PodView], bool]) -> PodView:
    """Poll the published view, for 20 s at most."""
    give_up = time.monotonic() + 20
    while not condition(watcher.view):
        assert time.monotonic() < give_up, watcher.view
        time.sleep(0.01)
    return watcher.view


# One refresh


def test_a_view_joins_pods_gpus_and_candidates(busy: Kubelet, make_watcher: Watch) -> None:
    watcher = make_watcher()
    assert watcher.view == PodView()
    view = watcher.refresh()
    assert watcher.view is view
    assert view.pod_source == "pods_api"
    assert [pod.key for pod in view.pods] == [("ai", "llama-0"), ("web", "nginx")]
    assert view.owners.by_device == {GPU.format(0): (Owner("ai", "llama-0", "engine"),)}
    assert {candidate.pod for candidate in view.candidates} == {"llama-0"}
    assert view.candidates[0].url == "http://10.0.0.7:8000/metrics"
    assert view.problems == ()
    assert view.errors == {}
    assert abs(view.updated_unix_seconds - time.time()) < 60


def test_a_view_does_not_change(busy: Kubelet, make_watcher: Watch) -> None:
    watcher = make_watcher()
    first = watcher.refresh()
    before = structs.replace(first)
    busy.answers[POD_RESOURCES] = busy.answers[LIST_PODS] = b""
    second = watcher.refresh()
    assert first == before
    assert second.pods == ()
    with pytest.raises(TypeError):
        second.errors["pods_api", "timeout"] = 1  # type: ignore[index]


def test_all_pods_are_probed_where_that_is_wanted(busy: Kubelet, make_watcher: Watch) -> None:
    assert {each.pod for each in make_watcher(probe_all_pods=True).refresh().candidates} == {"llama-0", "nginx"}


def test_devices_are_found_in_the_inventory_of_now(busy: Kubelet, make_watcher: Watch) -> None:
    inventory = DeviceInventory()
    watcher = make_watcher(lambda: inventory, gpu_resources=("example.com/share",))
    busy.answers[POD_RESOURCES] = resources_answer(
        gpu_pod("ai", "llama-0", "engine", "nvidia1/vgpu0", "strange", resource="example.com/share")
    )
    view = watcher.refresh()
    assert view.owners.by_device == {}
    assert {(problem.reason, problem.count) for problem in view.problems} == {
        ("unknown_device", 1),
        ("unknown_shape", 1),
    }
    inventory = INVENTORY
    assert watcher.refresh().owners.by_device == {GPU.format(1): (Owner("ai", "llama-0", "engine"),)}
    assert watcher.view.errors == {("device_ids", "unknown_device"): 1, ("device_ids", "unknown_shape"): 2}


def test_a_pod_that_has_ended_holds_nothing(busy: Kubelet, make_watcher: Watch) -> None:
    busy.answers[LIST_PODS] = pods_answer(core_pod("ai", "llama-0", phase="Succeeded"))
    view = make_watcher().refresh()
    assert view.owners.by_device == {}
    assert view.candidates == ()


def test_a_dcgm_exporter_is_found(busy: Kubelet, make_watcher: Watch) -> None:
    busy.answers[LIST_PODS] = pods_answer(core_pod("gpu", "dcgm", containers=[("nvidia-dcgm-exporter", [])]))
    (found,) = make_watcher().refresh().dcgm_candidates
    assert found.url == "http://10.0.0.7:9400/metrics"


def test_a_bad_annotation_is_a_problem_of_that_pod_alone(busy: Kubelet, make_watcher: Watch) -> None:
    busy.answers[POD_RESOURCES] = resources_answer(
        gpu_pod("ai", "a", "engine", GPU.format(0)), gpu_pod("ai", "b", "engine", GPU.format(1))
    )
    busy.answers[LIST_PODS] = pods_answer(
        core_pod("ai", "a", annotations={"inferwatch.dev/port": "99999"}), core_pod("ai", "b")
    )
    view = make_watcher().refresh()
    assert {candidate.pod for candidate in view.candidates} == {"b"}
    assert reasons(view.problems) == [("candidates", "bad_annotation")]
    assert view.errors == {("candidates", "bad_annotation"): 1}


# Discovery


def test_outside_of_kubernetes_there_is_nothing_and_no_problem(make_watcher: Watch, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "none" / "kubelet.sock")
    view = make_watcher(pods_api_socket=nowhere, pod_resources_socket=nowhere).refresh()
    assert (view.pods, view.problems, view.errors, view.pod_source) == ((), (), {}, None)


def test_auto_takes_the_api_server_where_the_kubelet_has_no_pods_api(
    busy: Kubelet, make_watcher: Watch, listing: ApiServerStub, tmp_path: Path
) -> None:
    view = make_watcher(in_cluster=True, pods_api_socket=str(tmp_path / "none.sock")).refresh()
    assert view.pod_source == "api_server"
    assert listing.asked == ["node-1"]
    assert view.candidates[0].url == "http://10.0.0.7:8000/metrics"
    assert view.problems == ()


def test_auto_takes_the_api_server_where_the_pods_api_is_off(
    busy: Kubelet, make_watcher: Watch, listing: ApiServerStub
) -> None:
    del busy.answers[LIST_PODS]
    view = make_watcher(in_cluster=True).refresh()
    assert view.pod_source == "api_server"
    assert reasons(view.problems) == [("pods_api", "unimplemented")]


def test_auto_prefers_the_pods_api(busy: Kubelet, make_watcher: Watch, listing: ApiServerStub) -> None:
    assert make_watcher(in_cluster=True).refresh().pod_source == "pods_api"
    assert listing.asked == []


@pytest.mark.parametrize(("discovery", "source"), [("pods_api", "pods_api"), ("api_server", "api_server")])
def test_a_chosen_source_is_the_only_one(
    busy: Kubelet, make_watcher: Watch, listing: ApiServerStub, discovery: str, source: str
) -> None:
    assert make_watcher(in_cluster=True, discovery=discovery).refresh().pod_source == source
    busy.refuse(LIST_PODS, "UNIMPLEMENTED")
    listing.answer = SourceError("forbidden", "no")
    view = make_watcher(in_cluster=True, discovery=discovery).refresh()
    assert view.pod_source is None
    assert [problem.source for problem in view.problems] == [source]


def test_without_discovery_gpus_still_have_owners(busy: Kubelet, make_watcher: Watch, listing: ApiServerStub) -> None:
    view = make_watcher(in_cluster=True, discovery="none").refresh()
    assert view.pods == ()
    assert view.owners.by_device == {GPU.format(0): (Owner("ai", "llama-0", "engine"),)}
    assert busy.calls == [POD_RESOURCES]
    assert listing.asked == []


def test_the_api_server_chosen_outside_of_a_cluster(busy: Kubelet, make_watcher: Watch) -> None:
    view = make_watcher(discovery="api_server").refresh()
    assert reasons(view.problems) == [("api_server", "not_in_cluster")]


def test_a_broken_environment_is_named(busy: Kubelet, socket_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "https")
    monkeypatch.delenv("KUBERNETES_SERVICE_PORT_HTTPS", raising=False)
    config = Kubernetes(pods_api_socket=str(socket_path) + ".none", pod_resources_socket=str(socket_path))
    view = PodWatcher(config, "node-1", lambda: INVENTORY).refresh()
    assert reasons(view.problems) == [("api_server", "not_in_cluster")]
    assert view.owners.by_device, "the kubelet is asked all the same"


# Failures over time


def test_a_kubelet_that_restarts_is_survived(busy: Kubelet, make_watcher: Watch, clock: Clock) -> None:
    watcher = make_watcher(refresh_seconds=15.0)
    good = watcher.refresh()
    busy.stop()
    clock.seconds += 15
    view = watcher.refresh()
    assert (view.pods, view.owners, view.candidates) == (good.pods, good.owners, good.candidates)
    assert reasons(view.problems) == [("pods_api", "socket_missing"), ("pod_resources", "socket_missing")]
    assert view.pod_source == "pods_api"
    clock.seconds += 1
    assert watcher.refresh().errors == view.errors, "a source that waits is not counted again"
    busy.answers[POD_RESOURCES] = resources_answer(gpu_pod("ai", "llama-0", "engine", GPU.format(1)))
    busy.start()
    clock.seconds += 15
    view = watcher.refresh()
    assert view.owners.by_device == {GPU.format(1): (Owner("ai", "llama-0", "engine"),)}
    assert view.problems == ()
    assert view.errors == {("pods_api", "socket_missing"): 1, ("pod_resources", "socket_missing"): 1}


def test_what_was_known_is_dropped_when_it_is_too_old(busy: Kubelet, make_watcher: Watch, clock: Clock) -> None:
    watcher = make_watcher()
    watcher.refresh()
    busy.stop()
    clock.seconds += 299
    assert watcher.refresh().owners.by_device
    clock.seconds += 2
    view = watcher.refresh()
    assert (dict(view.owners.by_device), view.pods, view.candidates) == ({}, (), ())


def test_a_socket_that_appears_later(busy: Kubelet, make_watcher: Watch, clock: Clock) -> None:
    busy.stop()
    watcher = make_watcher(in_cluster=False)
    assert reasons(watcher.refresh().problems) == [("pod_resources", "socket_missing")]
    busy.start()
    clock.seconds += 60
    view = watcher.refresh()
    assert view.problems == ()
    assert view.pod_source == "pods_api"
    assert view.owners.by_device


@pytest.mark.parametrize("code", ["RESOURCE_EXHAUSTED", "UNIMPLEMENTED", "PERMISSION_DENIED"])
def test_one_api_that_refuses_leaves_the_other(busy: Kubelet, make_watcher: Watch, code: str) -> None:
    busy.refuse(POD_RESOURCES, code)
    view = make_watcher(probe_all_pods=True).refresh()
    assert reasons(view.problems) == [("pod_resources", code.lower())]
    assert len(view.pods) == 2
    assert view.candidates


# The thread


def test_the_thread_refreshes_until_it_is_closed(busy: Kubelet, make_watcher: Watch) -> None:
    watcher = make_watcher(refresh_seconds=0.02)
    watcher.start()
    wait_for(watcher, lambda view: bool(view.owners.by_device))
    busy.answers[POD_RESOURCES] = b""
    wait_for(watcher, lambda view: not view.owners.by_device)
    watcher.close()
    assert not [thread for thread in threading.enumerate() if thread.name in {"pods", "pods-refresh"}]
    view = watcher.view
    watcher.close()
    assert watcher.view is view


def test_a_slow_kubelet_holds_up_no_reader(busy: Kubelet, make_watcher: Watch) -> None:
    asked, released = threading.Event(), threading.Event()

    def slow(_: object) -> bytes:
        asked.set()
        released.wait(30)
        return b""

    watcher = make_watcher(refresh_seconds=0.02)
    watcher.start()
    wait_for(watcher, lambda view: bool(view.pods))
    busy.answers[POD_RESOURCES] = slow
    assert asked.wait(20)
    assert watcher.view.owners.by_device
    released.set()


def test_a_defect_is_logged_and_the_next_refresh_still_comes(
    busy: Kubelet, make_watcher: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    failures = iter([RuntimeError("a defect")])

    def inventory() -> DeviceInventory:
        for failure in failures:
            raise failure
        return INVENTORY

    watcher = make_watcher(inventory, refresh_seconds=0.02)
    watcher.start()
    wait_for(watcher, lambda view: bool(view.owners.by_device))
    assert "refreshing the pods failed" in caplog.text
    assert "a defect" in caplog.text
