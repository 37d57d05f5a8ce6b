"""Raw scrapes to canonical series: several engines, one scrape, restarts, garbage, names, versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from troubleshoot.metrics.load import Body, load_metrics

if TYPE_CHECKING:
    from tests.troubleshoot.conftest import Scrapes

VLLM = (
    b'vllm:num_requests_running{engine="0",model_name="llama-2-7b"} %d\n'
    b'vllm:generation_tokens_total{engine="0",model_name="llama-2-7b"} %d\n'
)


def test_scrapes_become_canonical_series_with_their_times() -> None:
    data = load_metrics([Body(0, 10.0, VLLM % (3, 100)), Body(0, 20.0, VLLM % (4, 400))])

    assert data.engine == "vllm"
    assert data.timeline.scrape_times == [10.0, 20.0]
    assert data.timeline.points("llm_requests_running") == [(10.0, 3), (20.0, 4)]
    assert data.timeline.rate("llm_generation_tokens_total", (10.0, 20.0)) == 30
    assert data.note == ""


def test_a_sample_s_own_time_goes_before_the_scrape_s() -> None:
    body = b"vllm:num_requests_running 3 1700000000.0\nvllm:num_requests_running 4 1700000002.0\n"

    assert load_metrics([Body(0, None, body)]).timeline.scrape_times == [1_700_000_000.0, 1_700_000_002.0]


def test_the_engine_s_own_name_of_a_series_is_kept_for_the_report() -> None:
    data = load_metrics([Body(0, 10.0, VLLM % (3, 100))])

    assert data.raw_names["llm_requests_running"] == "vllm:num_requests_running"


def test_a_histogram_s_own_name_is_kept_without_its_parts(scrapes: type[Scrapes]) -> None:
    data = load_metrics([Body(0, None, scrapes().phase(4, ttft=0.5, finished=1).text.encode())])

    assert data.raw_names["llm_time_to_first_token_seconds"] == "vllm:time_to_first_token_seconds"


def test_two_engines_in_one_file_are_both_read_and_the_one_with_more_series_goes_first() -> None:
    sglang = b"sglang:num_running_reqs 1\n"
    data = load_metrics([Body(0, 10.0, VLLM % (3, 100) + sglang), Body(0, 20.0, VLLM % (4, 400) + sglang)])

    assert data.engines == ("vllm", "sglang")
    engines = {series.labels["engine"] for series in data.timeline.all("llm_requests_running")}
    assert engines == {"vllm", "sglang"}


def test_a_single_scrape_has_gauges_and_no_rates(scrapes: type[Scrapes]) -> None:
    seen = scrapes().phase(10, running=7, waiting=3, kv=0.5, generation=100)
    data = load_metrics([Body(0, 5.0, seen.last_scrape.encode())])

    assert len(data.timeline.scrape_times) == 1
    assert data.timeline.last("llm_requests_running") == 7
    assert data.timeline.increase("llm_generation_tokens_total", (0.0, 10.0)) is None


def test_lines_that_are_no_samples_are_counted_and_named() -> None:
    data = load_metrics([Body(0, 10.0, b"!! proxy error\n" + VLLM % (3, 100) + b"half a li")])

    assert data.engine == "vllm"
    assert "2 lines" in data.note
    assert "proxy error" in data.note


def test_nothing_at_all_is_no_engine_and_no_error() -> None:
    for bodies in ([], [Body(0, 10.0, b"")], [Body(0, 10.0, b"<html><body>404</body></html>")]):
        data = load_metrics(bodies)
        assert data.engine == ""
        assert data.model == ""
        assert data.version == ""


@given(st.lists(st.tuples(st.none() | st.floats(0, 2e9), st.binary(max_size=300)), max_size=4))
def test_no_bytes_raise(bodies: list[tuple[float | None, bytes]]) -> None:
    load_metrics([Body(source, time_seconds, text) for source, (time_seconds, text) in enumerate(bodies)])


def test_series_of_gpu_process_and_cluster_keep_their_names() -> None:
    body = (
        b'DCGM_FI_DEV_FB_USED{gpu="0",modelName="NVIDIA H200"} 615\n'
        b'container_memory_working_set_bytes{pod="a"} 7\n'
        b'kube_pod_status_phase{pod="a"} 1\nup{job="a"} 1\nprocess_cpu_seconds_total 3\nfoo_total 9\n'
    )
    timeline = load_metrics([Body(0, 10.0, body)]).timeline

    for name in ("DCGM_FI_DEV_FB_USED", "container_memory_working_set_bytes", "kube_pod_status_phase", "up"):
        assert timeline.has(name)
    assert not timeline.has("foo_total")


def test_failed_scrapes_of_a_live_server_are_times_at_which_it_was_down() -> None:
    data = load_metrics([Body(0, 10.0, VLLM % (3, 100))], [(12.0, "connection refused")])

    assert data.timeline.points("up") == [(12.0, 0.0)]
    assert data.failures == ((12.0, "connection refused"),)


def test_model_and_version_are_read_from_labels() -> None:
    info = b'sglang:engine_info{version="0.5.2"} 1\nsglang:num_running_reqs{model_name="qwen"} 1\n'
    data = load_metrics([Body(0, 10.0, info)])

    assert (data.engine, data.version, data.model) == ("sglang", "0.5.2", "qwen")


def test_the_version_of_the_python_interpreter_is_not_the_engine_s() -> None:
    body = b'python_info{version="3.12.3"} 1\n' + VLLM % (3, 100)

    assert load_metrics([Body(0, 10.0, body)]).version == ""


def test_old_and_new_name_of_one_gauge_are_not_added() -> None:
    body = b'vllm:gpu_cache_usage_perc{model_name="m"} 0.5\nvllm:kv_cache_usage_perc{model_name="m"} 0.5\n'

    assert load_metrics([Body(0, 10.0, body)]).timeline.last("llm_kv_cache_usage_ratio", max) == 0.5


def test_a_restart_between_scrapes_does_not_count_backwards() -> None:
    data = load_metrics(
        [Body(0, 10.0, VLLM % (3, 9000)), Body(0, 20.0, VLLM % (1, 40)), Body(0, 30.0, VLLM % (1, 100))]
    )

    assert data.timeline.increase("llm_generation_tokens_total", (10.0, 30.0)) == 100
