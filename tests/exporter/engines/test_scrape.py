"""One replica: found behind its addresses, read, reported down when it does not answer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import pairwise

import pytest

from exporter.config import Engines, Target
from exporter.engines.scrape import EngineReading, EngineScraper
from exporter.engines.target import EngineTarget, configured
from exporter.exposition import render
from recordings.reader import load
from recordings.replay import ManualClock, ReplayServer
from tests.exporter.engines.endpoints import VLLM, response, says, says_in_turn, serving

SETTINGS = Engines(timeout_seconds=20.0)


def scraper(
    *urls: str, clock: ManualClock | None = None, settings: Engines = SETTINGS, **more: object
) -> EngineScraper:
    target = EngineTarget(urls=urls, namespace="prod", pod="p-0", container="engine", **more)  # type: ignore[arg-type]
    return EngineScraper(target, settings, "n1", clock=clock or ManualClock())


def lines(reading: EngineReading) -> list[str]:
    text = render([reading.section], openmetrics=False).decode()
    return [line for line in text.splitlines() if not line.startswith("#")]


def value(reading: EngineReading, name: str) -> float:
    ((found),) = [line for line in lines(reading) if re.match(rf"{name}[{{ ]", line)]
    return float(found.rpartition(" ")[2])


def test_an_engine_is_recognised_and_read() -> None:
    with serving(says(response(VLLM))) as url:
        scraped = scraper(url)
        reading = scraped.scrape()
        scraped.close()
    assert (reading.up, reading.engine, reading.models, reading.series) == (True, "vllm", ("llama",), 2)
    place = 'node="n1",namespace="prod",pod="p-0",container="engine"'
    assert f'llm_up{{engine="vllm",model="llama",rank="0",{place}}} 1' in lines(reading)
    assert value(reading, "llm_requests_running") == 3.0


def test_its_version_is_asked_for_once_and_is_a_label_of_the_info_series() -> None:
    with serving(says_in_turn(VLLM, json.dumps({"version": "0.24.0"}).encode(), VLLM, VLLM)) as url:
        scraped = scraper(url)
        readings = [scraped.scrape() for _ in range(3)]
        scraped.close()
    assert {reading.version for reading in readings} == {"0.24.0"}
    assert 'version="0.24.0"' in next(line for line in lines(readings[2]) if line.startswith("llm_engine_info"))


@pytest.mark.parametrize("answer", [b"{}", b"[]", b"<html>", b'{"version": 3}', b"[" * 5000])
def test_a_version_that_is_not_told_is_no_failure(answer: bytes) -> None:
    with serving(says_in_turn(VLLM, answer)) as url:
        scraped = scraper(url)
        reading = scraped.scrape()
        scraped.close()
    assert (reading.up, reading.version) == (True, "")
    assert not any(line.startswith("llm_engine_info") for line in lines(reading))


def test_addresses_are_tried_in_order_until_one_is_an_engine() -> None:
    with serving(says(response(b"<html>"))) as page, serving(says(response(VLLM))) as good:
        scraped = scraper("http://127.0.0.1:9/metrics", page, good)
        reading = scraped.scrape()
        scraped.close()
    assert (reading.up, reading.url) == (True, good)


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b"<html></html>", "not_metrics"), (b"# TYPE go_goroutines gauge\ngo_goroutines 5\n", "unknown_engine")],
)
def test_what_is_no_engine_says_why(body: bytes, reason: str) -> None:
    with serving(says(response(body))) as url:
        declared, found = scraper(url, declared=True), scraper(url)
        said, silent = declared.scrape(), found.scrape()
        declared.close()
        found.close()
    assert (said.up, said.reason) == (False, reason)
    assert lines(said)[0].startswith('llm_up{engine="unknown"')
    assert (silent.up, silent.reason, lines(silent)) == (None, reason, [])


def test_a_pod_that_is_no_engine_is_asked_more_and_more_rarely() -> None:
    clock, asked = ManualClock(), []

    def answer(connection: object, stop: object) -> None:
        asked.append(clock())
        says(response(b"<html>"))(connection, stop)  # type: ignore[arg-type]

    with serving(answer) as url:
        scraped = scraper(url, clock=clock)
        for _ in range(400):
            scraped.scrape()
            clock.advance(1.0)
        scraped.close()
    assert [round(later - earlier) for earlier, later in pairwise(asked)] == [
        10,
        20,
        40,
        80,
        120,
        120,
    ]


def test_an_engine_that_stops_answering_is_down_under_its_last_labels() -> None:
    with serving(says(response(VLLM))) as url:
        scraped = scraper(url)
        up = scraped.scrape()
    down = scraped.scrape()
    assert (down.up, down.reason, down.engine, down.models) == (False, "refused", "vllm", ("llama",))
    assert lines(down) == [next(line for line in lines(up) if line.startswith("llm_up")).removesuffix("1") + "0"]


def test_an_engine_that_answers_with_something_else_is_down_until_it_is_back() -> None:
    with serving(says_in_turn(VLLM, b"{}", b"<html>maintenance</html>", VLLM, b"{}")) as url:
        scraped = scraper(url)
        readings = [scraped.scrape() for _ in range(3)]
        scraped.close()
    assert [reading.up for reading in readings] == [True, False, True]
    assert readings[1].reason == "not_metrics"


def test_another_engine_at_the_same_address_is_recognised_anew() -> None:
    other = b"# TYPE llamacpp:requests_processing gauge\nllamacpp:requests_processing 2\n"
    with serving(says_in_turn(VLLM, b"{}", other, b"{}")) as url:
        scraped = scraper(url)
        engines = [scraped.scrape().engine for _ in range(2)]
        scraped.close()
    assert engines == ["vllm", "llamacpp"]


def test_an_engine_named_by_the_configuration_is_not_guessed() -> None:
    body = b'trtllm_num_requests_running{model_name="m"} 2\nvllm:num_requests_running 1\n'
    with serving(says(response(body))) as url:
        scraped = scraper(url, engine="vllm")
        assert scraped.scrape().engine == "vllm"
        scraped.close()


def test_raw_series_come_too_when_asked_for() -> None:
    with serving(says(response(VLLM))) as url:
        scraped = scraper(url, settings=Engines(passthrough=True))
        reading = scraped.scrape()
        scraped.close()
    assert value(reading, "vllm:num_requests_running") == value(reading, "llm_requests_running") == 3.0


@pytest.mark.parametrize(
    ("recording", "engine"), [("kv_preemption", "vllm"), ("llamacpp_busy", "llamacpp"), ("triton_healthy", "triton")]
)
def test_a_recorded_engine_shows_the_value_it_showed_then(recording: str, engine: str) -> None:
    clock = ManualClock()
    with ReplayServer(load(recording), start="ready", clock=clock) as replay:
        clock.advance(30)
        scraped = scraper(replay.url)
        reading = scraped.scrape()
        scraped.close()
        shown = replay.current_scrape()
    assert (reading.up, reading.engine) == (True, engine)
    assert shown is not None
    raw = {
        "vllm": b"vllm:generation_tokens_total",
        "llamacpp": b"llamacpp:tokens_predicted_total",
        "triton": b"nv_inference_request_success",
    }
    canonical = {
        "vllm": "llm_generation_tokens_total",
        "llamacpp": "llm_generation_tokens_total",
        "triton": "llm_requests_total",
    }
    expected = re.search(rb"(?m)^" + raw[engine] + rb"(?:\{[^}]*\})? (\S+)$", shown.exposition)
    assert expected is not None
    found = [line for line in lines(reading) if line.startswith(canonical[engine] + "{")]
    assert float(expected[1]) in [float(line.rpartition(" ")[2]) for line in found]


def test_what_a_configuration_names_becomes_labels() -> None:
    target = configured(Target(url="http://127.0.0.1:8000/metrics"))
    assert (target.pod, target.declared) == ("127.0.0.1:8000", True)
    assert target.place("n") == {"node": "n", "pod": "127.0.0.1:8000"}
    named: Mapping[str, str] = configured(Target(url="http://h:1/", name="a", namespace="b", container="c")).place("n")
    assert named == {"node": "n", "namespace": "b", "pod": "a", "container": "c"}
