from __future__ import annotations

import gzip
import io
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from itertools import pairwise
from urllib.parse import urlsplit

import pytest

from catalog.exposition import parse
from recordings.reader import Recording, RecordingError, load, read_log, scrapes
from recordings.replay import TEXT_FORMAT, ManualClock, ReplayServer, play


def ask(
    server: ReplayServer, path: str, method: str = "GET", headers: dict[str, str] | None = None
) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=10)
    try:
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


@pytest.fixture
def recording() -> Recording:
    return load("kv_preemption")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def server(recording: Recording, clock: ManualClock) -> Iterator[ReplayServer]:
    with ReplayServer(recording, clock=clock) as running:
        yield running


@pytest.mark.parametrize("path", ["/metrics", "/health"])
def test_before_the_server_was_ready_it_answers_503_and_nothing(server: ReplayServer, path: str) -> None:
    response, body = ask(server, path)
    assert (response.status, body) == (503, b"")


def test_metrics_are_the_recordings_at_every_scrape_time(
    server: ReplayServer, recording: Recording, clock: ManualClock
) -> None:
    times = [(scrape.time_seconds - recording.started_unix_seconds, scrape) for scrape in scrapes(recording)]
    for (offset, scrape), (next_offset, _) in pairwise(times):
        clock.advance((offset + next_offset) / 2 - server.position_seconds)
        response, body = ask(server, "/metrics")
        assert (response.status, body) == ((200, scrape.exposition) if scrape.up else (503, b""))
        assert response.getheader("Content-Type") == (TEXT_FORMAT if scrape.up else "text/plain; charset=utf-8")
        assert ask(server, "/health")[0].status == response.status


def test_a_known_value_at_a_known_time(server: ReplayServer, clock: ManualClock) -> None:
    """At unix 1795289977.253, 72.0 s after the start, 64 first tokens had been given."""
    clock.advance(73)
    _, body = ask(server, "/metrics")
    assert b'vllm:time_to_first_token_seconds_count{engine="0",model_name="llama-2-7b"} 64.0\n' in body


def test_speed_is_recorded_seconds_a_second(recording: Recording, clock: ManualClock) -> None:
    with ReplayServer(recording, clock=clock, speed=60) as server:
        clock.advance(2)
        assert server.position_seconds == 120


def test_from_ready_the_metrics_are_there_at_once(recording: Recording, clock: ManualClock) -> None:
    with ReplayServer(recording, clock=clock, start="ready") as server:
        clock.advance(2)
        assert ask(server, "/health")[0].status == 200
        assert b"non-default args" in server.take_log()


def test_from_ready_needs_a_server_that_became_ready() -> None:
    with pytest.raises(RecordingError, match="c_port_in_use never became ready"):
        ReplayServer(load("c_port_in_use"), start="ready")


def test_after_the_end_the_last_scrape_stays(server: ReplayServer, recording: Recording, clock: ManualClock) -> None:
    assert not server.ended
    clock.advance(10_000)
    assert server.ended
    assert ask(server, "/metrics")[1] == scrapes(recording)[-1].exposition


def test_repeated_it_begins_anew_at_its_end(recording: Recording, clock: ManualClock) -> None:
    with ReplayServer(recording, clock=clock, start="ready", repeat=True) as server:
        begun = server.position_seconds
        clock.advance(recording.duration_seconds - begun - 1)
        late = ask(server, "/metrics")[1]
        assert late == scrapes(recording)[-1].exposition
        clock.advance(3)
        assert begun <= server.position_seconds < begun + 3
        assert not server.ended
        again = ask(server, "/metrics")[1]
        clock.advance(10 * (recording.duration_seconds - begun))
        assert begun <= server.position_seconds < recording.duration_seconds
    tokens = "vllm:generation_tokens_total"
    early, last = (
        next(sample.value for sample in parse(body).samples if sample.name == tokens) for body in (again, late)
    )
    assert early < last, "a counter that falls: the engine was started anew"


def test_repeated_from_ready_there_is_always_something_to_scrape(recording: Recording, clock: ManualClock) -> None:
    with ReplayServer(recording, clock=clock, start="ready", repeat=True) as server:
        for _ in range(60):
            clock.advance(7.3)
            scrape = server.current_scrape()
            assert scrape is not None
            assert scrape.up or server.position_seconds < 80


def test_a_crashed_engine_never_answers(clock: ManualClock) -> None:
    with ReplayServer(load("oom_no_kv_blocks"), clock=clock) as server:
        clock.advance(10_000)
        assert ask(server, "/metrics")[0].status == 503


@pytest.mark.parametrize("name", ["kv_preemption", "c_json_native", "llamacpp_busy", "triton_queue_reject"])
def test_the_log_comes_out_whole_and_in_order(name: str, clock: ManualClock) -> None:
    recording = load(name)
    pieces = []
    with ReplayServer(recording, clock=clock) as server:
        while not server.ended:
            clock.advance(3)
            pieces.append(server.take_log())
        assert server.take_log() == b""
    assert all(piece.endswith(b"\n") for piece in pieces if piece)
    assert len([piece for piece in pieces if piece]) > 5
    assert b"".join(pieces) == read_log(recording)


def test_a_log_line_waits_for_its_time(server: ReplayServer, clock: ManualClock) -> None:
    """The first stamp, 19:38:41, is 15.755 s after the start; before it nothing was written."""
    clock.advance(15.7)
    assert server.take_log() == b""
    assert server.seconds_to_next() == pytest.approx(0.055, abs=1e-3)
    clock.advance(0.1)
    assert b"version 0.24.0" in server.take_log()


def test_seconds_to_next_are_real_seconds(recording: Recording, clock: ManualClock) -> None:
    with ReplayServer(recording, clock=clock, speed=10) as server:
        assert server.seconds_to_next() == pytest.approx(1.5755, abs=1e-3)
        clock.advance(recording.duration_seconds / 10 - 0.2)
        server.take_log()
        assert server.seconds_to_next() == pytest.approx(0.2)
        clock.advance(2)
        assert server.seconds_to_next() is None


def test_play_once_writes_the_whole_log_and_returns(
    server: ReplayServer, recording: Recording, clock: ManualClock
) -> None:
    clock.advance(10_000)
    output = io.BytesIO()
    play(server, output, threading.Event(), once=True)
    assert output.getvalue() == read_log(recording)


def test_play_stops_when_told(server: ReplayServer) -> None:
    stop = threading.Event()
    stop.set()
    output = io.BytesIO()
    play(server, output, stop, once=False)
    assert output.getvalue() == b""


def test_play_waits_as_long_as_nothing_is_due(server: ReplayServer, clock: ManualClock) -> None:
    class Stop(threading.Event):
        """Let the clock pass what `play` would sleep, and stop at the end of the recording."""

        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout)
            if timeout is None:
                self.set()
            else:
                clock.advance(timeout + 1e-6)
            return self.is_set()

    waits: list[float | None] = []
    output = io.BytesIO()
    play(server, output, Stop(), once=False)
    assert output.getvalue() == read_log(load("kv_preemption"))
    assert waits[0] == pytest.approx(15.755, abs=1e-3)
    assert waits[-1] is None
    assert sum(wait for wait in waits if wait is not None) == pytest.approx(load("kv_preemption").duration_seconds)


def test_other_paths_are_404_with_one_line(server: ReplayServer) -> None:
    response, body = ask(server, "/meta.yaml")
    assert response.status == 404
    assert body.count(b"\n") == 1


def test_a_query_does_not_change_the_path(server: ReplayServer, clock: ManualClock) -> None:
    clock.advance(100)
    assert ask(server, "/metrics?name[]=up")[0].status == 200


def test_head_has_the_headers_of_get_and_no_body(server: ReplayServer, clock: ManualClock) -> None:
    clock.advance(100)
    _, body = ask(server, "/metrics")
    response, nothing = ask(server, "/metrics", method="HEAD")
    assert (response.status, nothing) == (200, b"")
    assert response.getheader("Content-Length") == str(len(body))


def test_other_methods_are_refused_in_one_line(server: ReplayServer) -> None:
    response, body = ask(server, "/metrics", method="POST")
    assert response.status == 501
    assert body.count(b"\n") == 1


@pytest.mark.parametrize(
    ("accept_encoding", "compressed"),
    [
        ("gzip", True),
        ("deflate, gzip;q=1.0", True),
        ("gzip;q=0", False),
        ("identity", False),
        ("xgzip", False),
    ],
)
def test_gzip_when_the_client_accepts_it(
    server: ReplayServer, clock: ManualClock, accept_encoding: str, compressed: bool
) -> None:
    clock.advance(100)
    _, plain = ask(server, "/metrics")
    response, body = ask(server, "/metrics", headers={"Accept-Encoding": accept_encoding})
    assert (response.getheader("Content-Encoding") == "gzip") == compressed
    assert (gzip.decompress(body) if compressed else body) == plain


def test_two_replays_do_not_share_a_port(server: ReplayServer, recording: Recording) -> None:
    port = urlsplit(server.url).port
    assert port is not None
    with pytest.raises(OSError, match="in use"), ReplayServer(recording, port=port):
        pass


def test_leaving_frees_the_port(recording: Recording, clock: ManualClock) -> None:
    with ReplayServer(recording, clock=clock) as server:
        port = urlsplit(server.url).port
    with socket.socket() as listener:
        assert listener.connect_ex(("127.0.0.1", port)) != 0


def test_the_url_is_known_only_while_it_runs(recording: Recording) -> None:
    with pytest.raises(RuntimeError, match="not running"):
        _ = ReplayServer(recording).url
