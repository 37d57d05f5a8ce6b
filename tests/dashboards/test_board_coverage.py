"""The page that says which panel shows what of which engine."""

from __future__ import annotations

from catalog.engines import ENGINES
from tests.dashboards.coverage import PAGE, page, panels, promql
from tests.dashboards.needs import missing
from tests.dashboards.panel_queries import panel_queries


def test_the_page_is_the_one_that_would_be_written() -> None:
    assert PAGE.read_text("utf-8") == page(), "run `python -m tests.dashboards.coverage`"


def test_every_query_has_an_engine_that_fills_it() -> None:
    """A query that no engine can fill is dead."""
    narrowed = [query for query in panel_queries() if query.names_engine]
    dead = [str(query) for query in narrowed if all(missing(promql(query), engine) for engine in ENGINES)]
    assert dead == []


def test_the_commonest_engine_fills_nearly_all() -> None:
    lacking = {name for panel in panels() for names in panel.lacks("vllm") for name in names or ()}
    assert lacking == {
        "llm_kv_cache_used_tokens",
        "llm_requests_failed_total",
        "llm_requests_running_limit",
        "llm_slots_busy_mean",
        "llm_step_duration_seconds",
    }


def test_what_is_lacking_is_worked_out_of_the_query_and_its_rules() -> None:
    lacking = {
        "llm_preemptions_total": {"llm_preemptions_total"},
        "model:llm_preemptions:rate5m": {"llm_preemptions_total"},
        "llm_preemptions_total or llm_requests_waiting": None,
        "llm_preemptions_total and llm_slots_busy_mean": {"llm_preemptions_total", "llm_slots_busy_mean"},
        "llm_requests_waiting unless llm_slots_busy_mean": None,
        "rate(llm_request_queue_seconds_bucket[5m])": {"llm_request_queue_seconds as a histogram"},
        "rate(llm_request_queue_seconds_sum[5m])": None,
        'llm_requests_total{reason="length"}': {'llm_requests_total{reason="length"}'},
        'llm_requests_total{reason="stop"}': None,
        'model:llm_slo_error:ratio_rate1h{slo="time_per_output_token"}': {"llm_time_per_output_token_seconds"},
        'model:llm_slo_error:ratio_rate1h{slo="time_to_first_token"}': None,
        "DCGM_FI_DEV_GPU_TEMP": None,
        "vector(0)": None,
    }
    assert {expr: missing(expr, "triton") for expr in lacking} == lacking
