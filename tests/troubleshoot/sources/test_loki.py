"""Logs from a stub of Loki (see `loki_stub`): every line once, in order, and each failure said."""

from __future__ import annotations

import random
import socket
from pathlib import Path

import pytest

from recordings.reader import bundled, load, read_log
from tests.troubleshoot.sources.conftest import http_answer
from tests.troubleshoot.sources.loki_stub import LokiStub, running
from troubleshoot.collect import Collected, Request, collect
from troubleshoot.diagnosis import diagnose
from troubleshoot.sources import loki, loki_pages
from troubleshoot.sources.access import Access
from troubleshoot.sources.errors import InputError
from troubleshoot.sources.http_api import HttpApi
from troubleshoot.sources.loki import LokiRequest, loki_logs

END = 1_795_300_000.0
END_NS = int(END * 1e9)
QUERY = '{namespace="prod"}'
POD = {"namespace": "prod", "pod": "llm-0", "container": "engine"}


def request(url: str, query: str = QUERY, **access: str) -> LokiRequest:
    return LokiRequest(url, query, END, 600.0, Access(tenant=access.get("tenant", ""), timeout_seconds=5))


def read(stub: LokiStub, query: str = QUERY) -> dict[str, list[str]]:
    """The lines by place, and "note" -> what is missing."""
    with running(stub) as url, loki_logs(request(url, query), END, lambda _done: None) as found:
        lines = {log.name.partition(" ")[2]: log.path.read_text("utf-8").splitlines() for log in found.logs}
        return {**lines, "note": [found.note]}


def problem(stub: LokiStub, query: str = QUERY) -> str:
    with pytest.raises(InputError) as raised:
        read(stub, query)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def spread(count: int, same: int = 1) -> list[tuple[int, str]]:
    """Lines over the last ten minutes, `same` of them at each nanosecond."""
    return [(END_NS - 500_000_000_000 + index // same, f"line {index}") for index in range(count)]


# Pages


@pytest.mark.parametrize("same", [1, 3, 7, 100])
@pytest.mark.parametrize("most", [100, 150])
def test_every_line_comes_once_and_in_order(same: int, most: int) -> None:
    """However many lines share a nanosecond at the border of a page, as long as a page holds them."""
    stub = LokiStub(most_lines=most + 1)
    stub.push(POD, spread(1000, same))
    got = read(stub)
    (lines,) = [found for name, found in got.items() if name != "note"]
    assert lines == [f"line {index}" for index in range(1000)]
    assert got["note"] == [""]
    assert len(stub.asked) > 5


def test_the_window_and_the_page_are_asked_for() -> None:
    stub = LokiStub()
    stub.push(POD, [(END_NS - 600_000_000_000, "first"), (END_NS - 1, "last"), (END_NS, "too late")])
    stub.push(POD, [(END_NS - 600_000_000_001, "too early")])
    assert read(stub)['{container="engine", namespace="prod", pod="llm-0"}'] == ["first", "last"]
    (asked,) = stub.asked
    assert asked == {
        "query": QUERY,
        "start": str(END_NS - 600_000_000_000),
        "end": str(END_NS),
        "limit": "5000",
        "direction": "forward",
    }


def test_more_lines_in_a_nanosecond_than_a_page_holds_are_said() -> None:
    stub = LokiStub(most_lines=50)
    stub.push(POD, [(END_NS - 1000, f"same {index}") for index in range(70)])
    stub.push(POD, [(END_NS - 10, "after")])
    got = read(stub)
    (lines,) = [found for name, found in got.items() if name != "note"]
    assert (len(lines), lines[-1]) == (51, "after")
    assert got["note"] == ["more than 50 lines within one nanosecond: some are missing"]


def test_streams_of_one_process_are_one_log_and_pods_are_apart() -> None:
    stub = LokiStub(most_lines=40)
    entries = spread(300)
    random.Random(3).shuffle(entries)
    for index, entry in enumerate(entries):
        stub.push({**POD, "pod": f"llm-{index % 2}", "stream": ("stdout", "stderr")[index % 3 == 0]}, [entry])
    got = read(stub)
    got.pop("note")
    assert sorted(got) == [f'{{container="engine", namespace="prod", pod="llm-{n}"}}' for n in (0, 1)]
    assert sorted(line for lines in got.values() for line in lines) == sorted(line for _, line in entries)
    for lines in got.values():
        assert lines == sorted(lines, key=lambda line: int(line.split()[1]))


def test_more_places_than_are_read_are_said() -> None:
    stub = LokiStub()
    for index in range(20):
        stub.push({**POD, "pod": f"llm-{index}"}, [(END_NS - 1000 + index, "x")])
    got = read(stub)
    assert got.pop("note") == ["lines of more than 16 places: the first 16 were read"]
    assert len(got) == 16


def test_a_page_too_large_is_asked_for_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loki, "HttpApi", lambda url, access: HttpApi(url, access, max_bytes=100_000))
    stub = LokiStub()
    stub.push(POD, [(END_NS - 10_000 + index, f"{index} " + "x" * 500) for index in range(1000)])
    (lines,) = [found for name, found in read(stub).items() if name != "note"]
    assert [int(line.split()[0]) for line in lines] == list(range(1000))


def test_reading_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loki, "MOST_BYTES", 2000)
    stub = LokiStub(most_lines=100)
    stub.push(POD, spread(5000))
    assert "stopped after" in read(stub)["note"][0]
    assert len(stub.asked) < 8
    monkeypatch.setattr(loki, "MOST_BYTES", 1 << 20)
    monkeypatch.setattr(loki_pages, "_MOST_PAGES", 3)
    assert read(stub)["note"] == ["stopped after 3 pages: ask for less with --query or --window"]


def test_the_files_are_gone_afterwards() -> None:
    stub = LokiStub()
    stub.push(POD, spread(10))
    with running(stub) as url, loki_logs(request(url), END, lambda _done: None) as found:
        path = found.logs[0].path
        assert path.is_file()
    assert not path.parent.exists()


# Failures


def test_a_query_that_does_not_parse_is_said_in_lokis_words() -> None:
    text = problem(LokiStub(), "{namespace=prod}")
    assert "answered 400 Bad Request: parse error at line 1, col 2: syntax error" in text
    assert "--query" in text


def test_a_query_for_numbers_is_said() -> None:
    assert "the query gives numbers (matrix), not lines" in problem(LokiStub(), 'rate({a="b"}[5m])')


def test_no_lines_are_said() -> None:
    assert "no lines in this window; check --query, --at and --window, and --tenant" in problem(LokiStub())


def test_too_many_requests_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    stub = LokiStub(
        refusals=[http_answer(b"too many outstanding requests\n", "429 Too Many Requests", "Retry-After: 2")]
    )
    stub.push(POD, spread(3))
    waits: list[float] = []
    monkeypatch.setattr(loki, "HttpApi", lambda url, access: HttpApi(url, access, sleep=waits.append))
    assert read(stub)["note"] == [""]
    assert waits == [2.0]


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (http_answer(b"", "401 Unauthorized"), "answered 401 Unauthorized; give credentials"),
        (http_answer(b"", "403 Forbidden"), "answered 403 Forbidden"),
        (http_answer(b"", "404 Not Found"), "the API is not at this address"),
        (http_answer(b"oops\n", "500 Internal Server Error"), "500 Internal Server Error: oops"),
        (http_answer(b"<html><title>Login</title>"), "an HTML page titled 'Login'"),
        (http_answer(b'{"status":"success"}'), "JSON that is none of the API's"),
        (
            http_answer(b'{"status":"success","data":{"resultType":"streams","result":[{"stream":{}}]}}'),
            "none of the API's",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{", "closed midway"),
    ],
)
def test_a_failure_of_the_first_page_is_the_sources(refusal: bytes, said: str) -> None:
    stub = LokiStub(refusals=[refusal])
    stub.push(POD, spread(3))
    assert said in problem(stub)


def test_a_failure_behind_the_first_page_keeps_what_was_read() -> None:
    def fail(number: int, connection: socket.socket) -> bool:
        if number == 4:
            connection.sendall(http_answer(b"shard lost\n", "500 Internal Server Error"))
        return number == 4

    stub = LokiStub(most_lines=100, before=fail)
    stub.push(POD, spread(1000))
    got = read(stub)
    assert "reading stopped after" in got["note"][0]
    assert "answered 500 Internal Server Error: shard lost" in got["note"][0]
    assert 150 < sum(len(lines) for name, lines in got.items() if name != "note") < 250


def test_the_tenant_is_sent() -> None:
    stub = LokiStub(tenant="team-a")
    stub.push(POD, spread(3))
    with running(stub) as url, loki_logs(request(url, tenant="team-a"), END, lambda _done: None) as found:
        assert found.logs


# Verdicts


def from_loki(content: bytes, tmp_path: Path) -> Collected:
    """A log's lines pushed to the stub, a line a microsecond, and read again."""
    stub = LokiStub(most_lines=200)
    lines = content.decode("utf-8", "replace").split("\n")
    lines = lines[:-1] if lines[-1] == "" else lines
    stub.push(POD, [(END_NS - (len(lines) - index) * 1000, line) for index, line in enumerate(lines)])
    with running(stub) as url:
        return collect(Request(loki=request(url)))


@pytest.mark.parametrize("name", bundled())
def test_the_verdict_is_that_of_the_file(name: str, tmp_path: Path) -> None:
    file = collect(Request([str(load(name).log_path)]))
    loki_s = from_loki(read_log(load(name)), tmp_path)
    assert loki_s.problems == [] and file.evidence is not None and loki_s.evidence is not None
    want, got = diagnose(file.evidence), diagnose(loki_s.evidence)
    assert got.verdict == want.verdict
    assert [finding.cause for finding in got.findings] == [finding.cause for finding in want.findings]
    assert got.numbers == want.numbers
    assert got.engine == want.engine
    if got.findings:
        lines = {item.line for item in got.findings[0].evidence if hasattr(item, "line")}
        assert lines == {item.line for item in want.findings[0].evidence if hasattr(item, "line")}


def test_the_place_is_named_as_the_file(tmp_path: Path) -> None:
    collected = from_loki(read_log(load("oom_no_kv_blocks")), tmp_path)
    assert collected.evidence is not None
    first = diagnose(collected.evidence).findings[0].evidence[0]
    assert getattr(first, "file").endswith(' {container="engine", namespace="prod", pod="llm-0"}')  # noqa: B009


def test_ctrl_c_keeps_what_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    stub = LokiStub(most_lines=50)
    stub.push(POD, spread(400))
    told: list[int] = []

    def interrupt(done: int) -> None:
        told.append(done)
        if len(told) == 3:
            raise KeyboardInterrupt

    with running(stub) as url, loki_logs(request(url), END, interrupt) as found:
        assert found.interrupted
        assert found.logs[0].path.read_text().count("\n") > 100
