"""GPU memory by process (opt-in): the names of programs are nobody else's business by default."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import pynvml
from msgspec import Struct

from exporter.gpus.nvml import Calls
from exporter.gpus.reasons import Counts

__all__ = ["ProcessMemory", "read_processes"]

_MOST = 128


class ProcessMemory(Struct, frozen=True):
    """What one process holds. `name` is its executable's, without folder and arguments."""

    pid: int
    name: str
    memory_bytes: int


def read_processes(calls: Calls, counts: Counts, handle: Any, names: dict[int, str]) -> tuple[ProcessMemory, ...]:
    """Return the compute processes of a GPU, those with the most memory first, 128 at most.

    `names` keeps the names of processes that live. NVML shows processes of the exporter's own PID namespace only,
    and gives no memory where the driver does not account for it. Raises DeviceGoneError.
    """
    key = "nvmlDeviceGetComputeRunningProcesses"
    found = calls.get(key, pynvml.nvmlDeviceGetComputeRunningProcesses, handle) or []
    held: dict[int, int] = {}
    for process in found:
        if process.usedGpuMemory is not None:
            held[process.pid] = held.get(process.pid, 0) + process.usedGpuMemory
    for gone in names.keys() - held.keys():
        del names[gone]
    most = sorted(held.items(), key=lambda entry: (-entry[1], entry[0]))
    for _ in most[_MOST:]:
        counts.add("too_many")
    return tuple(ProcessMemory(pid, _name(calls, pid, names), memory) for pid, memory in most[:_MOST])


def _name(calls: Calls, pid: int, names: dict[int, str]) -> str:
    if pid not in names:
        text = calls.get("nvmlSystemGetProcessName", pynvml.nvmlSystemGetProcessName, pid) or ""
        # NVML may give a whole command line, which can hold a secret.
        words = text.split()
        names[pid] = PurePosixPath(words[0]).name if words else ""
    return names[pid]
