"""What a healthy node serves: names, labels, units, owners, MIG, processes, windows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from catalog.gpu import CLOCK_EVENTS, GPU_FIELDS
from exporter.config import Gpu, GpuFields
from exporter.gpus.owners import Owner
from tests.exporter.gpus.conftest import Clock, Node, collect, collect_again, of_gpu, series, text, until, uuid_of
from tests.exporter.gpus.stub import STATE_VARIABLE, Process, StubState, XidEvent, gives, returns, says

ROOT = Path(__file__).resolve().parents[3]
POD = Owner("prod", "llama-0", "vllm")
OTHER = Owner("prod", "llama-1", "vllm")


def test_a_line_is_as_dcgm_exporter_writes_it(node: Node) -> None:
    section = collect(node.source(), {uuid_of(0): (POD,)})
    assert (
        'DCGM_FI_DEV_POWER_USAGE{gpu="0",UUID="GPU-00000000-0000-0000-0000-000000000000",'
        'pci_bus_id="00000000:1B:00.0",device="nvidia0",modelName="NVIDIA H200",Hostname="node-a",'
        'DCGM_FI_DRIVER_VERSION="580.159.04",namespace="prod",pod="llama-0",container="vllm"} 78.246\n'
    ) in text(section)
    assert "# TYPE DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION counter\n" in text(section)
    assert "# TYPE DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL" not in text(section)


def test_names_and_the_hosts_label_by_configuration(node: Node) -> None:
    section = collect(node.source(Gpu(names="dcgm4.6", hostname_label="hostname", profiling=False)))
    assert 'hostname="node-a",DCGM_FI_SYSTEM_DRIVER_VERSION="580.159.04"} 78.246' in text(section)
    found = {family.name for family in section if family.name.startswith("DCGM")}
    expected = {field.name_46 for field in GPU_FIELDS.values()}
    assert found <= expected
    assert "DCGM_FI_DEV_BOARD_POWER_WATTS" in found


def test_the_values_of_an_idle_h200(node: Node) -> None:
    section = collect(node.source())
    expected = {
        "inferwatch_gpu_up": 1,
        "DCGM_FI_DEV_SM_CLOCK": 345,
        "DCGM_FI_DEV_GPU_TEMP": 37,
        "DCGM_FI_DEV_MEMORY_TEMP": 42,
        "DCGM_FI_DEV_POWER_MGMT_LIMIT": 700,
        "DCGM_FI_DEV_FB_TOTAL": 143771,
        "DCGM_FI_DEV_FB_USED": 1,
        "DCGM_FI_DEV_FB_RESERVED": 626,
        "DCGM_FI_DEV_CLOCKS_EVENT_REASONS": 1,
        "DCGM_FI_DEV_XID_ERRORS": 0,
        "DCGM_FI_DEV_PCIE_LINK_GEN": 5,
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": 274449980,
        "DCGM_FI_DEV_VGPU_LICENSE_STATUS": 0,
        "inferwatch_gpu_nvlink_received_bytes_total": 1 << 40,
    }
    assert {name: of_gpu(section, name) for name in expected} == expected


def test_every_readable_field_is_served_where_the_gpu_has_it(node: Node) -> None:
    node.rules(
        gives("nvmlDeviceGetFanSpeed", 31),
        gives("nvmlDeviceGetRetiredPages", 2),
        *(returns(f"field:{number}", 0) for number in (30, 31)),
    )
    everything = tuple(name for name, field in GPU_FIELDS.items())
    source = node.source(Gpu(fields=GpuFields(include=everything)))
    section = collect_again(source)
    labels = {name for name, field in GPU_FIELDS.items() if field.kind == "label"}
    absent = {name for name in GPU_FIELDS if name not in {family.name for family in section}} - labels
    assert absent == {*source.fields_not_read, "DCGM_EXP_XID_ERRORS_COUNT"}
    assert of_gpu(section, "DCGM_FI_DEV_RETIRED_SBE") == 2
    first = next(iter(series(section)["DCGM_FI_DEV_SM_CLOCK"]))
    assert 'DCGM_FI_DEV_BRAND="NVIDIA"' in first
    assert 'DCGM_FI_DEV_SERIAL="1650000000001"' in first
    assert 'DCGM_FI_DEV_OEM_INFOROM_VER="2.1"' in first


def test_label_values_are_escaped(node: Node) -> None:
    node.rules(says("nvmlDeviceGetName", 'a "b" \\c'))
    assert 'modelName="a \\"b\\" \\\\c"' in text(collect(node.source()))


def test_one_owner_labels_the_series_several_leave_them_without(node: Node) -> None:
    node.become(gpus=2)
    source = node.source()
    section = collect(source, {uuid_of(0): (POD,), uuid_of(1): (POD, OTHER)})
    assert of_gpu(section, "DCGM_FI_DEV_GPU_TEMP", 0, 'pod="llama-0"') == 37
    assert of_gpu(section, "DCGM_FI_DEV_GPU_TEMP", 1) == 37
    assert of_gpu(section, "DCGM_FI_DEV_GPU_TEMP", 1, "pod=") is None
    assert of_gpu(section, "inferwatch_gpu_up", 0, "pod=") is None
    section = collect(source, {uuid_of(1): (OTHER,)})
    assert of_gpu(section, "DCGM_FI_DEV_GPU_TEMP", 0, "pod=") is None
    assert of_gpu(section, "DCGM_FI_DEV_GPU_TEMP", 1, 'pod="llama-1"') == 37


def test_nvlink_traffic_is_a_rate_in_mb_a_second_and_two_true_counters(node: Node, clock: Clock) -> None:
    def counters(received_kib: int, transmitted_kib: int) -> None:
        node.rules(gives(f"field:139:{0xFFFFFFFF}", received_kib), gives(f"field:138:{0xFFFFFFFF}", transmitted_kib))

    name = "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL"
    counters(1_000_000, 2_000_000)
    source = node.source(clock=clock)
    section = collect(source)
    assert of_gpu(section, name) is None
    assert of_gpu(section, "inferwatch_gpu_nvlink_received_bytes_total") == 1_024_000_000
    assert of_gpu(section, "inferwatch_gpu_nvlink_transmitted_bytes_total") == 2_048_000_000
    clock.seconds += 2
    counters(1_500_000, 2_500_000)
    assert of_gpu(collect(source), name) == 512
    clock.seconds += 2
    counters(10, 10)
    assert of_gpu(collect(source), name) is None


def test_slow_calls_are_not_repeated_within_seconds(node: Node, clock: Clock) -> None:
    name, call = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "nvmlDeviceGetTotalEnergyConsumption"
    thermal = "DCGM_FI_DEV_THERMAL_VIOLATION"
    node.rules(gives(call, 100), gives("field:75", 7))
    source = node.source(clock=clock)
    assert of_gpu(collect(source), name) == 100
    node.rules(gives(call, 200), gives("field:75", 8))
    clock.seconds += 1
    section = collect(source)
    assert (of_gpu(section, name), of_gpu(section, thermal)) == (100, 7)
    clock.seconds += 4
    section = collect(source)
    assert (of_gpu(section, name), of_gpu(section, thermal)) == (200, 8)


def test_profiling_is_there_from_the_second_collection_and_its_samples_are_freed(node: Node) -> None:
    node.rules(gives("gpm:2", 87.5), gives("gpm:5", float("nan")), gives("gpm:10", 130), returns("gpm:3", 3))
    source = node.source(Gpu())
    assert of_gpu(collect(source), "DCGM_FI_PROF_SM_ACTIVE") is None
    section = collect_again(source)
    assert of_gpu(section, "DCGM_FI_PROF_SM_ACTIVE") == 0.875
    assert of_gpu(section, "DCGM_FI_PROF_PCIE_TX_BYTES") == 5505024
    assert of_gpu(section, "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE") is None
    assert of_gpu(section, "DCGM_FI_PROF_DRAM_ACTIVE") is None
    assert of_gpu(section, "DCGM_FI_PROF_SM_OCCUPANCY") is None
    counts = source.error_counts()
    assert (counts["blank"], counts["out_of_range"]) == (1, 1)
    assert node.live_samples() == 2
    source.close()
    assert node.live_samples() == 0


def test_a_gpu_without_gpm_has_everything_else(node: Node) -> None:
    node.rules(gives("nvmlGpmQueryDeviceSupport", 0))
    section = collect(node.source(Gpu()))
    assert not [family.name for family in section if "PROF" in family.name]
    assert of_gpu(section, "DCGM_FI_DEV_GPU_TEMP") == 37


def test_processes_are_opt_in_and_named_without_folder_and_arguments(node: Node) -> None:
    node.become(
        processes=(
            Process(0, 4711, 1 << 30, "/usr/bin/python3 --api-key sk-secret"),
            Process(0, 12, 1 << 20, "worker"),
        )
    )
    assert "inferwatch_gpu_process_memory_bytes" not in series(collect(node.source()))
    section = collect(node.source(Gpu(processes=True, profiling=False)))
    assert of_gpu(section, "inferwatch_gpu_process_memory_bytes", 0, 'pid="4711",process="python3"') == 1 << 30
    assert of_gpu(section, "inferwatch_gpu_process_memory_bytes", 0, 'pid="12",process="worker"') == 1 << 20
    assert "secret" not in text(section)


def test_processes_without_end_are_bounded(node: Node) -> None:
    node.become(processes=tuple(Process(0, 1000 + number, 1 << 20, "p") for number in range(200)))
    source = node.source(Gpu(processes=True, profiling=False))
    assert len(series(collect(source))["inferwatch_gpu_process_memory_bytes"]) == 128
    assert source.error_counts()["too_many"] == 72


def test_clock_events_in_a_window_of_five_minutes(node: Node, clock: Clock) -> None:
    name = "DCGM_EXP_CLOCK_EVENTS_COUNT"
    node.rules(gives("nvmlDeviceGetCurrentClocksEventReasons", 0x44))
    source = node.source(Gpu(profiling=False, fields=GpuFields(include=(name,))), clock=clock)
    collect(source)
    clock.seconds += 200
    section = collect(source)
    assert len(series(section)[name]) == len(CLOCK_EVENTS)
    assert of_gpu(section, name, 0, 'clock_event="power_cap",window_size_in_ms="300000"') == 2
    assert of_gpu(section, name, 0, 'clock_event="hw_thermal"') == 2
    assert of_gpu(section, name, 0, 'clock_event="gpu_idle"') == 0
    clock.seconds += 200
    assert of_gpu(collect(source), name, 0, 'clock_event="power_cap"') == 2


def test_xids_are_counted_by_code_and_kept_when_the_driver_is_reloaded(node: Node, clock: Clock) -> None:
    node.become(gpus=2)
    window = "DCGM_EXP_XID_ERRORS_COUNT"
    config = Gpu(profiling=False, fields=GpuFields(include=(window,)))
    source = node.source(config, clock=clock, unix_clock=lambda: 1_795_000_000.5)
    source.start()
    section = collect(source)
    assert of_gpu(section, "inferwatch_gpu_xid_errors_total", 0, 'xid="79"') == 0
    assert "inferwatch_gpu_xid_last_seen_timestamp_seconds" not in series(section)
    node.become(xids=(XidEvent(1, 1, 79), XidEvent(2, 1, 79), XidEvent(3, 0, 31), XidEvent(4, 0, 1 << 40)))
    until(lambda: source.error_counts()["out_of_range"] == 1)
    section = collect(source)
    total, seen = "inferwatch_gpu_xid_errors_total", "inferwatch_gpu_xid_last_seen_timestamp_seconds"
    assert of_gpu(section, total, 1, 'xid="79"') == 2
    assert of_gpu(section, total, 0, 'xid="79"') == 0
    assert of_gpu(section, total, 0, 'xid="31"') == 1
    assert of_gpu(section, seen, 1, 'xid="79"') == 1_795_000_000.5
    assert of_gpu(section, "DCGM_FI_DEV_XID_ERRORS", 1) == 79
    assert of_gpu(section, window, 1, 'xid="79",window_size_in_ms="300000"') == 2
    node.become(driver=2)
    section = collect(source)
    assert of_gpu(section, "inferwatch_gpu_up", 1) == 0
    assert of_gpu(section, total, 1, 'xid="79"') == 2
    clock.seconds += 301
    section = collect(source)
    assert of_gpu(section, "inferwatch_gpu_up", 1) == 1
    assert window not in series(section)
    node.become(xids=(XidEvent(5, 1, 79), XidEvent(6, 1, 199)))
    until(lambda: of_gpu(collect(source), total, 1, 'xid="199"') == 1)
    assert of_gpu(collect(source), total, 1, 'xid="79"') == 3


def test_disabled_reads_nothing(node: Node) -> None:
    source = node.source(Gpu(enabled=False))
    source.start()
    assert collect(source) == {}
    assert source.state.name == "disabled"
    assert source.status() == ()


def test_a_process_of_its_own_takes_the_stub_by_its_library_path(stub_library: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    StubState(gpus=3).write(state)
    script = (
        "import time; from exporter.config import Gpu; from exporter.gpus.source import GpuSource\n"
        "source = GpuSource(Gpu(profiling=False), 'h'); source.start()\n"
        "section = source.collect(time.monotonic() + 20, {}); source.close()\n"
        "print(source.state.name, source.visible_gpus, len(section))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={"LD_LIBRARY_PATH": str(stub_library.parent), STATE_VARIABLE: str(state)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    name, visible, families = done.stdout.split()
    assert (name, visible) == ("ready", "3")
    assert int(families) > 30


@pytest.mark.parametrize("name", ["DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_MEM_COPY_UTIL"])
def test_utilisation_of_two_fields_comes_from_one_call(node: Node, name: str) -> None:
    node.rules(gives("utilization.gpu", 97), gives("utilization.memory", 41))
    assert of_gpu(collect(node.source()), name) == (97 if "GPU_UTIL" in name else 41)
