"""Node labels that name a GPU."""

from __future__ import annotations

import pytest

from catalog.cloud_gpus import gpu_of_instance, gpu_of_product


@pytest.mark.parametrize(
    ("label", "gpu"),
    [
        ("NVIDIA-A100-SXM4-80GB", "NVIDIA A100-SXM4-80GB"),
        ("NVIDIA-A100-SXM4-80GB-SHARED", "NVIDIA A100-SXM4-80GB"),
        ("NVIDIA-A100-SXM4-80GB-MIG-3g.40gb", "NVIDIA A100-SXM4-80GB"),
        ("nvidia-tesla-a100", "NVIDIA A100-SXM4-40GB"),
        ("nvidia-h200-141gb", "NVIDIA H200"),
        ("something", None),
        ("", None),
    ],
)
def test_products(label: str, gpu: str | None) -> None:
    found = gpu_of_product(label)
    assert (found.name if found else None) == gpu


@pytest.mark.parametrize(
    ("machine", "gpu"),
    [
        ("p4d.24xlarge", "NVIDIA A100-SXM4-40GB"),
        ("p4de.24xlarge", "NVIDIA A100-SXM4-80GB"),
        ("g5.12xlarge", "NVIDIA A10G"),
        ("g6e.xlarge", "NVIDIA L40S"),
        ("a3-highgpu-8g", "NVIDIA H100 80GB HBM3"),
        ("Standard_ND96isr_H200_v5", "NVIDIA H200"),
        ("g6e", "NVIDIA L40S"),
        ("m5.large", None),
        ("m5", None),
    ],
)
def test_machine_types(machine: str, gpu: str | None) -> None:
    found = gpu_of_instance(machine)
    assert (found.name if found else None) == gpu
