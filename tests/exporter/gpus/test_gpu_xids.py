"""Waiting for XIDs: what NVML may refuse, and what is still counted."""

from __future__ import annotations

from tests.exporter.gpus.conftest import Clock, Node, collect, of_gpu, series, until
from tests.exporter.gpus.stub import XidEvent, gives, lost, returns

TOTAL = "inferwatch_gpu_xid_errors_total"


def test_a_gpu_that_refuses_events_leaves_the_others_theirs(node: Node) -> None:
    node.become(gpus=2, rules=(returns("nvmlDeviceRegisterEvents", 3, 0),))
    source = node.source()
    source.start()
    collect(source)
    node.become(xids=(XidEvent(1, 0, 48), XidEvent(2, 1, 48)))
    until(lambda: of_gpu(collect(source), TOTAL, 1, 'xid="48"') == 1)
    assert of_gpu(collect(source), TOTAL, 0, 'xid="48"') == 0


def test_events_go_on_after_the_wait_was_refused(node: Node) -> None:
    node.become(rules=(returns("nvmlEventSetWait_v2", 999),))
    source = node.source()
    source.start()
    collect(source)
    until(lambda: source.error_counts()["unknown"] >= 1)
    node.become(rules=(), xids=(XidEvent(1, 0, 13),))
    until(lambda: of_gpu(collect(source), TOTAL, 0, 'xid="13"') == 1)


def test_a_gpu_lost_while_it_is_watched_keeps_its_counts_and_the_others_go_on(node: Node) -> None:
    node.become(gpus=2, xids=(XidEvent(1, 1, 79),))
    source = node.source()
    source.start()
    until(lambda: of_gpu(collect(source), TOTAL, 1, 'xid="79"') == 1)
    node.become(rules=(lost(1),), xids=(XidEvent(2, 0, 31),))
    until(lambda: of_gpu(collect(source), TOTAL, 0, 'xid="31"') == 1)
    section = collect(source)
    assert of_gpu(section, TOTAL, 1, 'xid="79"') == 1
    assert of_gpu(section, "inferwatch_gpu_up", 1) == 0


def test_a_library_without_events_serves_all_else(node: Node) -> None:
    node.rules(returns("nvmlEventSetCreate", 13), returns("nvmlEventSetWait_v2", 13))
    source = node.source()
    source.start()
    until(lambda: collect(source) != {} and source.error_counts()["function_not_found"] >= 1)
    section = collect(source)
    assert of_gpu(section, TOTAL, 0, 'xid="79"') == 0
    assert of_gpu(section, "DCGM_FI_DEV_GPU_TEMP") == 37


def test_every_known_gpu_has_its_counters_from_zero(node: Node, clock: Clock) -> None:
    node.become(gpus=2, rules=(gives("nvmlDeviceGetCount_v2", 1),))
    source = node.source(clock=clock)
    codes = len(series(collect(source))[TOTAL])
    assert codes >= 12
    node.rules()
    clock.seconds += 20
    assert len(series(collect(source))[TOTAL]) == 2 * codes
