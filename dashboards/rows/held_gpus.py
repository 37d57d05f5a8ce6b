"""The GPUs that a replica holds."""

from __future__ import annotations

from catalog.boards import GPU
from dashboards.board import Row
from dashboards.colours import BAD, WARN
from dashboards.holders import field_of_holders
from dashboards.links import from_series
from dashboards.panels import TimeSeries, steps_from
from dashboards.promql import Selector
from dashboards.scope import Scope

__all__ = ["held_gpus_row"]


def held_gpus_row(scope: Scope) -> Row:
    """Return activity, memory, power and temperature of the GPUs that the chosen pods hold."""
    holders = Selector(tuple(one for one in scope.select.variables if one not in {"engine", "model"}))
    return Row("GPUs", (_activity(holders), _bandwidth(holders), _memory(holders), _power(holders), _heat(holders)))


def _activity(holders: Selector) -> TimeSeries:
    return _panel(
        TimeSeries(
            title="Tensor pipes busy",
            what="Cycles with a busy tensor pipe.",
            good="Above a third in prefills.",
            act="Low in prefills: short prompts, or small chunks.",
            targets=[field_of_holders("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", holders)],
            unit="percentunit",
            maximum=1,
        )
    )


def _bandwidth(holders: Selector) -> TimeSeries:
    return _panel(
        TimeSeries(
            title="Memory bandwidth used",
            what="HBM bandwidth used: what decoding runs at.",
            good="Above a half under load.",
            act="Low under load: small batches, or bound by launches; try CUDA graphs.",
            targets=[field_of_holders("DCGM_FI_PROF_DRAM_ACTIVE", holders)],
            unit="percentunit",
            maximum=1,
        )
    )


def _memory(holders: Selector) -> TimeSeries:
    return _panel(
        TimeSeries(
            title="GPU memory used",
            what="Memory in use on the GPU. Engines take it whole at their start, for the KV cache.",
            good="Level.",
            act="Growing: something else on the GPU; see its processes on the GPU board.",
            targets=[field_of_holders("DCGM_FI_DEV_FB_USED", holders)],
            unit="mbytes",
        )
    )


def _power(holders: Selector) -> TimeSeries:
    return _panel(
        TimeSeries(
            title="Power",
            what="Power draw of the GPU.",
            good="Below the limit.",
            act="At the limit clocks fall: see why on the GPU board.",
            targets=[field_of_holders("DCGM_FI_DEV_POWER_USAGE", holders)],
            unit="watt",
        )
    )


def _heat(holders: Selector) -> TimeSeries:
    return _panel(
        TimeSeries(
            title="Temperature",
            what="Temperature of the GPU.",
            good="Below 80 degrees.",
            act="Above 83 degrees clocks fall: cooling.",
            targets=[field_of_holders("DCGM_FI_DEV_GPU_TEMP", holders)],
            unit="celsius",
            steps=steps_from((80, WARN), (87, BAD)),
        )
    )


def _panel(panel: TimeSeries) -> TimeSeries:
    """All lead to the GPU's own board, and stand side by side."""
    panel.minimum, panel.columns, panel.lines = 0, 8, 7
    panel.leads = (from_series(GPU, ("cluster", "UUID")),)
    return panel
