"""What device plugins call a GPU: every known shape of a device identifier, read into one form.

Shapes: NVIDIA's device plugin (`GPU-...`, `MIG-...`, `MIG-GPU-.../gi/ci` before driver R470, each with
`::replica` under time-slicing and MPS) and Google's (`nvidia0`, `nvidia0/gi3`, each with `/vgpuN` when shared).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct

GPU_RESOURCES = frozenset({"nvidia.com/gpu", "nvidia.com/gpu.shared"})
MIG_RESOURCE_PREFIX = "nvidia.com/mig-"
DRA_DRIVER = "gpu.nvidia.com"
"""NVIDIA's driver of dynamic resource allocation, as pod-resources names it."""

_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_NVIDIA = re.compile(
    rf"(?:(?P<uuid>(?:GPU|MIG)-{_UUID})|MIG-(?P<parent>GPU-{_UUID})/(?P<gi>[0-9]{{1,3}})/(?P<ci>[0-9]{{1,3}}))"
    r"(?:::(?P<replica>[0-9]{1,6}))?"
)
_GOOGLE = re.compile(r"nvidia(?P<index>[0-9]{1,3})(?:/gi(?P<gi>[0-9]{1,3}))?(?:/vgpu(?P<replica>[0-9]{1,6}))?")


class DeviceId(Struct, frozen=True):
    """One device, named in one of three ways.

    By `uuid` alone (of a GPU or of a MIG instance); by the `parent` GPU's UUID and the GPU instance's number
    `gpu_instance`; or by the GPU's `index` (its minor number, /dev/nvidiaN), with `gpu_instance` for a MIG
    instance. `replica` is the share of a shared device, "" where it is not shared.
    """

    uuid: str = ""
    parent: str = ""
    index: int | None = None
    gpu_instance: int | None = None
    replica: str = ""


def parse_device_id(text: str) -> DeviceId | None:
    """Read a device identifier; None for one of no known shape. Never raises."""
    if match := _NVIDIA.fullmatch(text):
        replica = match["replica"] or ""
        if match["uuid"]:
            return DeviceId(uuid=match["uuid"], replica=replica)
        return DeviceId(parent=match["parent"], gpu_instance=int(match["gi"]), replica=replica)
    if match := _GOOGLE.fullmatch(text):
        instance = int(match["gi"]) if match["gi"] else None
        return DeviceId(index=int(match["index"]), gpu_instance=instance, replica=match["replica"] or "")
    return None


def is_gpu_resource(resource: str, configured: Iterable[str] = ()) -> bool:
    """Tell whether devices of this resource are NVIDIA GPUs or MIG instances; `configured` adds names."""
    return resource in GPU_RESOURCES or resource.startswith(MIG_RESOURCE_PREFIX) or resource in configured
