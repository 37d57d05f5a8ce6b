"""The join of assignments and GPUs: who holds what, and what becomes of what cannot be told."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from catalog.signals import SIGNALS
from exporter.exposition import render
from exporter.gpus.owners import Owner
from exporter.pods.kubelet import Assignment
from exporter.pods.owners import DeviceInventory, GpuOwners, join_owners

GPU_0, GPU_1 = (f"GPU-00000000-0000-0000-0000-00000000000{number}" for number in range(2))
MIG_3, MIG_5 = (f"MIG-00000000-0000-0000-0000-00000000000{number}" for number in (3, 5))
INVENTORY = DeviceInventory(gpus={0: GPU_0, 1: GPU_1}, instances={(1, 3): MIG_3, (1, 5): MIG_5})
A = Owner("ai", "a", "engine")
B = Owner("ai", "b", "engine")


def assigned(device_id: str, owner: Owner = A, resource: str = "nvidia.com/gpu") -> Assignment:
    return Assignment(owner.namespace, owner.pod, owner.container, resource, device_id)


def joined(*assignments: Assignment, inventory: DeviceInventory = INVENTORY) -> GpuOwners:
    return join_owners(assignments, inventory)


@pytest.mark.parametrize(
    ("device_id", "uuid"),
    [
        (GPU_0, GPU_0),
        (f"{GPU_0}::2", GPU_0),
        (MIG_3, MIG_3),
        (f"{MIG_3}::0", MIG_3),
        (f"MIG-{GPU_1}/5/0", MIG_5),
        ("nvidia1", GPU_1),
        ("nvidia0/vgpu1", GPU_0),
        ("nvidia1/gi3", MIG_3),
        ("nvidia1/gi5/vgpu0", MIG_5),
    ],
)
def test_a_device_is_found_by_each_of_its_names(device_id: str, uuid: str) -> None:
    owners = joined(assigned(device_id))
    assert owners.by_device == {uuid: (A,)}
    assert owners.holders == {("ai", "a"): {"engine"}}
    assert owners.dropped == {}


def test_a_uuid_needs_no_inventory() -> None:
    assert joined(assigned(GPU_0), assigned(MIG_3, B), inventory=DeviceInventory()).by_device == {
        GPU_0: (A,),
        MIG_3: (B,),
    }


def test_many_containers_share_a_gpu_and_one_holds_many() -> None:
    owners = joined(assigned(f"{GPU_0}::1", B), assigned(f"{GPU_0}::0"), assigned(f"{GPU_0}::2"), assigned(GPU_1))
    assert owners.by_device == {GPU_0: (A, B), GPU_1: (A,)}
    assert owners.holders == {("ai", "a"): {"engine"}, ("ai", "b"): {"engine"}}


def test_the_info_series_are_one_a_pair_in_a_fixed_order() -> None:
    assignments = [assigned(f"{GPU_0}::1", B), assigned(f"{GPU_0}::0"), assigned(GPU_1)]
    text = (
        f'inferwatch_pod_gpu_info{{namespace="ai",pod="a",container="engine",UUID="{GPU_0}"}} 1\n'
        f'inferwatch_pod_gpu_info{{namespace="ai",pod="a",container="engine",UUID="{GPU_1}"}} 1\n'
        f'inferwatch_pod_gpu_info{{namespace="ai",pod="b",container="engine",UUID="{GPU_0}"}} 1\n'
    ).encode()
    for order in (assignments, assignments[::-1]):
        ((family, lines),) = joined(*order).section.items()
        assert lines == text
        assert (family.name, family.kind) == ("inferwatch_pod_gpu_info", "gauge")
        assert family.help == SIGNALS["inferwatch_pod_gpu_info"].meaning


def test_without_owners_there_is_no_family() -> None:
    assert dict(joined().section) == {}


def test_only_gpus_count() -> None:
    owners = joined(assigned("nic-0", resource="example.com/nic"), assigned(GPU_0, B, "amd.com/gpu"))
    assert owners == joined()


def test_a_configured_resource_counts() -> None:
    owners = join_owners([assigned(GPU_0, resource="example.com/h200")], INVENTORY, gpu_resources=("example.com/h200",))
    assert owners.by_device == {GPU_0: (A,)}


def test_a_finished_pod_holds_nothing() -> None:
    owners = join_owners([assigned(GPU_0), assigned(GPU_0, B)], INVENTORY, finished={("ai", "a")})
    assert owners.by_device == {GPU_0: (B,)}
    assert owners.holders == {("ai", "b"): {"engine"}}


def test_what_cannot_be_attributed_is_counted_and_its_pod_still_holds_a_gpu() -> None:
    dynamic = Assignment("ai", "b", "engine", "gpu.nvidia.com", "gpu-0", dynamic=True)
    other_driver = Assignment("ai", "b", "engine", "nic.example.com", "nic-0", dynamic=True)
    owners = joined(
        assigned("strange"), assigned("nvidia7"), assigned("nvidia1/gi9"), assigned(f"MIG-{GPU_0[:-1]}9/1/0"),
        dynamic, other_driver,
    )  # fmt: skip
    assert owners.by_device == {}
    assert owners.dropped == {"unknown_shape": 1, "unknown_device": 3, "dra_device": 1}
    assert owners.holders == {("ai", "a"): {"engine"}, ("ai", "b"): {"engine"}}


def test_a_name_that_kubernetes_forbids_holds_nothing() -> None:
    owners = joined(assigned(GPU_0, Owner("ai", 'a"} 1\nevil', "engine")), assigned(GPU_0, Owner("ai", "a", "")))
    assert owners.by_device == {}
    assert owners.holders == {}
    assert owners.dropped == {"bad_name": 2}


WORDS = st.text(max_size=8) | st.sampled_from(["ai", "a", "engine"])
IDS = st.text(max_size=50) | st.sampled_from([GPU_0, "nvidia0", "nvidia1/gi3", f"MIG-{GPU_1}/5/0", f"{GPU_0}::1"])
RESOURCES = st.sampled_from(["nvidia.com/gpu", "nvidia.com/mig-1g", "gpu.nvidia.com"])


@settings(deadline=None, derandomize=True)
@given(st.lists(st.builds(Assignment, WORDS, WORDS, WORDS, RESOURCES, IDS, st.booleans()), max_size=8))
def test_whatever_the_kubelet_says_the_series_are_well_formed(assignments: list[Assignment]) -> None:
    owners = join_owners(assignments, INVENTORY)
    text = render([owners.section], openmetrics=False).decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert len(samples) == sum(map(len, owners.by_device.values()))
    assert {sample.labels["UUID"] for sample in samples} == set(owners.by_device)
    assert sum(owners.dropped.values()) <= len(assignments)
