"""The canonical signals: every series of the `llm_*` and `inferwatch_*` schema, with unit and meaning.

Base units throughout: seconds, bytes, tokens, ratios from 0 to 1. A series that an engine does not expose is
absent, never 0. Besides its own `labels`, every engine signal carries `COMMON_LABELS` as far as they are
known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

SignalKind = Literal["gauge", "counter", "histogram", "info"]
Combine = Literal["max", "sum"]

COMMON_LABELS: tuple[str, ...] = ("engine", "model", "rank", "node", "namespace", "pod", "container")
"""Labels of every engine signal. `rank` is the data-parallel rank and is "0" where an engine has none."""

FINISH_REASONS: tuple[str, ...] = ("stop", "length", "abort", "error", "other")
"""Values of `reason` of `llm_requests_total`. Only stop and length are success."""

SUCCESS_REASONS: tuple[str, ...] = ("stop", "length")


@dataclass(frozen=True, slots=True)
class Signal:
    """One canonical series.

    `labels` lists what it carries besides `COMMON_LABELS` (and `le` of a histogram). `combine` says how raw
    parts that land on the same canonical series within one scrape merge when labels are dropped: "sum" for
    amounts, "max" for ratios, limits and facts. Renames of one series by an engine are always merged by max.
    """

    name: str
    kind: SignalKind
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()
    combine: Combine = "sum"


_REQUESTS = (
    Signal("llm_requests_running", "gauge", "requests", "Requests in the running batch."),
    Signal("llm_requests_waiting", "gauge", "requests", "Requests queued and not yet scheduled."),
    Signal(
        "llm_requests_waiting_by_reason",
        "gauge",
        "requests",
        "Waiting requests by why they wait: capacity (no room) or deferred (for something else).",
        ("reason",),
    ),
    Signal("llm_requests_swapped", "gauge", "requests", "Requests moved out of GPU memory and to be resumed."),
    Signal(
        "llm_requests_running_limit",
        "gauge",
        "requests",
        "Most requests that the engine runs at once, where it exposes its own limit.",
        combine="max",
    ),
    Signal(
        "llm_requests_total",
        "counter",
        "requests",
        "Finished requests by reason. Engines that do not tell stop from length count every success as stop.",
        ("reason",),
    ),
    Signal(
        "llm_requests_received_total",
        "counter",
        "requests",
        "Requests that reached the server, finished or not.",
    ),
    Signal(
        "llm_requests_failed_total",
        "counter",
        "requests",
        "Failed requests by the engine's own reason: the breakdown of llm_requests_total{reason='error'}.",
        ("reason",),
    ),
    Signal(
        "llm_requests_rejected_total",
        "counter",
        "requests",
        "Requests turned away at admission because a queue limit was reached.",
        ("reason",),
    ),
    Signal(
        "llm_http_requests_total",
        "counter",
        "responses",
        "HTTP responses by handler and status class. A refused prompt often shows only here, as 4xx.",
        ("handler", "code_class"),
    ),
    Signal(
        "llm_preemptions_total",
        "counter",
        "preemptions",
        "Running requests that lost their KV cache to others and must be recomputed or swapped back.",
    ),
)

_CACHE = (
    Signal("llm_kv_cache_usage_ratio", "gauge", "ratio", "Share of the KV cache in use, 0 to 1.", combine="max"),
    Signal("llm_kv_cache_capacity_tokens", "gauge", "tokens", "Tokens that the KV cache holds.", combine="max"),
    Signal("llm_kv_cache_used_tokens", "gauge", "tokens", "Tokens held in the KV cache now.", combine="max"),
    Signal(
        "llm_kv_cache_reserved_tokens",
        "gauge",
        "tokens",
        "Tokens that the current batch may grow to: a reservation, not use.",
        combine="max",
    ),
    Signal("llm_prefix_cache_queries_total", "counter", "tokens", "Prompt tokens looked up in the prefix cache."),
    Signal("llm_prefix_cache_hits_total", "counter", "tokens", "Prompt tokens found in the prefix cache."),
    Signal(
        "llm_prefix_cache_hit_ratio",
        "gauge",
        "ratio",
        "Prefix-cache hit ratio as the engine averages it, where it has no counters or beside them.",
        combine="max",
    ),
)

_TOKENS = (
    Signal("llm_prompt_tokens_total", "counter", "tokens", "Prompt tokens taken in."),
    Signal(
        "llm_prompt_tokens_cached_total",
        "counter",
        "tokens",
        "Prompt tokens that needed no prefill (cached).",
    ),
    Signal("llm_generation_tokens_total", "counter", "tokens", "Tokens generated."),
    Signal("llm_spec_decode_draft_tokens_total", "counter", "tokens", "Tokens proposed by speculative decoding."),
    Signal(
        "llm_spec_decode_accepted_tokens_total",
        "counter",
        "tokens",
        "Proposed tokens that the model accepted.",
    ),
    Signal(
        "llm_spec_decode_drafts_total",
        "counter",
        "drafts",
        "Draft rounds; accepted / drafts + 1 is their length.",
    ),
)

_STEPS = (
    Signal(
        "llm_engine_steps_total",
        "counter",
        "steps",
        "Steps (forward passes) of the engine: flat while it hangs.",
    ),
    Signal("llm_step_tokens", "histogram", "tokens", "Tokens scheduled in one engine step."),
    Signal(
        "llm_step_duration_seconds",
        "histogram",
        "seconds",
        "Duration of one batch step by phase; a decode step is the token gap of the whole batch.",
        ("phase",),
    ),
    Signal(
        "llm_slots_busy_mean",
        "gauge",
        "slots",
        "Mean sequences in one decode call since the server started.",
        combine="max",
    ),
    Signal(
        "llm_estimated_flops_per_gpu_total",
        "counter",
        "FLOP",
        "Floating point work per GPU as the engine estimates it; stays 0 unless its estimate is switched on.",
        combine="max",
    ),
    Signal(
        "llm_estimated_read_bytes_per_gpu_total",
        "counter",
        "bytes",
        "Bytes read from GPU memory per GPU as the engine estimates it; stays 0 unless switched on.",
        combine="max",
    ),
    Signal(
        "llm_estimated_write_bytes_per_gpu_total",
        "counter",
        "bytes",
        "Bytes written to GPU memory per GPU as the engine estimates it; stays 0 unless switched on.",
        combine="max",
    ),
)

_LATENCY = (
    Signal("llm_time_to_first_token_seconds", "histogram", "seconds", "Arrival to the first token."),
    Signal(
        "llm_inter_token_latency_seconds",
        "histogram",
        "seconds",
        "Gap between two tokens; one observation a gap.",
    ),
    Signal(
        "llm_time_per_output_token_seconds",
        "histogram",
        "seconds",
        "Each request's mean time a token; one observation a request. Never mixed with inter-token latency.",
    ),
    Signal("llm_request_duration_seconds", "histogram", "seconds", "Arrival to the last token."),
    Signal("llm_request_queue_seconds", "histogram", "seconds", "Time a request waited to be scheduled."),
    Signal("llm_request_prefill_seconds", "histogram", "seconds", "Scheduled to the first token."),
    Signal("llm_request_decode_seconds", "histogram", "seconds", "First to last token."),
    Signal("llm_request_inference_seconds", "histogram", "seconds", "Prefill and decode together."),
    Signal("llm_request_prompt_tokens", "histogram", "tokens", "Prompt tokens of a request."),
    Signal("llm_request_generation_tokens", "histogram", "tokens", "Generated tokens of a request."),
)

_ENGINE = (
    Signal(
        "llm_up",
        "gauge",
        "bool",
        "1 when the engine's metrics endpoint answered the last scrape.",
        combine="max",
    ),
    Signal(
        "llm_engine_info",
        "info",
        "1",
        "Which engine and version this is; always 1.",
        ("version",),
        combine="max",
    ),
    Signal(
        "llm_engine_sleep_state",
        "gauge",
        "bool",
        "1 for the state of the engine: awake, weights_offloaded, discard_all. Asleep, it serves nothing.",
        ("state",),
        combine="max",
    ),
    Signal(
        "llm_process_cpu_seconds_total",
        "counter",
        "seconds",
        "CPU time of the API server process.",
        combine="sum",
    ),
    Signal("llm_process_resident_memory_bytes", "gauge", "bytes", "Resident memory of the API server process."),
    Signal(
        "llm_process_start_time_seconds",
        "gauge",
        "unix seconds",
        "Start of the API server process; a change is a restart.",
        combine="max",
    ),
)

_INFERWATCH = (
    Signal("inferwatch_gpu_up", "gauge", "bool", "1 when the GPU answered the last reading.", ("UUID",), "max"),
    Signal(
        "inferwatch_gpu_xid_errors_total",
        "counter",
        "events",
        "XID events seen on this GPU by code, since the exporter started.",
        ("UUID", "xid"),
    ),
    Signal(
        "inferwatch_gpu_xid_last_seen_timestamp_seconds",
        "gauge",
        "unix seconds",
        "When this XID was last seen on this GPU; absent until then.",
        ("UUID", "xid"),
        "max",
    ),
    Signal(
        "inferwatch_gpu_nvlink_transmitted_bytes_total",
        "counter",
        "bytes",
        "Payload sent over all NVLinks of the GPU since the driver was loaded.",
        ("UUID",),
    ),
    Signal(
        "inferwatch_gpu_nvlink_received_bytes_total",
        "counter",
        "bytes",
        "Payload received over all NVLinks of the GPU since the driver was loaded.",
        ("UUID",),
    ),
    Signal(
        "inferwatch_gpu_process_memory_bytes",
        "gauge",
        "bytes",
        "GPU memory that a compute process holds; process is the name of its executable.",
        ("UUID", "pid", "process"),
    ),
    Signal(
        "inferwatch_gpu_instance_info",
        "info",
        "1",
        "A MIG device: instance_uuid is its own UUID, UUID that of its GPU; always 1.",
        ("UUID", "GPU_I_PROFILE", "GPU_I_ID", "instance_uuid"),
        "max",
    ),
    Signal(
        "inferwatch_pod_gpu_info",
        "info",
        "1",
        "Which GPU a container holds; always 1. Joins engine and GPU series.",
        ("namespace", "pod", "container", "UUID"),
        "max",
    ),
)

SIGNALS: Mapping[str, Signal] = MappingProxyType(
    {
        signal.name: signal
        for group in (_REQUESTS, _CACHE, _TOKENS, _STEPS, _LATENCY, _ENGINE, _INFERWATCH)
        for signal in group
    }
)

OTEL_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "llm_time_to_first_token_seconds": "gen_ai.server.time_to_first_token",
        "llm_time_per_output_token_seconds": "gen_ai.server.time_per_output_token",
        "llm_request_duration_seconds": "gen_ai.server.request.duration",
    }
)
"""Canonical histogram -> name in the OpenTelemetry semantic conventions for generative AI servers."""
