"""Routers in front of engines: sglang-router (`smg_*`) and vllm-router (`vllm_router_*`).

Source: scrapes of sglang-router 0.3.2 and vllm-router 0.1.17. Neither has a queue series. Their request
counters are of the router, beside those of the engines behind it: never add the two.
"""

from __future__ import annotations

from catalog.engines.base import EngineCatalog, Ignored, SeriesMapping
from catalog.engines.fingerprints import FINGERPRINTS

SGLANG_ROUTER = EngineCatalog(
    name="sglang_router",
    title="sglang-router",
    fingerprint=FINGERPRINTS["sglang_router"],
    mappings=(
        SeriesMapping("llm_requests_received_total", "smg_router_requests_total", "counter"),
        SeriesMapping(
            "llm_http_requests_total",
            "smg_http_responses_total",
            "counter",
            labels={"status_code": "code_class"},
        ),
        SeriesMapping("llm_request_duration_seconds", "smg_router_request_duration_seconds", "histogram"),
        SeriesMapping("llm_time_to_first_token_seconds", "smg_router_ttft_seconds", "histogram"),
        SeriesMapping("llm_time_per_output_token_seconds", "smg_router_tpot_seconds", "histogram"),
    ),
    ignored=(
        Ignored(r"smg_http_.*", "every HTTP path, health checks included"),
        Ignored(r"smg_router_.*", "detail by upstream"),
        Ignored(r"smg_.*", "workers, circuit breakers, policies"),
    ),
    model_label="model",
    ports=(29000,),
    source="sglang-router 0.3.2",
)

VLLM_ROUTER = EngineCatalog(
    name="vllm_router",
    title="vllm-router",
    fingerprint=FINGERPRINTS["vllm_router"],
    mappings=(
        SeriesMapping("llm_requests_received_total", "vllm_router_requests_total", "counter", note="sum of all routes"),
        SeriesMapping("llm_request_duration_seconds", "vllm_router_generate_duration_seconds", "histogram"),
    ),
    ignored=(Ignored(r"vllm_router_.*", "workers, circuit breakers, retries, policies"),),
    ports=(29000,),
    source="vllm-router 0.1.17",
)
