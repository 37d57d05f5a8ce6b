"""Which fields are read: defaults, names in any spelling, dcgm-exporter's CSV, and its mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.gpu import GPU_FIELDS
from catalog.settings import SettingsError
from exporter.config import Gpu, GpuFields
from exporter.gpus.selection import default_fields, selected


def names(config: Gpu) -> list[str]:
    return [field.name for field in selected(config)]


def test_the_default_set_is_dcgm_exporters_and_more() -> None:
    chosen = names(Gpu())
    assert chosen == [field.name for field in default_fields()]
    assert {name for name, field in GPU_FIELDS.items() if field.default} <= set(chosen)
    assert {
        "DCGM_FI_DEV_FB_TOTAL",
        "DCGM_FI_DEV_ENFORCED_POWER_LIMIT",
        "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL",
        "DCGM_FI_DEV_ROW_REMAP_PENDING",
        "DCGM_FI_DEV_PCIE_LINK_WIDTH",
    } <= set(chosen)


def test_without_profiling_nothing_is_read_by_gpm() -> None:
    chosen = names(Gpu(profiling=False))
    assert chosen
    assert not [name for name in chosen if "PROF" in name]


def test_include_and_exclude_take_any_spelling() -> None:
    fields = GpuFields(include=("DCGM_FI_DEV_BOARD_POWER_RAW_WATTS",), exclude=("DCGM_FI_DEV_CLOCK_THROTTLE_REASONS",))
    chosen = names(Gpu(fields=fields))
    assert "DCGM_FI_DEV_POWER_USAGE_INSTANT" in chosen
    assert "DCGM_FI_DEV_CLOCKS_EVENT_REASONS" not in chosen


def test_a_list_in_dcgm_exporters_format_replaces_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "counters.csv"
    path.write_text(
        "# Format\n# a comment, with, commas\n\n"
        "DCGM_FI_DEV_SM_CLOCK,  gauge, SM clock frequency (in MHz).\n"
        '  DCGM_FI_DEV_BOARD_POWER_WATTS, gauge, "Power draw, in W."\n'
        "DCGM_FI_DRIVER_VERSION, label, Driver Version\n",
        encoding="utf-8",
    )
    chosen = names(Gpu(fields=GpuFields(csv_file=str(path), include=("DCGM_FI_DEV_PSTATE",))))
    assert chosen == ["DCGM_FI_DEV_SM_CLOCK", "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_PSTATE", "DCGM_FI_DRIVER_VERSION"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "DCGM_FI_DEV_SM_CLOK, gauge, x",
            "'DCGM_FI_DEV_SM_CLOK' is no GPU field known here; did you mean DCGM_FI_DEV_SM_CLOCK?",
        ),
        ("MADE_UP, gauge, x", "'MADE_UP' is no GPU field known here; remove it"),
        ("DCGM_FI_DEV_SM_CLOCK, gauge", "2 columns, not 3"),
        ("DCGM_FI_DEV_SM_CLOCK, gauge, a, b", "quote a help text"),
        ("DCGM_FI_DEV_SM_CLOCK, speed, x", "'speed' is no type; write one of gauge"),
        ('DCGM_FI_DEV_SM_CLOCK, gauge, "x', "no CSV"),
    ],
)
def test_a_bad_line_is_named_with_what_to_do(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "counters.csv"
    path.write_text(f"# first\n{line}\n", encoding="utf-8")
    with pytest.raises(SettingsError) as raised:
        selected(Gpu(fields=GpuFields(csv_file=str(path))))
    assert str(raised.value).startswith(f"{path}:2: ")
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_list_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        selected(Gpu(fields=GpuFields(csv_file=str(tmp_path / "absent.csv"))))
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="no UTF-8 text"):
        selected(Gpu(fields=GpuFields(csv_file=str(binary))))


@pytest.mark.parametrize("key", ["include", "exclude"])
def test_an_unknown_name_in_the_configuration_names_its_key(key: str) -> None:
    fields = GpuFields(include=("NOPE",)) if key == "include" else GpuFields(exclude=("NOPE",))
    with pytest.raises(SettingsError, match=rf"^gpu\.fields\.{key}: 'NOPE' is no GPU field"):
        selected(Gpu(fields=fields))
