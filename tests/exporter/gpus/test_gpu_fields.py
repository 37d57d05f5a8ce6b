"""Every field of the catalogue has a reader, or a stated reason why not; what values may be."""

from __future__ import annotations

from types import SimpleNamespace

import pynvml
import pytest

from catalog.gpu import GPU_FIELDS, GpuField
from exporter.gpus.fields import (
    CallRead,
    GpmRead,
    LinkRate,
    NotRead,
    TextRead,
    ValueRead,
    limits_of,
    read_of,
    refusal,
)
from exporter.gpus.plan import plan_of
from exporter.gpus.reasons import Counts
from exporter.gpus.selection import default_fields

WITHOUT_READER = {"DCGM_FI_DEV_PCIE_TX_THROUGHPUT", "DCGM_EXP_GPU_HEALTH_STATUS", "DCGM_EXP_P2P_STATUS"}


@pytest.mark.parametrize("field", GPU_FIELDS.values(), ids=lambda field: field.name)
def test_every_field_has_a_reader_that_pynvml_knows_or_a_reason(field: GpuField) -> None:
    read = read_of(field)
    if isinstance(read, NotRead):
        assert field.name in WITHOUT_READER
        assert len(read.reason) > 20
        return
    assert field.name not in WITHOUT_READER
    if isinstance(read, CallRead | TextRead):
        assert callable(getattr(pynvml, read.function))
        assert read.function != "nvmlDeviceGetPcieThroughput"
        assert not read.argument or hasattr(pynvml, read.argument)
    if isinstance(read, ValueRead):
        assert read.field_id > 0


def test_an_expression_of_no_known_shape_is_refused() -> None:
    field = GpuField("X", "X", "gauge", "W", "Power.", "somethingElse(h)")
    with pytest.raises(ValueError, match="X: no reader"):
        read_of(field)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("DCGM_FI_DEV_MEMORY_TEMP", ValueRead(82, "uiVal", 0.0)),
        ("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", ValueRead(4, "ullVal", 0.0)),
        ("DCGM_FI_DEV_THERMAL_VIOLATION", ValueRead(75, "stated", 4.0)),
        ("DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL", LinkRate(139, 138, 0xFFFFFFFF)),
        ("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", GpmRead(5)),
        (
            "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
            CallRead("nvmlDeviceGetTotalEnergyConsumption", "", "", None, False, 4.0),
        ),
    ],
)
def test_how_the_tricky_ones_are_read(name: str, read: object) -> None:
    assert read_of(GPU_FIELDS[name]) == read


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("DCGM_FI_DEV_GPU_UTIL", 100, None),
        ("DCGM_FI_DEV_GPU_UTIL", 101, "out_of_range"),
        ("DCGM_FI_DEV_GPU_UTIL", 4294967295, "blank"),
        ("DCGM_FI_DEV_GPU_TEMP", 200, None),
        ("DCGM_FI_DEV_GPU_TEMP", 201, "out_of_range"),
        ("DCGM_FI_DEV_FAN_SPEED", 110, None),
        ("DCGM_FI_DEV_PSTATE", 32, "out_of_range"),
        ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", 4294967295, None),
        ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", 2**64 - 1, "blank"),
        ("DCGM_FI_DEV_FB_USED", 2147483632, "blank"),
        ("DCGM_FI_PROF_SM_ACTIVE", float("nan"), "blank"),
        ("DCGM_FI_PROF_SM_ACTIVE", -0.5, "out_of_range"),
        ("DCGM_FI_DEV_POWER_USAGE", 4e6, "out_of_range"),
    ],
)
def test_what_is_no_value(name: str, value: float, reason: str | None) -> None:
    assert refusal(limits_of(GPU_FIELDS[name]), value) == reason


def test_fields_of_one_call_share_it_and_texts_windows_and_unreadable_ones_have_no_slot() -> None:
    plan = plan_of(GPU_FIELDS.values())
    functions = [call.functions[0] for call in plan.calls]
    assert functions.count("nvmlDeviceGetMemoryInfo") == 1
    assert functions.count("nvmlDeviceGetRemappedRows") == 1
    assert functions.count("nvmlDeviceGetUtilizationRates") == 1
    assert set(plan.not_read) == WITHOUT_READER
    texts = {text.field.name for text in plan.texts}
    assert {"DCGM_FI_DRIVER_VERSION", "DCGM_FI_DEV_SERIAL"} <= texts
    with_slot = {field.name for field in plan.fields}
    windows = {"DCGM_EXP_CLOCK_EVENTS_COUNT", "DCGM_EXP_XID_ERRORS_COUNT"}
    assert with_slot == set(GPU_FIELDS) - texts - windows - WITHOUT_READER
    assert [call.functions[0] for call in plan.instance_calls] == ["nvmlDeviceGetMemoryInfo"]


def test_the_default_set_has_nothing_that_cannot_be_read() -> None:
    plan = plan_of(default_fields())
    assert plan.not_read == {}
    assert {"DCGM_FI_DEV_FB_TOTAL", "DCGM_FI_DEV_CLOCKS_EVENT_REASONS", "DCGM_FI_PROF_SM_ACTIVE"} <= {
        field.name for field in plan.fields
    }


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("DCGM_FI_DEV_POWER_USAGE", 78246, 78.246),
        ("DCGM_FI_DEV_FB_TOTAL", 150754820096, 143771),
        ("DCGM_FI_PROF_DRAM_ACTIVE", 34.0, 0.34),
        ("DCGM_FI_PROF_DRAM_ACTIVE", 100.01, 1.0),
        ("DCGM_FI_PROF_PCIE_TX_BYTES", 5.25, 5505024),
        ("DCGM_FI_DEV_ECC_SBE_AGG_TOTAL", 9007199254740993, 9007199254740993),
        ("DCGM_FI_DEV_POWER_USAGE", 4294967295, None),
        ("DCGM_FI_PROF_SM_ACTIVE", 101.0, None),
    ],
)
def test_values_in_the_fields_unit_are_exact(name: str, raw: float, value: float | None) -> None:
    plan = plan_of([GPU_FIELDS[name]])
    slot = plan.gpm[0][1] if plan.gpm else plan.values[0].slot if plan.values else plan.calls[0].outputs[0][0]
    assert slot is not None
    counts = Counts()
    assert slot.accept(raw, counts) == value
    assert sum(counts.snapshot().values()) == (value is None)


@pytest.mark.parametrize(("states", "licensed"), [((), 0), ((0, 0), 0), ((0, 1), 1)])
def test_a_licence_is_one_of_any_feature(states: tuple[int, ...], licensed: int) -> None:
    features = [SimpleNamespace(featureState=state) for state in states]
    answer = SimpleNamespace(licensableFeaturesCount=len(states), gridLicensableFeatures=features)
    (call,) = plan_of([GPU_FIELDS["DCGM_FI_DEV_VGPU_LICENSE_STATUS"]]).calls
    assert [pick(answer) for _, pick in call.outputs] == [licensed]
    assert call.when_unsupported == 0
