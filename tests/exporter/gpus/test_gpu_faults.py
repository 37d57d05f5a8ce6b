"""What goes wrong on a node, and what the others still serve."""

from __future__ import annotations

import pynvml
import pytest

from exporter.config import Gpu
from exporter.gpus.calls import function_of
from exporter.gpus.reasons import reason_of
from exporter.gpus.source import GpuSource
from tests.exporter.gpus.conftest import Clock, Node, collect, collect_again, of_gpu, series, until, uuid_of
from tests.exporter.gpus.stub import Mig, gives, hangs, lost, returns, says

TEMPERATURE = "DCGM_FI_DEV_GPU_TEMP"
UP = "inferwatch_gpu_up"


def state_of(source: GpuSource) -> str:
    return source.state.name


def test_a_gpu_lost_midway_keeps_its_identity_and_the_others_all_their_series(node: Node) -> None:
    node.become(gpus=3)
    source = node.source()
    before = series(collect(source))
    node.rules(lost(1))
    section = collect(source)
    after = series(section)
    assert of_gpu(section, UP, 1, 'pci_bus_id="00000000:1C:00.0",device="nvidia1",model_name="NVIDIA H200"') == 0
    assert [name for name in after if name.startswith("DCGM") and of_gpu(section, name, 1) is not None] == []
    assert of_gpu(section, "inferwatch_gpu_xid_errors_total", 1, 'xid="79"') == 0
    for gpu in (0, 2):
        served = {name for name in before if any(uuid_of(gpu) in labels for labels in before[name])}
        assert {name for name in after if any(uuid_of(gpu) in labels for labels in after[name])} >= served
        assert of_gpu(section, UP, gpu) == 1
    assert (source.expected_gpus, source.visible_gpus) == (3, 2)
    assert "gpu_lost" in source.status()[1].problem
    assert source.error_counts()["gpu_lost"] >= 1


def test_a_lost_gpu_that_comes_back_is_read_again(node: Node, clock: Clock) -> None:
    node.become(gpus=2)
    source = node.source(clock=clock)
    collect(source)
    node.rules(lost(1))
    collect(source)
    clock.seconds += 20
    assert of_gpu(collect(source), UP, 1) == 0
    node.rules()
    clock.seconds += 20
    collect(source)
    section = collect(source)
    assert (of_gpu(section, UP, 1), of_gpu(section, TEMPERATURE, 1)) == (1, 37)
    assert source.status()[1].problem == ""


def test_a_gpu_that_was_lost_before_the_start_is_missed_by_its_index(node: Node) -> None:
    node.become(gpus=2, rules=(lost(1),))
    source = node.source()
    section = collect(source)
    assert of_gpu(section, UP, 0) == 1
    assert series(section)[UP]['gpu="1",UUID="",pci_bus_id="",device="nvidia1",model_name="",Hostname="node-a"'] == 0


def test_a_call_that_hangs_is_named_and_costs_its_own_gpu_only(node: Node) -> None:
    node.become(gpus=4)
    source = node.source(Gpu(profiling=False, timeout_seconds=1.0))
    collect(source)
    node.rules(hangs("nvmlDeviceGetPowerUsage", 3))
    section = collect(source)
    assert [of_gpu(section, UP, gpu) for gpu in range(4)] == [1, 1, 1, 0]
    assert [of_gpu(section, TEMPERATURE, gpu) for gpu in range(4)] == [37, 37, 37, None]
    problem = source.status()[3].problem
    assert problem.startswith(f"GPU 3 ({uuid_of(3)}): nvmlDeviceGetPowerUsage has not returned for ")
    assert source.error_counts()["hanging"] == 1
    assert [of_gpu(collect(source), UP, gpu) for gpu in range(4)] == [1, 1, 1, 0]
    node.rules()
    until(lambda: of_gpu(collect(source), UP, 3) == 1)
    assert of_gpu(collect(source), TEMPERATURE, 3) == 37


def test_garbage_and_blanks_are_dropped_and_counted(node: Node) -> None:
    node.become(
        gpus=2,
        rules=(
            gives("utilization.gpu", 4294967295, 0),
            gives("utilization.memory", 143, 0),
            gives("nvmlDeviceGetTemperature", 255, 0),
            gives("field:82", 201, 0),
            gives("nvmlDeviceGetPowerUsage", 4294967295, 0),
            gives("memory.used", 9223372036854775792.0, 0),
        ),
    )
    source = node.source()
    section = collect(source)
    dropped = [
        "DCGM_FI_DEV_GPU_UTIL",
        "DCGM_FI_DEV_MEM_COPY_UTIL",
        TEMPERATURE,
        "DCGM_FI_DEV_MEMORY_TEMP",
        "DCGM_FI_DEV_POWER_USAGE",
        "DCGM_FI_DEV_FB_USED",
    ]
    assert [of_gpu(section, name, 0) for name in dropped] == [None] * 6
    assert None not in [of_gpu(section, name, 1) for name in dropped]
    assert of_gpu(section, UP, 0) == 1
    counts = source.error_counts()
    assert counts["blank"] >= 3
    assert counts["out_of_range"] >= 3


def test_what_a_gpu_does_not_support_is_asked_once(node: Node) -> None:
    node.rules(returns("nvmlDeviceGetEncoderUtilization", 3), returns("field:38", 3))
    source = node.source()
    collect(source)
    once = source.error_counts()["not_supported"]
    section = collect(source)
    assert once >= 2
    assert source.error_counts()["not_supported"] == once
    assert of_gpu(section, "DCGM_FI_DEV_ENC_UTIL") is None
    assert of_gpu(section, "DCGM_FI_DEV_DEC_UTIL") == 0
    assert of_gpu(section, "DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL") == 0


@pytest.mark.parametrize("code", [3, 13, 4, 999])
def test_a_batch_of_field_values_that_is_refused_costs_its_fields_only(node: Node, code: int) -> None:
    node.rules(returns("nvmlDeviceGetFieldValues", code), returns("nvmlGpmMetricsGet", code))
    section = collect(node.source(Gpu()))
    assert of_gpu(section, "DCGM_FI_DEV_MEMORY_TEMP") is None
    assert of_gpu(section, "DCGM_FI_PROF_SM_ACTIVE") is None
    assert of_gpu(section, TEMPERATURE) == 37


def test_the_throttle_reasons_of_older_drivers(node: Node) -> None:
    node.rules(returns("nvmlDeviceGetCurrentClocksEventReasons", 13))
    source = node.source()
    assert of_gpu(collect(source), "DCGM_FI_DEV_CLOCKS_EVENT_REASONS") is None
    assert source.error_counts()["function_not_found"] >= 2


def test_text_that_is_no_text_is_counted(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        return b"\xff".decode()

    monkeypatch.setattr(pynvml, "nvmlDeviceGetName", broken)
    source = node.source()
    assert 'model_name=""' in next(iter(series(collect(source))[UP]))
    assert source.error_counts()["undecodable"] >= 1


def test_nvml_is_not_shut_down_under_a_call_that_hangs(node: Node, clock: Clock) -> None:
    node.become(gpus=2)
    source = node.source(Gpu(profiling=False, timeout_seconds=2.0), clock=clock)
    collect(source)
    node.rules(hangs("nvmlDeviceGetPowerUsage", 1), returns("nvmlDeviceGetMigMode", 1, 0))
    for _ in range(3):
        section = collect(source)
        assert [of_gpu(section, UP, gpu) for gpu in (0, 1)] == [0, 0]
        clock.seconds += 120
    node.rules()

    def both_up() -> bool:
        clock.seconds += 20
        section = collect(source)
        return [of_gpu(section, UP, gpu) for gpu in (0, 1)] == [1, 1]

    until(both_up)


def test_a_defect_of_the_reading_costs_its_gpu_only(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    real = pynvml.nvmlDeviceGetMigMode

    def defective(handle: object) -> object:
        if pynvml.nvmlDeviceGetUUID(handle) == uuid_of(1):
            raise TypeError("a defect")
        return real(handle)

    monkeypatch.setattr(pynvml, "nvmlDeviceGetMigMode", defective)
    node.become(gpus=2)
    source = node.source()
    section = collect(source)
    assert [of_gpu(section, UP, gpu) for gpu in (0, 1)] == [1, 0]
    assert "a defect" in source.status()[1].problem
    assert source.error_counts()["other"] == 1


def test_a_mig_device_that_tells_nothing_of_itself_is_left_out(node: Node) -> None:
    node.become(
        mig=(Mig(0, 1, "1g.18gb", "MIG-a"),),
        rules=(returns("nvmlDeviceGetGpuInstanceId", 999), returns("nvmlGpmMigSampleGet", 3)),
    )
    section = collect(node.source(Gpu()))
    assert list(series(section)["DCGM_FI_DEV_FB_TOTAL"].values()) == [143771]
    node.rules(
        returns("nvmlGpmMigSampleGet", 3), returns("nvmlDeviceGetAttributes_v2", 999), says("nvmlDeviceGetName", "x")
    )
    section = collect_again(node.source(Gpu()))
    assert of_gpu(section, "DCGM_FI_DEV_FB_TOTAL", 0, 'GPU_I_PROFILE="",GPU_I_ID="1"') == 18215
    assert of_gpu(section, "DCGM_FI_PROF_SM_ACTIVE", 0, "GPU_I_ID") is None
    assert of_gpu(section, "DCGM_FI_PROF_SM_ACTIVE") == 0


def test_profiling_that_fails_later_leaves_all_else(node: Node, clock: Clock) -> None:
    source = node.source(Gpu(), clock=clock)
    collect(source)
    node.rules(returns("nvmlGpmSampleGet", 999))
    clock.seconds += 5
    section = collect(source)
    assert of_gpu(section, "DCGM_FI_PROF_SM_ACTIVE") is None
    assert of_gpu(section, TEMPERATURE) == 37


def test_a_release_of_pynvml_without_a_function_is_told_from_a_refusal() -> None:
    with pytest.raises(pynvml.NVMLError) as raised:
        function_of("nvmlDeviceGetNothing")(None)
    assert reason_of(raised.value.value) == "function_not_found"
