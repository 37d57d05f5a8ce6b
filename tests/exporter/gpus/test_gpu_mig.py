"""MIG: instances beside their GPU."""

from __future__ import annotations

from exporter.config import Gpu
from exporter.gpus.owners import Owner
from tests.exporter.gpus.conftest import Node, collect, collect_again, of_gpu, series, until
from tests.exporter.gpus.stub import Mig, XidEvent, gives, says

POD = Owner("prod", "llama-0", "vllm")
OTHER = Owner("prod", "llama-1", "vllm")


def test_mig_instances_beside_their_gpu_created_and_destroyed(node: Node) -> None:
    one = Mig(0, 7, "1g.18gb", "MIG-a", 19_000_000_000)
    two = Mig(0, 9, "1c.2g.35gb", "MIG-b", 37_000_000_000)
    same = Mig(0, 9, "1c.2g.35gb", "MIG-c", 37_000_000_000)
    source = node.source(Gpu())
    assert of_gpu(collect(source), "DCGM_FI_DEV_FB_TOTAL") == 143771
    node.become(mig=(one, two, same), rules=(gives("gpm:2:7", 40), gives("gpm:2", 15)))
    section = collect_again(source, {"MIG-a": (POD,), "MIG-b": (POD,), "MIG-c": (OTHER,)})
    first, second = 'GPU_I_PROFILE="1g.18gb",GPU_I_ID="7"', 'GPU_I_PROFILE="2g.35gb",GPU_I_ID="9"'
    totals = series(section)["DCGM_FI_DEV_FB_TOTAL"]
    assert sorted(totals.values()) == [18119, 35285, 143771]
    assert of_gpu(section, "DCGM_FI_DEV_FB_TOTAL", containing=first) == 18119
    assert of_gpu(section, "DCGM_FI_DEV_FB_TOTAL", containing=f'{first},Hostname="node-a"') == 18119
    assert of_gpu(section, "DCGM_FI_DEV_FB_TOTAL", containing='pod="llama-0"') == 18119
    assert of_gpu(section, "DCGM_FI_PROF_SM_ACTIVE", containing=first) == 0.4
    assert of_gpu(section, "DCGM_FI_PROF_SM_ACTIVE", containing=second) == 0
    assert len(series(section)["DCGM_FI_DEV_POWER_USAGE"]) == 1
    infos = series(section)["inferwatch_gpu_instance_info"]
    assert [labels.rpartition("instance_uuid=")[2] for labels in infos] == ['"MIG-a"', '"MIG-b"', '"MIG-c"']
    assert [one.profile for one in source.status()[0].instances] == ["1g.18gb", "2g.35gb"]
    assert node.live_samples() == 6
    node.become(mig=())
    section = collect(source)
    assert list(series(section)["DCGM_FI_DEV_FB_TOTAL"].values()) == [143771]
    assert "inferwatch_gpu_instance_info" not in series(section)
    assert source.status()[0].instances == ()
    assert node.live_samples() == 2


def test_a_mig_profile_from_slices_and_memory_where_the_name_has_none(node: Node) -> None:
    node.become(mig=(Mig(0, 1, "3g.71gb", "MIG-a", 71 << 30),), rules=(says("nvmlDeviceGetName", "NVIDIA H200"),))
    assert of_gpu(collect(node.source()), "DCGM_FI_DEV_FB_TOTAL", containing='GPU_I_PROFILE="3g.71gb"') == 72704


def test_an_xid_of_a_mig_instance_is_its_own(node: Node) -> None:
    node.become(mig=(Mig(0, 7, "1g.18gb", "MIG-a"),))
    source = node.source()
    source.start()
    collect(source)
    node.become(xids=(XidEvent(1, 0, 94, 7),))
    name = "DCGM_FI_DEV_XID_ERRORS"
    until(lambda: of_gpu(collect(source), name, 0, 'GPU_I_ID="7"') == 94)
    assert sorted(series(collect(source))[name].values()) == [0, 94]
