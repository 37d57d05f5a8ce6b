"""LMDeploy 0.9.2 to 0.16.0: most names are vLLM's behind `lmdeploy:`.

Source: lmdeploy/metrics/loggers.py. Here `iter_token_latency` is the token gap and
`time_per_output_token_seconds` the mean of a request.
"""

from __future__ import annotations

from catalog.engines.base import PROCESS_MAPPINGS, EngineCatalog, Ignored, SeriesMapping
from catalog.engines.fingerprints import FINGERPRINTS

_FINISH_VALUES = {"reason": {"stop": "stop", "length": "length", "abort": "abort", "error": "error", "*": "other"}}

_MAPPINGS = (
    SeriesMapping("llm_requests_running", "lmdeploy:num_requests_running", "gauge"),
    SeriesMapping("llm_requests_waiting", "lmdeploy:num_requests_waiting", "gauge"),
    SeriesMapping(
        "llm_requests_total",
        "lmdeploy:request_success_total",
        "counter",
        labels={"finished_reason": "reason"},
        values=_FINISH_VALUES,
    ),
    SeriesMapping("llm_kv_cache_usage_ratio", "lmdeploy:gpu_cache_usage_perc", "gauge", note="a ratio from 0 to 1"),
    SeriesMapping("llm_prefix_cache_hit_ratio", "lmdeploy:prefix_cache_hit_rate", "gauge", minimum=0.0),
    SeriesMapping("llm_prompt_tokens_total", "lmdeploy:prompt_tokens_total", "counter"),
    SeriesMapping("llm_prompt_tokens_cached_total", "lmdeploy:cached_tokens_total", "counter"),
    SeriesMapping("llm_generation_tokens_total", "lmdeploy:generation_tokens_total", "counter"),
    SeriesMapping("llm_spec_decode_draft_tokens_total", "lmdeploy:spec_decode_num_draft_tokens_total", "counter"),
    SeriesMapping("llm_spec_decode_accepted_tokens_total", "lmdeploy:spec_decode_num_accepted_tokens_total", "counter"),
    SeriesMapping("llm_step_tokens", "lmdeploy:iteration_tokens_total", "histogram"),
    SeriesMapping("llm_engine_steps_total", "lmdeploy:iteration_tokens_total_count", "counter"),
    SeriesMapping("llm_time_to_first_token_seconds", "lmdeploy:time_to_first_token_seconds", "histogram"),
    SeriesMapping("llm_inter_token_latency_seconds", "lmdeploy:iter_token_latency", "histogram", note="no unit suffix"),
    SeriesMapping("llm_time_per_output_token_seconds", "lmdeploy:time_per_output_token_seconds", "histogram"),
    SeriesMapping("llm_request_duration_seconds", "lmdeploy:e2e_request_latency_seconds", "histogram"),
    SeriesMapping("llm_request_queue_seconds", "lmdeploy:request_queue_time_seconds", "histogram"),
    SeriesMapping("llm_request_prefill_seconds", "lmdeploy:request_prefill_time_seconds", "histogram"),
    SeriesMapping("llm_request_decode_seconds", "lmdeploy:request_decode_time_seconds", "histogram"),
    SeriesMapping("llm_request_inference_seconds", "lmdeploy:request_inference_time_seconds", "histogram"),
    SeriesMapping("llm_request_prompt_tokens", "lmdeploy:request_prompt_tokens", "histogram"),
    SeriesMapping("llm_request_generation_tokens", "lmdeploy:request_generation_tokens", "histogram"),
)

LMDEPLOY = EngineCatalog(
    name="lmdeploy",
    title="LMDeploy",
    fingerprint=FINGERPRINTS["lmdeploy"],
    mappings=(*_MAPPINGS, *PROCESS_MAPPINGS),
    ignored=(Ignored(r"lmdeploy:.*", "series that no rule needs, gauges that only grow among them"),),
    model_label="model_name",
    rank_labels=("engine",),
    ports=(23333,),
    opt_in="--enable-metrics",
    source="LMDeploy 0.9.2 to 0.16.0, lmdeploy/metrics/loggers.py",
)
