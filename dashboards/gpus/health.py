"""Faults: XIDs, memory errors, remapped rows, links."""

from __future__ import annotations

from catalog.recorded.levels import by
from dashboards.board import Row
from dashboards.colours import BAD, GOOD, WARN, colours
from dashboards.gpus.series import GPU_LEVEL, GPU_NAME, SELECT, field, over_range, rate_of, rises
from dashboards.panels import BoardPanel, Column, Label, StateTimeline, Table, TimeSeries, steps_from
from dashboards.promql import increase, rate
from dashboards.query import line

__all__ = ["faults_row", "links_row"]

_NAMES = {
    "cluster": "Cluster",
    "Hostname": "Host",
    "gpu": "Number",
    "UUID": "GPU",
    "GPU_I_PROFILE": "MIG profile",
    "GPU_I_ID": "MIG instance",
}
_ANY = steps_from((1, WARN))
_FATAL = steps_from((1, BAD))
_NVLINK_ERRORS = ("CRC_FLIT", "CRC_DATA", "REPLAY", "RECOVERY")


def faults_row() -> Row:
    """Return whether GPUs answer, their faults, and a table of what counts against them."""
    return Row("Faults", (_answers(), _xids(), _memory_errors(), _health()))


def links_row() -> Row:
    """Return traffic and errors of NVLink and PCIe."""
    return Row("NVLink and PCIe", (_nvlink(), _pcie(), _nvlink_errors(), _pcie_link()))


def _answers() -> BoardPanel:
    return StateTimeline(
        title="GPU answers",
        what="Whether the GPU answered the last reading.",
        good="yes throughout.",
        act="no: XID 79 or 119 nearby tells why; drain the node and reboot it.",
        targets=[line(f"max {by(GPU_LEVEL)} ({SELECT('inferwatch_gpu_up')})", GPU_NAME)],
        unit="bool_yes_no",
        words={"1": ("yes", GOOD), "0": ("no", BAD)},
    )


def _xids() -> BoardPanel:
    level = (*GPU_LEVEL, "xid")
    seen = f"max {by(level)} ({increase(SELECT('inferwatch_gpu_xid_errors_total'))}) > 0"
    windowed = f"max {by(level)} ({SELECT('DCGM_EXP_XID_ERRORS_COUNT')}) > 0"
    return TimeSeries(
        title="XID events",
        what="Errors that the driver reported, by code; window: dcgm-exporter's count of its last minutes.",
        good="None.",
        act="48, 62, 64, 74, 79, 95, 119, 120 are hardware: drain the node. 13, 31, 43 are the program's own.",
        targets=[
            line(seen, f"XID {{{{xid}}}} {GPU_NAME}"),
            line(windowed, f"window XID {{{{xid}}}} {GPU_NAME}"),
        ],
        unit="short",
        minimum=0,
        points=True,
    )


def _memory_errors() -> BoardPanel:
    names = {"corrected": "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", "error": "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL"}
    return TimeSeries(
        title="ECC errors",
        what="Memory errors, corrected and uncorrected (error), at each point.",
        good="None uncorrected; few corrected.",
        act="Uncorrected: a program lost data; reset the GPU and run diagnostics.",
        targets=[line(rises(name), f"{word} {GPU_NAME}") for word, name in names.items()],
        unit="short",
        minimum=0,
        points=True,
        colours=colours("error"),
    )


def _health() -> BoardPanel:
    keep = tuple(_NAMES)
    return Table(
        title="What counts against a GPU, in the time shown",
        what="Errors that were added in the time shown, and the states that ask for a reset or an exchange.",
        good="Zeros.",
        act="Remapping failed: exchange the board. Pending: reset the GPU at the next occasion. Rows growing: plan for it.",
        labels=tuple(Label(name, title) for name, title in _NAMES.items()),
        values=(
            Column(
                title="XIDs",
                expr=f"sum {by(keep)} (increase({SELECT('inferwatch_gpu_xid_errors_total')}[$__range]))",
                unit="short",
                decimals=0,
                steps=_ANY,
            ),
            *(
                Column(title=title, expr=over_range(name, keep), unit="short", decimals=0, steps=steps)
                for title, name, steps in (
                    ("ECC corrected", "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", _ANY),
                    ("ECC uncorrected", "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", _FATAL),
                    ("Rows remapped, corrected", "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS", _ANY),
                    ("Rows remapped, uncorrected", "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS", _ANY),
                    ("PCIe replays", "DCGM_FI_DEV_PCIE_REPLAY_COUNTER", _ANY),
                )
            ),
            *(
                Column(title=title, expr=field(name, keep), unit="bool_yes_no", steps=_FATAL)
                for title, name in (
                    ("Remapping failed", "DCGM_FI_DEV_ROW_REMAP_FAILURE"),
                    ("Remapping pending", "DCGM_FI_DEV_ROW_REMAP_PENDING"),
                    ("Page retirement pending", "DCGM_FI_DEV_RETIRED_PENDING"),
                )
            ),
        ),
        sort="XIDs",
    )


def _nvlink() -> BoardPanel:
    sent = f"max {by(GPU_LEVEL)} ({rate(SELECT('inferwatch_gpu_nvlink_transmitted_bytes_total'))})"
    received = f"max {by(GPU_LEVEL)} ({rate(SELECT('inferwatch_gpu_nvlink_received_bytes_total'))})"
    both = f"{field('DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL')} * 1e6"
    return TimeSeries(
        title="NVLink traffic",
        what="Bytes a second over all NVLinks of a GPU; both: as DCGM gives it, without a direction.",
        good="Alike on all GPUs of a tensor-parallel group.",
        act="One GPU far below its group: a link is down; see errors beside.",
        targets=[
            line(sent, f"sent {GPU_NAME}"),
            line(received, f"received {GPU_NAME}"),
            line(both, f"both {GPU_NAME}"),
        ],
        unit="Bps",
        minimum=0,
        colours=colours("sent", "received"),
        columns=6,
    )


def _pcie() -> BoardPanel:
    sent, received = field("DCGM_FI_PROF_PCIE_TX_BYTES"), field("DCGM_FI_PROF_PCIE_RX_BYTES")
    return TimeSeries(
        title="PCIe traffic",
        what="Bytes a second over PCIe, headers included.",
        good="Low while serving; high while weights are loaded or the cache is offloaded.",
        act="High while serving: cache offloading, or collectives over PCIe instead of NVLink.",
        targets=[line(sent, f"sent {GPU_NAME}"), line(received, f"received {GPU_NAME}")],
        unit="Bps",
        minimum=0,
        colours=colours("sent", "received"),
        columns=6,
    )


def _nvlink_errors() -> BoardPanel:
    return TimeSeries(
        title="NVLink errors per second",
        what="Checksum errors, packets sent again and recoveries, over all links.",
        good="None, or a single one now and then.",
        act="A steady rate is a cable or a seat: reseat it, look at the link's other end.",
        targets=[
            line(
                rate_of(f"DCGM_FI_DEV_NVLINK_{kind}_ERROR_COUNT_TOTAL"),
                f"{kind.replace('_', ' ').lower()} {GPU_NAME}",
            )
            for kind in _NVLINK_ERRORS
        ],
        unit="ops",
        minimum=0,
        columns=6,
    )


def _pcie_link() -> BoardPanel:
    return TimeSeries(
        title="PCIe link",
        what="Lanes and generation of the link now; idle links may fall to an older generation.",
        good="All lanes of the slot under load.",
        act="Fewer lanes under load: reseat the board.",
        targets=[
            line(field("DCGM_FI_DEV_PCIE_LINK_WIDTH"), f"lanes {GPU_NAME}"),
            line(field("DCGM_FI_DEV_PCIE_LINK_GEN"), f"generation {GPU_NAME}"),
        ],
        unit="short",
        decimals=0,
        minimum=0,
        columns=6,
    )
