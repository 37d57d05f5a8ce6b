"""Asking a Prometheus: results on a grid, each query once, and errors in one line."""

from __future__ import annotations

import builtins
import socket
from math import inf, isnan
from typing import Any

import pytest

from dashboards.preview.prometheus import PrometheusError, QueryError, connect, without_credentials
from dashboards.preview.variables import Period
from tests.dashboards.preview.stub_prometheus import Answer, calm, ok, refused, stub_prometheus

PERIOD = Period(100, 130, 10)


def only_for(query: str, answer: Answer) -> Any:
    return lambda path, asked: answer if asked == query or query in path else calm(path, asked)


def test_values_stand_on_the_periods_grid() -> None:
    values = [[100, "1"], [110.004, "+Inf"], [130, "NaN"], [140, "9"]]
    with stub_prometheus(only_for("x", ok([{"metric": {"pod": "a"}, "values": values}]))) as stub:
        (series,) = connect(stub.url).range("x", PERIOD)
    assert series.labels == {"pod": "a"}
    assert series.values[:3] == (1.0, inf, None)
    assert series.values[3] is not None
    assert isnan(series.values[3])


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ([{"metric": {"pod": "a"}, "value": [130, "2.5"]}], [({"pod": "a"}, 2.5)]),
        ([130, "7"], [({}, 7.0)]),
        ([], []),
    ],
)
def test_a_moments_values_are_read(result: object, expected: object) -> None:
    with stub_prometheus(only_for("x", ok(result))) as stub:
        assert connect(stub.url).instant("x", 130) == expected


def test_a_query_is_asked_once() -> None:
    with stub_prometheus() as stub:
        source = connect(stub.url)
        for _ in range(3):
            source.range("x", PERIOD)
            source.instant("x", 130)
        source.range("x", Period(0, 30, 10))
    assert [path for path, query, _ in stub.asked if query == "x"].count("/api/v1/query_range") == 2
    assert [path for path, query, _ in stub.asked if query == "x"].count("/api/v1/query") == 1


def test_the_names_are_those_of_the_period() -> None:
    with stub_prometheus() as stub:
        assert connect(stub.url).names(PERIOD) == {"llm_up"}
    assert stub.asked[-1][0] == "/api/v1/label/__name__/values"


def test_credentials_are_sent_and_not_shown() -> None:
    with stub_prometheus() as stub:
        address = stub.url.replace("http://", "http://reader:secret@") + "/"
        source = connect(address, headers={"X-Scope-OrgID": "team-a"})
        assert source.url == stub.url + "/"
        connect(stub.url, token="t0ken")
    assert stub.asked[0][2]["Authorization"].startswith("Basic ")
    assert stub.asked[0][2]["X-Scope-OrgID"] == "team-a"
    assert stub.asked[1][2]["Authorization"] == "Bearer t0ken"


def test_what_prometheus_says_of_a_query_is_said_in_one_line() -> None:
    words = 'invalid parameter "query": 1:1:\nparse error\x1b[31m'
    with stub_prometheus(only_for("x", refused(400, words))) as stub, pytest.raises(QueryError) as error:
        connect(stub.url).range("x", PERIOD)
    assert str(error.value) == 'invalid parameter "query": 1:1: parse error [31m'


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ((401, b""), "answers 401 Unauthorized; give --token or --header"),
        ((403, b"{}"), "answers 403 Forbidden; give --token or --header"),
        ((404, b"<html>"), "answers 404 Not Found; is this a Prometheus?"),
        ((200, b"<html>"), "no Prometheus answers there (Expecting value"),
        ((200, b'{"data": 1}'), "no Prometheus answers there"),
        ((200, b"[]"), "no Prometheus answers there"),
        ((200, b"[" * 100_000), "no Prometheus answers there"),
        ((200, b'{"data": {"result": [{"metric": [], "value": ["now", "much"]}]}}'), "no Prometheus answers there"),
        ((200, b'{"data": {"result": [{"metric": 5, "value": [1, "2"]}]}}'), "no Prometheus answers there"),
        ((200, b'{"data": {"result": {"a": 1}}}'), "no Prometheus answers there"),
    ],
)
def test_what_is_no_prometheus_is_named(answer: Answer, complaint: str) -> None:
    with stub_prometheus(lambda *_: answer) as stub, pytest.raises(PrometheusError) as error:
        connect(stub.url)
    assert str(error.value).startswith(f"{stub.url}: ")
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)


def test_nobody_there_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(PrometheusError, match=rf"^http://127.0.0.1:{port}: cannot be reached \(.*Connection refused\)"):
        connect(f"http://127.0.0.1:{port}")


def test_one_who_never_answers_is_not_waited_for_long() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(PrometheusError, match="no answer in time"):
            connect(address, timeout_seconds=0.2)


@pytest.mark.parametrize("url", ["prometheus:9090", "", "ftp://x", "http://", "/metrics"])
def test_an_address_is_one_of_http(url: str) -> None:
    with pytest.raises(PrometheusError, match="no address; write it like http://prometheus:9090"):
        connect(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://u:p@host:9090/x?token=1", "http://host:9090/x"),
        ("https://host", "https://host"),
        ("http://u@h", "http://h"),
    ],
)
def test_an_address_is_shown_without_its_credentials(url: str, shown: str) -> None:
    assert without_credentials(url) == shown


def test_without_the_client_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    own_import = builtins.__import__

    def refusing(name: str, *rest: Any, **named: Any) -> Any:
        if name.startswith("prometheus_api_client"):
            raise ImportError(name)
        return own_import(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", refusing)
    with pytest.raises(PrometheusError, match=r"pip install 'inferwatch\[preview\]'$"):
        connect("http://127.0.0.1:9")
