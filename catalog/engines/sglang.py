"""SGLang 0.3.6 to 0.5.10: needs `--enable-metrics`.

Source: the metric classes of the releases on PyPI. Scheduler-side series carry `tp_rank`, `pp_rank` (0.5.1+)
and `moe_ep_rank` (0.5.7+): with metrics of all schedulers on, each tensor rank repeats the same requests, so
the maximum is taken over them; `dp_rank` splits requests and becomes `rank`. Tokenizer-side series have
`model_name` only.
"""

from __future__ import annotations

from catalog.engines.base import EngineCatalog, Ignored, SeriesMapping
from catalog.engines.fingerprints import FINGERPRINTS

_FIRST = (0, 3, 6)

_REQUESTS = (
    SeriesMapping("llm_requests_running", "sglang:num_running_reqs", "gauge", since=_FIRST),
    SeriesMapping(
        "llm_requests_waiting",
        "sglang:num_queue_reqs",
        "gauge",
        since=_FIRST,
        note="requests whose grammar compiles are counted apart (num_grammar_queue_reqs)",
    ),
    SeriesMapping("llm_requests_swapped", "sglang:num_retracted_reqs", "gauge", since=(0, 5, 2)),
    SeriesMapping(
        "llm_preemptions_total",
        "sglang:num_retracted_requests_total",
        "counter",
        since=(0, 5, 7),
        note="SGLang says retract",
    ),
    SeriesMapping(
        "llm_requests_total",
        "sglang:num_requests_total",
        "counter",
        fixed={"reason": "stop"},
        since=(0, 4, 2),
        note="no reason: stop and length are not told apart",
    ),
    SeriesMapping(
        "llm_requests_total",
        "sglang:num_aborted_requests_total",
        "counter",
        fixed={"reason": "abort"},
        since=(0, 4, 7),
    ),
    SeriesMapping("llm_requests_received_total", "sglang:http_requests_total", "counter", since=(0, 5, 7)),
    SeriesMapping(
        "llm_http_requests_total",
        "sglang:http_responses_total",
        "counter",
        labels={"endpoint": "handler", "status_code": "code_class"},
        since=(0, 5, 7),
    ),
)

_CACHE = (
    SeriesMapping(
        "llm_kv_cache_usage_ratio",
        "sglang:token_usage",
        "gauge",
        since=_FIRST,
        note="hybrid models: the larger of full and sliding-window use",
    ),
    SeriesMapping("llm_kv_cache_used_tokens", "sglang:num_used_tokens", "gauge", since=_FIRST),
    SeriesMapping("llm_kv_cache_capacity_tokens", "sglang:max_total_num_tokens", "gauge", since=(0, 5, 6)),
    SeriesMapping(
        "llm_kv_cache_capacity_tokens",
        "sglang:cache_config_info",
        "info",
        value_labels=(("page_size", "num_pages"),),
        since=(0, 5, 9),
    ),
    SeriesMapping(
        "llm_prefix_cache_hit_ratio",
        "sglang:cache_hit_rate",
        "gauge",
        minimum=0.0,
        since=_FIRST,
        note="of the last prefill batch only",
    ),
    SeriesMapping("llm_prefix_cache_hits_total", "sglang:cached_tokens_total", "counter", since=(0, 4, 4)),
    SeriesMapping(
        "llm_prefix_cache_queries_total",
        "sglang:prompt_tokens_total",
        "counter",
        since=(0, 4, 4),
        note="every prompt token is looked up in the radix cache",
    ),
)

_TOKENS = (
    SeriesMapping("llm_prompt_tokens_total", "sglang:prompt_tokens_total", "counter", since=_FIRST),
    SeriesMapping("llm_prompt_tokens_cached_total", "sglang:cached_tokens_total", "counter", since=(0, 4, 4)),
    SeriesMapping("llm_generation_tokens_total", "sglang:generation_tokens_total", "counter", since=_FIRST),
    SeriesMapping(
        "llm_estimated_flops_per_gpu_total",
        "sglang:estimated_flops_per_gpu_total",
        "counter",
        since=(0, 5, 10),
    ),
    SeriesMapping(
        "llm_estimated_read_bytes_per_gpu_total",
        "sglang:estimated_read_bytes_per_gpu_total",
        "counter",
        since=(0, 5, 10),
    ),
    SeriesMapping(
        "llm_estimated_write_bytes_per_gpu_total",
        "sglang:estimated_write_bytes_per_gpu_total",
        "counter",
        since=(0, 5, 10),
    ),
)

_LATENCY = (
    SeriesMapping(
        "llm_time_to_first_token_seconds",
        "sglang:time_to_first_token_seconds",
        "histogram",
        since=_FIRST,
        note="no bound under 100 ms from 0.4.6",
    ),
    SeriesMapping(
        "llm_inter_token_latency_seconds", "sglang:inter_token_latency_seconds", "histogram", since=(0, 4, 4)
    ),
    SeriesMapping(
        "llm_inter_token_latency_seconds",
        "sglang:time_per_output_token_seconds",
        "histogram",
        since=_FIRST,
        until=(0, 4, 4),
        note="0.4.4 has both names",
    ),
    SeriesMapping("llm_request_duration_seconds", "sglang:e2e_request_latency_seconds", "histogram", since=_FIRST),
    SeriesMapping("llm_request_queue_seconds", "sglang:queue_time_seconds", "histogram", since=(0, 5, 3)),
    SeriesMapping("llm_request_queue_seconds", "sglang:queue_time_s", "histogram", since=(0, 5, 2), until=(0, 5, 2)),
    SeriesMapping("llm_request_prompt_tokens", "sglang:prompt_tokens_histogram", "histogram", since=(0, 4, 7)),
    SeriesMapping("llm_request_generation_tokens", "sglang:generation_tokens_histogram", "histogram", since=(0, 4, 7)),
)

_IGNORED = (
    Ignored(r"sglang:gen_throughput", "tokens per second of the last interval: the rate of the token counter"),
    Ignored(r"sglang:avg_request_queue_latency", "0.4.6 to 0.5.2: a mean without its count"),
    Ignored(r"sglang:total_retracted_reqs", "0.4.10 to 0.5.2: a gauge"),
    Ignored(r"sglang:num_retract(ions|ed_(input|output)_tokens_total)", "detail of the retraction counter"),
    Ignored(r"sglang:num_(running_reqs_offline_batch|paused_reqs|so_requests_total)", "kinds of requests"),
    Ignored(r"sglang:time_to_first_token_seconds_offline_batch", "offline batches"),
    Ignored(
        r"sglang:num_(grammar|prefill|decode|bootstrap|transfer|unique).*",
        "grammar and disaggregation queues",
    ),
    Ignored(r"sglang:grammar_.*", "grammar compilation"),
    Ignored(
        r"sglang:(kv_transfer|prefill_delayer|dp_cooperation|eplb|routing_key).*",
        "disaggregation and balance",
    ),
    Ignored(r"sglang:per_stage_req_latency_seconds", "stage names differ by release"),
    Ignored(r"sglang:(full|swa|pending_prealloc)_token_usage|sglang:mamba_usage", "parts of token_usage"),
    Ignored(r"sglang:spec_accept_(length|rate)", "averages; no counters are exposed"),
    Ignored(
        r"sglang:(utilization|max_running_requests_under_SLO|new_token_ratio|decode_sum_seq_lens)",
        "scheduler",
    ),
    Ignored(r"sglang:(engine_startup_time|engine_load_weights_time|startup_latency_.*)", "start-up, once"),
    Ignored(r"sglang:(is_cuda_graph|cuda_graph_passes_total)", "which forward passes ran as CUDA graphs"),
    Ignored(r"sglang:(realtime_tokens_total|gpu_(execution|overlap_wait)_seconds_total)", "split by mode, 0.5.7+"),
    Ignored(
        r"sglang:(hicache|backup|backuped|prefetch|prefetched|evict|evicted|eviction|load_back)_.*",
        "tiered cache",
    ),
    Ignored(r"sglang:lora_pool_.*", "adapter pool"),
    Ignored(r"sglang:(func_latency_seconds|process_cpu_seconds_total|http_requests_active)", "process detail"),
)

SGLANG = EngineCatalog(
    name="sglang",
    title="SGLang",
    fingerprint=FINGERPRINTS["sglang"],
    mappings=(*_REQUESTS, *_CACHE, *_TOKENS, *_LATENCY),
    ignored=_IGNORED,
    model_label="model_name",
    rank_labels=("dp_rank",),
    repeat_labels=("tp_rank", "pp_rank", "moe_ep_rank", "pid"),
    ports=(30000,),
    opt_in="--enable-metrics",
    version_path="/get_server_info",
    source="SGLang releases 0.3.6 to 0.5.10.post1, metrics collector",
)
