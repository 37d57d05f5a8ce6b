"""The collection: all sources become one snapshot, and the last one stands whatever a source does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pynvml
import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.accounts import Accounts
from exporter.collector import Collector
from exporter.config import Config, DcgmExporter, Engines, Gpu, Kubernetes, Target
from exporter.exposition import Family
from exporter.gpus.source import GpuSource
from exporter.pods.candidates import Candidate
from exporter.pods.owners import DeviceInventory, GpuOwners
from exporter.pods.watch import PodView, PodWatcher
from exporter.selfmetrics import SelfMetrics
from exporter.snapshot import Snapshot
from tests.exporter.engines.endpoints import VLLM, is_silent, response, says, serving
from tests.exporter.gpus.conftest import Node, stub_library
from tests.exporter.gpus.stub import STATE_VARIABLE
from tests.exporter.nodes import UTIL, StubGpus, shown

__all__ = ["stub_library"]
NO_PODS = Kubernetes(discovery="none", pod_resources_socket="/nowhere/kubelet.sock")
TEXT, PACKED, OPENMETRICS = (False, False), (False, True), (True, False)


def until(condition: Callable[[], object]) -> None:
    """Wait for what another thread does."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.002)


def config(*urls: str, interval_seconds: float = 5.0, timeout_seconds: float = 3.0, **more: object) -> Config:
    targets = tuple(Target(url=url, name=f"e{number}") for number, url in enumerate(urls))
    fields: dict[str, object] = {"gpu": Gpu(enabled=False), "kubernetes": NO_PODS, **more}
    return Config(
        node="n1",
        interval_seconds=interval_seconds,
        engines=Engines(targets=targets, timeout_seconds=timeout_seconds),
        **fields,  # type: ignore[arg-type]
    )


def watcher(settings: Config) -> PodWatcher:
    return PodWatcher(settings.kubernetes, settings.node_name, DeviceInventory)


@contextmanager
def collecting(
    settings: Config, gpus: GpuSource | None = None, pods: PodWatcher | None = None
) -> Iterator[tuple[Collector, SelfMetrics]]:
    """A collector that is closed at the end, not started."""
    metrics = SelfMetrics("1.2.3")
    source = gpus or GpuSource(settings.gpu, settings.node_name)
    collector = Collector(settings, source, pods or watcher(settings), metrics, Accounts(metrics))
    try:
        yield collector, metrics
    finally:
        collector.close()
        if gpus is None:
            source.close()


Values = dict[str, dict[str, float]]


def values(snapshot: Snapshot | None) -> Values:
    """The exposition as Prometheus's parser reads it: by name, and by the label that tells series apart."""
    assert snapshot is not None
    found: Values = {}
    for family in text_string_to_metric_families(snapshot.body(*TEXT).decode()):
        for sample in family.samples:
            key = sample.labels.get("pod") or sample.labels.get("UUID") or sample.labels.get("source", "")
            found.setdefault(sample.name, {})[key] = sample.value
    return found


# One collection


def test_one_collection_is_a_snapshot_of_all_sources() -> None:
    page = b'DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="0",UUID="GPU-0"} 0.5\n'
    info = Family("inferwatch_pod_gpu_info", "gauge", "Who holds it.")
    owners = GpuOwners(section={info: b'inferwatch_pod_gpu_info{pod="p",UUID="GPU-0"} 1\n'})
    gpus = StubGpus(section={UTIL: b'DCGM_FI_DEV_GPU_UTIL{UUID="GPU-0"} 97\n'})
    with serving(says(response(VLLM))) as engine, serving(says(response(page))) as dcgm:
        settings = config(engine, dcgm_exporter=DcgmExporter(url=dcgm))
        pods = watcher(settings)
        pods.view = PodView(owners=owners, updated_unix_seconds=7.0)
        with collecting(settings, gpus.source, pods) as (collector, _):
            collector.collect()
            assert collector.snapshot is not None
            begun = time.time()
            snapshot = collector.collect()
            assert collector.snapshot is snapshot
    found = values(snapshot)
    assert found["llm_up"] == {"e0": 1}
    assert found["llm_requests_running"] == {"e0": 3}
    assert found["DCGM_FI_DEV_GPU_UTIL"] == {"GPU-0": 97}
    assert found["DCGM_FI_PROF_GR_ENGINE_ACTIVE"] == {"GPU-0": 0.5}
    assert found["inferwatch_pod_gpu_info"] == {"p": 1}
    assert found["inferwatch_exporter_series"] == {"gpu": 1, "engines": 2, "dcgm": 1}
    assert found["inferwatch_exporter_last_success_timestamp_seconds"]["pods"] == 7.0
    assert found["inferwatch_exporter_collections_total"] == {"": 2}
    assert begun <= snapshot.created_unix_seconds <= time.time()


def test_an_empty_node_still_says_of_itself() -> None:
    with collecting(config()) as (collector, _):
        found = values(collector.collect())
    assert found["inferwatch_exporter_build_info"] == {"": 1}
    assert found["inferwatch_exporter_gpus_expected"] == {"": 0}
    assert found["inferwatch_exporter_collection_cpu_seconds_total"][""] > 0
    assert "llm_up" not in found


def test_an_engine_that_hangs_ends_a_collection_in_time_and_costs_its_series() -> None:
    with ExitStack() as stack:
        urls = [stack.enter_context(serving(answer)) for answer in (is_silent, says(response(VLLM)))]
        collector, _ = stack.enter_context(collecting(config(*urls, timeout_seconds=2.0)))
        found = values(collector.collect())
    assert found["llm_up"] == {"e0": 0, "e1": 1}


def test_pods_that_come_and_go_are_scraped_beside_the_configured_targets() -> None:
    with serving(says(response(VLLM))) as url:
        settings = config(url)
        pods = watcher(settings)
        seen: list[set[str]] = []
        with collecting(settings, pods=pods) as (collector, metrics):
            every: tuple[tuple[str, ...], ...] = (("a", "b"), ("b",), ())
            for names in every:
                pods.view = PodView(
                    candidates=tuple(Candidate(url, "prod", name, "engine", "", "default port") for name in names)
                )
                seen.append(set(values(collector.collect())["llm_up"]))
            engines = collector.engines
        assert seen == [{"e0", "a", "b"}, {"e0", "b"}, {"e0"}]
        assert set(shown(metrics)["engine_scrape_duration_seconds"]) == {("", "e0", "")}
        assert [engine.target.pod for engine in engines] == ["e0"]


def test_a_pod_with_the_labels_of_a_configured_target_is_left_out() -> None:
    with serving(says(response(VLLM))) as url:
        settings = config(url)
        pods = watcher(settings)
        pods.view = PodView(candidates=(Candidate(url, "", "e0", "", "", "default port"),))
        with collecting(settings, pods=pods) as (collector, _):
            before = [target.pod for target in collector.refused]
            assert values(collector.collect())["llm_up"] == {"e0": 1}
            assert (before, [target.pod for target in collector.refused]) == ([], ["e0"])


@pytest.fixture
def gpus(stub_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """A node of a stub GPU."""
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    monkeypatch.setattr(pynvml, "nvmlLib", None)
    pynvml._nvmlGetFunctionPointer_cache.clear()
    node = Node(tmp_path / "state", stub_library)
    node.become(gpus=2)
    yield node
    node.close()


def test_gpus_are_read_by_nvml_and_not_doubled_by_a_dcgm_exporter(gpus: Node) -> None:
    uuid = "GPU-00000000-0000-0000-0000-000000000000"
    labels = f'gpu="0",UUID="{uuid}"'
    page = f"DCGM_FI_DEV_GPU_TEMP{{{labels}}} 999\nDCGM_FI_PROF_PIPE_FP16_ACTIVE{{{labels}}} 0.5\n"
    with serving(says(response(page.encode()))) as url:
        settings = config(dcgm_exporter=DcgmExporter(url=url), interval_seconds=20.0)
        with collecting(settings, gpus.source(Gpu(profiling=False, timeout_seconds=15.0))) as (collector, _):
            snapshots = [values(collector.collect()) for _ in range(3)]
    last = snapshots[-1]
    assert last["inferwatch_gpu_up"] == {uuid: 1, uuid[:-1] + "1": 1}
    assert all(snapshot["DCGM_FI_DEV_GPU_TEMP"][uuid] != 999 for snapshot in snapshots)
    assert last["DCGM_FI_PROF_PIPE_FP16_ACTIVE"] == {uuid: 0.5}
    assert last["inferwatch_exporter_gpus_visible"] == {"": 2}


# Again and again


def test_it_collects_at_once_and_then_every_interval() -> None:
    with collecting(config(interval_seconds=0.01)) as (collector, metrics):
        assert collector.snapshot is None
        collector.start()
        until(lambda: shown(metrics)["collections_total"][()] >= 3)
        first = collector.snapshot
        until(lambda: collector.snapshot is not first)
        collector.close()
        last = collector.snapshot
        assert not any(thread.name == "collector" for thread in threading.enumerate())
        assert collector.snapshot is last


def test_a_defect_in_a_source_is_logged_and_counted_and_the_last_snapshot_stands(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gpus = StubGpus(section={UTIL: b'DCGM_FI_DEV_GPU_UTIL{UUID="GPU-0"} 97\n'})
    errors = ("collector", "internal")
    with collecting(config(interval_seconds=0.01), gpus.source) as (collector, metrics):
        collector.start()
        until(lambda: collector.snapshot)
        gpus.error = ZeroDivisionError("a defect")
        until(lambda: shown(metrics).get("source_errors_total", {}).get(errors, 0) >= 2)
        last = collector.snapshot
        assert values(last)["DCGM_FI_DEV_GPU_UTIL"] == {"GPU-0": 97}
        failed = shown(metrics)["source_errors_total"][errors]
        until(lambda: shown(metrics)["source_errors_total"][errors] > failed)
        assert collector.snapshot is last
        gpus.error = None
        until(lambda: collector.snapshot is not last)
    assert values(collector.snapshot)["inferwatch_exporter_source_errors_total"]["collector"] >= 2
    records = [record for record in caplog.records if record.getMessage() == "a collection failed"]
    assert len(records) >= 2
    assert all(record.exc_info and record.exc_info[0] is ZeroDivisionError for record in records)


def test_closing_before_the_start_is_no_error() -> None:
    with collecting(config()) as (collector, _):
        collector.close()


# Forms that scrapers ask for


def test_forms_that_were_asked_for_are_rendered_ahead() -> None:
    with collecting(config()) as (collector, _):
        assert collector.collect().forms == set()
        first = collector.snapshot
        assert first is not None
        first.body(*PACKED)
        assert collector.collect().forms == {PACKED}
        assert collector.snapshot is not None
        collector.snapshot.body(*OPENMETRICS)
        assert collector.collect().forms == {PACKED, OPENMETRICS}
        assert collector.collect().forms == {PACKED, OPENMETRICS}, "nobody asked in between: kept for a while"


def test_a_form_that_nobody_asks_for_any_more_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = 0.0
    monotonic = time.monotonic
    monkeypatch.setattr("exporter.collector.time.monotonic", lambda: monotonic() + passed)
    with collecting(config()) as (collector, _):
        collector.collect().body(*TEXT)
        assert collector.collect().forms == {TEXT}
        passed = 140.0
        assert collector.collect().forms == {TEXT}
        passed = 160.0
        assert collector.collect().forms == set()


def test_between_the_requests_of_a_steady_scraper_nothing_is_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = 0.0
    monotonic = time.monotonic
    monkeypatch.setattr("exporter.collector.time.monotonic", lambda: monotonic() + passed)
    with collecting(config(interval_seconds=1.0)) as (collector, _):
        for _ in range(3):
            passed += 15.0
            collector.collect().body(*TEXT)
        ahead = []
        for _ in range(15):
            ahead.append(bool(collector.collect().forms))
            passed += 1.0
        assert collector.collect().forms == {TEXT}
    assert not any(ahead[:10]), "nobody is due for a while"
    assert all(ahead[13:]), "one is due"


# Another configuration


def test_another_configuration_is_collected_at_once_and_something_is_served_all_the_time() -> None:
    other = VLLM.replace(b" 3.0", b" 8.0")
    with ExitStack() as stack:
        old, new = (stack.enter_context(serving(says(response(body)))) for body in (VLLM, other))
        collector, _ = stack.enter_context(collecting(config(old)))
        collector.start()
        until(lambda: collector.snapshot)
        seen: list[dict[str, float]] = []
        stop = threading.Event()

        def look() -> None:
            while not stop.is_set():
                seen.append(values(collector.snapshot)["llm_up"])

        looking = threading.Thread(target=look)
        looking.start()
        for urls in ((old, new), (new,), (new, old)):
            collector.apply(config(*urls), collector.gpus, collector.pods)
            found = values(collector.snapshot)
            assert found["llm_up"] == {f"e{number}": 1 for number in range(len(urls))}
            assert found["llm_requests_running"]["e0"] == (3 if urls[0] == old else 8)
        stop.set()
        looking.join()
    assert seen
    assert all(up and set(up.values()) == {1} for up in seen)


def test_what_did_not_change_goes_on_as_it_is() -> None:
    with serving(says(response(VLLM))) as url:
        settings = config(url)
        with collecting(settings) as (collector, metrics):
            collector.collect()
            fleet, (engine,) = collector.fleet, collector.engines
            changed = config(url, interval_seconds=1.0)
            gpus, pods = StubGpus(section={UTIL: b"DCGM_FI_DEV_GPU_UTIL 5\n"}), watcher(changed)
            collector.apply(changed, gpus.source, pods)
            assert collector.fleet is fleet
            assert collector.engines == (engine,)
            assert collector.gpus is gpus.source
            assert collector.pods is pods
            assert values(collector.snapshot)["DCGM_FI_DEV_GPU_UTIL"] == {"": 5}
            assert shown(metrics)["collections_total"] == {(): 2}


def test_a_dcgm_exporter_can_be_added_and_taken_away() -> None:
    page = b'DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-0"} 5\n'
    with serving(says(response(page))) as url, collecting(config()) as (collector, _):
        assert "DCGM_FI_DEV_GPU_UTIL" not in values(collector.collect())
        with_dcgm = config(dcgm_exporter=DcgmExporter(url=url))
        collector.apply(with_dcgm, collector.gpus, collector.pods)
        assert values(collector.snapshot)["DCGM_FI_DEV_GPU_UTIL"] == {"GPU-0": 5}
        collector.apply(config(), collector.gpus, collector.pods)
        assert "DCGM_FI_DEV_GPU_UTIL" not in values(collector.snapshot)
