"""NVIDIA Dynamo's front end. Its workers expose their engine's own series beside `dynamo_component_*`.

Source: lib/runtime/src/metrics/prometheus_names.rs of the main branch in 2026; older releases may differ. The
front end sees requests from the HTTP server to the last token; a worker's page that holds `vllm:` series is
both engines (`recognise_all`).
"""

from __future__ import annotations

from catalog.engines.base import EngineCatalog, Ignored, SeriesMapping
from catalog.engines.fingerprints import FINGERPRINTS

_MAPPINGS = (
    SeriesMapping("llm_requests_running", "dynamo_frontend_inflight_requests", "gauge"),
    SeriesMapping(
        "llm_requests_waiting",
        "dynamo_frontend_queued_requests",
        "gauge",
        note="in the HTTP queue until the first response",
    ),
    SeriesMapping("llm_requests_running_limit", "dynamo_frontend_model_max_num_seqs", "gauge"),
    SeriesMapping(
        "llm_requests_total",
        "dynamo_frontend_requests_total",
        "counter",
        labels={"status": "reason"},
        values={"reason": {"success": "stop", "error": "error", "*": "other"}},
        note="stop and length are not told apart",
    ),
    SeriesMapping(
        "llm_requests_failed_total",
        "dynamo_frontend_requests_total",
        "counter",
        select={"status": "error"},
        labels={"error_type": "reason"},
    ),
    SeriesMapping(
        "llm_kv_cache_usage_ratio",
        "dynamo_component_gpu_cache_usage_percent",
        "gauge",
        note="a ratio from 0 to 1; the prefix was not seen in a scrape",
    ),
    SeriesMapping(
        "llm_kv_cache_usage_ratio",
        "dynamo_component_kvstats_gpu_cache_usage_percent",
        "gauge",
        note="name of releases in 2025",
    ),
    SeriesMapping("llm_kv_cache_capacity_tokens", "dynamo_frontend_model_total_kv_blocks", "gauge", factor=True),
    SeriesMapping("llm_kv_cache_capacity_tokens", "dynamo_frontend_model_kv_cache_block_size", "gauge", factor=True),
    SeriesMapping("llm_generation_tokens_total", "dynamo_frontend_output_tokens_total", "counter"),
    SeriesMapping("llm_time_to_first_token_seconds", "dynamo_frontend_time_to_first_token_seconds", "histogram"),
    SeriesMapping("llm_inter_token_latency_seconds", "dynamo_frontend_inter_token_latency_seconds", "histogram"),
    SeriesMapping("llm_request_duration_seconds", "dynamo_frontend_request_duration_seconds", "histogram"),
    SeriesMapping("llm_request_prompt_tokens", "dynamo_frontend_input_sequence_tokens", "histogram"),
    SeriesMapping("llm_prompt_tokens_total", "dynamo_frontend_input_sequence_tokens_sum", "counter"),
    SeriesMapping("llm_request_generation_tokens", "dynamo_frontend_output_sequence_tokens", "histogram"),
)

DYNAMO = EngineCatalog(
    name="dynamo",
    title="NVIDIA Dynamo",
    fingerprint=FINGERPRINTS["dynamo"],
    mappings=_MAPPINGS,
    ignored=(
        Ignored(r"dynamo_.*", "router, transport and runtime series that no rule needs"),
        Ignored(r"(ray_)?vllm[:_].*|sglang:.*|trtllm_.*", "the engine inside a worker: translate it on its own"),
    ),
    model_label="model",
    rank_labels=("dp_rank",),
    ports=(8000,),
    source="Dynamo main 2026, lib/runtime/src/metrics/prometheus_names.rs",
)
