"""What the boards' queries mean, seen by what a Prometheus makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pytest

from catalog import boards
from catalog.recorded.levels import MODEL
from dashboards.annotations import board_annotations
from dashboards.gpus.series import held_down, over_range, rate_of
from dashboards.holders import field_by_model, field_of_holders, holders_with_model
from dashboards.promql import Selector, mean, quantile, ratio, shared_buckets
from dashboards.rows.process import process_row
from dashboards.scope import MODELS, REPLICAS
from tests.dashboards.pages import NAMES, asked_everywhere, page
from tests.dashboards.promtool import disagreement, problems_of

HISTOGRAM = "llm_time_to_first_token_seconds"
Agrees = Callable[..., str]


@pytest.fixture
def says(tmp_path: Path) -> Agrees:
    return partial(disagreement, folder=tmp_path)


def buckets(pod: str, counts: Mapping[str, int]) -> dict[str, str]:
    """A replica that counts so many a minute up to each bound."""
    labels = f'engine="vllm", model="m", namespace="n", pod="{pod}"'
    return {f'{HISTOGRAM}_bucket{{{labels}, le="{bound}"}}': f"0+{count}x20" for bound, count in counts.items()}


def test_a_ratio_leaves_idle_ones_out(says: Agrees) -> None:
    series = {'llm_requests_running{pod="a"}': "3x20", 'llm_requests_running{pod="b"}': "0x20"}
    expr = ratio("llm_requests_running * 2", "llm_requests_running")
    assert says(expr, series, {'{pod="a"}': 2}) == ""


def test_a_quantile_takes_bounds_that_all_replicas_have(says: Agrees) -> None:
    """One release lacks the bound of 2 s: added up all the same, it would count half of the requests below 2 s."""
    series = {
        **buckets("old", {"1": 60, "4": 120, "+Inf": 120}),
        **buckets("new", {"1": 60, "2": 110, "4": 120, "+Inf": 120}),
    }
    level = '{engine="vllm", model="m", namespace="n"}'
    assert says(quantile("0.75", MODELS.select, HISTOGRAM, MODEL), series, {level: 2.5}) == ""


def test_bounds_of_one_replica_are_its_own(says: Agrees) -> None:
    series = {
        **buckets("old", {"1": 60, "4": 120, "+Inf": 120}),
        **buckets("new", {"1": 60, "2": 120, "4": 120, "+Inf": 120}),
    }
    expr = quantile("0.75", REPLICAS.select, HISTOGRAM, REPLICAS.level)
    each = '{{engine="vllm", model="m", namespace="n", pod="{}"}}'
    assert says(expr, series, {each.format("old"): 2.5, each.format("new"): 1.5}) == ""


def test_no_request_is_no_quantile(says: Agrees) -> None:
    series = buckets("idle", {"1": 0, "+Inf": 0})
    assert says(quantile("0.95", MODELS.select, HISTOGRAM, MODEL), series, {}) == ""


def test_a_heatmap_over_engines_keeps_what_they_share(says: Agrees) -> None:
    """Bounds as engines write them: vLLM's 1.0 is not SGLang's 1."""
    series = {**buckets("a", {"1.0": 30, "+Inf": 60}), **buckets("b", {"+Inf": 60})}
    bucket = f"{HISTOGRAM}_bucket"
    expr = shared_buckets(bucket, f'{bucket}{{le="+Inf"}}', ())
    assert says(expr, series, {'{le="+Inf"}': 2}) == ""


def test_a_mean_is_of_what_was_observed_in_between(says: Agrees) -> None:
    """Not of a lifetime: before the minute 5 every request took 10 s, since then 1 s."""
    place = 'engine="vllm", model="m", namespace="n"'
    series = {
        f"{HISTOGRAM}_sum{{{place}}}": "0+600x5 3060+60x14",
        f"{HISTOGRAM}_count{{{place}}}": "0+60x19",
    }
    expected = {'{engine="vllm", model="m", namespace="n"}': 1}
    assert says(mean(MODELS.select, HISTOGRAM, MODEL), series, expected, minute=12) == ""


ENGINE = 'engine="{}", model="{}", namespace="n", pod="{}", container="c", rank="0"'


def up(engine: str, model: str, pod: str) -> str:
    return f"llm_up{{{ENGINE.format(engine, model, pod)}}}"


def test_a_process_is_found_by_the_model_that_it_serves(says: Agrees) -> None:
    """HTTP series name no model; one that serves two is counted once."""
    place = 'engine="x", namespace="n", pod="{}", container="c", rank="0"'
    series = {
        up("vllm", "chosen", "a"): "1x20",
        up("vllm", "other", "b"): "1x20",
        up("triton", "chosen", "c"): "1x20",
        up("triton", "other", "c"): "1x20",
        **{f"llm_process_resident_memory_bytes{{{place.format(pod)}}}": "7x20" for pod in "abc"},
    }
    expr = f"sum by (pod) ({MODELS.serving(MODELS.process('llm_process_resident_memory_bytes'))})"
    assert says(expr, series, {'{pod="a"}': 7, '{pod="c"}': 7}, chosen={"model": "chosen"}) == ""


def test_all_finds_engines_that_name_no_model_or_namespace(says: Agrees) -> None:
    series = {'llm_up{engine="llamacpp", pod="host:8080"}': "1x20"}
    assert says(REPLICAS.select("llm_up"), series, {'llm_up{engine="llamacpp", pod="host:8080"}': 1}) == ""


# GPUs


def holds(pod: str, uuid: str, instance: str = "") -> str:
    part = f', GPU_I_ID="{instance}"' if instance else ""
    return f'inferwatch_pod_gpu_info{{namespace="n", pod="{pod}", container="c", UUID="{uuid}"{part}}}'


GPUS = {
    'DCGM_FI_PROF_DRAM_ACTIVE{UUID="g1", gpu="0", Hostname="h"}': "0.5x20",
    'DCGM_FI_PROF_DRAM_ACTIVE{UUID="g2", gpu="1", Hostname="h"}': "0.7x20",
    'DCGM_FI_PROF_DRAM_ACTIVE{UUID="g3", gpu="2", Hostname="h"}': "0.9x20",
}


def test_a_pods_gpus(says: Agrees) -> None:
    series = {**GPUS, holds("a", "g1"): "1x20", holds("a", "g2"): "1x20", holds("b", "g3"): "1x20"}
    expected = {'{UUID="g1", gpu="0", Hostname="h"}': 0.5, '{UUID="g2", gpu="1", Hostname="h"}': 0.7}
    query = field_of_holders("DCGM_FI_PROF_DRAM_ACTIVE", Selector(("namespace", "pod")))
    assert says(query.expr, series, expected, chosen={"pod": "a"}) == ""


def test_the_newer_name_of_a_field(says: Agrees) -> None:
    series = {'DCGM_FI_DEV_GPU_TEMP_CELSIUS{UUID="g1", gpu="0"}': "61x20", holds("a", "g1"): "1x20"}
    query = field_of_holders("DCGM_FI_DEV_GPU_TEMP", Selector(("namespace", "pod")))
    assert says(query.expr, series, {'{UUID="g1", gpu="0"}': 61}) == ""


def test_an_instance_has_its_own_activity_and_its_gpus_power(says: Agrees) -> None:
    series = {
        'DCGM_FI_PROF_DRAM_ACTIVE{UUID="g1", GPU_I_ID="3"}': "0.4x20",
        'DCGM_FI_PROF_DRAM_ACTIVE{UUID="g1", GPU_I_ID="5"}': "0.8x20",
        'DCGM_FI_DEV_POWER_USAGE{UUID="g1"}': "300x20",
        holds("a", "g1", "3"): "1x20",
    }
    pods = Selector(("pod",))
    own, shared = (
        field_of_holders(name, pods).expr for name in ("DCGM_FI_PROF_DRAM_ACTIVE", "DCGM_FI_DEV_POWER_USAGE")
    )
    assert says(own, series, {'{UUID="g1", GPU_I_ID="3"}': 0.4}) == ""
    assert says(shared, series, {'{UUID="g1"}': 300}) == ""


def test_a_models_gpus_whoever_shares_them(says: Agrees) -> None:
    """Two pods on one GPU, and a server of two models, of which no GPU could say whose it is."""
    series = {
        **GPUS,
        up("vllm", "m", "a"): "1x20",
        up("vllm", "m", "b"): "1x20",
        up("triton", "x", "t"): "1x20",
        up("triton", "y", "t"): "1x20",
        holds("a", "g1"): "1x20",
        holds("b", "g1"): "1x20",
        holds("a", "g2"): "1x20",
        holds("t", "g3"): "1x20",
    }
    expected = {'{namespace="n", engine="vllm", model="m"}': (0.5 + 0.5 + 0.7) / 3}
    assert says(field_by_model("DCGM_FI_PROF_DRAM_ACTIVE", MODELS.select), series, expected) == ""


def test_every_holder_has_a_line(says: Agrees) -> None:
    series = {
        up("vllm", "m", "a"): "1x20",
        up("triton", "x", "t"): "1x20",
        up("triton", "y", "t"): "1x20",
        holds("a", "g1"): "1x20",
        holds("t", "g1"): "1x20",
        holds("batch", "g2", "7"): "1x20",
    }
    line = 'namespace="n", container="c"'
    expected = {
        f'{{{line}, pod="a", UUID="g1", engine="vllm", model="m"}}': 1,
        f'{{{line}, pod="t", UUID="g1"}}': 1,
        f'{{{line}, pod="batch", UUID="g2", GPU_I_ID="7"}}': 1,
    }
    expr = holders_with_model(Selector(("cluster", "node", "gpu")), ("UUID", "GPU_I_ID"))
    assert says(expr, series, expected) == ""


@pytest.mark.parametrize(("mask", "held"), [(0x0, False), (0x1, False), (0x20, True), (0x25, True), (0x40, False)])
def test_one_bit_of_why_clocks_are_held_down(says: Agrees, mask: int, held: bool) -> None:
    series = {'DCGM_FI_DEV_CLOCKS_EVENT_REASONS{UUID="g1"}': f"{mask}x20"}
    assert says(held_down(0x20), series, {'{UUID="g1"}': 1} if held else {}) == ""


def test_time_with_clocks_held_down_is_a_share(says: Agrees) -> None:
    """The counter is in nanoseconds: half of each minute is 30e9."""
    series = {'DCGM_FI_DEV_POWER_VIOLATION{UUID="g1"}': "0+30000000000x20"}
    expr = f"round({rate_of('DCGM_FI_DEV_POWER_VIOLATION')} / 1e9, 0.01)"
    assert says(expr, series, {'{UUID="g1"}': 0.5}) == ""


def test_errors_of_a_driver_that_was_loaded_anew_are_not_negative(says: Agrees) -> None:
    series = {'DCGM_FI_DEV_PCIE_REPLAY_COUNTER{UUID="g1"}': "9x30 0x28 4"}
    assert says(over_range("DCGM_FI_DEV_PCIE_REPLAY_COUNTER"), series, {'{UUID="g1"}': 4}, minute=60) == ""


# An engine's start


def start_up() -> str:
    (panel,) = [panel for panel in process_row(REPLICAS).panels if panel.title == "Start-up time"]
    return str(panel.targets[0].expr)


def test_start_up_is_until_the_first_answer(says: Agrees) -> None:
    """The process starts at second 60, and answers from minute 5 on."""
    place = ENGINE.format("vllm", "m", "a")
    series = {
        f"llm_up{{{place}}}": "0x4 1x40",
        f"llm_process_start_time_seconds{{{place.replace('model=', 'unused=')}}}": "60x45",
    }
    expected = {'{namespace="n", pod="a", container="c", rank="0"}': 240}
    assert says(start_up(), series, expected, minute=30) == ""


def test_an_old_process_has_no_start_up_time(says: Agrees) -> None:
    """All that could be measured is since when it was watched."""
    place = ENGINE.format("vllm", "m", "a")
    series = {f"llm_up{{{place}}}": "1x600", f"llm_process_start_time_seconds{{{place}}}": "60x600"}
    assert says(start_up(), series, {}, minute=500) == ""


# Marks


def mark(name: str, board: boards.Board, *variables: str) -> str:
    (found,) = [one for one in board_annotations(board, variables) if one["name"] == name]
    return str(found["expr"])


def test_a_new_pod_is_a_deployment_for_five_minutes(says: Agrees) -> None:
    """One that missed some scrapes is not new."""
    series = {
        up("vllm", "m", "old"): "1x10 _x3 1x20",
        up("vllm", "m", "new"): "_x12 1x20",
    }
    expr = mark("Deployments", boards.MODEL, "namespace", "engine", "model")
    assert says(expr, series, {'{namespace="n", pod="new", engine="vllm"}': 1}, minute=15) == ""
    assert says(expr, series, {}, minute=20) == ""


def test_restarts_are_seen_in_kubernetes_and_outside_it(says: Agrees) -> None:
    series = {
        'kube_pod_container_status_restarts_total{namespace="n", pod="a", container="c"}': "0x6 1x10",
        'kube_pod_container_status_restarts_total{namespace="n", pod="b", container="c"}': "3x20",
        'llm_process_start_time_seconds{namespace="", pod="host:8000", engine="vllm"}': "50x7 470x10",
    }
    expected = {'{namespace="n", pod="a", container="c"}': 1, '{pod="host:8000"}': 1}
    expr = mark("Restarts", boards.MODEL, "namespace", "engine", "model")
    assert says(expr, series, expected) == ""


def test_a_restart_without_an_oom_kill_is_none(says: Agrees) -> None:
    place = 'namespace="n", pod="{}", container="c"'
    series = {
        f"kube_pod_container_status_restarts_total{{{place.format('killed')}}}": "0x6 1x10",
        f"kube_pod_container_status_restarts_total{{{place.format('failed')}}}": "0x6 1x10",
        f"kube_pod_container_status_restarts_total{{{place.format('long ago')}}}": "1x20",
        **{
            f'kube_pod_container_status_last_terminated_reason{{{place.format(pod)}, reason="OOMKilled"}}': "1x20"
            for pod in ("killed", "long ago")
        },
    }
    expr = mark("OOM kills", boards.REPLICA, "namespace", "pod")
    assert says(expr, series, {f"{{{place.format('killed')}}}": 1}) == ""


def test_a_gpus_marks_are_of_the_pods_that_hold_it(says: Agrees) -> None:
    series = {
        'kube_pod_container_status_restarts_total{namespace="n", pod="a", container="c"}': "0x6 1x10",
        'kube_pod_container_status_restarts_total{namespace="n", pod="b", container="c"}': "0x6 1x10",
        holds("a", "g1"): "1x20",
        holds("b", "g2"): "1x20",
    }
    expr = mark("Restarts", boards.GPU, "cluster", "node", "gpu")
    assert says(expr, series, {'{namespace="n", pod="a", container="c"}': 1}, chosen={"gpu": "g1"}) == ""


def test_a_real_prometheus_reads_every_query(tmp_path: Path) -> None:
    exprs = {one.where: one.expr for name in NAMES for one in asked_everywhere(page(name))}
    assert len(exprs) > 300
    assert problems_of(exprs.values(), tmp_path) == ""
    assert "parse error" in problems_of(["sum(llm_up"], tmp_path)
