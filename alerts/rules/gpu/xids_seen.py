"""When a GPU's XIDs were last seen: what both XID alerts ask.

Never the value of DCGM_FI_DEV_XID_ERRORS, nor its increase: it is the last code, and stays for ever. Nor a count of
ours: counts begin again with the exporter, and a code's first event is no increase to Prometheus, as there was no
sample before it. The time of the last event has neither fault.
"""

from __future__ import annotations

from textwrap import indent

from alerts.durations import Duration, seconds
from alerts.rules.gpu.identity import GPU, each_gpu
from alerts.rules.gpu.xid_tiers import Tier, matcher

__all__ = ["GIVEN_BY", "xids_seen"]

GIVEN_BY = {
    "DCGM_EXP_XID_ERRORS_COUNT": (
        "only where this exporter does not run, which tells XIDs by default: dcgm-exporter with it added to its list"
    )
}
"""What tells of XIDs without this exporter."""


def xids_seen(tier: Tier, window: Duration) -> str:
    """Return the unix time of the last event of each GPU and XID of a tier within `window`."""
    ours = f"last_over_time(inferwatch_gpu_xid_last_seen_timestamp_seconds{{{matcher(tier)}}}[{window}])"
    theirs = f"DCGM_EXP_XID_ERRORS_COUNT{{{matcher(tier)}}}"
    recent = (
        f"{ours} > time() - {seconds(window)}\n"
        "# dcgm-exporter counts events of the last five minutes: when it last did.\n"
        f"or on (cluster, UUID, xid) max_over_time(timestamp({theirs} > 0)[{window}:1m])"
    )
    return each_gpu(f"(\n{indent(recent, '  ')}\n)", level=(*GPU, "xid"))
