"""KServe's Python model server, and Knative's queue-proxy in front of it.

Source: kserve's Python server (histograms without a prefix) and knative/serving: component `revision` with
milliseconds to 1.18, OpenTelemetry names with seconds from 1.19 (their Prometheus spelling was not seen in a
scrape). KServe's vLLM runtime exposes vLLM's own series, and is recognised as vLLM.
"""

from __future__ import annotations

from catalog.engines.base import PROCESS_MAPPINGS, EngineCatalog, Ignored, SeriesMapping
from catalog.engines.fingerprints import FINGERPRINTS

_MILLI = 1e-3

_MAPPINGS = (
    SeriesMapping("llm_request_duration_seconds", "request_predict_seconds", "histogram"),
    SeriesMapping("llm_requests_waiting", "kn_serving_queue_depth", "gauge", since=(1, 19)),
    SeriesMapping("llm_requests_waiting", "revision_queue_depth", "gauge", until=(1, 18)),
    SeriesMapping(
        "llm_request_duration_seconds",
        "kn_serving_invocation_duration_seconds",
        "histogram",
        since=(1, 19),
    ),
    SeriesMapping("llm_request_duration_seconds", "revision_request_latencies", "histogram", _MILLI, until=(1, 18)),
    SeriesMapping(
        "llm_http_requests_total",
        "kn_serving_invocation_duration_seconds_count",
        "counter",
        labels={"http_response_status_code": "code_class"},
        since=(1, 19),
    ),
    SeriesMapping(
        "llm_http_requests_total",
        "revision_request_count",
        "counter",
        labels={"response_code": "code_class", "response_code_class": "code_class"},
        until=(1, 18),
    ),
)

KSERVE = EngineCatalog(
    name="kserve",
    title="KServe",
    fingerprint=FINGERPRINTS["kserve"],
    mappings=(*_MAPPINGS, *PROCESS_MAPPINGS),
    ignored=(
        Ignored(r"request_(preprocess|postprocess|explain)_seconds", "steps around the prediction"),
        Ignored(r"revision_.*|kn_serving_.*", "the user container behind the proxy, and the proxy itself"),
    ),
    model_label="model_name",
    ports=(8080, 9091),
    source="kserve python server; knative/serving queue-proxy to 1.19",
)
