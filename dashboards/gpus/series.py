"""How GPU series are chosen, aggregated and called."""

from __future__ import annotations

from collections.abc import Callable

from catalog.gpu import GPU_FIELDS
from catalog.recorded.levels import by
from dashboards.promql import Selector, increase, rate
from dashboards.query import Query, line

__all__ = ["GPU_LEVEL", "GPU_NAME", "SELECT", "field", "field_line", "held_down", "over_range", "rate_of", "rises"]

SELECT = Selector(("cluster", "node", "gpu"))
GPU_LEVEL: tuple[str, ...] = ("cluster", "Hostname", "gpu", "UUID", "GPU_I_PROFILE", "GPU_I_ID")
"""A GPU, or a MIG instance of one. Two exporters that see the same GPU become one."""

GPU_NAME = "{{cluster}} {{Hostname}} {{gpu}} {{GPU_I_PROFILE}} {{GPU_I_ID}}"


def field(name: str, level: tuple[str, ...] = GPU_LEVEL) -> str:
    """Return a field by GPU."""
    return f"max {by(level)} ({SELECT.field(name)})"


def field_line(name: str, word: str = "") -> Query:
    """Return a field over time, its legend led by a word."""
    return line(field(name), f"{word} {GPU_NAME}".strip())


def rate_of(name: str, *fixed: str, level: tuple[str, ...] = GPU_LEVEL) -> str:
    """Return the rate of a counter in every spelling, by GPU."""
    return f"max {by(level)} ({_each(name, rate, *fixed)})"


def rises(name: str, *fixed: str, level: tuple[str, ...] = GPU_LEVEL) -> str:
    """Return how much a counter rose at each point, by GPU."""
    return f"max {by(level)} ({_each(name, increase, *fixed)})"


def over_range(name: str, level: tuple[str, ...] = GPU_LEVEL) -> str:
    """Return how much a counter rose in the time that the board shows, by GPU."""
    return f"max {by(level)} ({_each(name, lambda series: f'increase({series}[$__range])')})"


def held_down(bit: int) -> str:
    """Return the GPUs whose clocks a reason holds down: 1, and nothing for the others."""
    return f"floor({field('DCGM_FI_DEV_CLOCKS_EVENT_REASONS')} / {bit}) % 2 == 1"


def _each(name: str, function: Callable[[str], str], *fixed: str) -> str:
    """A function over a counter, in each spelling that an exporter may give it."""
    names = GPU_FIELDS[name].names if name in GPU_FIELDS else (name,)
    return " or ".join(function(SELECT(one, *fixed)) for one in names)
