from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recordings.reader import bundled, load, read_log
from troubleshoot.logs.keeper import SERIES_KEPT, SERIES_RECENT
from troubleshoot.logs.matcher import Matcher
from troubleshoot.logs.scan import Located, Plan, ScanResult, scan
from troubleshoot.logs.signature import RARE_KEPT, Keep, Signature
from troubleshoot.logs.signatures import SIGNATURES
from troubleshoot.logs.window import CUT_BYTES

if TYPE_CHECKING:
    from tests.troubleshoot.logs.conftest import FileSource, Place, Reference, StreamSource

    OpenFile = Callable[[bytes], FileSource]

MATCHER = Matcher(SIGNATURES)
SMALL = {
    "oops": Signature("oops", (r"zyxwv \d+",), follow=1, context_lines=2),
    "tick": Signature("tick", ("qwrtz tick",), keep=Keep.SERIES),
    "begin": Signature("begin", ("qwrtz begin",), keep=Keep.FACT),
    "engine": Signature("engine", ("qwrtz engine",), keep=Keep.MARK),
}
SMALL_MATCHER = Matcher(SMALL)
HALF = RARE_KEPT // 2
BLOCKS = (1, 90_000, 1 << 20)


def striped(workers: int, stripe_bytes: int = 150_000) -> Plan:
    return Plan(block_bytes=1, stripe_bytes=stripe_bytes, striped_from_bytes=0, workers=workers)


@pytest.fixture(autouse=True)
def _fork_beside_the_test_runners_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("troubleshoot.logs.scan.usable_workers", lambda most: most)


def ends(places: list[Place], keep: Keep) -> list[Place]:
    """What stays of the places of a kind, where a series is not long enough to be thinned."""
    if keep is Keep.SERIES:
        assert len(places) <= SERIES_KEPT + SERIES_RECENT
        return places
    return places if len(places) <= RARE_KEPT else [*places[:HALF], *places[-HALF:]]


def assert_like_reference(result: ScanResult, content: bytes, reference: Reference) -> None:
    expected = reference(content, SIGNATURES)
    assert result.counts == {identity: len(places) for identity, places in expected.items()}
    assert {identity: triples(located) for identity, located in result.located.items()} == {
        identity: [tuple(place) for place in ends(places, SIGNATURES[identity].keep)]
        for identity, places in expected.items()
    }
    assert result.size_bytes == len(content)
    assert result.lines == lines_of(content)
    assert result.last_bytes == content[-4096:]
    assert not result.interrupted


def lines_of(content: bytes) -> int:
    return content.count(b"\n") + (not content.endswith(b"\n"))


def triples(located: list[Located]) -> list[tuple[int, int, bytes]]:
    assert all((place.offset, place.line) == (place.hit.offset, place.hit.line) for place in located)
    return [(place.offset, place.line, place.hit.raw) for place in located]


@pytest.mark.parametrize("recording", bundled())
@pytest.mark.no_cover
def test_each_recording_gives_what_a_line_by_line_reading_gives(
    recording: str, reference: Reference, stream_source: type[StreamSource], file_source: OpenFile
) -> None:
    content = read_log(load(recording))
    whole = scan(stream_source(content), SIGNATURES, MATCHER)
    assert_like_reference(whole, content, reference)
    for block_bytes in BLOCKS[:2]:
        again = scan(stream_source(content, 10_000), SIGNATURES, MATCHER, plan=Plan(block_bytes=block_bytes))
        assert again == whole
    of_file = scan(file_source(content), SIGNATURES, MATCHER)
    assert (of_file.counts, of_file.located, of_file.lines) == (whole.counts, whole.located, whole.lines)


@pytest.mark.no_cover
def test_all_recordings_in_a_row_in_full_detail(
    reference: Reference, stream_source: type[StreamSource], file_source: OpenFile
) -> None:
    content = b"".join(read_log(load(recording)) for recording in bundled())
    whole = scan(stream_source(content), SIGNATURES, MATCHER)
    assert_like_reference_with_thinning(whole, content, reference)
    of_file = scan(file_source(content), SIGNATURES, MATCHER, plan=Plan(stripe_bytes=1 << 30))
    assert of_file.located == whole.located


def assert_like_reference_with_thinning(result: ScanResult, content: bytes, reference: Reference) -> None:
    expected = reference(content, SIGNATURES)
    assert result.counts == {identity: len(places) for identity, places in expected.items()}
    for identity, places in expected.items():
        kept = triples(result.located[identity])
        if SIGNATURES[identity].keep is Keep.SERIES:
            assert set(kept) <= set(map(tuple, places))
            assert kept[0] == places[0]
            assert kept[-SERIES_RECENT:] == [tuple(place) for place in places[-SERIES_RECENT:]]
        else:
            assert kept == [tuple(place) for place in ends(places, SIGNATURES[identity].keep)]


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.no_cover
def test_a_striped_file_counts_and_keeps_rare_lines_exactly(
    workers: int, reference: Reference, file_source: OpenFile
) -> None:
    content = b"".join(read_log(load(recording)) for recording in bundled()[:12])
    result = scan(file_source(content), SIGNATURES, MATCHER, plan=striped(workers))
    expected = reference(content, SIGNATURES)
    assert result.lines == lines_of(content)
    assert result.size_bytes == len(content)
    assert set(result.counts) == set(expected)
    for identity, places in expected.items():
        kept, keep = triples(result.located[identity]), SIGNATURES[identity].keep
        if keep is Keep.RARE:
            assert result.counts[identity] == len(places)
            assert kept == [tuple(place) for place in ends(places, keep)]
        else:
            assert set(kept) <= set(map(tuple, places))
            assert kept[0] == places[0]
            ending = [tuple(place) for place in places if place.offset >= len(content) - 100_000][-HALF:]
            assert keep is Keep.MARK or kept[len(kept) - len(ending) :] == ending


def test_a_striped_file_counts_answered_requests_about_right(file_source: OpenFile) -> None:
    answered = b'INFO:     10.0.0.7:5000 - "POST /v1/completions HTTP/1.1" 200 OK\n'
    refused = b'INFO:     10.0.0.7:5000 - "POST /v1/completions HTTP/1.1" 400 Bad Request\n'
    content = (answered * 99 + refused) * 1000
    counts = scan(file_source(content), SIGNATURES, MATCHER, plan=striped(2, 1_000_000)).counts
    assert counts["http_4xx"] == 1000
    assert counts["served_request"] == pytest.approx(99_000, rel=0.02)


@pytest.mark.parametrize("stripe_bytes", [100_000, 333_333, 1_000_000])
def test_one_worker_and_several_give_the_same(stripe_bytes: int, file_source: OpenFile) -> None:
    content = b"".join(read_log(load(recording)) for recording in bundled()[:12])
    alone, together = (
        scan(file_source(content), SIGNATURES, MATCHER, plan=striped(workers, stripe_bytes)) for workers in (1, 3)
    )
    assert together == alone


def soup(seed: int, lines: int = 4000) -> tuple[bytes, list[tuple[int, int]]]:
    """Lines of noise, some of them long, with `zyxwv` errors in places: line numbers and offsets."""
    choose = random.Random(seed)
    parts: list[bytes] = []
    planted: list[tuple[int, int]] = []
    offset = 0
    for number in range(1, lines + 1):
        length = choose.choice((0, 10, 100, 100, 100, 2000)) if choose.random() < 0.999 else 15_000
        line = bytes(choose.choices(b'abc \0\xff{}"\\', k=length))
        if choose.random() < 0.004:
            line = line[: length // 2] + b"zyxwv %d" % number + line[length // 2 :]
            planted.append((offset, number))
        end = choose.choice((b"\n", b"\n", b"\r\n"))
        parts.append(line + end)
        offset += len(line) + len(end)
    return b"".join(parts), planted


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("block_bytes", BLOCKS)
@pytest.mark.no_cover
def test_planted_lines_are_found_at_their_places(
    seed: int, block_bytes: int, stream_source: type[StreamSource], file_source: OpenFile
) -> None:
    content, planted = soup(seed)
    expected = planted if len(planted) <= RARE_KEPT else planted[:HALF] + planted[-HALF:]
    results = [
        scan(stream_source(content), SMALL, SMALL_MATCHER, plan=Plan(block_bytes=block_bytes)),
        scan(file_source(content), SMALL, SMALL_MATCHER, plan=striped(2)),
    ]
    for result in results:
        assert result.counts == {"oops": len(planted)}
        assert [(hit.offset, hit.line) for hit in result.located["oops"]] == expected


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(content=st.binary(max_size=3000), times=st.integers(1, 60))
def test_no_bytes_are_too_strange(content: bytes, times: int, stream_source: type[StreamSource]) -> None:
    content *= times
    result = scan(stream_source(content, 777), SIGNATURES, MATCHER, plan=Plan(block_bytes=1))
    assert result.size_bytes == len(content)
    assert result.lines == content.count(b"\n") + (not content.endswith(b"\n") and bool(content))


NOISE = st.sampled_from(["", "INFO 07-01 ok", "x" * 300, "{}", "GET /health 200", "\r", "\x1b[32m"])
PLANTED = st.sampled_from(["zyxwv 1", "INFO zyxwv 22: bad", '{"message": "zyxwv 3"}', "zyxwv 4\r"])


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(lines=st.lists(st.one_of(NOISE, NOISE, PLANTED), max_size=60), final=st.booleans())
def test_just_the_planted_lines_are_found(lines: list[str], final: bool, stream_source: type[StreamSource]) -> None:
    content = "\n".join(lines).encode() + (b"\n" if final else b"")
    result = scan(stream_source(content, 100), SMALL, SMALL_MATCHER)
    expected = [number for number, line in enumerate(lines, start=1) if "zyxwv" in line]
    assert result.counts.get("oops", 0) == len(expected)
    kept = expected if len(expected) <= RARE_KEPT else [*expected[:HALF], *expected[-HALF:]]
    assert [hit.line for hit in result.located.get("oops", [])] == kept


@pytest.mark.parametrize("block_bytes", BLOCKS)
@pytest.mark.parametrize("place", [0, 20_000, *range(65_520, 65_536, 3), *range(131_050, 131_070, 3), 400_000])
def test_a_match_in_a_line_longer_than_a_block_is_found(
    place: int, block_bytes: int, stream_source: type[StreamSource]
) -> None:
    content = b"first\n" + b"y" * place + b"zyxwv 7" + b"y" * 300_000 + b"\nlast"
    result = scan(stream_source(content), SMALL, SMALL_MATCHER, plan=Plan(block_bytes=block_bytes))
    assert result.counts == {"oops": 1}
    [located] = result.located["oops"]
    assert located.line == 2
    assert b"zyxwv 7" in located.hit.raw
    assert len(located.hit.raw) <= 2 * CUT_BYTES
    assert 6 <= located.offset < 6 + place + len(b"zyxwv 7")
    assert result.lines == 3


def test_an_over_long_line_gives_the_same_however_it_is_read(
    stream_source: type[StreamSource], file_source: OpenFile
) -> None:
    content = b"first\n" + b"zyxwv 1, qwrtz tick, " * 40_000 + b"\n" + b"zyxwv 2\n" * 30
    results = [
        scan(stream_source(content), SMALL, SMALL_MATCHER, plan=Plan(block_bytes=block_bytes)) for block_bytes in BLOCKS
    ]
    assert results[0] == results[1] == results[2]
    of_file = scan(file_source(content), SMALL, SMALL_MATCHER, plan=striped(2))
    assert (of_file.counts["oops"], of_file.located["oops"]) == (results[0].counts["oops"], results[0].located["oops"])


@pytest.mark.parametrize("before", range(114_680, 114_700))
def test_a_match_across_a_block_border_is_found_once(before: int, stream_source: type[StreamSource]) -> None:
    content = b"a" * 50 + b"\n" + b"b" * (before - 52 - 1999) + b"\n" + b"c" * 1999 + b"zyxwv 1\n" + b"d\n" * 60_000
    result = scan(stream_source(content), SMALL, SMALL_MATCHER, plan=Plan(block_bytes=1))
    assert [(hit.line, hit.offset) for hit in result.located["oops"]] == [(3, before - 1999)]


@pytest.mark.parametrize("shift", range(0, 4000, 331))
def test_text_around_a_match_comes_from_the_neighbouring_blocks(
    shift: int, stream_source: type[StreamSource], file_source: OpenFile
) -> None:
    block = b"trace 1\ntrace 2\nzyxwv 1\nafter\n"
    content = (b"-" * 63 + b"\n") * 1000 + b"." * shift + b"\n" + block + (b"=" * 63 + b"\n") * 4000
    for result in (
        scan(stream_source(content), SMALL, SMALL_MATCHER, plan=Plan(block_bytes=1)),
        scan(file_source(content), SMALL, SMALL_MATCHER, plan=striped(2, 64_300)),
    ):
        [located] = result.located["oops"]
        assert located.hit.context == b"trace 1\ntrace 2\n"
        assert located.hit.follow == b"\nafter"


def test_ten_thousand_equal_errors_are_counted_and_few_kept(
    stream_source: type[StreamSource], file_source: OpenFile
) -> None:
    content = (b"noise\nERROR zyxwv 5 again\n" * 10_000) + b"end"
    for result in (
        scan(stream_source(content), SMALL, SMALL_MATCHER),
        scan(file_source(content), SMALL, SMALL_MATCHER, plan=striped(3, 40_000)),
    ):
        assert result.counts == {"oops": 10_000}
        lines = [hit.line for hit in result.located["oops"]]
        assert lines == [*range(2, 2 + RARE_KEPT, 2), *range(20_002 - RARE_KEPT, 20_001, 2)]
        assert result.lines == 20_001


def test_a_long_series_is_thinned_and_its_end_is_whole(stream_source: type[StreamSource]) -> None:
    content = b"noise\nqwrtz tick\n" * 30_000
    ticks = [hit.line for hit in scan(stream_source(content), SMALL, SMALL_MATCHER).located["tick"]]
    assert ticks[0] == 2
    assert ticks[-SERIES_RECENT:] == list(range(60_002 - 2 * SERIES_RECENT, 60_001, 2))
    assert len(ticks) <= SERIES_KEPT + SERIES_RECENT


def test_in_the_middle_of_a_long_file_series_and_facts_are_sampled(file_source: OpenFile) -> None:
    content = b"noise\nqwrtz tick\nqwrtz begin\nzyxwv 1\n" * 60_000
    result = scan(file_source(content), SMALL, SMALL_MATCHER, plan=striped(2, 300_000))
    assert result.counts["oops"] == 60_000
    assert result.located["begin"][-1].line == 4 * 60_000 - 1
    for identity in ("tick", "begin"):
        assert 0 < result.counts[identity] < 60_000
        lines = [hit.line for hit in result.located[identity]]
        assert lines == sorted(lines)
        assert all(line % 4 == {"tick": 2, "begin": 3}[identity] for line in lines)
    ticks = [hit.line for hit in result.located["tick"]]
    assert ticks[-SERIES_RECENT:] == list(range(240_002 - 4 * SERIES_RECENT, 240_001, 4))


def test_a_mark_seen_only_in_the_middle_is_seen(file_source: OpenFile) -> None:
    noise = b"noise\n" * 100_000
    result = scan(file_source(noise + b"qwrtz engine\n" + noise), SMALL, SMALL_MATCHER, plan=striped(2))
    assert [(hit.line, hit.offset) for hit in result.located["engine"]] == [(100_001, 600_000)]
    assert result.counts == {"engine": 1}


@pytest.mark.parametrize("content", [b"", b"\n", b"x", b"zyxwv 1", b"\r\n\r\n", b"\0" * 100])
def test_tiny_logs(content: bytes, stream_source: type[StreamSource]) -> None:
    result = scan(stream_source(content), SMALL, SMALL_MATCHER)
    assert result.lines == content.count(b"\n") + bool(content and not content.endswith(b"\n"))
    assert result.size_bytes == len(content)
    assert len(result.located.get("oops", [])) == (b"zyxwv" in content)


def test_progress_grows_to_the_size(stream_source: type[StreamSource], file_source: OpenFile) -> None:
    content = b"noise\n" * 300_000
    for source, plan in ((stream_source(content), Plan(block_bytes=1)), (file_source(content), striped(1))):
        told: list[int] = []
        scan(source, SMALL, SMALL_MATCHER, told.append, plan)
        assert told == sorted(told)
        assert len(told) > 5
        assert told[-1] == len(content)


def test_ctrl_c_during_a_read_keeps_what_was_read() -> None:
    class Pipe:
        """A pipe on which nothing more comes."""

        name = "-"
        size_bytes = None
        seekable_fd = None

        def __init__(self) -> None:
            self.parts = [b"zyxwv 1\n", b"zyxwv 2"]

        def readinto(self, buffer: memoryview) -> int:
            if not self.parts:
                os.kill(os.getpid(), signal.SIGINT)
                signal.pause()
            part = self.parts.pop(0)
            buffer[: len(part)] = part
            return len(part)

    result = scan(Pipe(), SMALL, SMALL_MATCHER)
    assert result.interrupted
    assert result.counts == {"oops": 2}
    assert result.lines == 2
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("workers", [1, 3])
def test_ctrl_c_during_a_file_keeps_an_unbroken_beginning(workers: int, file_source: OpenFile) -> None:
    content = b"noise\nzyxwv 1\n" * 200_000
    told: list[int] = []

    def interrupt(read_bytes: int) -> None:
        told.append(read_bytes)
        if len(told) == 3:
            os.kill(os.getpid(), signal.SIGINT)

    result = scan(file_source(content), SMALL, SMALL_MATCHER, interrupt, striped(workers, 50_000))
    assert result.interrupted
    assert 0 < result.size_bytes < len(content)
    read = content[: result.size_bytes]
    assert result.lines == lines_of(read)
    assert result.counts == {"oops": read.count(b"zyxwv")}
    assert [hit.line for hit in result.located["oops"][:HALF]] == list(range(2, 2 + RARE_KEPT, 2))
    assert result.last_bytes == read[-4096:]


def test_a_handler_of_the_callers_own_is_left_alone(stream_source: type[StreamSource]) -> None:
    def handler(*_: object) -> None:
        """Does nothing."""

    before = signal.signal(signal.SIGINT, handler)
    try:
        result = scan(stream_source(b"zyxwv 1"), SMALL, SMALL_MATCHER)
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert not result.interrupted


def test_a_file_that_cannot_be_read_in_stripes_is_read_as_a_stream(
    file_source: OpenFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.preadv", broken)
    result = scan(file_source(b"noise\nzyxwv 1\n" * 50_000), SMALL, SMALL_MATCHER, plan=striped(2))
    assert result.counts == {"oops": 50_000}


def test_a_lost_worker_costs_nothing_but_time(file_source: OpenFile, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = os.getpid()
    preadv = os.preadv

    def killed_in_the_child(descriptor: int, views: list[memoryview], offset: int) -> int:
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return preadv(descriptor, views, offset)

    monkeypatch.setattr("os.preadv", killed_in_the_child)
    content = b"noise\nzyxwv 1\n" * 50_000
    result = scan(file_source(content), SMALL, SMALL_MATCHER, plan=striped(2, 40_000))
    assert result.counts == {"oops": 50_000}
    assert result.size_bytes == len(content)
