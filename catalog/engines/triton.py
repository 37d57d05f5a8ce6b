"""Triton Inference Server: the core, its TensorRT-LLM backend and its vLLM backend.

Source: the server's and backends' repositories, releases to 26.09, and scrapes of 2.51.0. The core's counters
have no `_total` and count microseconds; with a language-model backend a request leaves the core's pending
count as soon as the backend takes it, so the backend's own queue is read too. The vLLM backend copies eight
families of vLLM's V0 names with labels `model` and `version`; it and the TensorRT-LLM backend must be asked
for them.
"""

from __future__ import annotations

from catalog.engines.base import EngineCatalog, Ignored, SeriesMapping
from catalog.engines.fingerprints import FINGERPRINTS

_MICRO = 1e-6
_MILLI = 1e-3

_CORE = (
    SeriesMapping(
        "llm_requests_waiting",
        "nv_inference_pending_request_count",
        "gauge",
        note="received by the core and not yet executing in a backend",
    ),
    SeriesMapping(
        "llm_requests_total",
        "nv_inference_request_success",
        "counter",
        fixed={"reason": "stop"},
        note="Triton does not tell stop from length; errors of a python backend may count as success",
    ),
    SeriesMapping(
        "llm_requests_total",
        "nv_inference_request_failure",
        "counter",
        labels={"reason": "reason"},
        values={"reason": {"CANCELED": "abort", "*": "error"}},
        fixed={"reason": "error"},
        note="older servers have no reason label",
    ),
    SeriesMapping("llm_requests_failed_total", "nv_inference_request_failure", "counter", labels={"reason": "reason"}),
    SeriesMapping(
        "llm_requests_rejected_total",
        "nv_inference_request_failure",
        "counter",
        select={"reason": "REJECTED"},
        labels={"reason": "reason"},
        note="queue timeouts; requests refused because the queue is full stand in the log only",
    ),
    SeriesMapping("llm_engine_steps_total", "nv_inference_exec_count", "counter"),
    SeriesMapping("llm_request_duration_seconds", "nv_inference_request_duration_us", "counter", _MICRO, part="sum"),
    SeriesMapping("llm_request_duration_seconds", "nv_inference_request_success", "counter", part="count"),
    SeriesMapping("llm_request_queue_seconds", "nv_inference_queue_duration_us", "counter", _MICRO, part="sum"),
    SeriesMapping("llm_request_queue_seconds", "nv_inference_request_success", "counter", part="count"),
    SeriesMapping(
        "llm_request_inference_seconds",
        "nv_inference_compute_infer_duration_us",
        "counter",
        _MICRO,
        part="sum",
        note="requests served from the response cache are left out",
    ),
    SeriesMapping("llm_request_inference_seconds", "nv_inference_request_success", "counter", part="count"),
    SeriesMapping(
        "llm_time_to_first_token_seconds",
        "nv_inference_first_response_histogram_ms",
        "histogram",
        _MILLI,
        note="needs --metrics-config histogram_latencies=true",
    ),
)


def _trt(signal: str, family: str, label: str, value: str, *, factor: bool = False) -> SeriesMapping:
    return SeriesMapping(signal, f"nv_trt_llm_{family}", "gauge", select={label: value}, factor=factor)


_TENSORRT_LLM_BACKEND = (
    _trt("llm_requests_running", "request_metrics", "request_type", "scheduled"),
    _trt("llm_requests_waiting", "request_metrics", "request_type", "waiting"),
    _trt("llm_requests_running_limit", "request_metrics", "request_type", "max"),
    _trt(
        "llm_requests_swapped",
        "inflight_batcher_metrics",
        "inflight_batcher_specific_metric",
        "paused_requests",
    ),
    _trt("llm_kv_cache_usage_ratio", "kv_cache_block_metrics", "kv_cache_block_type", "fraction"),
    _trt("llm_kv_cache_capacity_tokens", "kv_cache_block_metrics", "kv_cache_block_type", "max", factor=True),
    _trt(
        "llm_kv_cache_capacity_tokens",
        "kv_cache_block_metrics",
        "kv_cache_block_type",
        "tokens_per",
        factor=True,
    ),
    _trt("llm_engine_steps_total", "general_metrics", "general_type", "iteration_counter"),
    SeriesMapping("llm_request_prompt_tokens", "nv_llm_input_token_len", "histogram"),
    SeriesMapping("llm_prompt_tokens_total", "nv_llm_input_token_len_sum", "counter"),
    SeriesMapping("llm_request_generation_tokens", "nv_llm_output_token_len", "histogram"),
    SeriesMapping("llm_generation_tokens_total", "nv_llm_output_token_len_sum", "counter"),
)

_VLLM_BACKEND = (
    SeriesMapping("llm_prompt_tokens_total", "vllm:prompt_tokens_total", "counter"),
    SeriesMapping("llm_generation_tokens_total", "vllm:generation_tokens_total", "counter"),
    SeriesMapping("llm_time_to_first_token_seconds", "vllm:time_to_first_token_seconds", "histogram"),
    SeriesMapping(
        "llm_inter_token_latency_seconds",
        "vllm:time_per_output_token_seconds",
        "histogram",
        note="one observation a token gap, as in the V0 code that it copies",
    ),
    SeriesMapping(
        "llm_request_duration_seconds",
        "vllm:e2e_request_latency_seconds",
        "histogram",
        note="the core's own duration of the same model is merged by max",
    ),
    SeriesMapping("llm_request_prompt_tokens", "vllm:request_prompt_tokens", "histogram"),
    SeriesMapping("llm_request_generation_tokens", "vllm:request_generation_tokens", "histogram"),
)

_IGNORED = (
    Ignored(r"nv_inference_count", "inferences, which is requests times their batch dimension"),
    Ignored(r"nv_inference_compute_(input|output)_duration_us", "copying inputs and outputs"),
    Ignored(r"nv_inference_.*summary_us", "quantiles over a sliding window, opt-in"),
    Ignored(r"nv_cache_.*", "the response cache, which is no KV cache"),
    Ignored(r"nv_(gpu|energy)_.*", "the GPU, read from NVML or DCGM instead"),
    Ignored(r"nv_(cpu|pinned_memory_pool|model_load)_.*", "the host process"),
    Ignored(
        r"nv_trt_llm_(runtime_memory|v1|disaggregated_serving)_metrics",
        "allocator, V1 batcher, transfer detail",
    ),
    Ignored(r"vllm:request_params_.*", "what clients asked for, not what ran"),
)

TRITON = EngineCatalog(
    name="triton",
    title="Triton Inference Server",
    fingerprint=FINGERPRINTS["triton"],
    mappings=(*_CORE, *_TENSORRT_LLM_BACKEND, *_VLLM_BACKEND),
    ignored=_IGNORED,
    model_label="model",
    ports=(8002,),
    opt_in="vLLM backend: REPORT_CUSTOM_METRICS in config.pbtxt; first-response histogram: --metrics-config",
    version_path="/v2",
    source="triton-inference-server core, server, tensorrtllm_backend, vllm_backend to 26.09",
)
