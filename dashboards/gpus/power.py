"""Power, clocks, heat, and why clocks are held down."""

from __future__ import annotations

from catalog.gpu import THROTTLE_REASONS
from catalog.recorded.levels import by
from dashboards.board import Row
from dashboards.colours import BAD, WARN, colours
from dashboards.gpus.series import GPU_LEVEL, GPU_NAME, SELECT, field_line, held_down, rate_of
from dashboards.panels import BoardPanel, StateTimeline, TimeSeries, steps_from
from dashboards.query import line

__all__ = ["power_row"]

_HELD_DOWN = {
    "power": "DCGM_FI_DEV_POWER_VIOLATION",
    "heat": "DCGM_FI_DEV_THERMAL_VIOLATION",
    "board limit": "DCGM_FI_DEV_BOARD_LIMIT_VIOLATION",
    "reliability": "DCGM_FI_DEV_RELIABILITY_VIOLATION",
}
_NANOSECONDS = "1e9"


def power_row() -> Row:
    """Return power, clocks and temperature, and what limits them."""
    return Row(
        "Power, clocks, temperature", (_power(), _clocks(), _heat(), _reasons(), _held_down(), _samples(), _energy())
    )


def _power() -> BoardPanel:
    return TimeSeries(
        title="Power",
        what="Power draw, and the limit in force.",
        good="Below the limit; near it in long prefills.",
        act="At the limit for long: clocks fall; raise the limit if the rack allows it.",
        targets=[
            field_line("DCGM_FI_DEV_POWER_USAGE", "used"),
            field_line("DCGM_FI_DEV_ENFORCED_POWER_LIMIT", "limit"),
        ],
        unit="watt",
        minimum=0,
        colours=colours("used", "limit"),
    )


def _clocks() -> BoardPanel:
    return TimeSeries(
        title="Clocks",
        what="SM clock and memory clock.",
        good="At their maximum under load; low when idle.",
        act="Low under load: the reasons below say why.",
        targets=[field_line("DCGM_FI_DEV_SM_CLOCK", "SM"), field_line("DCGM_FI_DEV_MEM_CLOCK", "memory")],
        unit="suffix:MHz",
        minimum=0,
    )


def _heat() -> BoardPanel:
    return TimeSeries(
        title="Temperature",
        what="Temperature of the GPU and of its memory.",
        good="Below 80 degrees.",
        act="Above 83 degrees clocks fall: fans, air flow, the neighbour's exhaust.",
        targets=[field_line("DCGM_FI_DEV_GPU_TEMP", "GPU"), field_line("DCGM_FI_DEV_MEMORY_TEMP", "memory")],
        unit="celsius",
        minimum=0,
        steps=steps_from((80, WARN), (87, BAD)),
    )


def _reasons() -> BoardPanel:
    problems = [reason for reason in THROTTLE_REASONS.values() if reason.is_problem]
    said = " ".join(f"{reason.name}: {reason.meaning}" for reason in problems)
    return StateTimeline(
        title="Why clocks are held down",
        what=f"A band while a reason holds. {said}",
        good="Empty, or sw_power_cap in long prefills.",
        act="Thermal: cooling. Power brake: the rack's supply. Power cap: the limit that was set.",
        targets=[line(held_down(reason.bit), f"{reason.name} {GPU_NAME}") for reason in problems],
        unit="bool_yes_no",
        words={"1": ("held down", BAD)},
        columns=12,
    )


def _held_down() -> BoardPanel:
    return TimeSeries(
        title="Time with clocks held down",
        what="Share of time in which power, heat, the board or the voltage's reliability held clocks down.",
        good="Near zero; power may be high in prefills.",
        act="Heat: cooling. Power: the limit.",
        targets=[line(f"{rate_of(name)} / {_NANOSECONDS}", f"{word} {GPU_NAME}") for word, name in _HELD_DOWN.items()],
        unit="percentunit",
        minimum=0,
        columns=12,
    )


def _samples() -> BoardPanel:
    level = (*GPU_LEVEL, "clock_event")
    events = SELECT("DCGM_EXP_CLOCK_EVENTS_COUNT", 'clock_event!~"gpu_idle|clocks_setting"')
    return TimeSeries(
        title="Samples with a clock event",
        what="Samples of the last five minutes in which a reason held clocks down, where the exporter counts them.",
        good="None of heat or power brake.",
        act="As above.",
        targets=[line(f"max {by(level)} ({events})", f"{{{{clock_event}}}} {GPU_NAME}")],
        unit="short",
        minimum=0,
        columns=12,
    )


def _energy() -> BoardPanel:
    used = rate_of("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION")
    return TimeSeries(
        title="Power by the energy counter",
        what="Mean power between two points, from the counter of energy: it misses no spike between samples.",
        good="Like the power above.",
        act="Far from it: the power sensor averages; trust this one.",
        targets=[line(f"{used} / 1000", GPU_NAME)],
        unit="watt",
        minimum=0,
        columns=12,
    )
