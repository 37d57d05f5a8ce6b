"""GPU fields, clock event reasons and XIDs."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from catalog.gpu import (
    CLOCK_EVENTS,
    GPU_FIELDS,
    THROTTLE_REASONS,
    XIDS,
    XIDS_COUNTED_FROM_ZERO,
    find_field,
    is_blank,
    throttle_reasons,
)

CSV = Path(__file__).resolve().parents[2] / ".." / "shared" / "reference" / "dcgm-fields.csv"


def test_every_field_of_the_reference_is_there_with_both_spellings() -> None:
    if not CSV.is_file():
        pytest.skip("../shared/reference is not here")
    with CSV.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert {row["name"] for row in rows} == set(GPU_FIELDS)
    for row in rows:
        field = GPU_FIELDS[row["name"]]
        assert field.name_46 == (row["name_in_dcgm_4.6"] or row["name"])
        assert field.field_id == int(row["dcgm_field_id"] or 0)
        assert field.default == (row["state"] == "default on"), field.name


def test_types_that_dcgm_exporter_declares_wrongly_are_corrected() -> None:
    assert GPU_FIELDS["DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL"].kind == "gauge"
    assert GPU_FIELDS["DCGM_FI_DEV_RETIRED_PENDING"].kind == "gauge"
    assert GPU_FIELDS["DCGM_EXP_XID_ERRORS_COUNT"].kind == "gauge"
    assert GPU_FIELDS["DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"].kind == "counter"


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("DCGM_FI_DEV_POWER_USAGE", 78246, 78.246),
        ("DCGM_FI_DEV_FB_TOTAL", 150754820096, 143771.0),
        ("DCGM_FI_PROF_DRAM_ACTIVE", 34.0, 0.34),
        ("DCGM_FI_PROF_NVLINK_TX_BYTES", 2.0, 2097152.0),
        ("DCGM_FI_DEV_GPU_UTIL", 97, 97.0),
    ],
)
def test_units(name: str, raw: float, value: float) -> None:
    assert raw * GPU_FIELDS[name].scale == pytest.approx(value, rel=1e-4)


def test_a_field_is_found_by_any_spelling() -> None:
    power = GPU_FIELDS["DCGM_FI_DEV_POWER_USAGE"]
    assert find_field("DCGM_FI_DEV_BOARD_POWER_WATTS") is power
    throttle = find_field("DCGM_FI_DEV_CLOCK_THROTTLE_REASONS")
    assert throttle is GPU_FIELDS["DCGM_FI_DEV_CLOCKS_EVENT_REASONS"]
    assert find_field("DCGM_FI_DEV_MADE_UP") is None


def test_no_spelling_means_two_fields() -> None:
    names = [name for field in GPU_FIELDS.values() for name in field.names]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("value", "blank"),
    [
        (9223372036854775794.0, True),
        (2147483632.0, True),
        (140737488355328.0, True),
        (float("nan"), True),
        (97.0, False),
    ],
)
def test_dcgms_values_for_nothing(value: float, blank: bool) -> None:
    assert is_blank(value) is blank


def test_throttle_reasons_of_a_mask() -> None:
    assert [reason.name for reason in throttle_reasons(0x1)] == ["gpu_idle"]
    assert [reason.name for reason in throttle_reasons(0x48)] == ["hw_slowdown", "hw_thermal_slowdown"]
    assert throttle_reasons(0) == ()
    assert {bit for bit, reason in THROTTLE_REASONS.items() if reason.is_problem} == {
        0x4,
        0x8,
        0x20,
        0x40,
        0x80,
    }


def test_xids_say_where_to_look() -> None:
    assert XIDS[31].kind == "application"
    assert XIDS[79].kind == "hardware"
    assert XIDS[45].kind == "information"
    documented = {
        13,
        31,
        32,
        43,
        45,
        48,
        61,
        62,
        63,
        64,
        68,
        69,
        74,
        79,
        92,
        94,
        95,
        109,
        119,
        120,
        121,
        122,
        123,
        125,
    }
    assert documented | {140, 143} <= set(XIDS)
    assert all(code == xid.code and xid.meaning and xid.action for code, xid in XIDS.items())


def test_counters_that_start_from_zero_are_known_xids_that_somebody_acts_on() -> None:
    assert set(XIDS_COUNTED_FROM_ZERO) <= set(XIDS)
    assert {XIDS[code].kind for code in XIDS_COUNTED_FROM_ZERO} == {"hardware", "application", "driver"}
    alerted = {48, 62, 64, 74, 79, 95, 119, 120}
    assert alerted <= set(XIDS_COUNTED_FROM_ZERO)


def test_every_clock_event_reason_has_dcgm_exporters_label() -> None:
    assert set(CLOCK_EVENTS) == set(THROTTLE_REASONS)
    assert len(set(CLOCK_EVENTS.values())) == len(CLOCK_EVENTS)
