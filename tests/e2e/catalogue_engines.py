"""An engine that exposes all that the catalogue knows of it, as canonical series over 40 minutes.

Its page is made of the catalogue's mappings: every raw series in every spelling, with the labels that they read. It
serves an even load, and passes through the exporter's relabeller, as a real page does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from catalog.engines.base import EngineCatalog, SeriesMapping
from catalog.exposition import Sample
from catalog.latency_bounds import LATENCY_BOUNDS_SECONDS
from catalog.signals import SIGNALS
from exporter.engines.canonical import CanonicalSeries
from exporter.engines.relabel import Relabeller
from tests.alerts.stretched import Written, relabelled, written

CONTAINER = "engine"
CAPACITY_TOKENS = 160_000
BLOCK_TOKENS = 16
REQUESTS_PER_SECOND = 2.0

# Signal -> observations a second and their mean, in the signal's unit.
HISTOGRAMS: Mapping[str, tuple[float, float]] = {
    "llm_time_to_first_token_seconds": (REQUESTS_PER_SECOND, 0.6),
    "llm_inter_token_latency_seconds": (400, 0.02),
    "llm_time_per_output_token_seconds": (REQUESTS_PER_SECOND, 0.03),
    "llm_request_duration_seconds": (REQUESTS_PER_SECOND, 5.0),
    "llm_request_queue_seconds": (REQUESTS_PER_SECOND, 0.4),
    "llm_request_prefill_seconds": (REQUESTS_PER_SECOND, 0.2),
    "llm_request_decode_seconds": (REQUESTS_PER_SECOND, 4.4),
    "llm_request_inference_seconds": (REQUESTS_PER_SECOND, 4.6),
    "llm_request_prompt_tokens": (REQUESTS_PER_SECOND, 400),
    "llm_request_generation_tokens": (REQUESTS_PER_SECOND, 200),
    "llm_step_tokens": (20, 60),
    "llm_step_duration_seconds": (20, 0.045),
}
# Signal -> its rise a second; of those with a reason, of all reasons together.
COUNTERS: Mapping[str, float] = {
    "llm_requests_total": REQUESTS_PER_SECOND,
    "llm_requests_received_total": REQUESTS_PER_SECOND,
    "llm_requests_failed_total": 0.02,
    "llm_requests_rejected_total": 0.01,
    "llm_http_requests_total": REQUESTS_PER_SECOND,
    "llm_preemptions_total": 0.05,
    "llm_prefix_cache_queries_total": 800,
    "llm_prefix_cache_hits_total": 300,
    "llm_prompt_tokens_total": 800,
    "llm_prompt_tokens_cached_total": 300,
    "llm_generation_tokens_total": 400,
    "llm_spec_decode_draft_tokens_total": 300,
    "llm_spec_decode_accepted_tokens_total": 200,
    "llm_spec_decode_drafts_total": 100,
    "llm_engine_steps_total": 20,
    "llm_estimated_flops_per_gpu_total": 2e13,
    "llm_estimated_read_bytes_per_gpu_total": 1e12,
    "llm_estimated_write_bytes_per_gpu_total": 1e11,
    "llm_process_cpu_seconds_total": 0.4,
}
# Signal -> its lowest and highest value.
GAUGES: Mapping[str, tuple[float, float]] = {
    "llm_requests_running": (6, 14),
    "llm_requests_waiting": (0, 3),
    "llm_requests_waiting_by_reason": (0, 2),
    "llm_requests_swapped": (0, 1),
    "llm_requests_running_limit": (32, 32),
    "llm_kv_cache_usage_ratio": (0.3, 0.7),
    "llm_kv_cache_capacity_tokens": (CAPACITY_TOKENS, CAPACITY_TOKENS),
    "llm_kv_cache_used_tokens": (48_000, 112_000),
    "llm_kv_cache_reserved_tokens": (50_000, 120_000),
    "llm_prefix_cache_hit_ratio": (0.3, 0.45),
    "llm_slots_busy_mean": (2, 3),
    "llm_engine_sleep_state": (1, 1),
    "llm_process_resident_memory_bytes": (2e9, 2.2e9),
}
# Raw values of a canonical label that engines write freely, with their shares.
LABEL_VALUES: Mapping[str, Mapping[str, float]] = {
    "reason": {"capacity": 0.7, "validation": 0.3},
    "handler": {"/v1/completions": 1.0},
    "code_class": {"200": 0.97, "404": 0.02, "500": 0.01},
    "phase": {"decode": 1.0, "prefill": 1.0},
    "state": {"awake": 1.0},
}
_FINISHED = {"stop": 0.8, "length": 0.15, "abort": 0.03, "error": 0.01, "other": 0.01}
# The engine's process names no model in these.
WITHOUT_MODEL = frozenset(
    {"llm_process_cpu_seconds_total", "llm_process_resident_memory_bytes", "llm_process_start_time_seconds"}
    | {"llm_http_requests_total", "llm_kv_cache_capacity_tokens"}
)
_PERIOD_SECONDS = 900.0


def place_of(engine: EngineCatalog) -> dict[str, str]:
    """The labels of the one pod that serves this engine, in a namespace that is called like it."""
    name = engine.name.replace("_", "-")
    return {"node": "node-a", "namespace": name, "pod": f"{name}-0", "container": CONTAINER}


def bounds_of(engine: str, signal: str) -> tuple[float, ...]:
    """The finite bucket bounds of an engine's histogram: those that are known of it, or else such as engines have."""
    known = LATENCY_BOUNDS_SECONDS.get((engine, signal))
    if known is not None:
        return known
    if SIGNALS[signal].unit == "tokens":
        return tuple(float(2**power) for power in range(15))
    return (0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0)


def canonical_series(engine: EngineCatalog, times: list[float], begun: float) -> Iterator[tuple[float, Written]]:
    """What the exporter would have served of this engine at these times; it was started at `begun` (unix seconds)."""
    relabeller = Relabeller(CanonicalSeries(engine, ""), place_of(engine), max_series=20_000)
    for at in times:
        page = "".join(f"{head} {value!r}\n" for head, value in page_of(engine, at, begun).items())
        scrape = relabeller.relabel(page.encode())
        assert not scrape.bad_lines, engine.name
        own = {"engine": engine.name, "rank": "0", **place_of(engine)}
        own |= {"model": relabeller.models[0]} if len(relabeller.models) == 1 else {}
        yield at, written(Sample("llm_up", own, 1.0, None))
        yield at, written(Sample("llm_engine_info", {**own, "version": "1.0.0"}, 1.0, None))
        for sample in relabelled(scrape.section):
            yield at, sample


def page_of(engine: EngineCatalog, at: float, begun: float) -> dict[str, float]:
    """The engine's page at a time: values by series."""
    page: dict[str, float] = {}
    # A counter may be a part of a histogram, or of another mapping's: the first to give it its value is right for both.
    for mapping in sorted(engine.mappings, key=lambda one: one.kind != "histogram"):
        for name, labels, value in _raw(engine, mapping, at, begun):
            text = ",".join(f'{label}="{one}"' for label, one in sorted(labels.items()))
            page.setdefault(f"{name}{{{text}}}", value)
    return page


def _raw(
    engine: EngineCatalog, mapping: SeriesMapping, at: float, begun: float
) -> Iterator[tuple[str, dict[str, str], float]]:
    for labels, share in _label_sets(engine, mapping):
        if mapping.kind == "histogram":
            yield from _histogram(engine, mapping, labels, share, at - begun)
        elif mapping.value_labels:
            sizes = {name: str(BLOCK_TOKENS if number else CAPACITY_TOKENS // BLOCK_TOKENS)
                     for number, name in enumerate(mapping.value_labels[-1])}  # fmt: skip
            yield mapping.series, {**labels, **sizes}, 1.0
        elif mapping.factor:
            yield mapping.series, labels, _factor(engine, mapping)
        else:
            yield mapping.series, labels, _value(mapping, at, begun) * share / mapping.scale


def _label_sets(engine: EngineCatalog, mapping: SeriesMapping) -> Iterator[tuple[dict[str, str], float]]:
    """The label sets of a raw series, each with its share of the signal."""
    common = {**mapping.select}
    if engine.model_label and mapping.signal not in WITHOUT_MODEL:
        common[engine.model_label] = f"model-of-{engine.name}"
    if engine.rank_labels:
        common[engine.rank_labels[0]] = "0"
    free = {raw: canonical for raw, canonical in mapping.labels.items() if raw not in mapping.select}
    if not free:
        fixed = mapping.fixed.get("reason", "") if mapping.signal == "llm_requests_total" else ""
        yield common, 1.0 if fixed in {"", "stop"} else _FINISHED[fixed]
        return
    for values, share in _combinations(mapping, free):
        yield {**common, **values}, share


def _combinations(mapping: SeriesMapping, free: Mapping[str, str]) -> Iterator[tuple[dict[str, str], float]]:
    found: list[tuple[dict[str, str], float]] = [({}, 1.0)]
    for raw, canonical in free.items():
        found = [
            ({**labels, raw: value}, share * part)
            for labels, share in found
            for value, part in _values(mapping, canonical).items()
        ]
    yield from found


def _values(mapping: SeriesMapping, canonical: str) -> Mapping[str, float]:
    renamed = mapping.values.get(canonical)
    if renamed is None:
        return LABEL_VALUES[canonical]
    if mapping.signal != "llm_requests_total":
        return dict.fromkeys((raw for raw in renamed if raw != "*"), 1.0)
    # Several raw values may become one.
    return {"unheard of" if raw == "*" else raw: _FINISHED[ours] for raw, ours in renamed.items()}


def _histogram(
    engine: EngineCatalog, mapping: SeriesMapping, labels: dict[str, str], share: float, seconds: float
) -> Iterator[tuple[str, dict[str, str], float]]:
    rate, mean = HISTOGRAMS[mapping.signal]
    count = math.floor(rate * share * seconds)
    bounds = bounds_of(engine.name, mapping.signal)
    for bound in bounds:
        below = math.floor(count * (1 - math.exp(-bound / mean)))
        yield f"{mapping.series}_bucket", {**labels, "le": f"{bound / mapping.scale:.12g}"}, float(below)
    yield f"{mapping.series}_bucket", {**labels, "le": "+Inf"}, float(count)
    yield f"{mapping.series}_count", labels, float(count)
    yield f"{mapping.series}_sum", labels, count * mean / mapping.scale


def _factor(engine: EngineCatalog, mapping: SeriesMapping) -> float:
    """Blocks, and tokens a block: the first mapping of a product is the number of blocks."""
    factors = [one for one in engine.mappings_of(mapping.signal) if one.factor]
    return float(CAPACITY_TOKENS // BLOCK_TOKENS if mapping is factors[0] else BLOCK_TOKENS)


def _value(mapping: SeriesMapping, at: float, begun: float) -> float:
    signal = mapping.signal
    if signal == "llm_process_start_time_seconds":
        return begun
    if signal in HISTOGRAMS:
        rate, mean = HISTOGRAMS[signal]
        return math.floor(rate * (at - begun)) * (mean if mapping.part == "sum" else 1.0)
    if signal in COUNTERS:
        return COUNTERS[signal] * (at - begun)
    low, high = GAUGES[signal]
    return low + (high - low) * (0.5 + 0.5 * math.sin(2 * math.pi * at / _PERIOD_SECONDS))
