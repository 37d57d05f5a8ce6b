"""Names of metrics, held against the catalogue."""

from __future__ import annotations

import pytest

from catalog.engines import ENGINES
from catalog.recorded import RECORDED
from catalog.signals import SIGNALS
from troubleshoot.preflight.metric_names import gone, known, names_in, suggestion


@pytest.mark.parametrize(
    ("name", "exact", "adapted"),
    [
        ("vllm:num_requests_waiting", True, True),
        ("vllm_num_requests_waiting", False, True),
        ("vllm_queue_size", False, False),
        ("vllm:generation_tokens", False, True),  # an adapter drops _total
        ("tgi_queue_size", True, True),
        ("tgi_request_duration_bucket", True, True),
        ("tgi_request_duration_seconds_bucket", False, False),
        ("llm_requests_waiting", True, True),
        ("DCGM_FI_DEV_GPU_UTIL", True, True),
        ("kube_pod_status_ready", True, True),
        ("our_queue", None, None),
        ("shop_orders_total", None, None),
    ],
)
def test_known(name: str, exact: bool | None, adapted: bool | None) -> None:
    assert known(name) is exact
    assert known(name, adapted=True) is adapted


def test_everything_in_the_catalogue_is_known() -> None:
    series = {mapping.series for engine in ENGINES.values() for mapping in engine.mappings}
    assert [name for name in sorted(series | set(SIGNALS) | set(RECORDED)) if not known(name)] == []


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("vllm_queue_size", "vllm:num_requests_waiting"),
        ("vllm_num_requests_waiting", "vllm:num_requests_waiting"),
        ("vllm_num_generation_tokens_total", "vllm:generation_tokens_total"),
        ("vllm_request_duration_seconds_bucket", "vllm:e2e_request_latency_seconds_bucket"),
        ("tgi_request_duration_seconds_bucket", "tgi_request_duration_bucket"),
        ("sglang_queue_length", "sglang:num_queue_reqs"),
        ("vllm_xyzzy", ""),
        ("ours", ""),
    ],
)
def test_suggestions_exist(name: str, good: str) -> None:
    assert suggestion(name) == good
    assert not good or known(good)


def test_a_name_that_a_release_has_not() -> None:
    mapping = gone("vllm:kv_cache_usage_perc", "vllm", "0.3.0")
    assert mapping is not None
    assert gone("vllm:kv_cache_usage_perc", "vllm", "0.24.0") is None
    assert gone("vllm:kv_cache_usage_perc", "vllm", "") is None
    assert gone("vllm:num_requests_waiting", "vllm", "0.3.0") is None


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ('sum(rate(a:b{x="c(d)",y=~"e.*"}[5m])) by (pod, f) > 0.5', ["a:b"]),
        ("avg_over_time(g[10m:1m] offset 5m) unless on (h) i and j == bool 1e3", ["g", "i", "j"]),
        ("histogram_quantile(0.99, sum by (le) (rate(k_bucket[5m])))", ["k_bucket"]),
        ("l / ignoring(m) group_left(n) o", ["l", "o"]),
        ("'p' + `q`", []),
        ("r" * 30_000, []),
        ("vector(1) + time()", []),
    ],
)
def test_names_in_a_query(query: str, names: list[str]) -> None:
    assert list(names_in(query)) == names
