"""Which GPU a Kubernetes node label names: what NVIDIA's feature discovery, GKE, and the clouds' instance types say.

Sources: GPU feature discovery's labels; Google Kubernetes Engine's list of accelerators; the instance pages of AWS,
Google Cloud and Azure.
"""

from __future__ import annotations

from catalog.hardware import Gpu, find_gpu

__all__ = ["INSTANCE_LABELS", "PRODUCT_LABELS", "gpu_of_instance", "gpu_of_product"]

PRODUCT_LABELS = ("nvidia.com/gpu.product", "cloud.google.com/gke-accelerator")
"""Node labels whose value names the GPU."""

INSTANCE_LABELS = (
    "node.kubernetes.io/instance-type",
    "beta.kubernetes.io/instance-type",
    "karpenter.k8s.aws/instance-family",
)
"""Node labels whose value names a cloud's machine type, or the family of one."""

_GKE = {
    "nvidia-tesla-a100": "NVIDIA A100-SXM4-40GB",
    "nvidia-a100-80gb": "NVIDIA A100-SXM4-80GB",
    "nvidia-h100-80gb": "NVIDIA H100 80GB HBM3",
    "nvidia-h100-mega-80gb": "NVIDIA H100 80GB HBM3",
    "nvidia-h200-141gb": "NVIDIA H200",
    "nvidia-b200": "NVIDIA B200",
    "nvidia-tesla-t4": "Tesla T4",
    "nvidia-l4": "NVIDIA L4",
}

_INSTANCES = (
    ("g4dn.", "Tesla T4"),
    ("g5.", "NVIDIA A10G"),
    ("g6.", "NVIDIA L4"),
    ("g6e.", "NVIDIA L40S"),
    ("p3.", "Tesla V100-SXM2-16GB"),
    ("p3dn.", "Tesla V100-SXM2-32GB"),
    ("p4d.", "NVIDIA A100-SXM4-40GB"),
    ("p4de.", "NVIDIA A100-SXM4-80GB"),
    ("p5.", "NVIDIA H100 80GB HBM3"),
    ("p5e.", "NVIDIA H200"),
    ("p5en.", "NVIDIA H200"),
    ("p6-b200.", "NVIDIA B200"),
    ("g2-standard-", "NVIDIA L4"),
    ("a2-highgpu-", "NVIDIA A100-SXM4-40GB"),
    ("a2-ultragpu-", "NVIDIA A100-SXM4-80GB"),
    ("a3-highgpu-", "NVIDIA H100 80GB HBM3"),
    ("a3-megagpu-", "NVIDIA H100 80GB HBM3"),
    ("a3-ultragpu-", "NVIDIA H200"),
    ("a4-highgpu-", "NVIDIA B200"),
    ("standard_nc24ads_a100_v4", "NVIDIA A100 80GB PCIe"),
    ("standard_nc48ads_a100_v4", "NVIDIA A100 80GB PCIe"),
    ("standard_nc96ads_a100_v4", "NVIDIA A100 80GB PCIe"),
    ("standard_nc40ads_h100_v5", "NVIDIA H100 NVL"),
    ("standard_nc80adis_h100_v5", "NVIDIA H100 NVL"),
    ("standard_nd96asr_v4", "NVIDIA A100-SXM4-40GB"),
    ("standard_nd96amsr_a100_v4", "NVIDIA A100-SXM4-80GB"),
    ("standard_nd96isr_h100_v5", "NVIDIA H100 80GB HBM3"),
    ("standard_nd96isr_h200_v5", "NVIDIA H200"),
)


def gpu_of_product(value: str) -> Gpu | None:
    """The GPU that a product label names, without the suffix of sharing (`-SHARED`) or MIG; None if unknown."""
    name = value.removesuffix("-SHARED")
    return find_gpu(_GKE.get(name, name))


def gpu_of_instance(machine_type: str) -> Gpu | None:
    """The GPU of a machine type ("p4d.24xlarge", "a3-highgpu-8g") or family ("p4d"); None where none is listed."""
    wanted = machine_type.lower()
    name = next((gpu for prefix, gpu in _INSTANCES if wanted.startswith(prefix) or f"{wanted}." == prefix), "")
    return find_gpu(name) if name else None
