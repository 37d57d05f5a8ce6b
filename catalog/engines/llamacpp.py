"""llama.cpp's `llama-server`. It has no histograms, no error counter and, since 2025, no KV-cache series.

Source: tools/server of llama.cpp and scrapes of build b10434. `/metrics` answers 501 without `--metrics`.
"""

from __future__ import annotations

from catalog.engines.base import EngineCatalog, Ignored, SeriesMapping
from catalog.engines.fingerprints import FINGERPRINTS

_MAPPINGS = (
    SeriesMapping(
        "llm_requests_running",
        "llamacpp:requests_processing",
        "gauge",
        note="busy slots; requests shorter than the scrape interval are missed",
    ),
    SeriesMapping("llm_requests_waiting", "llamacpp:requests_deferred", "gauge"),
    SeriesMapping(
        "llm_kv_cache_usage_ratio",
        "llamacpp:kv_cache_usage_ratio",
        "gauge",
        note="removed in 2025 by pull request 13660",
    ),
    SeriesMapping(
        "llm_kv_cache_used_tokens",
        "llamacpp:kv_cache_tokens",
        "gauge",
        note="removed together with the ratio",
    ),
    SeriesMapping(
        "llm_prompt_tokens_total",
        "llamacpp:prompt_tokens_total",
        "counter",
        note="tokens processed; cached ones are counted apart",
    ),
    SeriesMapping("llm_prompt_tokens_cached_total", "llamacpp:prompt_tokens_cached_total", "counter"),
    SeriesMapping("llm_generation_tokens_total", "llamacpp:tokens_predicted_total", "counter"),
    SeriesMapping("llm_request_prefill_seconds", "llamacpp:prompt_seconds_total", "counter", part="sum"),
    SeriesMapping(
        "llm_request_decode_seconds",
        "llamacpp:tokens_predicted_seconds_total",
        "counter",
        part="sum",
        note="added up over slots",
    ),
    SeriesMapping("llm_engine_steps_total", "llamacpp:n_decode_total", "counter"),
    SeriesMapping(
        "llm_slots_busy_mean",
        "llamacpp:n_busy_slots_per_decode",
        "gauge",
        note="a lifetime mean, typed counter by older builds",
    ),
    SeriesMapping("llm_spec_decode_draft_tokens_total", "llamacpp:spec_decode_num_draft_tokens_total", "counter"),
    SeriesMapping("llm_spec_decode_accepted_tokens_total", "llamacpp:spec_decode_num_accepted_tokens_total", "counter"),
    SeriesMapping("llm_spec_decode_drafts_total", "llamacpp:spec_decode_num_drafts_total", "counter"),
)

_IGNORED = (
    Ignored(
        r"llamacpp:(prompt|predicted)_tokens_seconds",
        "tokens per second of one slot since the last scrape, 0 when idle: two scrapers disturb each other",
    ),
    Ignored(r"llamacpp:n_tokens_max", "a maximum typed counter: the longest sequence so far"),
    Ignored(r"llamacpp:n_past_max", "a maximum typed counter, older name"),
    Ignored(r"llamacpp:spec_decode_num_accepted_tokens_per_pos_total", "acceptance by position"),
)

LLAMACPP = EngineCatalog(
    name="llamacpp",
    title="llama.cpp",
    fingerprint=FINGERPRINTS["llamacpp"],
    mappings=_MAPPINGS,
    ignored=_IGNORED,
    ports=(8080,),
    opt_in="--metrics",
    version_path="/props",
    version_key="build_info",
    source="llama.cpp tools/server; builds to b10434",
)
