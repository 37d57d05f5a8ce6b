"""What stands on which board, and in which order a person meets it."""

from __future__ import annotations

import pytest

from tests.dashboards.pages import NAMES, asked, page, panels

FIRST_FIVE = (
    "Requests per second",
    "Time to first token",
    "Generated tokens per second",
    "KV cache",
    "Cost per million",
)


@pytest.mark.parametrize("name", ["fleet", "model", "replica"])
def test_five_figures_stand_first(name: str) -> None:
    """Those that the project's users asked for: in one line, above everything else."""
    heading, *five = page(name)["panels"][:6]
    assert heading["type"] == "row"
    assert all(panel["title"].startswith(wanted) for panel, wanted in zip(five, FIRST_FIVE, strict=True))
    assert {panel["gridPos"]["y"] for panel in five} == {1}
    assert sum(panel["gridPos"]["w"] for panel in five) == 24


@pytest.mark.parametrize("name", NAMES)
def test_what_happened_is_marked(name: str) -> None:
    marks = [one["name"] for one in page(name)["annotations"]["list"]]
    assert marks == ["Deployments", "Restarts", "OOM kills", "Firing alerts"]


# A subject that a board must show -> a series that shows it.
SUBJECTS = {
    "fleet": {
        "budget left": "model:llm_slo_error_budget_remaining:ratio",
        "demand": "model:llm_requests:rate5m",
        "saturation": "model:llm_saturation:ratio",
        "cost": "model:llm_cost:dollars_per_hour",
        "what is firing": "ALERTS",
    },
    "model": {
        "requests": "model:llm_requests:rate5m",
        "TTFT": "llm_time_to_first_token_seconds_bucket",
        "TPOT": "llm_time_per_output_token_seconds_bucket",
        "ITL": "llm_inter_token_latency_seconds_bucket",
        "end to end": "llm_request_duration_seconds_bucket",
        "queue": "llm_request_queue_seconds_bucket",
        "prefill": "llm_request_prefill_seconds_bucket",
        "decode": "llm_request_decode_seconds_bucket",
        "prompt throughput": "model:llm_prompt_tokens:rate5m",
        "generation throughput": "model:llm_generation_tokens:rate5m",
        "KV use": "model:llm_kv_cache_usage:max",
        "prefix cache": "model:llm_prefix_cache_hit:ratio_rate5m",
        "preemptions": "model:llm_preemptions:rate5m",
        "running": "model:llm_requests_running:sum",
        "waiting": "model:llm_requests_waiting:sum",
        "prompt lengths": "llm_request_prompt_tokens_bucket",
        "output lengths": "llm_request_generation_tokens_bucket",
        "speculation": "model:llm_spec_decode_acceptance:ratio_rate5m",
        "errors": "llm_requests_failed_total",
        "HTTP errors": "llm_http_requests_total",
        "cost": "model:llm_cost_dollars_per_million_tokens",
    },
    "replica": {
        "settings": "llm_kv_cache_capacity_tokens",
        "version": "llm_engine_info",
        "start-up": "llm_process_start_time_seconds",
        "GPUs": "inferwatch_pod_gpu_info",
        "CPU throttling": "container_cpu_cfs_throttled_periods_total",
        "memory": "container_memory_working_set_bytes",
        "restarts": "kube_pod_container_status_restarts_total",
        "preemptions": "llm_preemptions_total",
    },
    "gpu": {
        "SM activity": "DCGM_FI_PROF_SM_ACTIVE",
        "tensor activity": "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE",
        "HBM bandwidth": "DCGM_FI_PROF_DRAM_ACTIVE",
        "memory": "DCGM_FI_DEV_FB_USED",
        "power": "DCGM_FI_DEV_POWER_USAGE",
        "clocks": "DCGM_FI_DEV_SM_CLOCK",
        "throttling": "DCGM_FI_DEV_CLOCKS_EVENT_REASONS",
        "temperature": "DCGM_FI_DEV_GPU_TEMP",
        "XID": "inferwatch_gpu_xid_errors_total",
        "ECC": "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL",
        "remapped rows": "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS",
        "NVLink": "inferwatch_gpu_nvlink_transmitted_bytes_total",
        "PCIe": "DCGM_FI_PROF_PCIE_TX_BYTES",
        "who holds it": "inferwatch_pod_gpu_info",
    },
    "slo": {
        "burn, short": "model:llm_slo_error:ratio_rate5m",
        "burn, long": "model:llm_slo_error:ratio_rate3d",
        "budget": "model:llm_slo_error_budget_remaining:ratio",
        "what burnt it": "model:llm_slo_bad_events:rate5m",
    },
    "cost": {
        "dollars per million tokens": "model:llm_cost_dollars_per_million_tokens",
        "idle dollars": "gpu:inferwatch_idle_cost:dollars_per_hour",
        "roofline": "DCGM_FI_PROF_DRAM_ACTIVE",
        "headroom": "model:llm_saturation:ratio",
        "autoscaling": "kube_horizontalpodautoscaler_status_desired_replicas",
    },
}


@pytest.mark.parametrize(
    ("name", "subject"), [(name, subject) for name, subjects in SUBJECTS.items() for subject in subjects]
)
def test_a_board_shows_its_subjects(name: str, subject: str) -> None:
    assert any(SUBJECTS[name][subject] in one.expr for one in asked(page(name)))


def test_the_replicas_log_stands_beside_its_metrics() -> None:
    (log,) = [panel for panel in panels(page("replica")) if panel["type"] == "logs"]
    assert [target["expr"] for target in log["targets"]] == ['{namespace=~"$namespace", pod=~"$pod"}']


def test_newer_names_of_gpu_fields_are_asked_for_too() -> None:
    """dcgm-exporter from DCGM 4.6 on spells a third of the fields anew."""
    exprs = [one.expr for one in asked(page("gpu"))]
    assert any("DCGM_FI_DEV_GPU_TEMP_CELSIUS" in expr and "DCGM_FI_DEV_GPU_TEMP{" in expr for expr in exprs)
    assert any("rate(DCGM_FI_DEV_NVLINK_REPLAY_ERROR_TOTAL{" in expr for expr in exprs)


def test_one_drills_down_from_the_fleet_to_a_gpu() -> None:
    """Fleet -> model -> replica -> GPU, each by a click on what one looks at."""
    for name, to in (("fleet", "model"), ("model", "replica"), ("replica", "gpu"), ("gpu", "replica")):
        assert any(f"/d/inferwatch-{to}?" in str(panel["fieldConfig"]) for panel in panels(page(name)))
