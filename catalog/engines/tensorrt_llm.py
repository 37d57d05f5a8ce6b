"""TensorRT-LLM's own server, `trtllm-serve`, 1.1 to 1.4.

Source: tensorrt_llm/metrics/collector.py of the main branch in 2026. The text exposition is at
`/prometheus/metrics`; 1.1 had five series; the request histograms need `return_perf_metrics: true` and record
finished requests only.
"""

from __future__ import annotations

from catalog.engines.base import EngineCatalog, Ignored, SeriesMapping
from catalog.engines.fingerprints import FINGERPRINTS

_FINISH_VALUES = {
    "reason": {
        "stop": "stop",
        "end_id": "stop",
        "stop_words": "stop",
        "length": "length",
        "cancelled": "abort",
        "*": "other",
    }
}

_REQUESTS = (
    SeriesMapping("llm_requests_running", "trtllm_num_requests_running", "gauge"),
    SeriesMapping("llm_requests_waiting", "trtllm_num_requests_waiting", "gauge"),
    SeriesMapping("llm_requests_swapped", "trtllm_num_paused_requests", "gauge", note="paused: evicted, to be resumed"),
    SeriesMapping("llm_requests_running_limit", "trtllm_max_num_active_requests", "gauge"),
    SeriesMapping(
        "llm_requests_total",
        "trtllm_request_success_total",
        "counter",
        labels={"finished_reason": "reason"},
        values=_FINISH_VALUES,
    ),
    SeriesMapping("llm_requests_total", "trtllm_request_error_total", "counter", fixed={"reason": "error"}),
    SeriesMapping("llm_requests_failed_total", "trtllm_request_error_total", "counter", labels={"http_code": "reason"}),
)

_CACHE = (
    SeriesMapping("llm_kv_cache_usage_ratio", "trtllm_kv_cache_utilization", "gauge"),
    SeriesMapping("llm_kv_cache_capacity_tokens", "trtllm_kv_cache_max_blocks", "gauge", factor=True),
    SeriesMapping("llm_kv_cache_capacity_tokens", "trtllm_kv_cache_tokens_per_block", "gauge", factor=True),
    SeriesMapping("llm_prefix_cache_hit_ratio", "trtllm_kv_cache_hit_rate", "gauge", minimum=0.0),
    SeriesMapping("llm_prefix_cache_hits_total", "trtllm_prompt_cached_tokens_total", "counter"),
    SeriesMapping("llm_prefix_cache_queries_total", "trtllm_prompt_tokens_total", "counter"),
)

_TOKENS = (
    SeriesMapping("llm_prompt_tokens_total", "trtllm_prompt_tokens_total", "counter"),
    SeriesMapping("llm_prompt_tokens_cached_total", "trtllm_prompt_cached_tokens_total", "counter"),
    SeriesMapping("llm_generation_tokens_total", "trtllm_generation_tokens_total", "counter"),
    SeriesMapping("llm_spec_decode_draft_tokens_total", "trtllm_spec_decode_num_draft_tokens_total", "counter"),
    SeriesMapping("llm_spec_decode_accepted_tokens_total", "trtllm_spec_decode_num_accepted_tokens_total", "counter"),
)

_LATENCY = (
    SeriesMapping("llm_time_to_first_token_seconds", "trtllm_time_to_first_token_seconds", "histogram"),
    SeriesMapping(
        "llm_time_per_output_token_seconds",
        "trtllm_time_per_output_token_seconds",
        "histogram",
        note="one observation a request",
    ),
    SeriesMapping("llm_request_duration_seconds", "trtllm_e2e_request_latency_seconds", "histogram"),
    SeriesMapping("llm_request_queue_seconds", "trtllm_request_queue_time_seconds", "histogram"),
    SeriesMapping("llm_request_prefill_seconds", "trtllm_request_prefill_time_seconds", "histogram"),
    SeriesMapping("llm_request_decode_seconds", "trtllm_request_decode_time_seconds", "histogram"),
    SeriesMapping("llm_request_inference_seconds", "trtllm_request_inference_time_seconds", "histogram"),
)

TENSORRT_LLM = EngineCatalog(
    name="tensorrt_llm",
    title="TensorRT-LLM (trtllm-serve)",
    fingerprint=FINGERPRINTS["tensorrt_llm"],
    mappings=(*_REQUESTS, *_CACHE, *_TOKENS, *_LATENCY),
    ignored=(Ignored(r"trtllm_.*", "about fifty more series of the main branch that no rule needs"),),
    model_label="model_name",
    ports=(8000,),
    metrics_path="/prometheus/metrics",
    opt_in="return_perf_metrics: true (request histograms)",
    version_path="/version",
    source="TensorRT-LLM main 2026, tensorrt_llm/metrics/collector.py",
)
