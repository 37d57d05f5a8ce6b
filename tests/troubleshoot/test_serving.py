"""The figures of the window under judgement, computed by hand next to each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from troubleshoot.metrics.load import Body, load_metrics
from troubleshoot.moments import Moment, from_metrics
from troubleshoot.serving import Serving, serving_from

if TYPE_CHECKING:
    from tests.troubleshoot.conftest import Scrapes


def of_moments(*values: dict[str, Any]) -> Serving:
    moments = tuple(Moment(2.0 * i, 2.0 * i + 2, **each) for i, each in enumerate(values))
    return Serving("log", moments, moments, (0.0, 2.0 * len(values)))


def of_scrapes(seen: Scrapes) -> Serving:
    timeline = load_metrics([Body(0, None, seen.text.encode())]).timeline
    found = serving_from(from_metrics(timeline), "metrics", timeline)
    assert found is not None
    return found


def test_gauges_are_averaged_over_the_moments_that_tell_them() -> None:
    serving = of_moments({"running": 2.0, "waiting": 0.0}, {"running": 6.0, "waiting": 3.0}, {"generation_rate": 10.0})

    assert (serving.running_mean, serving.running_max) == (4, 6)
    assert (serving.waiting_mean, serving.waiting_max, serving.waiting_share) == (1.5, 3, 0.5)
    assert serving.seconds == 6


def test_what_nothing_tells_is_unknown_and_not_zero() -> None:
    serving = of_moments({}, {})

    for figure in (serving.running_mean, serving.waiting_mean, serving.kv_max, serving.generation_rate):
        assert figure is None
    for figure in (serving.preemptions, serving.preemption_rate, serving.steps, serving.rate_per_sequence):
        assert figure is None
    assert serving.histogram("llm_time_to_first_token_seconds") is None
    assert serving.increase("llm_requests_total") is None


def test_rates_are_weighted_by_time() -> None:
    moments = (Moment(0, 2, generation_rate=100.0), Moment(2, 10, generation_rate=50.0))
    serving = Serving("log", moments, moments, (0, 10))

    # (2 x 100 + 8 x 50) / 10.
    assert serving.generation_rate == 60


def test_preemptions_are_counted_within_the_window() -> None:
    serving = of_moments({"preemptions": 3.0}, {"preemptions": 5.0})

    assert serving.preemptions == 8
    assert serving.preemption_rate == 2


def test_cache_use_is_that_of_the_moments_in_which_requests_wait() -> None:
    serving = of_moments(
        {"waiting": 0.0, "kv_usage_ratio": 0.2},
        {"waiting": 4.0, "kv_usage_ratio": 0.98},
        {"waiting": 4.0, "kv_usage_ratio": 0.96},
        {"waiting": 0.0, "kv_usage_ratio": 0.1},
    )

    assert serving.kv_while_waiting == pytest.approx(0.97)
    assert serving.kv_max == 0.98


def test_running_at_one_number_whenever_others_wait_is_pinned() -> None:
    pinned = of_moments(*({"running": float(n), "waiting": 9.0} for n in (16, 16, 15, 16, 16, 16)))
    free = of_moments(*({"running": float(n), "waiting": 9.0} for n in (30, 61, 44, 12, 50, 38)))
    calm = of_moments(*({"running": 16.0, "waiting": 0.0} for _ in range(6)))

    assert pinned.pinned_at() == 16
    assert free.pinned_at() is None
    assert calm.pinned_at() is None


def test_a_sequence_s_pace_is_the_gap_between_its_tokens(scrapes: type[Scrapes]) -> None:
    measured = of_scrapes(scrapes().phase(60, running=10, generation=400, gap=0.02))
    by_sum = of_moments({"running": 4.0, "generation_rate": 300.0}, {"running": 2.0, "generation_rate": 150.0})

    assert measured.rate_per_sequence == pytest.approx(50)
    assert by_sum.rate_per_sequence == 75


def test_queue_and_prefill_split_the_time_to_first_token(scrapes: type[Scrapes]) -> None:
    serving = of_scrapes(scrapes().phase(60, running=9, waiting=5, finished=2, queue=3.0, prefill=1.0, ttft=4.0))

    assert serving.queue_share_of_ttft == 0.75
    assert of_moments({}).queue_share_of_ttft is None


def test_request_lengths_are_means_of_finished_requests(scrapes: type[Scrapes]) -> None:
    serving = of_scrapes(scrapes().phase(60, running=9, finished=2, prompt_tokens=300, output_tokens=120))

    assert (serving.mean_prompt_tokens, serving.mean_generation_tokens) == (300, 120)


@pytest.mark.no_cover
def test_a_healthy_hour_before_and_an_idle_one_after_change_no_figure(scrapes: type[Scrapes]) -> None:
    trouble: dict[str, float] = {
        "running": 20, "waiting": 40, "kv": 0.99, "generation": 1000, "prompt": 500, "preemptions": 4, "steps": 30,
        "finished": 2, "ttft": 9.0, "queue": 8.0, "prefill": 0.2, "gap": 0.03,
    }  # fmt: skip
    calm: dict[str, float] = {
        "running": 5, "kv": 0.1, "generation": 900, "prompt": 300, "steps": 80, "finished": 4, "ttft": 0.05,
        "queue": 0.001, "prefill": 0.04, "gap": 0.01,
    }  # fmt: skip
    alone = of_scrapes(scrapes().phase(60, **trouble))
    within = of_scrapes(scrapes().phase(1200, **calm).phase(60, **trouble).phase(1200))

    for serving in (alone, within):
        assert serving.seconds == 60
        assert serving.waiting_mean == 40
        assert serving.preemption_rate == pytest.approx(4)
        assert serving.generation_rate == pytest.approx(1000)
        assert serving.mean_of("llm_time_to_first_token_seconds") == pytest.approx(9.0)
        assert serving.queue_share_of_ttft == pytest.approx(8.0 / 8.2)
    assert within.ends_idle
    assert not alone.ends_idle


def test_a_stall_is_found_in_all_moments_not_only_in_the_window() -> None:
    held: dict[str, Any] = {"running": 8.0, "generation_rate": 0.0, "steps": 0.0}
    serving = of_moments(held, held, {"running": 8.0, "generation_rate": 100.0, "steps": 9.0})

    assert sum(moment.seconds for moment in serving.stall) == 4


def test_an_engine_that_was_never_busy_has_no_serving() -> None:
    assert serving_from((Moment(0, 2, running=0.0), Moment(2, 4, running=0.0)), "log", None) is None
    assert serving_from((), "log", None) is None
