"""MIG profiles: what a GPU can be cut into."""

from __future__ import annotations

import pytest

from catalog.hardware import GPUS
from catalog.mig_profiles import mig_profile, mig_profiles


def test_an_a100_of_80_gb_holds_two_of_3g_and_seven_of_1g() -> None:
    by_name = {profile.name: profile for profile in mig_profiles("NVIDIA A100-SXM4-80GB")}
    assert by_name["3g.40gb"].most == 2
    assert by_name["1g.10gb"].most == 7
    assert "1g.5gb" not in by_name


@pytest.mark.parametrize("gpu", [gpu for gpu in GPUS if mig_profiles(gpu)], ids=lambda gpu: gpu.name)
def test_slices_never_exceed_the_gpu(gpu: object) -> None:
    from catalog.hardware import Gpu

    assert isinstance(gpu, Gpu)
    for profile in mig_profiles(gpu):
        assert profile.most * profile.compute_slices <= 7
        assert profile.most * profile.memory_gib <= gpu.memory_gib * 1.06


@pytest.mark.parametrize("gpu", ["NVIDIA L4", "NVIDIA A10G", "Tesla T4", "unheard of"])
def test_gpus_without_mig(gpu: str) -> None:
    assert mig_profiles(gpu) == ()


def test_names() -> None:
    assert mig_profile("3g.40gb", "NVIDIA A100-SXM4-40GB") is None
    assert mig_profile("3g.40gb") is not None
    assert mig_profile("3g.30gb") is None
    media = mig_profile("1g.10gb.me")
    assert media is not None
    assert (media.name, media.most) == ("1g.10gb.me", 1)
    assert media.memory_bytes == 10 * 2**30
