"""All engines of a node: what one of them does, or does not do, costs only its own series."""

from __future__ import annotations

import gc
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from exporter.config import Engines
from exporter.engines.fleet import Engine, EngineFleet
from exporter.engines.target import EngineTarget
from exporter.exposition import render
from tests.exporter.engines.endpoints import VLLM, Answer, drips, floods, is_silent, response, says, serving

OPEN = b"HTTP/1.1 200 OK\r\n"
VALUE = re.compile(r'(?m)^(llm_\w+)\{.*pod="([^"]*)".*\} (\S+)$')


def target(url: str, pod: str = "p", **more: object) -> EngineTarget:
    fields: dict[str, object] = {"engine": "vllm", "declared": True, **more}
    return EngineTarget(urls=(url,), namespace="prod", pod=pod, container="engine", **fields)  # type: ignore[arg-type]


def soon(seconds: float = 20.0) -> float:
    return time.monotonic() + seconds


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    end = soon()
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.002)


Fleets = Callable[..., EngineFleet]


@pytest.fixture
def fleets() -> Iterator[Fleets]:
    """Makes fleets; each is closed at the end."""
    made: list[EngineFleet] = []

    def make(timeout_seconds: float = 20.0, **more: object) -> EngineFleet:
        made.append(EngineFleet(Engines(timeout_seconds=timeout_seconds, **more), "n1"))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for fleet in made:
        fleet.close()


def collected(fleet: EngineFleet, seconds: float = 20.0) -> dict[tuple[str, str], float]:
    """The values that one collection gave, by series and pod."""
    readings = fleet.collect(soon(seconds))
    text = render([reading.section for reading in readings], openmetrics=False).decode()
    return {(name, pod): float(value) for name, pod, value in VALUE.findall(text)}


def reasons(fleet: EngineFleet) -> dict[str, str | None]:
    return {engine.target.pod: engine.reading.reason if engine.reading else None for engine in fleet.engines}


class Slow:
    """Answers nothing until it is released, and then at once; says when it was asked."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.release = threading.Event()
        self.requests = 0

    def __call__(self, connection: socket.socket, stop: threading.Event) -> None:
        self.requests += 1
        self.asked.set()
        while not self.release.wait(0.01):
            if stop.is_set():
                return
        says(response(VLLM))(connection, stop)


@pytest.fixture
def slow() -> Iterator[Slow]:
    slow = Slow()
    yield slow
    slow.release.set()


# Side by side


def test_engines_are_read_at_the_same_time(fleets: Fleets) -> None:
    """Each waits until all have been asked: read one after another, none of them would ever answer."""
    together = threading.Barrier(4)

    def answer(connection: socket.socket, stop: threading.Event) -> None:
        together.wait(15)
        says(response(VLLM))(connection, stop)

    with ExitStack() as stack:
        urls = [stack.enter_context(serving(answer)) for _ in range(4)]
        fleet = fleets()
        # A path of its own for the version would be one request more: vLLM's is asked for before the first reading.
        fleet.set_targets(target(url, f"p{number}") for number, url in enumerate(urls))
        values = collected(fleet)
    assert {pod: values["llm_up", pod] for pod in ("p0", "p1", "p2", "p3")} == dict.fromkeys(
        ("p0", "p1", "p2", "p3"), 1.0
    )


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (is_silent, "timeout"),
        (drips(b"X", start=b"HTTP/1.1 200 OK\r\nX-Slow: "), "timeout"),
        (drips(b"a", start=OPEN + b"Content-Length: 60000\r\n\r\n"), "timeout"),
        (floods(OPEN + b"\r\n", b"a 1\n" * 4000), "too_large"),
        (says(response(b"", length=10 << 30)), "too_large"),
        (says(response(b"", status="500 Internal Server Error")), "http_status"),
        (None, "refused"),
    ],
    ids=["silent", "dripping headers", "dripping body", "endless", "huge", "failing", "refusing"],
)
def test_one_that_is_in_trouble_costs_only_its_own_series(fleets: Fleets, answer: Answer | None, reason: str) -> None:
    with (
        serving(says(response(VLLM))) as before,
        serving(answer or is_silent) as bad,
        serving(says(response(VLLM))) as after,
    ):
        fleet = fleets(timeout_seconds=2.0, max_body_bytes=64 << 10)
        url = bad if answer else "http://127.0.0.1:9/metrics"
        fleet.set_targets([target(before, "before"), target(url, "bad"), target(after, "after")])
        values = collected(fleet, 2.0)
        assert reasons(fleet) == {"before": None, "bad": reason, "after": None}
        assert {pod: values["llm_up", pod] for pod in ("before", "bad", "after")} == {"before": 1, "bad": 0, "after": 1}
        assert values["llm_requests_running", "after"] == 3.0
        assert [name for name, pod in values if pod == "bad"] == ["llm_up"]


def test_a_defect_in_a_scrape_is_logged_and_costs_only_its_own_series(
    fleets: Fleets, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(says(response(VLLM))) as url:
        fleet = fleets()
        fleet.set_targets([target(url, "broken"), target(url, "good")])
        broken = fleet.engines[0]

        def defect() -> None:
            raise ZeroDivisionError

        broken.task.job = defect  # type: ignore[assignment]
        values = collected(fleet)
    assert (values["llm_up", "broken"], values["llm_up", "good"]) == (0, 1)
    assert broken.reading is not None
    assert (broken.reading.reason, broken.reading.message) == ("internal", "ZeroDivisionError: see the log")
    assert any(record.exc_info and url in record.getMessage() for record in caplog.records)


# While a scrape is under way


def test_the_last_reading_stands_while_a_scrape_is_within_its_timeout(fleets: Fleets, slow: Slow) -> None:
    fast = says(response(VLLM))
    answers: list[Answer] = [fast, fast]

    def answer(connection: socket.socket, stop: threading.Event) -> None:
        (answers.pop(0) if answers else slow)(connection, stop)

    with serving(answer) as url:
        fleet = fleets(timeout_seconds=60.0)
        fleet.set_targets([target(url)])
        first = collected(fleet)
        (engine,) = fleet.engines
        assert engine.is_fresh
        reading = engine.reading
        second = collected(fleet, 0.05)
        assert slow.asked.wait(20)
        assert (first, engine.reading, engine.is_fresh) == (second, reading, False)
        slow.release.set()
        until(lambda: not engine.task.is_running)


def test_before_its_first_answer_nothing_is_said_of_it(fleets: Fleets, slow: Slow) -> None:
    with serving(slow) as url:
        fleet = fleets(timeout_seconds=60.0)
        fleet.set_targets([target(url)])
        assert fleet.collect(soon(0.05)) == ()
        (engine,) = fleet.engines
        assert (engine.reading, engine.is_fresh, engine.answered_unix_seconds) == (None, False, None)
        slow.release.set()


def test_one_that_overruns_is_down_then_back(fleets: Fleets, slow: Slow) -> None:
    with serving(slow) as url:
        fleet = fleets(timeout_seconds=0.3)
        fleet.set_targets([target(url)])
        (engine,) = fleet.engines
        until(lambda: collected(fleet, 0.35) == {("llm_up", "p"): 0.0})
        assert engine.reading is not None
        assert (engine.reading.reason, engine.reading.message) == ("timeout", "no whole answer within 0.3 s")
        assert engine.is_fresh
        assert engine.answered_unix_seconds is None
        until(lambda: not engine.task.is_running)
        slow.release.set()
        begun = time.time()
        up: dict[tuple[str, str], float] = {}

        def is_back() -> bool:
            """0.3 s may be too short for a busy machine: then it is in the next collection."""
            up.update(collected(fleet))
            return up["llm_up", "p"] == 1.0

        until(is_back)
    assert up["llm_requests_running", "p"] == 3.0
    assert engine.answered_unix_seconds is not None
    assert engine.answered_unix_seconds >= begun
    assert engine.reading.reason is None


def test_an_overrun_is_said_under_the_labels_that_were_known(fleets: Fleets) -> None:
    slow, fast = Slow(), says(response(VLLM))
    slows_down = threading.Event()

    def answer(connection: socket.socket, stop: threading.Event) -> None:
        (slow if slows_down.is_set() else fast)(connection, stop)

    with serving(answer) as url:
        fleet = fleets(timeout_seconds=0.3)
        fleet.set_targets([target(url, engine="")])
        until(lambda: collected(fleet).get(("llm_up", "p")) == 1.0)
        slows_down.set()
        until(lambda: collected(fleet, 0.4)["llm_up", "p"] == 0.0)
        (reading,) = (engine.reading for engine in fleet.engines)
        slow.release.set()
    assert reading is not None
    assert (reading.up, reading.reason, reading.engine, reading.models) == (False, "timeout", "vllm", ("llama",))


# Targets come and go


def test_a_target_that_stays_keeps_its_scraper_and_its_reading(fleets: Fleets) -> None:
    with serving(says(response(VLLM))) as url:
        fleet = fleets()
        fleet.set_targets([target(url, "a"), target(url, "b")])
        collected(fleet)
        before = {engine.target.pod: engine for engine in fleet.engines}
        assert fleet.set_targets([target(url, "c"), target(url, "b")]) == ()
        after = {engine.target.pod: engine for engine in fleet.engines}
        assert list(after) == ["c", "b"]
        assert after["b"] is before["b"]
        assert after["b"].scraper is before["b"].scraper
        assert set(collected(fleet)) == {
            (name, pod) for name in ("llm_up", "llm_requests_running", "llm_requests_waiting") for pod in ("b", "c")
        }


def test_a_target_of_another_address_is_opened_anew(fleets: Fleets) -> None:
    with serving(says(response(VLLM))) as one, serving(says(response(VLLM.replace(b" 3.0", b" 8.0")))) as two:
        fleet = fleets()
        fleet.set_targets([target(one)])
        assert collected(fleet)["llm_requests_running", "p"] == 3.0
        (before,) = fleet.engines
        fleet.set_targets([target(two)])
        (after,) = fleet.engines
        assert after.scraper is not before.scraper
        assert collected(fleet)["llm_requests_running", "p"] == 8.0


def test_a_target_that_is_gone_is_closed_and_its_scrape_cut_short(fleets: Fleets, slow: Slow) -> None:
    with serving(slow) as url:
        fleet = fleets(timeout_seconds=60.0)
        fleet.set_targets([target(url)])
        (engine,) = fleet.engines
        fleet.collect(soon(0.02))
        assert slow.asked.wait(20)
        fleet.set_targets([])
        until(lambda: not engine.task.is_running)
        assert not slow.release.is_set()
        outcome = engine.task.outcome.value
        assert outcome is not None
        assert outcome.reason == "timeout"
    assert fleet.engines == ()
    assert fleet.collect(soon()) == ()


def test_of_targets_with_the_same_labels_the_first_is_taken(fleets: Fleets) -> None:
    fleet = fleets()
    first, twin, other = (
        target("http://127.0.0.1:9/a"),
        target("http://127.0.0.1:9/b"),
        target("http://127.0.0.1:9", "q"),
    )
    assert fleet.set_targets([first, twin, other]) == (twin,)
    assert [engine.target for engine in fleet.engines] == [first, other]


# What is left behind


def lanes() -> int:
    return sum(thread.name.startswith("engines-") for thread in threading.enumerate())


def test_after_close_no_thread_and_no_socket_is_left(slow: Slow) -> None:
    until(lambda: lanes() == 0)  # those of the tests before
    with ExitStack() as stack:
        answers: list[Answer] = [says(response(VLLM)), is_silent, slow, drips(b"a", start=OPEN)]
        urls = [stack.enter_context(serving(answer)) for answer in answers]
        fleet = EngineFleet(Engines(timeout_seconds=60.0), "n1")
        fleet.set_targets(target(url, f"p{number}") for number, url in enumerate(urls))
        engines: tuple[Engine, ...] = fleet.engines
        fleet.collect(soon(0.5))
        assert lanes() > 0
        until(lambda: [engine.task.is_running for engine in engines] == [False, True, True, True])
        fleet.close()
        until(lambda: lanes() == 0)
        assert not any(engine.task.is_running for engine in engines)
        assert fleet.engines == ()
    # Warnings are errors: one that only the garbage collector closes would be told here.
    endpoints = [endpoint for engine in engines for endpoint in engine.scraper._endpoints]
    assert [endpoint._connection for endpoint in endpoints] == [None] * 4
    gc.collect()


def test_an_engine_slower_than_a_collection_waits_is_read_all_the_same(slow: Slow) -> None:
    """Its answer comes between two collections and is taken by the next."""
    with serving(slow) as url:
        fleet = EngineFleet(Engines(timeout_seconds=20.0), "n1")
        fleet.set_targets([EngineTarget(urls=(url,), namespace="", pod="slow", container="", engine="triton")])
        assert fleet.collect(time.monotonic() + 0.05) == ()
        slow.release.set()
        until(lambda: not fleet.engines[0].task.is_running)
        (reading,) = fleet.collect(time.monotonic() + 0.05)
        assert fleet.engines[0].is_fresh
        fleet.close()
    assert reading.body_bytes == len(VLLM)


def test_a_fleet_that_was_closed_asks_nothing_more() -> None:
    asked: list[float] = []

    def answer(connection: socket.socket, stop: threading.Event) -> None:
        asked.append(time.monotonic())
        stop.wait(0.2)

    with serving(answer) as first, serving(answer) as second:
        fleet = EngineFleet(Engines(timeout_seconds=2.0), "n1")
        fleet.set_targets([EngineTarget(urls=(first, second), namespace="", pod="p", container="")])
        fleet.collect(time.monotonic() + 0.05)
        engine = fleet.engines[0]
        until(lambda: len(asked) == 1)
        fleet.close()
        until(lambda: not engine.task.is_running)
        engine.scraper.scrape()
    assert len(asked) == 1
