"""Text Generation Inference 0.8.2 to 3.3.7.

Source: router/src/server.rs and backends/v3 at the release tags. No unit suffixes, no `_total`, no model
label; latency histograms record successful requests only; there is no time to first token and no KV-cache
series.
"""

from __future__ import annotations

from catalog.engines.base import EngineCatalog, Ignored, SeriesMapping
from catalog.engines.fingerprints import FINGERPRINTS

_FIRST = (0, 8, 2)

_REQUESTS = (
    SeriesMapping(
        "llm_requests_running",
        "tgi_batch_current_size",
        "gauge",
        since=_FIRST,
        note="0 when the batch drains",
    ),
    SeriesMapping("llm_requests_waiting", "tgi_queue_size", "gauge", since=_FIRST),
    SeriesMapping("llm_requests_received_total", "tgi_request_count", "counter", since=_FIRST),
    SeriesMapping(
        "llm_requests_total",
        "tgi_request_success",
        "counter",
        fixed={"reason": "stop"},
        since=_FIRST,
        note="stop and length are not told apart",
    ),
    SeriesMapping(
        "llm_requests_total",
        "tgi_request_failure",
        "counter",
        labels={"err": "reason"},
        values={"reason": {"dropped": "abort", "*": "error"}},
        fixed={"reason": "error"},
        since=_FIRST,
    ),
    SeriesMapping(
        "llm_requests_failed_total", "tgi_request_failure", "counter", labels={"err": "reason"}, since=_FIRST
    ),
    SeriesMapping(
        "llm_requests_rejected_total",
        "tgi_request_failure",
        "counter",
        select={"err": "overloaded"},
        labels={"err": "reason"},
        since=_FIRST,
    ),
)

_TOKENS = (
    SeriesMapping(
        "llm_prompt_tokens_total",
        "tgi_request_input_length_sum",
        "counter",
        since=_FIRST,
        note="no counter: the histogram's sum",
    ),
    SeriesMapping(
        "llm_generation_tokens_total",
        "tgi_request_generated_tokens_sum",
        "counter",
        since=_FIRST,
        note="moves only when a request ends",
    ),
    SeriesMapping("llm_request_prompt_tokens", "tgi_request_input_length", "histogram", since=_FIRST),
    SeriesMapping("llm_request_generation_tokens", "tgi_request_generated_tokens", "histogram", since=_FIRST),
    SeriesMapping("llm_kv_cache_reserved_tokens", "tgi_batch_current_max_tokens", "gauge", since=_FIRST),
    SeriesMapping(
        "llm_kv_cache_capacity_tokens",
        "tgi_batch_max_total_tokens",
        "gauge",
        since=(2, 3, 1),
        note="in the source, but set before the recorder is installed: absent from real scrapes",
    ),
    SeriesMapping(
        "llm_spec_decode_accepted_tokens_total",
        "tgi_request_skipped_tokens_sum",
        "counter",
        since=(1, 4, 0),
        note="a histogram to 2.2.0, a summary from 2.3.0",
    ),
)

_LATENCY = (
    SeriesMapping("llm_engine_steps_total", "tgi_batch_inference_count", "counter", since=_FIRST),
    SeriesMapping(
        "llm_step_duration_seconds",
        "tgi_batch_inference_duration",
        "histogram",
        labels={"method": "phase"},
        since=_FIRST,
        note="per batch: prefill of a batch, or one decode step",
    ),
    SeriesMapping("llm_request_duration_seconds", "tgi_request_duration", "histogram", since=_FIRST),
    SeriesMapping("llm_request_queue_seconds", "tgi_request_queue_duration", "histogram", since=_FIRST),
    SeriesMapping("llm_request_inference_seconds", "tgi_request_inference_duration", "histogram", since=_FIRST),
    SeriesMapping(
        "llm_time_per_output_token_seconds",
        "tgi_request_mean_time_per_token_duration",
        "histogram",
        since=_FIRST,
        note="inference time / tokens, prefill included",
    ),
)

_IGNORED = (
    Ignored(r"tgi_batch_inference_(success|failure)", "steps by outcome"),
    Ignored(
        r"tgi_batch_(concat|concat_duration|forward_duration|decode_duration|filter_duration)",
        "parts of a step",
    ),
    Ignored(r"tgi_batch_next_(size|tokens)", "size of new batches: 1025 series"),
    Ignored(r"tgi_batch_(total_tokens|current_.*)", "other batch gauges"),
    Ignored(r"tgi_request_(max_new_tokens|validation_duration)", "what clients asked for; validation"),
    Ignored(r"tgi_request_skipped_tokens", "quantiles of accepted speculative tokens"),
)

TGI = EngineCatalog(
    name="tgi",
    title="Text Generation Inference",
    fingerprint=FINGERPRINTS["tgi"],
    mappings=(*_REQUESTS, *_TOKENS, *_LATENCY),
    ignored=_IGNORED,
    ports=(80, 3000, 9000),
    version_path="/info",
    source="text-generation-inference v0.8.2 to v3.3.7, router/src/server.rs and backends/v3",
)
