"""Why a GPU's clocks are held down: the bits of the reasons, and dcgm-exporter's count of samples with one."""

from __future__ import annotations

from alerts.durations import Duration
from alerts.rules.gpu.fields import either
from catalog.gpu import CLOCK_EVENTS, THROTTLE_REASONS

__all__ = ["GIVEN_BY", "REASONS", "held_down"]

REASONS = "DCGM_FI_DEV_CLOCKS_EVENT_REASONS"
"""The bit mask."""

GIVEN_BY = {
    REASONS: "this exporter by default; dcgm-exporter with it added to its list",
    "DCGM_EXP_CLOCK_EVENTS_COUNT": "dcgm-exporter with it added to its list, in place of the reasons",
}
"""What tells the reasons; either will do."""

_WINDOW: Duration = "5m"


def held_down(reason: str, share: float) -> str:
    """Return the GPUs whose clocks a reason holds down for more than `share` of five minutes; values differ in kind.

    `reason` is a name of catalog.gpu.THROTTLE_REASONS. Raises StopIteration for a name that is none.
    """
    bit = next(bit for bit, known in THROTTLE_REASONS.items() if known.name == reason)
    return (
        f"# Bit {bit:#x} of each sample: no maximum or mean of the mask tells of a bit, as other bits weigh more.\n"
        f"avg_over_time((floor(({either(REASONS)}) / {bit}) % 2)[{_WINDOW}:30s]) > {share:g}\n"
        f"# Samples of the last five minutes; one of them is a spike.\n"
        f'or DCGM_EXP_CLOCK_EVENTS_COUNT{{clock_event="{CLOCK_EVENTS[bit]}"}} > 1'
    )
