"""The canonical schema: Prometheus conventions hold for every signal."""

from __future__ import annotations

from catalog.engines import ENGINES
from catalog.kubernetes import KUBERNETES
from catalog.signals import OTEL_NAMES, SIGNALS, SUCCESS_REASONS

DESIGNED = {
    "llm_up",
    "llm_engine_info",
    "llm_requests_running",
    "llm_requests_waiting",
    "llm_requests_swapped",
    "llm_kv_cache_usage_ratio",
    "llm_kv_cache_capacity_tokens",
    "llm_prefix_cache_queries_total",
    "llm_prefix_cache_hits_total",
    "llm_preemptions_total",
    "llm_engine_steps_total",
    "llm_prompt_tokens_total",
    "llm_generation_tokens_total",
    "llm_requests_total",
    "llm_time_to_first_token_seconds",
    "llm_inter_token_latency_seconds",
    "llm_time_per_output_token_seconds",
    "llm_request_duration_seconds",
    "llm_request_queue_seconds",
    "llm_request_prefill_seconds",
    "llm_request_decode_seconds",
    "llm_request_prompt_tokens",
    "llm_request_generation_tokens",
    "llm_spec_decode_draft_tokens_total",
    "llm_spec_decode_accepted_tokens_total",
    "inferwatch_gpu_up",
    "inferwatch_gpu_xid_errors_total",
    "inferwatch_pod_gpu_info",
}
MADE_BY_INFERWATCH = {"llm_up", "llm_engine_info"}


def test_every_series_of_the_schema_is_there() -> None:
    assert set(SIGNALS) >= DESIGNED


def test_names_follow_the_conventions() -> None:
    for name, signal in SIGNALS.items():
        assert signal.name == name
        assert name.endswith("_total") == (signal.kind == "counter"), name
        assert name.endswith("_info") == (signal.kind == "info"), name
        assert signal.unit != "ratio" or name.endswith("_ratio"), name
        assert signal.unit not in ("seconds", "bytes") or signal.unit in name, name
        assert signal.meaning.endswith("."), name


def test_ratios_are_never_added() -> None:
    assert all(signal.combine == "max" for signal in SIGNALS.values() if signal.unit in ("ratio", "bool", "1"))


def test_every_engine_signal_is_fed_by_some_engine() -> None:
    fed = {mapping.signal for engine in ENGINES.values() for mapping in engine.mappings}
    engine_signals = {name for name in SIGNALS if name.startswith("llm_")}
    assert engine_signals - fed == MADE_BY_INFERWATCH


def test_opentelemetry_names_are_of_known_histograms() -> None:
    assert all(SIGNALS[name].kind == "histogram" for name in OTEL_NAMES)


def test_success_is_stop_and_length() -> None:
    assert SUCCESS_REASONS == ("stop", "length")


def test_kubernetes_series_carry_their_name() -> None:
    assert all(name == series.name and series.labels for name, series in KUBERNETES.items())
    assert {"kube_pod_container_status_restarts_total", "container_oom_events_total"} <= set(KUBERNETES)
