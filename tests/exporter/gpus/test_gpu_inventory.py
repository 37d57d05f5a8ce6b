"""NVML that is missing, hangs or is lost, and the inventory: what is still served, and when a restart is asked for."""

from __future__ import annotations

import errno
import os
import time

import pynvml
import pytest

from exporter.config import Gpu
from exporter.gpus.inventory import CONTROL_DEVICE, Device, Identity, is_device_denied, merged
from exporter.gpus.source import GpuSource
from tests.exporter.gpus.conftest import Clock, Node, collect, of_gpu, series, until
from tests.exporter.gpus.stub import hangs, lost, returns, says

TEMPERATURE = "DCGM_FI_DEV_GPU_TEMP"
UP = "inferwatch_gpu_up"


def state_of(source: GpuSource) -> str:
    return source.state.name


def test_an_inventory_that_hangs_leaves_the_known_gpus_read(node: Node, clock: Clock) -> None:
    node.become(gpus=2)
    source = node.source(Gpu(profiling=False, timeout_seconds=1.0), clock=clock)
    collect(source)
    node.rules(hangs("nvmlDeviceGetCount_v2"))
    clock.seconds += 60
    section = collect(source)
    assert [of_gpu(section, TEMPERATURE, gpu) for gpu in range(2)] == [37, 37]
    assert state_of(source) == "failed"
    assert "nvmlDeviceGetCount has not returned" in source.state.reason
    assert of_gpu(collect(source), TEMPERATURE, 1) == 37
    node.rules()
    until(lambda: collect(source) != {} and state_of(source) == "ready")


def test_an_initialisation_that_hangs_is_named(node: Node) -> None:
    node.rules(hangs("nvmlInitWithFlags"))
    source = node.source(Gpu(profiling=False, timeout_seconds=0.5))
    assert series(collect(source)) == {}
    assert "nvmlInitWithFlags has not returned" in source.state.reason
    node.rules()
    until(lambda: of_gpu(collect(source), UP) == 1)


def test_a_library_that_is_missing_is_retried_with_growing_delays(
    node: Node, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: str) -> object:
        raise OSError("libnvidia-ml.so.1: cannot open shared object file")

    with monkeypatch.context() as patch:
        patch.setattr(pynvml, "CDLL", missing)
        source = node.source(clock=clock)
        source.start()
        for _ in range(3):
            assert collect(source) == {} or series(collect(source)) == {}
        assert state_of(source) == "library_missing"
        assert "NVML Shared Library Not Found" in source.state.reason
        assert source.error_counts()["library_not_found"] == 1
        clock.seconds += 1
        collect(source)
        clock.seconds += 1
        collect(source)
        assert source.error_counts()["library_not_found"] == 2
    clock.seconds += 1
    assert of_gpu(collect(source), UP) == 1
    assert state_of(source) == "ready"


def test_a_driver_that_goes_and_comes_back(node: Node, clock: Clock) -> None:
    node.become(gpus=2)
    source = node.source(clock=clock)
    collect(source)
    node.become(rules=(returns("*", 1),), init=9)
    section = collect(source)
    assert [of_gpu(section, UP, gpu) for gpu in (0, 1)] == [0, 0]
    collect(source)
    clock.seconds += 2
    section = collect(source)
    assert state_of(source) == "driver_missing"
    assert [of_gpu(section, UP, gpu) for gpu in (0, 1)] == [0, 0]
    node.become(rules=(), init=0, driver=2)
    clock.seconds += 120
    section = collect(source)
    assert [of_gpu(section, TEMPERATURE, gpu) for gpu in (0, 1)] == [37, 37]
    assert state_of(source) == "ready"


def test_a_driver_that_is_not_there_at_the_start(node: Node, clock: Clock) -> None:
    node.become(init=9)
    source = node.source(clock=clock)
    assert series(collect(source)) == {}
    assert state_of(source) == "driver_missing"
    node.become(init=0)
    clock.seconds += 2
    assert of_gpu(collect(source), UP) == 1


def test_a_node_without_gpus_is_no_failure(node: Node) -> None:
    node.become(gpus=0)
    source = node.source()
    assert series(collect(source)) == {}
    assert state_of(source) == "no_gpus"


def test_gpus_that_are_taken_away_from_the_container_ask_for_a_restart(node: Node, clock: Clock) -> None:
    node.become(gpus=2)
    source = node.source(clock=clock, is_denied=lambda: True)
    collect(source)
    assert state_of(source) == "ready"
    node.rules(returns("*", 999))
    collect(source)
    section = collect(source)
    assert state_of(source) == "restart_needed"
    assert CONTROL_DEVICE in source.state.reason
    assert [of_gpu(section, UP, gpu) for gpu in (0, 1)] == [0, 0]


def test_an_unknown_error_with_the_devices_still_open_to_us_is_retried(node: Node, clock: Clock) -> None:
    source = node.source(clock=clock, is_denied=lambda: False)
    collect(source)
    node.rules(returns("*", 999))
    collect(source)
    collect(source)
    assert state_of(source) == "failed"
    node.rules()
    clock.seconds += 120
    assert of_gpu(collect(source), UP) == 1


def test_a_container_that_never_had_gpus_does_not_ask_for_a_restart(node: Node) -> None:
    node.become(init=999)
    source = node.source(is_denied=lambda: True)
    collect(source)
    assert state_of(source) == "failed"


def test_a_driver_exchanged_under_the_library_asks_for_a_restart(node: Node, clock: Clock) -> None:
    source = node.source(clock=clock)
    collect(source)
    node.become(rules=(returns("*", 1),), init=18)
    collect(source)
    collect(source)
    assert state_of(source) == "restart_needed"
    assert "exchanged" in source.state.reason


@pytest.mark.parametrize(("number", "denied"), [(errno.EPERM, True), (errno.EACCES, False), (errno.ENOENT, False)])
def test_only_eperm_means_that_access_was_revoked(monkeypatch: pytest.MonkeyPatch, number: int, denied: bool) -> None:
    def refuse(path: str, flags: int) -> int:
        assert path == CONTROL_DEVICE
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    assert is_device_denied() is denied


def test_one_lost_gpu_does_not_make_the_others_wait_for_a_new_initialisation(node: Node, clock: Clock) -> None:
    node.become(gpus=2)
    source = node.source(clock=clock)
    collect(source)
    node.rules(lost(1))
    for _ in range(50):
        clock.seconds += 15
        section = collect(source)
        assert (of_gpu(section, UP, 0), of_gpu(section, TEMPERATURE, 0)) == (1, 37)


def test_a_lost_gpu_beside_a_hanging_one_does_not_disturb_the_third(node: Node, clock: Clock) -> None:
    node.become(gpus=3)
    source = node.source(Gpu(profiling=False, timeout_seconds=1.0), clock=clock)
    collect(source)
    node.rules(hangs("nvmlDeviceGetPowerUsage", 1), lost(0))
    for _ in range(20):
        section = collect(source)
        assert [of_gpu(section, UP, gpu) for gpu in (0, 1, 2)] == [0, 0, 1]
        clock.seconds += 60
    node.rules()

    def all_up() -> bool:
        clock.seconds += 20
        section = collect(source)
        return [of_gpu(section, UP, gpu) for gpu in (0, 1, 2)] == [1, 1, 1]

    until(all_up)


def test_known_gpus_keep_their_index_when_others_are_renumbered() -> None:
    known = [Identity(0, "GPU-a"), Identity(1, "GPU-b"), Identity(2, "GPU-c")]
    found = [Device(Identity(0, "GPU-a"), "h0"), Device(Identity(1, "GPU-c"), "h1"), Device(Identity(2, "GPU-d"), "h2")]
    assert [(one.identity.index, one.identity.uuid, one.handle, one.problem) for one in merged(known, found)] == [
        (0, "GPU-a", "h0", None),
        (1, "GPU-b", None, "gpu_lost"),
        (2, "GPU-c", "h1", None),
        (2, "GPU-d", "h2", None),
    ]


def test_a_gpu_that_tells_its_uuid_later_replaces_the_nameless_one() -> None:
    nameless = Device(Identity(1), problem="unknown")
    assert merged([], [Device(Identity(0, "GPU-a"), "h"), nameless])[1] == nameless
    assert merged([Identity(0, "GPU-a"), Identity(1)], [Device(Identity(1, "GPU-b"), "h")])[1].identity.uuid == "GPU-b"


def test_closing_returns_although_a_call_hangs(node: Node) -> None:
    source = node.source(Gpu(profiling=False, timeout_seconds=0.5))
    source.start()
    collect(source)
    node.rules(hangs("nvmlDeviceGetPowerUsage"))
    collect(source)
    begun = time.monotonic()
    source.close()
    assert time.monotonic() - begun < 60
    node.rules()
    source.close()


def test_a_gpu_of_another_name_at_the_same_place_is_another_gpu(node: Node, clock: Clock) -> None:
    source = node.source(clock=clock)
    collect(source)
    node.rules(says("nvmlDeviceGetUUID", "GPU-exchanged"))
    clock.seconds += 20
    section = collect(source)
    assert of_gpu(section, UP, 0) == 0
    assert series(section)[UP][next(labels for labels in series(section)[UP] if "GPU-exchanged" in labels)] == 1


def test_an_inventory_that_is_refused_is_retried_and_the_known_gpus_are_read(node: Node, clock: Clock) -> None:
    node.become(gpus=2)
    source = node.source(clock=clock)
    collect(source)
    node.rules(returns("nvmlDeviceGetCount_v2", 999))
    clock.seconds += 20
    section = collect(source)
    assert state_of(source) == "failed"
    assert [of_gpu(section, TEMPERATURE, gpu) for gpu in (0, 1)] == [37, 37]
    node.rules()
    clock.seconds += 20
    collect(source)
    assert state_of(source) == "ready"


def test_a_driver_lost_during_the_inventory_loses_the_handles(node: Node, clock: Clock) -> None:
    node.become(gpus=2)
    source = node.source(clock=clock)
    collect(source)
    node.rules(returns("nvmlDeviceGetHandleByIndex_v2", 1))
    clock.seconds += 20
    section = collect(source)
    assert [of_gpu(section, UP, gpu) for gpu in (0, 1)] == [0, 0]
    assert "lost the driver: uninitialized" in source.state.reason
    node.rules()
    clock.seconds += 120
    assert [of_gpu(collect(source), UP, gpu) for gpu in (0, 1)] == [1, 1]


def test_a_defect_of_the_inventory_is_told(node: Node, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def defective(_: object) -> object:
        raise TypeError("a defect")

    source = node.source(clock=clock)
    collect(source)
    with monkeypatch.context() as patch:
        patch.setattr(pynvml, "nvmlDeviceGetPciInfo", defective)
        clock.seconds += 20
        assert of_gpu(collect(source), TEMPERATURE) == 37
        assert "the inventory failed: TypeError('a defect')" in source.state.reason
    collect(source)
    assert state_of(source) == "ready"
