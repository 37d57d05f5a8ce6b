"""The MIG instances of a GPU. Their handles live for one reading only: a held one keeps MIG from changing."""

from __future__ import annotations

import re
from typing import Any

import pynvml
from msgspec import Struct

from exporter.gpus.nvml import Calls

__all__ = ["MigInstance", "read_instances"]

_PROFILE = re.compile(r"\bMIG (?:\d+c\.)?(\S+)")
# An A100 or H100 has at most 7; the bound is against garbage.
_MOST = 64


class MigInstance(Struct, frozen=True):
    """A GPU instance. `devices` are the UUIDs of its MIG devices: one for each compute instance."""

    id: int
    profile: str
    devices: tuple[str, ...]


def read_instances(calls: Calls, handle: Any, profiles: dict[str, str]) -> list[tuple[MigInstance, Any]]:
    """Return a GPU's instances, each with the handle of its first device; none where MIG is off.

    `profiles` keeps the profile of each device's UUID, so that it is read once. Raises DeviceGoneError.
    """
    mode = calls.get("nvmlDeviceGetMigMode", pynvml.nvmlDeviceGetMigMode, handle)
    if not mode or mode[0] != pynvml.NVML_DEVICE_MIG_ENABLE:
        return []
    count = calls.get("nvmlDeviceGetMaxMigDeviceCount", pynvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0
    found: dict[int, tuple[list[str], Any]] = {}
    for index in range(min(count, _MOST)):
        device = calls.get(
            "nvmlDeviceGetMigDeviceHandleByIndex", pynvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, index
        )
        if device is None:
            continue
        uuid = calls.get("nvmlDeviceGetUUID(MIG)", pynvml.nvmlDeviceGetUUID, device)
        instance = calls.get("nvmlDeviceGetGpuInstanceId", pynvml.nvmlDeviceGetGpuInstanceId, device)
        if uuid is None or instance is None:
            continue
        if uuid not in profiles:
            profiles[uuid] = _profile(calls, device)
        found.setdefault(instance, ([], device))[0].append(uuid)
    live = {uuid for uuids, _ in found.values() for uuid in uuids}
    for gone in profiles.keys() - live:
        del profiles[gone]
    return [
        (MigInstance(instance, profiles[uuids[0]], tuple(uuids)), device)
        for instance, (uuids, device) in sorted(found.items())
    ]


def _profile(calls: Calls, device: Any) -> str:
    """The GPU instance's profile, as 1g.18gb: from the device's name, else from its slices and memory."""
    name = calls.get("nvmlDeviceGetName(MIG)", pynvml.nvmlDeviceGetName, device)
    found = _PROFILE.search(name or "")
    if found:
        return found[1]
    shape = calls.get("nvmlDeviceGetAttributes", pynvml.nvmlDeviceGetAttributes, device)
    if shape is None:
        return ""
    return f"{shape.gpuInstanceSliceCount}g.{-(-shape.memorySizeMB // 1024)}gb"
