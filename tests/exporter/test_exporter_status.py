"""What a person or a probe is told."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import cast

import pytest

from exporter.collector import Collector
from exporter.engines.fleet import Engine
from exporter.engines.target import EngineTarget
from exporter.gpus.inventory import SourceState
from exporter.gpus.mig import MigInstance
from exporter.gpus.owners import Owner
from exporter.pods.owners import GpuOwners
from exporter.pods.problems import Problem
from exporter.pods.watch import PodView
from exporter.serving.status_view import EngineRow, GpuRow
from exporter.snapshot import Snapshot
from exporter.status import readiness, status_view
from tests.exporter.nodes import StubGpus, StubPods, engine, gpu, reading


def collector(
    *,
    snapshot: Snapshot | None = None,
    gpus: StubGpus | None = None,
    view: PodView | None = None,
    engines: tuple[Engine, ...] = (),
    refused: tuple[EngineTarget, ...] = (),
    dcgm_problem: str = "",
) -> Collector:
    return cast(
        Collector,
        SimpleNamespace(
            snapshot=snapshot,
            gpus=gpus or StubGpus(),
            pods=StubPods(view or PodView()),
            engines=engines,
            refused=refused,
            dcgm=SimpleNamespace(problem=dcgm_problem),
        ),
    )


def problems(**of: object) -> tuple[str, ...]:
    """What is said; the same to a probe as on the page."""
    seen = collector(snapshot=Snapshot([], 0.0), **of)  # type: ignore[arg-type]
    reasons = readiness(seen).reasons
    assert status_view(seen, "1", "n1").problems == reasons
    assert not any("\n" in reason for reason in reasons)
    return reasons


# Readiness


def test_before_the_first_snapshot_it_is_not_ready_and_says_why() -> None:
    found = readiness(collector(gpus=StubGpus(SourceState("driver_missing", "no driver"))))
    assert not found.ready
    assert found.reasons == ("no collection has finished yet", "GPUs: no driver")


def test_with_the_first_snapshot_it_is_ready() -> None:
    found = readiness(collector(snapshot=Snapshot([], 0.0)))
    assert (found.ready, found.reasons) == (True, ())


def test_engines_are_served_without_a_gpu() -> None:
    seen = collector(snapshot=Snapshot([], 0.0), gpus=StubGpus(SourceState("driver_missing", "no driver")))
    assert readiness(seen).ready
    assert readiness(seen).reasons == ("GPUs: no driver",)


# Problems


@pytest.mark.parametrize(
    ("gpus", "said"),
    [
        (StubGpus(), ()),
        (StubGpus(SourceState("disabled", "gpu.enabled is false")), ()),
        (StubGpus(SourceState("no_gpus", "NVML lists no GPU")), ("GPUs: NVML lists no GPU",)),
        (StubGpus(SourceState("failed")), ("GPUs: failed",)),
        (StubGpus(SourceState("starting", "not yet")), ("GPUs: not yet",)),
        (StubGpus(statuses=(gpu(0), gpu(1))), ()),
        (StubGpus(statuses=(gpu(0), gpu(1, is_up=False), gpu(2, is_up=False))), ("GPUs: 2 of 3 did not answer",)),
        (StubGpus(SourceState("failed", "lost the driver"), (gpu(0, is_up=False),)), ("GPUs: lost the driver",)),
    ],
)
def test_gpus_in_trouble(gpus: StubGpus, said: tuple[str, ...]) -> None:
    assert problems(gpus=gpus) == said


def test_every_source_in_trouble_is_named() -> None:
    twin = EngineTarget(("http://127.0.0.1:9/b",), "prod", "p-0", "engine")
    said = problems(
        view=PodView(problems=(Problem("api_server", "forbidden", "grant it list on pods"),)),
        dcgm_problem="dcgm-exporter at http://a: refused",
        refused=(twin,),
        engines=(
            engine("bad", reading(up=False, message="connection refused")),
            engine("good", reading()),
            engine("new", None),
            engine("none", reading(up=None, message="not metrics")),
        ),
    )
    assert said == (
        "api_server: grant it list on pods",
        "dcgm-exporter at http://a: refused",
        "http://127.0.0.1:9/b: left out, as another target has the same namespace, pod and container",
        "engine bad: connection refused",
    )


# The page


def test_what_is_seen_of_gpus() -> None:
    instances = (MigInstance(1, "3g.71gb", ("MIG-1",)), MigInstance(2, "1g.18gb", ("MIG-2",)))
    lost = gpu(1, is_up=False, problem="GPU 1: gpu_lost")
    gpus = StubGpus(statuses=(gpu(0), lost, gpu(2, instances=instances)))
    owners = GpuOwners(by_device={"GPU-0": (Owner("prod", "a", "engine"), Owner("prod", "b", "engine"))})
    view = status_view(collector(gpus=gpus, view=PodView(owners=owners)), "1.2.3", "n1")
    assert (view.version, view.node) == ("1.2.3", "n1")
    assert view.gpus == (
        GpuRow("0", "GPU-0", "NVIDIA H200", True, "prod/a/engine, prod/b/engine", ""),
        GpuRow("1", "GPU-1", "NVIDIA H200", False, "", "GPU 1: gpu_lost"),
        GpuRow("2", "GPU-2", "NVIDIA H200 (3g.71gb, 1g.18gb)", True, "", ""),
    )


def test_what_is_seen_of_engines() -> None:
    answered = time.time() - 100
    engines = (
        engine("good", reading(series=42, models=("a", "b")), answered_unix_seconds=answered),
        engine("bad", reading(up=False, message="connection refused", version="")),
        engine("none", reading(up=None)),
        engine("new", None),
    )
    good, bad = status_view(collector(engines=engines), "1", "n1").engines
    assert good.scrape_age_seconds == pytest.approx(100, abs=30)
    assert bad == EngineRow(
        url="http://127.0.0.1:8000/metrics",
        engine="vllm",
        version="",
        model="llama",
        pod="prod/bad/engine",
        up=False,
        scrape_age_seconds=None,
        series=0,
        problem="connection refused",
    )
    assert (good.model, good.version, good.series, good.up, good.problem) == ("a, b", "0.24.0", 42, True, "")


def test_an_engine_outside_of_kubernetes_is_named_without_empty_parts() -> None:
    outside = engine("host:8000", reading())
    outside.target = EngineTarget(("http://host:8000/metrics",), "", "host:8000", "")
    (row,) = status_view(collector(engines=(outside,)), "1", "n1").engines
    assert row.pod == "host:8000"


def test_the_snapshots_age() -> None:
    assert status_view(collector(), "1", "n1").snapshot_age_seconds is None
    age = status_view(collector(snapshot=Snapshot([], time.time() - 50)), "1", "n1").snapshot_age_seconds
    assert age == pytest.approx(50, abs=30)
