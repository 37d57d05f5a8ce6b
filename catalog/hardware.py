"""GPU data sheets: memory, HBM bandwidth, dense FLOP/s by dtype, link, power.

FLOP/s are dense: NVIDIA's sheets print sparse figures for Ampere and later, and these are half of them.
Tensor-core figures accumulate in FP32, which is what inference kernels use (on GeForce that halves the
printed FP16 and FP8 rates). `memory_bytes` is the total that `nvidia-smi` reports, with ECC on where the
board has it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_MIB = 1 << 20
_GIB = 1 << 30
_TERA = 1e12

TORCH_SHARE = (0.965, 1.01)
"""A process sees 96.5 % (T4, L4) to 100 % of what nvidia-smi reports as total: the driver keeps the rest."""

_DRIVER_BYTES = 0.6 * _GIB
"""What the driver keeps of an H200 (140.40 GiB by nvidia-smi, 139.80 to a process); 0.3 to 0.9 GiB on others."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU model.

    `name` is what NVML prints. `dense_flops` maps a dtype (bf16, fp16, fp8, int8, fp4, tf32, fp32) to FLOP/s
    (int8: operations a second); a dtype that the GPU has no tensor path for is absent. `link` is the
    interface to other GPUs and `link_bytes_per_second` its bidirectional total. `compute_capability` is
    "9.0", or the gfx name for AMD.
    """

    name: str
    memory_bytes: int
    hbm_bandwidth_bytes_per_second: float
    dense_flops: Mapping[str, float]
    link: str
    link_bytes_per_second: float
    tdp_watts: int
    compute_capability: str
    sources: tuple[str, ...]
    aliases: tuple[str, ...] = ()

    @property
    def memory_gib(self) -> float:
        """Total memory in GiB."""
        return self.memory_bytes / _GIB

    @property
    def usable_bytes(self) -> float:
        """What a process sees as total: memory less what the driver keeps."""
        return self.memory_bytes - _DRIVER_BYTES


def _gpu(
    name: str,
    memory_mib: int,
    bandwidth_gb: float,
    tflops: Mapping[str, float],
    link: tuple[str, float],
    tdp_watts: int,
    compute_capability: str,
    source: str,
    *aliases: str,
) -> Gpu:
    """Build an entry from the units of data sheets: MiB, GB/s, TFLOP/s, (link, GB/s), W."""
    return Gpu(
        name,
        memory_mib * _MIB,
        bandwidth_gb * 1e9,
        {dtype: value * _TERA for dtype, value in tflops.items()},
        link[0],
        link[1] * 1e9,
        tdp_watts,
        compute_capability,
        (source,),
        aliases,
    )


def _ampere(bf16: float, fp32: float) -> dict[str, float]:
    return {"bf16": bf16, "fp16": bf16, "int8": 2 * bf16, "tf32": bf16 / 2, "fp32": fp32}


def _with_fp8(bf16: float, fp32: float) -> dict[str, float]:
    return {**_ampere(bf16, fp32), "fp8": 2 * bf16}


def _blackwell(bf16: float, fp32: float, int8: float) -> dict[str, float]:
    return {**_with_fp8(bf16, fp32), "fp4": 4 * bf16, "int8": int8}


_PCIE3, _PCIE4, _PCIE5 = ("PCIe 3.0 x16", 32.0), ("PCIe 4.0 x16", 64.0), ("PCIe 5.0 x16", 128.0)
_NVLINK2, _NVLINK3 = ("NVLink 2", 300.0), ("NVLink 3", 600.0)
_NVLINK4, _NVLINK5 = ("NVLink 4", 900.0), ("NVLink 5", 1800.0)
_BRIDGE4, _H100_NVL = ("NVLink 4 bridge", 600.0), (835.5, 60.0)
_H100_SXM = (989.4, 66.9)
_V100 = {"fp16": 125.0, "fp32": 15.7}
_V100_PCIE = {"fp16": 112.0, "fp32": 14.0}

_A100_SHEET = "NVIDIA A100 Tensor Core GPU data sheet"
_H100_SHEET = "NVIDIA H100 Tensor Core GPU data sheet"
_H200_SHEET = "NVIDIA H200 Tensor Core GPU data sheet"
_V100_SHEET = "NVIDIA V100 data sheet"
_GH200_SHEET = "NVIDIA GH200 Grace Hopper Superchip data sheet"

GPUS: tuple[Gpu, ...] = (
    _gpu(
        "Tesla T4",
        15360,
        320,
        {"fp16": 65.0, "int8": 130.0, "fp32": 8.1},
        _PCIE3,
        70,
        "7.5",
        "NVIDIA T4 product brief",
        "NVIDIA T4",
    ),
    _gpu("Tesla V100-PCIE-16GB", 16384, 900, _V100_PCIE, _PCIE3, 250, "7.0", _V100_SHEET),
    _gpu("Tesla V100-SXM2-16GB", 16384, 900, _V100, _NVLINK2, 300, "7.0", _V100_SHEET),
    _gpu("Tesla V100-PCIE-32GB", 32768, 900, _V100_PCIE, _PCIE3, 250, "7.0", _V100_SHEET),
    _gpu(
        "Tesla V100-SXM2-32GB",
        32768,
        900,
        _V100,
        _NVLINK2,
        300,
        "7.0",
        _V100_SHEET,
        "Tesla V100-SXM3-32GB",
        "Tesla V100-SXM2-32GB-LS",
    ),
    _gpu("NVIDIA A10", 23028, 600, _ampere(125.0, 31.2), _PCIE4, 150, "8.6", "NVIDIA A10 data sheet"),
    _gpu("NVIDIA A10G", 23028, 600, _ampere(70.0, 35.0), _PCIE4, 300, "8.6", "NVIDIA A10G data sheet"),
    _gpu("NVIDIA A30", 24576, 933, _ampere(165.0, 10.3), _PCIE4, 165, "8.0", "NVIDIA A30 data sheet"),
    _gpu("NVIDIA A40", 46068, 696, _ampere(149.7, 37.4), _PCIE4, 300, "8.6", "NVIDIA A40 data sheet"),
    _gpu(
        "NVIDIA A100-PCIE-40GB",
        40960,
        1555,
        _ampere(312.0, 19.5),
        _PCIE4,
        250,
        "8.0",
        _A100_SHEET,
        "A100-PCIE-40GB",
    ),
    _gpu(
        "NVIDIA A100-SXM4-40GB",
        40960,
        1555,
        _ampere(312.0, 19.5),
        _NVLINK3,
        400,
        "8.0",
        _A100_SHEET,
        "A100-SXM4-40GB",
    ),
    _gpu(
        "NVIDIA A100 80GB PCIe",
        81920,
        1935,
        _ampere(312.0, 19.5),
        _PCIE4,
        300,
        "8.0",
        _A100_SHEET,
        "NVIDIA A100-PCIE-80GB",
    ),
    _gpu(
        "NVIDIA A100-SXM4-80GB",
        81920,
        2039,
        _ampere(312.0, 19.5),
        _NVLINK3,
        400,
        "8.0",
        _A100_SHEET,
        "A100-SXM4-80GB",
        "A100-SXM-80GB",
    ),
    _gpu("NVIDIA L4", 23034, 300, _with_fp8(121.0, 30.3), _PCIE4, 72, "8.9", "NVIDIA L4 data sheet"),
    _gpu("NVIDIA L40", 46068, 864, _with_fp8(181.05, 90.5), _PCIE4, 300, "8.9", "NVIDIA L40 data sheet"),
    _gpu("NVIDIA L40S", 46068, 864, _with_fp8(362.05, 91.6), _PCIE4, 350, "8.9", "NVIDIA L40S data sheet"),
    _gpu(
        "NVIDIA RTX A6000",
        49140,
        768,
        _ampere(154.8, 38.7),
        _PCIE4,
        300,
        "8.6",
        "NVIDIA RTX A6000 data sheet",
    ),
    _gpu(
        "NVIDIA RTX 6000 Ada Generation",
        49140,
        960,
        _with_fp8(364.2, 91.1),
        _PCIE4,
        300,
        "8.9",
        "NVIDIA RTX 6000 Ada Generation data sheet",
    ),
    _gpu("NVIDIA H100 PCIe", 81559, 2039, _with_fp8(756.0, 51.2), _PCIE5, 350, "9.0", _H100_SHEET),
    _gpu(
        "NVIDIA H100 80GB HBM3",
        81559,
        3352,
        _with_fp8(*_H100_SXM),
        _NVLINK4,
        700,
        "9.0",
        _H100_SHEET,
        "NVIDIA H100 SXM5 80GB",
        "NVIDIA H100 SXM",
    ),
    _gpu("NVIDIA H100 NVL", 95830, 3938, _with_fp8(*_H100_NVL), _BRIDGE4, 400, "9.0", _H100_SHEET),
    _gpu("NVIDIA H200", 143771, 4800, _with_fp8(*_H100_SXM), _NVLINK4, 700, "9.0", _H200_SHEET),
    _gpu(
        "NVIDIA H200 NVL",
        143771,
        4800,
        _with_fp8(*_H100_NVL),
        ("NVLink 4 bridge", 900.0),
        600,
        "9.0",
        _H200_SHEET,
    ),
    _gpu("NVIDIA GH200 480GB", 97871, 4000, _with_fp8(*_H100_SXM), _NVLINK4, 900, "9.0", _GH200_SHEET),
    _gpu(
        "NVIDIA B200",
        183359,
        7700,
        _blackwell(2250.0, 75.0, 4500.0),
        _NVLINK5,
        1000,
        "10.0",
        "NVIDIA HGX B200 data sheet, per GPU",
    ),
    _gpu(
        "NVIDIA GeForce RTX 3090",
        24576,
        936,
        {"bf16": 71.2, "fp16": 71.2, "int8": 284.7, "tf32": 35.6, "fp32": 35.6},
        _PCIE4,
        350,
        "8.6",
        "NVIDIA Ampere GA102 architecture white paper",
    ),
    _gpu(
        "NVIDIA GeForce RTX 4090",
        24564,
        1008,
        {**_with_fp8(165.2, 82.6), "int8": 660.6},
        _PCIE4,
        450,
        "8.9",
        "NVIDIA Ada GPU architecture white paper",
    ),
    _gpu(
        "NVIDIA GeForce RTX 5090",
        32607,
        1792,
        {**_with_fp8(209.5, 104.8), "int8": 838.0, "fp4": 1676.0},
        _PCIE5,
        575,
        "12.0",
        "NVIDIA RTX Blackwell GPU architecture white paper",
    ),
    _gpu(
        "AMD Instinct MI300X",
        196592,
        5300,
        {"bf16": 1307.4, "fp16": 1307.4, "fp8": 2614.9, "int8": 2614.9, "tf32": 653.7, "fp32": 163.4},
        ("Infinity Fabric", 896.0),
        750,
        "gfx942",
        "AMD Instinct MI300X data sheet",
        "AMD Instinct MI300X OAM",
        "AMD Radeon Graphics MI300X",
    ),
)


def _words(name: str) -> tuple[str, ...]:
    """Split a name into comparable words: case, vendor words and the MIG or vGPU suffix do not matter."""
    base = re.split(r"\bmig\b", name.lower(), maxsplit=1)[0]
    return tuple(word for word in re.findall(r"[a-z0-9]+", base) if word not in _VENDOR_WORDS)


_VENDOR_WORDS = frozenset({"nvidia", "tesla", "geforce", "amd", "instinct", "corporation", "gpu", "graphics", "device"})


def find_gpu(name: str, memory_bytes: float | None = None) -> Gpu | None:
    """Return the GPU that NVML, nvidia-smi, DCGM (`modelName`) or torch calls `name`, or None.

    "A100-SXM4-80GB" and "NVIDIA A100-SXM4-80GB" are the same. A name that fits several entries ("A100",
    "H100") is settled by `memory_bytes` where given; where candidates remain, None: a guess is worse than no
    figure. A MIG slice carries its parent's name, but has a part of its memory, bandwidth and FLOP/s: callers
    scale.
    """
    found = matching_gpus(name)
    if len(found) > 1 and memory_bytes is not None:
        found = tuple(gpu for gpu in found if _fits(gpu, memory_bytes))
    return found[0] if len(found) == 1 else None


def matching_gpus(name: str) -> tuple[Gpu, ...]:
    """Return every GPU that `name` may mean: one, several ("A100" has four), or none."""
    wanted = _words(name)
    if not wanted:
        return ()
    exact = [gpu for gpu in GPUS if any(_words(known) == wanted for known in (gpu.name, *gpu.aliases))]
    if exact:
        return tuple(exact)
    return tuple(gpu for gpu in GPUS if any(_contains(_words(known), wanted) for known in (gpu.name, *gpu.aliases)))


def find_gpu_by_memory(gib: float) -> tuple[Gpu, ...]:
    """Return the GPUs whose memory is `gib` GiB as nvidia-smi or a process sees it; several when
    ambiguous."""
    return tuple(gpu for gpu in GPUS if _fits(gpu, gib * _GIB))


def _contains(known: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    return known[: len(wanted)] == wanted or set(wanted) <= set(known)


def _fits(gpu: Gpu, memory_bytes: float) -> bool:
    low, high = TORCH_SHARE
    return low <= memory_bytes / gpu.memory_bytes <= high
