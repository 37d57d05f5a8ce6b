"""What GPUs do: pipes, bandwidth, memory."""

from __future__ import annotations

from dashboards.board import Row
from dashboards.colours import WARN, colours
from dashboards.gpus.series import GPU_LEVEL, GPU_NAME, SELECT, field_line
from dashboards.panels import BoardPanel, TimeSeries, steps_from
from dashboards.query import line

__all__ = ["activity_row", "memory_row"]


def activity_row() -> Row:
    """Return what a GPU is busy with."""
    return Row("Activity", (_bandwidth(), _tensor(), _sm(), _occupancy(), _engine(), _utilisation()))


def memory_row() -> Row:
    """Return what GPU memory is used for."""
    return Row("Memory", (_memory(), _share(), _processes()))


def _ratio(name: str, title: str, what: str, good: str, act: str) -> TimeSeries:
    return TimeSeries(
        title=title,
        what=what,
        good=good,
        act=act,
        targets=[field_line(name)],
        unit="percentunit",
        minimum=0,
        maximum=1,
        lines=7,
    )


def _bandwidth() -> BoardPanel:
    return _ratio(
        "DCGM_FI_PROF_DRAM_ACTIVE",
        "Memory bandwidth used",
        "HBM bandwidth used: what decoding runs at.",
        "Above a half under load.",
        "Low under load: small batches, or bound by launches; try CUDA graphs.",
    )


def _tensor() -> BoardPanel:
    return _ratio(
        "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE",
        "Tensor pipes busy",
        "Cycles with a busy tensor pipe: what prefill runs at.",
        "Above a third in prefills.",
        "Low in prefills: short prompts, small chunks, or a kernel that does not use them.",
    )


def _sm() -> BoardPanel:
    return _ratio(
        "DCGM_FI_PROF_SM_ACTIVE",
        "SM activity",
        "Cycles in which an SM had a warp, over all SMs.",
        "High while bandwidth or tensor pipes are used.",
        "High without either: kernels wait for memory or for each other.",
    )


def _occupancy() -> BoardPanel:
    return _ratio(
        "DCGM_FI_PROF_SM_OCCUPANCY",
        "SM occupancy",
        "Resident warps of the possible ones.",
        "Any value: good kernels often run with few warps.",
        "A change at like load is a change of kernels: another version, another backend.",
    )


def _engine() -> BoardPanel:
    return _ratio(
        "DCGM_FI_PROF_GR_ENGINE_ACTIVE",
        "Time with any work",
        "Time in which graphics or compute were busy.",
        "Near zero on GPUs that nobody uses, and on no others.",
        "Zero for hours on a held GPU: it is paid for and idle.",
    )


def _utilisation() -> BoardPanel:
    return TimeSeries(
        title="GPU utilisation, as NVML gives it",
        what="Share of time in which any kernel was resident. One serial client keeps it at 100 %: it is no measure of load.",
        good="Any value.",
        act="Judge by bandwidth and tensor pipes instead. MIG has none of it.",
        targets=[field_line("DCGM_FI_DEV_GPU_UTIL")],
        unit="percent",
        minimum=0,
        maximum=100,
        lines=7,
    )


def _memory() -> BoardPanel:
    return TimeSeries(
        title="Memory",
        what="Memory used, free, and reserved by the driver.",
        good="Level: engines take what they need at their start.",
        act="Used and growing: something else on the GPU; see its processes.",
        targets=[
            field_line("DCGM_FI_DEV_FB_USED", "used"),
            field_line("DCGM_FI_DEV_FB_FREE", "free"),
            field_line("DCGM_FI_DEV_FB_RESERVED", "reserved"),
        ],
        unit="mbytes",
        minimum=0,
        colours=colours("used", "free", "reserved"),
    )


def _share() -> BoardPanel:
    level = ", ".join(GPU_LEVEL)
    used, free = SELECT.field("DCGM_FI_DEV_FB_USED"), SELECT.field("DCGM_FI_DEV_FB_FREE")
    whole = f"max by ({level}) ({used}) + max by ({level}) ({free})"
    return TimeSeries(
        title="Memory used, share",
        what="Used memory of used and free.",
        good="About what the engine's memory setting says; a KV cache fills the rest on purpose.",
        act="Above 97 %: the next allocation outside the engine fails; lower the engine's share a little.",
        targets=[line(f"max by ({level}) ({used}) / ({whole} > 0)", GPU_NAME)],
        unit="percentunit",
        minimum=0,
        maximum=1,
        steps=steps_from((0.97, WARN)),
    )


def _processes() -> BoardPanel:
    return TimeSeries(
        title="Memory by process",
        what="GPU memory that each compute process holds; the exporter gives it when gpu.processes is on.",
        good="One engine a GPU, or those that were put there.",
        act="A process that nobody knows holds memory: end it, and the engine can have it back.",
        targets=[
            line(
                f"max by (cluster, Hostname, gpu, UUID, pid, process) ({SELECT('inferwatch_gpu_process_memory_bytes')})",
                "{{Hostname}} {{gpu}} {{process}} {{pid}}",
            )
        ],
        unit="bytes",
        minimum=0,
        stacked=True,
    )
