"""How each engine is recognised, apart from the tables, so that recognising one loads none of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from catalog.engines.base import Fingerprint

FINGERPRINTS: Mapping[str, Fingerprint] = MappingProxyType(
    {
        "triton": Fingerprint(
            prefixes=("nv_inference_", "nv_trt_llm_", "nv_llm_"),
            names=(
                "nv_gpu_utilization",
                "nv_gpu_memory_used_bytes",
                "nv_gpu_power_usage",
                "nv_energy_consumption",
                "nv_cache_num_lookups",
                "nv_cpu_utilization",
                "nv_pinned_memory_pool_used_bytes",
            ),
            needed=2,
        ),
        "vllm": Fingerprint(prefixes=("vllm:", "ray_vllm:", "ray_vllm_")),
        "sglang": Fingerprint(prefixes=("sglang:",)),
        "tgi": Fingerprint(
            names=(
                "tgi_queue_size",
                "tgi_batch_current_size",
                "tgi_batch_current_max_tokens",
                "tgi_batch_inference_count",
                "tgi_batch_inference_duration",
                "tgi_batch_next_size",
                "tgi_request_count",
                "tgi_request_success",
                "tgi_request_duration",
                "tgi_request_queue_duration",
                "tgi_request_generated_tokens",
                "tgi_request_input_length",
            )
        ),
        "llamacpp": Fingerprint(prefixes=("llamacpp:",)),
        "tensorrt_llm": Fingerprint(prefixes=("trtllm_",)),
        "dynamo": Fingerprint(prefixes=("dynamo_frontend_", "dynamo_component_", "dynamo_router_")),
        "lmdeploy": Fingerprint(prefixes=("lmdeploy:",)),
        "sglang_router": Fingerprint(prefixes=("smg_",)),
        "vllm_router": Fingerprint(prefixes=("vllm_router_",)),
        "kserve": Fingerprint(
            prefixes=("revision_app_request_", "kn_serving_"),
            names=(
                "request_preprocess_seconds",
                "request_predict_seconds",
                "request_postprocess_seconds",
                "request_explain_seconds",
                "revision_request_count",
                "revision_request_latencies",
                "revision_queue_depth",
            ),
            needed=2,
        ),
    }
)
"""Engine name -> fingerprint. Order is precedence: a server that shows several sets (Triton with its vLLM
backend, KServe's runtime around vLLM) is the first that matches."""
