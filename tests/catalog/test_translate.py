"""Raw samples to canonical ones: units, renames, repeats, parts and products, checked by hand."""

from __future__ import annotations

import pytest

from catalog.engines import ENGINES
from catalog.exposition import Sample, parse
from catalog.signals import SIGNALS
from catalog.translate import Route, Translator, combine, merged


def translated(engine: str, text: str, version: str = "") -> dict[tuple[str, ...], float]:
    """Translate an exposition: (name, label values without engine, model and rank 0) -> value."""
    samples = Translator(ENGINES[engine], version).translate_all(parse(text.encode()).samples)
    out = {}
    for sample in samples:
        rest = {k: v for k, v in sample.labels.items() if k not in ("engine", "model") and (k, v) != ("rank", "0")}
        out[sample.name, *rest.values()] = sample.value
    return out


def test_labels_are_reduced_to_canonical_ones() -> None:
    translator = Translator(ENGINES["vllm"])
    raw = {"model_name": "m", "engine": "3", "job": "vllm", "instance": "x:8000", "pod": "p"}
    assert translator.translate("vllm:num_requests_running", raw, 5.0) == [
        ("llm_requests_running", {"engine": "vllm", "model": "m", "rank": "3", "pod": "p"}, 5.0)
    ]


def test_a_histogram_keeps_its_bounds() -> None:
    translator = Translator(ENGINES["vllm"])
    name = "vllm:time_to_first_token_seconds_bucket"
    ((canonical, labels, value),) = translator.translate(name, {"le": "0.25", "model_name": "m"}, 4.0)
    assert (canonical, labels["le"], value) == ("llm_time_to_first_token_seconds_bucket", "0.25", 4.0)


def test_unknown_series_give_nothing() -> None:
    assert Translator(ENGINES["vllm"]).translate("vllm:made_up", {}, 1.0) == []
    assert Translator(ENGINES["vllm"]).translate("vllm:time_to_first_token_seconds_created", {}, 1.7e9) == []


def test_two_names_of_one_ratio_are_merged_by_max() -> None:
    text = 'vllm:gpu_cache_usage_perc{engine="0"} 0.5\nvllm:kv_cache_usage_perc{engine="0"} 0.6\n'
    assert translated("vllm", text) == {("llm_kv_cache_usage_ratio",): 0.6}


def test_two_names_of_one_counter_are_never_added() -> None:
    text = (
        'vllm:gpu_prefix_cache_hits_total{engine="0"} 100\nvllm:prefix_cache_hits_total{engine="0"} 100\n'
        'vllm:time_per_output_token_seconds_count{engine="0"} 40\n'
        'vllm:inter_token_latency_seconds_count{engine="0"} 40\n'
    )
    assert translated("vllm", text, "0.10.2") == {
        ("llm_prefix_cache_hits_total",): 100.0,
        ("llm_inter_token_latency_seconds_count",): 40.0,
    }


@pytest.mark.parametrize(("version", "hits"), [("0.7.3", None), ("0.8.5.post1", None), ("", None), ("0.9.1", 8.0)])
def test_prefix_cache_counts_in_blocks_are_left_out(version: str, hits: float | None) -> None:
    out = translated("vllm", 'vllm:gpu_prefix_cache_hits_total{engine="0"} 8\n', version)
    assert out.get(("llm_prefix_cache_hits_total",)) == hits


def test_a_hit_rate_of_minus_one_means_off() -> None:
    assert translated("vllm", "vllm:gpu_prefix_cache_hit_rate -1.0\n") == {}
    assert translated("vllm", "vllm:gpu_prefix_cache_hit_rate 0.25\n") == {("llm_prefix_cache_hit_ratio",): 0.25}


@pytest.mark.parametrize(
    ("labels", "tokens"),
    [
        ('num_gpu_blocks="900",block_size="16"', 14400.0),
        ('num_gpu_blocks="27000",block_size="16",kv_cache_size_tokens="300000"', 300000.0),
        ('num_gpu_blocks="900",block_size="16",kv_cache_size_tokens="None"', 14400.0),
        ('num_gpu_blocks="None",block_size="16"', None),
    ],
)
def test_kv_capacity_comes_from_the_labels_of_the_configuration(labels: str, tokens: float | None) -> None:
    out = translated("vllm", f'vllm:cache_config_info{{engine="0",{labels}}} 1.0\n')
    assert out.get(("llm_kv_cache_capacity_tokens",)) == tokens


def test_finish_reasons() -> None:
    reasons = ("stop", "length", "abort", "error", "repetition")
    text = "".join(f'vllm:request_success_total{{finished_reason="{r}"}} 2\n' for r in reasons)
    out = translated("vllm", text)
    assert {key[1] for key in out} == {"stop", "length", "abort", "error", "other"}


def test_http_methods_of_one_handler_and_class_are_added() -> None:
    text = (
        'http_requests_total{handler="/v1/completions",method="POST",status="4xx"} 3\n'
        'http_requests_total{handler="/v1/completions",method="GET",status="4xx"} 2\n'
        'http_requests_total{handler="/v1/models",method="GET",status="2xx"} 1\n'
    )
    assert translated("vllm", text) == {
        ("llm_http_requests_total", "/v1/completions", "4xx"): 5.0,
        ("llm_http_requests_total", "/v1/models", "2xx"): 1.0,
    }


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("ray_vllm:num_requests_running", "llm_requests_running"),
        ("ray_vllm_num_requests_running", "llm_requests_running"),
        ("ray_vllm_generation_tokens", "llm_generation_tokens_total"),
        ("ray_vllm_generation_tokens_total", "llm_generation_tokens_total"),
        ("ray_vllm_e2e_request_latency_seconds_sum", "llm_request_duration_seconds_sum"),
    ],
)
def test_vllm_under_ray(name: str, canonical: str) -> None:
    assert [sample[0] for sample in Translator(ENGINES["vllm"]).translate(name, {}, 1.0)] == [canonical]


def test_steps_are_the_count_of_the_tokens_histogram() -> None:
    out = translated("vllm", "vllm:iteration_tokens_total_count 7\nvllm:iteration_tokens_total_sum 70\n")
    assert out == {
        ("llm_engine_steps_total",): 7.0,
        ("llm_step_tokens_count",): 7.0,
        ("llm_step_tokens_sum",): 70.0,
    }


def test_tritons_microseconds_become_seconds() -> None:
    text = (
        'nv_inference_request_success{model="m",version="1"} 152\n'
        'nv_inference_request_duration_us{model="m",version="1"} 554838334\n'
        'nv_inference_queue_duration_us{model="m",version="1"} 478446303\n'
    )
    out = translated("triton", text)
    assert out["llm_request_duration_seconds_sum",] == pytest.approx(554.838334)
    assert out["llm_request_queue_seconds_sum",] == pytest.approx(478.446303)
    assert out["llm_request_duration_seconds_count",] == 152.0
    assert out["llm_requests_total", "stop"] == 152.0


def test_tritons_milliseconds_become_seconds_in_sum_and_bounds_not_in_counts() -> None:
    text = (
        'nv_inference_first_response_histogram_ms_bucket{model="m",le="100"} 3\n'
        'nv_inference_first_response_histogram_ms_bucket{model="m",le="+Inf"} 4\n'
        'nv_inference_first_response_histogram_ms_sum{model="m"} 2500\n'
        'nv_inference_first_response_histogram_ms_count{model="m"} 4\n'
    )
    assert translated("triton", text) == {
        ("llm_time_to_first_token_seconds_bucket", "0.1"): 3.0,
        ("llm_time_to_first_token_seconds_bucket", "+Inf"): 4.0,
        ("llm_time_to_first_token_seconds_sum",): 2.5,
        ("llm_time_to_first_token_seconds_count",): 4.0,
    }


def test_versions_of_a_triton_model_are_added() -> None:
    text = "".join(f'nv_inference_request_success{{model="m",version="{n}"}} {n}\n' for n in (1, 2))
    assert translated("triton", text)["llm_requests_total", "stop"] == 3.0


def test_tritons_failures_by_reason() -> None:
    text = (
        'nv_inference_request_failure{model="m",reason="REJECTED",version="1"} 12\n'
        'nv_inference_request_failure{model="m",reason="CANCELED",version="1"} 2\n'
        'nv_inference_request_failure{model="m",reason="BACKEND",version="1"} 1\n'
    )
    out = translated("triton", text)
    assert out["llm_requests_total", "error"] == 13.0
    assert out["llm_requests_total", "abort"] == 2.0
    assert out["llm_requests_rejected_total", "REJECTED"] == 12.0
    assert out["llm_requests_failed_total", "BACKEND"] == 1.0


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_tensorrt_llm_backends_capacity_is_blocks_times_tokens_a_block(order: tuple[int, int]) -> None:
    lines = [
        'nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="max",model="t",version="1"} 6239\n',
        'nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="tokens_per",model="t",version="1"} 64\n',
    ]
    out = translated("triton", "".join(lines[i] for i in order))
    assert out == {("llm_kv_cache_capacity_tokens",): 399296.0}


def test_the_selector_of_the_tensorrt_llm_backend_is_never_added_over() -> None:
    text = "".join(
        f'nv_trt_llm_request_metrics{{model="t",request_type="{kind}",version="1"}} {value}\n'
        for kind, value in (("waiting", 4), ("context", 1), ("scheduled", 8), ("max", 512), ("active", 9))
    )
    assert translated("triton", text) == {
        ("llm_requests_waiting",): 4.0,
        ("llm_requests_running",): 8.0,
        ("llm_requests_running_limit",): 512.0,
    }


def test_sglang_takes_the_maximum_over_tensor_ranks_and_adds_what_splits_requests() -> None:
    text = "".join(
        f'sglang:num_running_reqs{{dp_rank="{dp}",priority="{priority}",tp_rank="{tp}"}} {value}\n'
        for dp, priority, tp, value in (
            ("0", "1", "0", 5),
            ("0", "1", "1", 5),
            ("0", "2", "0", 2),
            ("1", "1", "0", 7),
        )
    )
    samples = Translator(ENGINES["sglang"]).translate_all(parse(text.encode()).samples)
    assert {sample.labels["rank"]: sample.value for sample in samples} == {"0": 7.0, "1": 7.0}


def test_status_codes_become_classes() -> None:
    text = (
        'sglang:http_responses_total{endpoint="/generate",method="POST",status_code="500"} 2\n'
        'sglang:http_responses_total{endpoint="/generate",method="POST",status_code="503"} 3\n'
    )
    assert translated("sglang", text) == {("llm_http_requests_total", "/generate", "5xx"): 5.0}


def test_tgi_counts_tokens_by_the_sums_of_its_histograms() -> None:
    out = translated("tgi", 'tgi_request_input_length_sum 900\ntgi_request_failure{err="overloaded"} 2\n')
    assert out["llm_prompt_tokens_total",] == 900.0
    assert out["llm_request_prompt_tokens_sum",] == 900.0
    assert out["llm_requests_rejected_total", "overloaded"] == 2.0
    assert out["llm_requests_total", "error"] == 2.0


def test_llamacpps_seconds_feed_the_sums_without_counts() -> None:
    out = translated("llamacpp", "llamacpp:prompt_seconds_total 0.9\nllamacpp:tokens_predicted_seconds_total 70\n")
    assert out == {("llm_request_prefill_seconds_sum",): 0.9, ("llm_request_decode_seconds_sum",): 70.0}


def test_knatives_milliseconds() -> None:
    out = translated("kserve", 'revision_request_latencies_sum{response_code="200"} 1500\n')
    assert out == {("llm_request_duration_seconds_sum",): 1.5}


def test_only_samples_of_one_time_merge() -> None:
    text = 'vllm:num_requests_running{engine="0"} 1 100\nvllm:num_requests_running{engine="0"} 2 102\n'
    samples = Translator(ENGINES["vllm"]).translate_all(parse(text.encode()).samples)
    assert [(sample.value, sample.timestamp) for sample in samples] == [(1.0, 100.0), (2.0, 102.0)]


def test_samples_that_stand_alone_keep_their_value_and_place() -> None:
    raw = [Sample("llamacpp:requests_deferred", {"pod": "p"}, 16.0, 5.0)]
    (sample,) = Translator(ENGINES["llamacpp"]).translate_all(raw)
    assert sample == Sample("llm_requests_waiting", {"engine": "llamacpp", "rank": "0", "pod": "p"}, 16.0, 5.0)


def test_combine() -> None:
    assert combine("llm_http_requests_total") == "sum"
    assert combine("llm_kv_cache_usage_ratio") == "max"
    assert combine("llm_request_queue_seconds_bucket") == "sum"
    assert combine("not_a_signal") == "max"


def test_every_mapping_feeds_a_known_signal_with_labels_that_the_signal_declares() -> None:
    for engine in ENGINES.values():
        for mapping in engine.mappings:
            signal = SIGNALS[mapping.signal]
            assert {*mapping.labels.values(), *mapping.fixed} <= set(signal.labels), (
                engine.name,
                mapping.series,
            )
            assert set(mapping.values) <= set(signal.labels), (engine.name, mapping.series)
            if mapping.kind == "histogram" or mapping.part:
                assert signal.kind == "histogram", (engine.name, mapping.series)
            else:
                assert signal.kind != "histogram", (engine.name, mapping.series)


# Routes: where a series leads, whatever its value


def test_a_route_says_once_what_translate_says_of_every_value() -> None:
    translator = Translator(ENGINES["vllm"])
    name, labels = "vllm:num_requests_running", {"model_name": "m", "engine": "1"}
    (route,) = translator.routes(name, labels)
    assert route.is_plain
    for value in (0.0, 3.0, -1.0):
        assert translator.translate(name, labels, value) == [(route.name, dict(route.labels), route.value(value))]


def test_a_series_that_is_not_mapped_leads_nowhere() -> None:
    translator = Translator(ENGINES["vllm"])
    assert translator.routes("vllm:made_up", {}) == ()
    assert translator.routes("vllm:time_to_first_token_seconds_created", {}) == ()


def test_one_series_may_feed_several() -> None:
    names = {route.name for route in Translator(ENGINES["vllm"]).routes("vllm:iteration_tokens_total_count", {})}
    assert names == {"llm_engine_steps_total", "llm_step_tokens_count"}


def test_a_route_scales_a_unit() -> None:
    (route,) = Translator(ENGINES["triton"]).routes("nv_inference_queue_duration_us", {"model": "m"})
    assert (route.name, route.is_plain) == ("llm_request_queue_seconds_sum", False)
    assert route.value(2_500_000.0) == 2.5


def test_a_route_drops_a_sentinel() -> None:
    (route,) = Translator(ENGINES["vllm"]).routes("vllm:gpu_prefix_cache_hit_rate", {})
    assert not route.is_plain
    assert [route.value(value) for value in (-1.0, 0.0, 0.25, float("nan"))] == [None, 0.0, 0.25, None]


def test_a_route_takes_its_value_from_labels() -> None:
    translator = Translator(ENGINES["vllm"])
    (route,) = translator.routes("vllm:cache_config_info", {"num_gpu_blocks": "900", "block_size": "16"})
    assert (route.is_plain, route.constant, route.value(1.0)) == (False, 14400.0, 14400.0)
    assert translator.routes("vllm:cache_config_info", {"num_gpu_blocks": "None", "block_size": "16"}) == ()


def test_a_product_is_there_when_all_its_factors_are() -> None:
    translator = Translator(ENGINES["triton"])
    name = "nv_trt_llm_kv_cache_block_metrics"
    blocks, tokens = (
        route
        for kind in ("max", "tokens_per")
        for route in translator.routes(name, {"kv_cache_block_type": kind, "model": "t", "version": "1"})
    )
    assert not blocks.is_plain
    assert blocks.factor != tokens.factor
    assert translator.product(blocks, 100.0) is None
    assert translator.product(tokens, 64.0) == 6400.0
    assert translator.product(blocks, 200.0) == 12800.0


def test_a_product_is_of_one_scrapes_factors() -> None:
    translator = Translator(ENGINES["triton"])
    text = "".join(
        f'nv_trt_llm_kv_cache_block_metrics{{kv_cache_block_type="{kind}",model="m",version="1"}} %d\n'
        for kind in ("max", "tokens_per")
    )

    def capacity(blocks: int, tokens: int) -> list[float]:
        samples = translator.translate_all(parse((text % (blocks, tokens)).encode()).samples)
        return [sample.value for sample in samples if sample.name == "llm_kv_cache_capacity_tokens"]

    assert [capacity(100, 64), capacity(120, 64), capacity(120, 32)] == [[6400.0], [7680.0], [3840.0]]


def test_products_of_two_models_do_not_mix() -> None:
    translator = Translator(ENGINES["triton"])
    name = "nv_trt_llm_kv_cache_block_metrics"

    def factor(kind: str, model: str) -> Route:
        (route,) = translator.routes(name, {"kv_cache_block_type": kind, "model": model, "version": "1"})
        return route

    assert translator.product(factor("max", "a"), 100.0) is None
    assert translator.product(factor("tokens_per", "b"), 64.0) is None
    assert translator.product(factor("tokens_per", "a"), 32.0) == 3200.0


@pytest.mark.parametrize(
    ("route", "is_plain"),
    [
        (Route("a", {}, ("a", ())), True),
        (Route("a", {}, ("a", ()), scale=0.001), False),
        (Route("a", {}, ("a", ()), minimum=0.0), False),
        (Route("a", {}, ("a", ()), constant=1.0), False),
        (Route("a", {}, ("a", ()), factor=0), False),
    ],
)
def test_a_plain_route_leaves_the_value_as_it_is(route: Route, is_plain: bool) -> None:
    assert route.is_plain == is_plain


def test_parts_merge_within_a_name_and_names_by_the_maximum() -> None:
    def part(name: str, rank: str) -> tuple[str, tuple[tuple[str, str], ...]]:
        return name, (("rank", rank),)

    parts = {part("old", "0"): 3.0, part("old", "1"): 4.0, part("new", "0"): 6.0}
    assert merged("llm_http_requests_total", parts) == 7.0
    assert merged("llm_kv_cache_usage_ratio", parts) == 6.0
