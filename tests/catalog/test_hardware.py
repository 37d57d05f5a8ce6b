"""GPU data sheets: found by every spelling of a name and by memory, dense figures only."""

from __future__ import annotations

import pytest

from catalog.hardware import GPUS, find_gpu, find_gpu_by_memory

GIB = 1 << 30


@pytest.mark.parametrize(
    ("name", "gpu"),
    [
        ("NVIDIA H200", "NVIDIA H200"),
        ("NVIDIA A100-SXM4-80GB", "NVIDIA A100-SXM4-80GB"),
        ("A100-SXM4-40GB", "NVIDIA A100-SXM4-40GB"),
        ("NVIDIA A100 80GB PCIe", "NVIDIA A100 80GB PCIe"),
        ("Tesla V100-SXM2-16GB", "Tesla V100-SXM2-16GB"),
        ("NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 4090"),
        ("nvidia h100 80gb hbm3", "NVIDIA H100 80GB HBM3"),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", "NVIDIA H100 80GB HBM3"),
        ("NVIDIA H100 PCIe", "NVIDIA H100 PCIe"),
        ("NVIDIA A10", "NVIDIA A10"),
        ("NVIDIA A10G", "NVIDIA A10G"),
        ("L40S", "NVIDIA L40S"),
        ("T4", "Tesla T4"),
    ],
)
def test_names_as_drivers_print_them(name: str, gpu: str) -> None:
    found = find_gpu(name)
    assert found is not None
    assert found.name == gpu


@pytest.mark.parametrize("name", ["", "NVIDIA", "Quadro K620", "A100", "H100", "NVIDIA Graphics Device", "NVIDIA A2"])
def test_names_that_settle_nothing(name: str) -> None:
    assert find_gpu(name) is None


def test_memory_settles_a_name_that_fits_several() -> None:
    found = find_gpu("V100-SXM2", 32 * GIB)
    assert found is not None
    assert found.name == "Tesla V100-SXM2-32GB"
    assert find_gpu("A100", 80 * GIB) is None


@pytest.mark.parametrize(
    ("gib", "names"),
    [
        (139.8, {"NVIDIA H200", "NVIDIA H200 NVL"}),
        (14.56, {"Tesla T4"}),
        (178.35, {"NVIDIA B200"}),
        (22.05, {"NVIDIA A10", "NVIDIA A10G", "NVIDIA L4"}),
        (1.0, set()),
    ],
)
def test_gpus_by_the_memory_that_a_log_prints(gib: float, names: set[str]) -> None:
    assert {gpu.name for gpu in find_gpu_by_memory(gib)} == names


def test_the_measured_memory_of_an_h200() -> None:
    found = find_gpu("NVIDIA H200")
    assert found is not None
    assert found.memory_bytes == 150754820096
    assert found.memory_gib == pytest.approx(140.4, abs=0.01)


def test_flops_are_dense_and_halve_with_each_wider_dtype() -> None:
    for gpu in GPUS:
        flops = gpu.dense_flops
        if "bf16" in flops and "fp8" in flops:
            assert flops["fp8"] == pytest.approx(2 * flops["bf16"], rel=0.01), gpu.name
        if "bf16" in flops and "tf32" in flops:
            assert flops["tf32"] == pytest.approx(flops["bf16"] / 2, rel=0.01), gpu.name
    h100 = find_gpu("NVIDIA H100 80GB HBM3")
    assert h100 is not None
    assert h100.dense_flops["bf16"] == pytest.approx(989.4e12)


def test_generations_without_a_dtype_do_not_claim_it() -> None:
    by_name = {gpu.name: gpu for gpu in GPUS}
    assert "bf16" not in by_name["Tesla T4"].dense_flops
    assert "fp8" not in by_name["NVIDIA A100-SXM4-80GB"].dense_flops
    assert "fp4" not in by_name["NVIDIA H200"].dense_flops


def test_entries_are_whole_and_names_unique() -> None:
    names = [name for gpu in GPUS for name in (gpu.name, *gpu.aliases)]
    assert len(names) == len(set(names))
    for gpu in GPUS:
        assert gpu.sources
        assert 1e11 < gpu.hbm_bandwidth_bytes_per_second < 1e13, gpu.name
        assert 50 < gpu.tdp_watts <= 1200, gpu.name
