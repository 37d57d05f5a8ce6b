"""vLLM 0.2.7 to 0.33.0, engine cores V0 and V1, and the same names under Ray (`ray_vllm:`, `ray_vllm_`).

Source: the metric classes of the releases on PyPI. V0 is the only core to 0.7.0 and gone after 0.10.2; V1
exists from 0.7.1 and is the default from 0.8.0, so 0.7.1 to 0.10.2 may show either set. `perc` in a name is a
ratio from 0 to 1. Renames overlap for some releases: values of both names are merged by max, never added.
"""

from __future__ import annotations

from catalog.engines.base import PROCESS_MAPPINGS, EngineCatalog, Ignored, SeriesMapping
from catalog.engines.fingerprints import FINGERPRINTS

_FINISH_VALUES = {"reason": {"stop": "stop", "length": "length", "abort": "abort", "error": "error", "*": "other"}}

_REQUESTS = (
    SeriesMapping("llm_requests_running", "vllm:num_requests_running", "gauge", since=(0, 2, 7)),
    SeriesMapping("llm_requests_waiting", "vllm:num_requests_waiting", "gauge", since=(0, 2, 7)),
    SeriesMapping(
        "llm_requests_waiting_by_reason",
        "vllm:num_requests_waiting_by_reason",
        "gauge",
        labels={"reason": "reason"},
        since=(0, 20, 0),
        core="V1",
        note="capacity or deferred; the two sum to num_requests_waiting",
    ),
    SeriesMapping(
        "llm_requests_swapped",
        "vllm:num_requests_swapped",
        "gauge",
        since=(0, 2, 7),
        until=(0, 9, 0),
        core="V0",
        note="hidden from 0.8.3 unless --show-hidden-metrics-for-version",
    ),
    SeriesMapping(
        "llm_requests_total",
        "vllm:request_success_total",
        "counter",
        labels={"finished_reason": "reason"},
        values=_FINISH_VALUES,
        since=(0, 4, 2),
        note="counts every finished request, aborts and (0.13+) errors too; repetition (0.17+) is other",
    ),
    SeriesMapping(
        "llm_requests_rejected_total",
        "vllm:admission_rejections_total",
        "counter",
        labels={"reason": "reason"},
        since=(0, 32, 0),
        core="V1",
        note="max_num_queued_reqs or max_num_queued_tokens, answered with 503; has no engine label",
    ),
    SeriesMapping(
        "llm_http_requests_total",
        "http_requests_total",
        "counter",
        labels={"handler": "handler", "status": "code_class"},
        since=(0, 8, 3),
        note="status is a class (2xx); unknown routes are handler none; /metrics and /health are left out",
    ),
    SeriesMapping(
        "llm_preemptions_total",
        "vllm:num_preemptions_total",
        "counter",
        since=(0, 4, 3),
        note="V1 has it from 0.8.0; V1 never logs a preemption, so this is the only sign",
    ),
)

_CACHE = (
    SeriesMapping("llm_kv_cache_usage_ratio", "vllm:kv_cache_usage_perc", "gauge", since=(0, 9, 2), core="V1"),
    SeriesMapping(
        "llm_kv_cache_usage_ratio",
        "vllm:gpu_cache_usage_perc",
        "gauge",
        since=(0, 2, 7),
        until=(0, 11, 2),
        note="both names 0.9.2 to 0.10.2, hidden in 0.11; V1 before 0.10.2 is never 0 when idle",
    ),
    SeriesMapping(
        "llm_kv_cache_capacity_tokens",
        "vllm:cache_config_info",
        "info",
        value_labels=(("kv_cache_size_tokens",), ("num_gpu_blocks", "block_size")),
        since=(0, 3, 3),
        note="no model label; kv_cache_size_tokens from 0.24.0; the product is wrong for hybrid models",
    ),
    SeriesMapping(
        "llm_prefix_cache_queries_total",
        "vllm:prefix_cache_queries_total",
        "counter",
        since=(0, 9, 2),
        core="V1",
    ),
    SeriesMapping("llm_prefix_cache_hits_total", "vllm:prefix_cache_hits_total", "counter", since=(0, 9, 2), core="V1"),
    SeriesMapping(
        "llm_prefix_cache_queries_total",
        "vllm:gpu_prefix_cache_queries_total",
        "counter",
        since=(0, 9, 0),
        until=(0, 11, 2),
        needs_version=True,
        core="V1",
        note="0.7.3 to 0.8.5 expose the same name in blocks: left out",
    ),
    SeriesMapping(
        "llm_prefix_cache_hits_total",
        "vllm:gpu_prefix_cache_hits_total",
        "counter",
        since=(0, 9, 0),
        until=(0, 11, 2),
        needs_version=True,
        core="V1",
        note="0.7.3 to 0.8.5 expose the same name in blocks: left out",
    ),
    SeriesMapping(
        "llm_prefix_cache_hit_ratio",
        "vllm:gpu_prefix_cache_hit_rate",
        "gauge",
        minimum=0.0,
        since=(0, 5, 5),
        until=(0, 9, 0),
        core="V0",
        note="-1 means that prefix caching is off; hidden from 0.8.3",
    ),
)

_TOKENS = (
    SeriesMapping(
        "llm_prompt_tokens_total",
        "vllm:prompt_tokens_total",
        "counter",
        since=(0, 3, 1),
        note="cached prompt tokens are counted too",
    ),
    SeriesMapping(
        "llm_prompt_tokens_cached_total",
        "vllm:prompt_tokens_cached_total",
        "counter",
        since=(0, 16, 0),
        core="V1",
    ),
    SeriesMapping("llm_generation_tokens_total", "vllm:generation_tokens_total", "counter", since=(0, 3, 1)),
    SeriesMapping(
        "llm_spec_decode_draft_tokens_total",
        "vllm:spec_decode_num_draft_tokens_total",
        "counter",
        since=(0, 5, 3),
        note="only with speculative decoding; V1 from 0.8.3",
    ),
    SeriesMapping(
        "llm_spec_decode_accepted_tokens_total",
        "vllm:spec_decode_num_accepted_tokens_total",
        "counter",
        since=(0, 5, 3),
        note="only with speculative decoding; V1 from 0.8.3",
    ),
    SeriesMapping(
        "llm_spec_decode_drafts_total",
        "vllm:spec_decode_num_drafts_total",
        "counter",
        since=(0, 8, 5),
        core="V1",
    ),
)

_STEPS = (
    SeriesMapping(
        "llm_step_tokens",
        "vllm:iteration_tokens_total",
        "histogram",
        since=(0, 6, 4),
        note="a histogram in spite of _total; its bounds differ by version",
    ),
    SeriesMapping("llm_engine_steps_total", "vllm:iteration_tokens_total_count", "counter", since=(0, 6, 4)),
    SeriesMapping(
        "llm_estimated_flops_per_gpu_total",
        "vllm:estimated_flops_per_gpu_total",
        "counter",
        since=(0, 17, 0),
        core="V1",
    ),
    SeriesMapping(
        "llm_estimated_read_bytes_per_gpu_total",
        "vllm:estimated_read_bytes_per_gpu_total",
        "counter",
        since=(0, 17, 0),
        core="V1",
    ),
    SeriesMapping(
        "llm_estimated_write_bytes_per_gpu_total",
        "vllm:estimated_write_bytes_per_gpu_total",
        "counter",
        since=(0, 17, 0),
        core="V1",
    ),
    SeriesMapping(
        "llm_engine_sleep_state",
        "vllm:engine_sleep_state",
        "gauge",
        labels={"sleep_state": "state"},
        since=(0, 11, 1),
        core="V1",
    ),
)

_LATENCY = (
    SeriesMapping(
        "llm_time_to_first_token_seconds",
        "vllm:time_to_first_token_seconds",
        "histogram",
        since=(0, 3, 1),
        note="bounds reach 10 s before 0.8.4 and 2560 s from it; configurable from 0.30",
    ),
    SeriesMapping(
        "llm_inter_token_latency_seconds",
        "vllm:inter_token_latency_seconds",
        "histogram",
        since=(0, 10, 2),
    ),
    SeriesMapping(
        "llm_inter_token_latency_seconds",
        "vllm:time_per_output_token_seconds",
        "histogram",
        since=(0, 3, 1),
        until=(0, 14, 0),
        note="one observation a token gap, in spite of the name; both names 0.10.2 to 0.11.2",
    ),
    SeriesMapping(
        "llm_time_per_output_token_seconds",
        "vllm:request_time_per_output_token_seconds",
        "histogram",
        since=(0, 11, 0),
        core="V1",
        note="0 for requests of one token",
    ),
    SeriesMapping(
        "llm_request_duration_seconds",
        "vllm:e2e_request_latency_seconds",
        "histogram",
        since=(0, 3, 1),
        note="recorded when the request ends; bounds differ by version",
    ),
    SeriesMapping(
        "llm_request_queue_seconds",
        "vllm:request_queue_time_seconds",
        "histogram",
        since=(0, 6, 4),
        note="recorded when the request ends; smallest bound 0.3 s",
    ),
    SeriesMapping(
        "llm_request_queue_seconds",
        "vllm:time_in_queue_requests",
        "histogram",
        since=(0, 6, 4),
        until=(0, 9, 0),
        core="V0",
        note="beside request_queue_time_seconds; hidden from 0.8.3",
    ),
    SeriesMapping("llm_request_prefill_seconds", "vllm:request_prefill_time_seconds", "histogram", since=(0, 6, 4)),
    SeriesMapping("llm_request_decode_seconds", "vllm:request_decode_time_seconds", "histogram", since=(0, 6, 4)),
    SeriesMapping("llm_request_inference_seconds", "vllm:request_inference_time_seconds", "histogram", since=(0, 6, 4)),
    SeriesMapping("llm_request_prompt_tokens", "vllm:request_prompt_tokens", "histogram", since=(0, 4, 2)),
    SeriesMapping("llm_request_generation_tokens", "vllm:request_generation_tokens", "histogram", since=(0, 4, 2)),
)

_IGNORED = (
    Ignored(r"vllm:avg_(prompt|generation)_throughput_toks_per_s", "V0 to 0.6.6: the rate of the token counters"),
    Ignored(r"vllm:cpu_(cache_usage_perc|prefix_cache_hit_rate)", "V0 swap space, not the GPU's KV cache"),
    Ignored(r"vllm:gpu_prefix_cache_(hits|queries)_total", "blocks, not tokens, in 0.7.3 to 0.8.5"),
    Ignored(r"vllm:prompt_tokens_(by_source|cached_by_source|recomputed)_total", "detail of the prompt counters"),
    Ignored(
        r"vllm:(external_prefix_cache|mm_cache)_(hits|queries)_total",
        "other caches than the GPU's prefix cache",
    ),
    Ignored(
        r"vllm:request_params_.*|vllm:request_max_num_generation_tokens",
        "what clients asked for, not what ran",
    ),
    Ignored(r"vllm:request_prefill_kv_computed_tokens", "detail of request_prompt_tokens"),
    Ignored(r"vllm:request_num_preemptions", "distribution of the preemption counter"),
    Ignored(r"vllm:lora_requests_info", "value is a time, labels are lists; misleading with several engines"),
    Ignored(r"vllm:model_(forward|execute)_time_milliseconds", "V0 only, hidden from 0.8.3"),
    Ignored(r"vllm:tokens_total", "V0 0.6.4 to 0.7.3: prompt and generation tokens together"),
    Ignored(
        r"vllm:spec_decode_(draft_acceptance_rate|efficiency|num_emitted_tokens_total)",
        "V0 averages of the speculative counters",
    ),
    Ignored(r"vllm:spec_decode_num_accepted_tokens_per_pos_total", "acceptance by position"),
    Ignored(r"vllm:diffusion_.*", "diffusion models"),
    Ignored(r"vllm:corrupted_requests_total", "only with VLLM_COMPUTE_NANS_IN_LOGITS=1"),
    Ignored(r"vllm:kv_block_.*", "only with KV cache metrics switched on: block ages"),
    Ignored(r"vllm:(simple_)?kv_offload_.*|vllm:num_requests_kv_fetch_by_stage", "KV offloading and transfer"),
    Ignored(r"vllm:(nixl|mooncake|hf3fs|hisparse|umbp)_.*", "KV connectors"),
    Ignored(r"vllm:(rl_weight_update|sleep_mode|watermark|websocket)_.*", "features outside request serving"),
)

VLLM = EngineCatalog(
    name="vllm",
    title="vLLM",
    fingerprint=FINGERPRINTS["vllm"],
    mappings=(*_REQUESTS, *_CACHE, *_TOKENS, *_STEPS, *_LATENCY, *PROCESS_MAPPINGS),
    ignored=_IGNORED,
    model_label="model_name",
    rank_labels=("engine",),
    aliases=(("ray_vllm:", "vllm:"), ("ray_vllm_", "vllm:")),
    ports=(8000,),
    version_path="/version",
    source="vLLM releases 0.2.7 to 0.33.0, vllm/engine/metrics.py and vllm/v1/metrics/loggers.py",
)
