"""Every shape that a device plugin gives a GPU's identifier."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.pods.device_ids import DeviceId, is_gpu_resource, parse_device_id

UUID = "4a1c2d3e-0000-1111-2222-0123456789ab"


@pytest.mark.parametrize(
    ("text", "device"),
    [
        (f"GPU-{UUID}", DeviceId(uuid=f"GPU-{UUID}")),
        (f"GPU-{UUID}::3", DeviceId(uuid=f"GPU-{UUID}", replica="3")),
        (f"MIG-{UUID}", DeviceId(uuid=f"MIG-{UUID}")),
        (f"MIG-{UUID}::0", DeviceId(uuid=f"MIG-{UUID}", replica="0")),
        (f"MIG-GPU-{UUID}/5/0", DeviceId(parent=f"GPU-{UUID}", gpu_instance=5)),
        (f"MIG-GPU-{UUID}/13/0::7", DeviceId(parent=f"GPU-{UUID}", gpu_instance=13, replica="7")),
        ("nvidia0", DeviceId(index=0)),
        ("nvidia15", DeviceId(index=15)),
        ("nvidia0/gi3", DeviceId(index=0, gpu_instance=3)),
        ("nvidia2/vgpu1", DeviceId(index=2, replica="1")),
        ("nvidia1/gi3/vgpu0", DeviceId(index=1, gpu_instance=3, replica="0")),
    ],
)
def test_a_known_shape(text: str, device: DeviceId) -> None:
    assert parse_device_id(text) == device


@pytest.mark.parametrize(
    "text",
    [
        "",
        "GPU-",
        "GPU-xyz",
        f"GPU-{UUID}\n",
        f" GPU-{UUID}",
        f"GPU-{UUID}::",
        f"GPU-{UUID}::-1",
        f"GPU-{UUID}::1::2",
        f"MIG-GPU-{UUID}",
        f"MIG-GPU-{UUID}/1",
        f"GPU-{UUID}/1/0",
        "nvidia",
        "nvidia-1",
        "nvidia1234567890",
        "nvidia0/gi",
        "nvidia0/vgpu0/gi1",
        "nvidia٣",  # a digit, but not of ASCII
        "/dev/nvidia0",
        'GPU-"} 1\nevil 2',
        UUID,
    ],
)
def test_an_unknown_shape(text: str) -> None:
    assert parse_device_id(text) is None


NEAR = st.from_regex(r"(GPU|MIG|nvidia)[-/:0-9a-fgivpuGPU]{0,60}", fullmatch=True)


@settings(deadline=None, derandomize=True)
@given(st.text() | NEAR)
def test_no_identifier_raises_and_a_uuid_is_only_ever_plain_text(text: str) -> None:
    device = parse_device_id(text)
    if device is not None:
        assert (device.uuid + device.parent).replace("-", "").isalnum() or device.index is not None
        assert (device.uuid + device.parent).isascii()
        assert bool(device.uuid) + bool(device.parent) + (device.index is not None) == 1


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ("nvidia.com/gpu", True),
        ("nvidia.com/gpu.shared", True),
        ("nvidia.com/mig-1g.10gb", True),
        ("nvidia.com/gpu-h200", False),
        ("amd.com/gpu", False),
        ("example.com/slice", True),
        ("", False),
    ],
)
def test_which_resources_are_gpus(resource: str, expected: bool) -> None:
    assert is_gpu_resource(resource, ("example.com/slice",)) is expected
