"""MIG profiles: into which slices a GPU can be cut, and how many of each it holds.

Source: NVIDIA Multi-Instance GPU user guide, "Supported MIG profiles". Names are those of `nvidia-smi mig -lgip`;
Kubernetes' device plugin offers them as `nvidia.com/mig-<name>`, with `.me` for the profiles with media extensions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from catalog.hardware import Gpu, find_gpu

__all__ = ["MIG_RESOURCE_PREFIX", "MigProfile", "mig_profile", "mig_profiles"]

MIG_RESOURCE_PREFIX = "nvidia.com/mig-"
_NAME = re.compile(r"(\d)g\.(\d+)gb(?:[.+]me)?")
_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class MigProfile:
    """One profile: `compute_slices` of the GPU's 7, nominal memory in GiB, and how many a GPU holds at once."""

    name: str
    compute_slices: int
    memory_gib: int
    most: int

    @property
    def memory_bytes(self) -> float:
        """Nominal memory; what a process sees lies up to 5 % below."""
        return float(self.memory_gib * _GIB)


def _profiles(*named: tuple[str, int]) -> tuple[MigProfile, ...]:
    made = []
    for name, most in named:
        found = _NAME.fullmatch(name)
        assert found  # noqa: S101 - the tables below
        made.append(MigProfile(name, int(found[1]), int(found[2]), most))
    return tuple(made)


def _seven(one: int, one_double: int, two: int, half: int, whole: int) -> tuple[MigProfile, ...]:
    """The cut that all GPUs with seven compute slices share, by the memory of its slices in GiB."""
    return _profiles(
        (f"1g.{one}gb", 7),
        (f"1g.{one_double}gb", 4),
        (f"2g.{two}gb", 3),
        (f"3g.{half}gb", 2),
        (f"4g.{half}gb", 1),
        (f"7g.{whole}gb", 1),
    )


_A100_40, _80GB = _seven(5, 10, 10, 20, 40), _seven(10, 20, 20, 40, 80)
_H200 = _seven(18, 35, 35, 71, 141)

_BY_GPU: Mapping[str, tuple[MigProfile, ...]] = MappingProxyType(
    {
        "NVIDIA A30": _profiles(("1g.6gb", 4), ("2g.12gb", 2), ("4g.24gb", 1)),
        "NVIDIA A100-PCIE-40GB": _A100_40,
        "NVIDIA A100-SXM4-40GB": _A100_40,
        "NVIDIA A100 80GB PCIe": _80GB,
        "NVIDIA A100-SXM4-80GB": _80GB,
        "NVIDIA H100 PCIe": _80GB,
        "NVIDIA H100 80GB HBM3": _80GB,
        "NVIDIA H100 NVL": _seven(12, 24, 24, 47, 94),
        "NVIDIA GH200 480GB": _seven(12, 24, 24, 48, 96),
        "NVIDIA H200": _H200,
        "NVIDIA H200 NVL": _H200,
        "NVIDIA B200": _seven(23, 45, 45, 90, 180),
    }
)


def mig_profiles(gpu: Gpu | str) -> tuple[MigProfile, ...]:
    """The profiles of a GPU, smallest first; empty for a GPU without MIG or of an unknown name."""
    found = find_gpu(gpu) if isinstance(gpu, str) else gpu
    return _BY_GPU.get(found.name, ()) if found else ()


def mig_profile(name: str, gpu: Gpu | str | None = None) -> MigProfile | None:
    """The profile of this name ("3g.40gb", "1g.10gb.me"), on `gpu` or on any; None where there is none.

    A profile with media extensions is the plain one of its size, of which a GPU holds one.
    """
    plain = re.sub(r"[.+]me$", "", name)
    tables = [mig_profiles(gpu)] if gpu is not None else _BY_GPU.values()
    found = next((profile for table in tables for profile in table if profile.name == plain), None)
    return MigProfile(name, found.compute_slices, found.memory_gib, 1) if found and plain != name else found
