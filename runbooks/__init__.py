"""The runbooks: one page for each cause that a diagnosis can name and for each alert, in Markdown, in the package.

Every page has the same four headings: Meaning, Impact, Diagnosis, Mitigation. `README.md` in this package
says how the pages mark versions and engines.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

HEADINGS: tuple[str, ...] = ("Meaning", "Impact", "Diagnosis", "Mitigation")
"""The second-level headings of every page, in this order."""

FAMILIES: Mapping[str, str] = MappingProxyType(
    {"oom": "oom", "thr": "throughput", "ttft": "ttft", "crash": "crash", "hang": "hang"}
)
"""First part of a cause's id -> its family."""

PAGES: tuple[str, ...] = (
    "oom_weights_do_not_fit",
    "oom_kv_cache_no_blocks",
    "oom_max_len_exceeds_kv_cache",
    "oom_gpu_memory_shared_with_other_process",
    "oom_activation_peak_profile_run",
    "oom_cudagraph_capture",
    "oom_runtime_kv_pressure_or_fragmentation",
    "oom_multimodal_encoder",
    "oom_lora",
    "oom_logits_or_sampler",
    "oom_host_memory",
    "oom_shm",
    "oom_swap_space_pinned",
    "thr_enforce_eager",
    "thr_preemption_thrash",
    "thr_small_batch_or_max_num_seqs",
    "thr_insufficient_load",
    "thr_cpu_bound_frontend_or_tokenizer",
    "thr_tp_over_pcie_or_comm",
    "thr_slow_attention_backend_fallback",
    "thr_quantization_slow_kernel",
    "thr_guided_decoding",
    "thr_logging_or_metrics_overhead",
    "thr_gpu_throttled",
    "thr_model_loading_slow",
    "thr_spec_decode_low_acceptance",
    "thr_requests_rejected_queue_full",
    "thr_client_disconnects",
    "ttft_queueing",
    "ttft_long_prefill",
    "ttft_chunked_prefill_off_or_misconfigured",
    "ttft_cold_start_or_compile",
    "ttft_prefix_cache_miss_or_off",
    "ttft_multimodal_preprocessing",
    "ttft_decode_starvation",
    "crash_nccl_or_distributed_init",
    "crash_engine_dead_killed",
    "crash_engine_dead_cuda_error",
    "crash_xid_or_gpu_lost",
    "crash_driver_or_cuda_mismatch",
    "crash_unsupported_arch_or_dtype",
    "crash_model_config_or_tokenizer",
    "crash_context_length_request_error",
    "crash_ray_cluster",
    "crash_port_in_use",
    "crash_pod_not_started",
    "crash_backend_request_error",
    "crash_unrecognised_exception",
    "hang_shm_broadcast",
    "hang_engine_stuck",
)
"""The ids of all causes that have a page, family by family."""


@cache
def page(cause_id: str) -> str:
    """The page of a cause as Markdown. Raises KeyError for an id without a page."""
    if cause_id not in PAGES:
        raise KeyError(cause_id)
    from importlib.resources import files

    return files("runbooks").joinpath("causes", f"{cause_id}.md").read_text(encoding="utf-8")


def title(cause_id: str) -> str:
    """The short title in the first line of a page. Raises KeyError for an id without a page."""
    return page(cause_id).splitlines()[0].partition(": ")[2]


def family(cause_id: str) -> str:
    """The family of a cause by its id: oom, throughput, ttft, crash or hang."""
    return FAMILIES[cause_id.partition("_")[0]]


@cache
def alert_page(alert: str) -> str:
    """The page of an alert as Markdown. Raises KeyError for a name without a page."""
    from importlib.resources import files

    page_file = files("runbooks").joinpath("alerts", f"{alert}.md")
    if not alert.isalnum() or not page_file.is_file():
        raise KeyError(alert)
    return page_file.read_text(encoding="utf-8")
