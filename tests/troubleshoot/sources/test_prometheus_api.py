"""Answers of Prometheus's API: rows, warnings, and whatever is none. Servers here are stubs that send bytes."""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from troubleshoot.sources.access import Access
from troubleshoot.sources.errors import InputError
from troubleshoot.sources.http_api import HttpApi
from troubleshoot.sources.prometheus.api import PrometheusApi, Row

from .conftest import LocalServer, http_answer

Start = Callable[..., LocalServer]


def answered(result: object, **more: object) -> bytes:
    data = {"resultType": "vector", "result": result}
    return http_answer(json.dumps({"status": "success", "data": data, **more}).encode())


@contextmanager
def api_of(server: LocalServer) -> Iterator[PrometheusApi]:
    with HttpApi(f"http://{server.address}", Access()) as http:
        yield PrometheusApi(http)


def test_a_vector_and_a_matrix_become_rows(start: Start) -> None:
    vector = {"metric": {"pod": "a"}, "value": [1795293850.123, "2.5"]}
    matrix = {"metric": {"__name__": "up"}, "values": [[1, "0"], [2.5, "NaN"], [3, "+Inf"]]}
    with api_of(start(answered([vector, matrix]))) as api:
        one, many = api.query("up", 1795293850.1234)
    assert one == Row({"pod": "a"}, [(1795293850.123, 2.5)])
    assert many.labels == {"__name__": "up"}
    assert [time for time, _ in many.points] == [1, 2.5, 3]
    assert many.value == float("inf")


def test_the_time_is_given_to_the_millisecond(start: Start) -> None:
    server = start(answered([]))
    with api_of(server) as api:
        assert api.value('up{job="x"}', 1795293850.1239) is None
    assert server.paths == ["/api/v1/query?query=up%7Bjob%3D%22x%22%7D&time=1795293850.124&timeout=30s"]


def test_a_plus_in_a_query_stays_one(start: Start) -> None:
    server = start(answered([]))
    with api_of(server) as api:
        api.query('a + b{c="d&e=f"}', 1.0)
    assert "query=a+%2B+b%7Bc%3D%22d%26e%3Df%22%7D" in server.paths[0]


def test_warnings_are_kept_once_and_cleaned(start: Start) -> None:
    said = ["store a\x1b[31m did not answer", "store a\x1b[31m did not answer", "x" * 900]
    with api_of(start(answered([], warnings=said, infos=["fine"]))) as api:
        api.query("up", 1)
        api.query("up", 2)
    assert api.warnings[0] == "store a did not answer"
    assert len(api.warnings) == 2
    assert len(api.warnings[1]) <= 200


def test_a_partial_answer_of_victoria_metrics_is_a_warning(start: Start) -> None:
    with api_of(start(answered([], isPartial=True))) as api:
        api.query("up", 1)
    assert api.warnings == ["the answer is partial: a storage node did not answer"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "answered with an empty body"),
        (
            b"<!doctype html><html><title>Sign in</title>",
            "an HTML page titled 'Sign in', not with the API's JSON; this is",
        ),
        (b"{", "not with the API's JSON"),
        (b"[]", "JSON that is none"),
        (b"null", "not with the API's JSON"),
        (b"{}", "JSON that is none"),
        (b'{"status":"success"}', "JSON that is none"),
        (b'{"status":"success","data":[]}', "JSON that is none"),
        (b'{"status":"error","error":"x","data":{"result":[]}}', "JSON that is none"),
        (b'{"status":"success","data":{"result":[1]}}', "JSON that is none"),
        (b'{"status":"success","data":{"result":[{"metric":{}}]}}', "JSON that is none"),
        (b'{"status":"success","data":{"result":[{"metric":{},"value":[1,"x"]}]}}', "JSON that is none"),
        (b'{"status":"success","data":{"result":[{"metric":[],"value":[1,"1"]}]}}', "JSON that is none"),
        (b"[" * 100_000, "JSON that is none"),
        (b"up 1\n", "answered with other text, not with the API's JSON"),
        (b"\xff\xfe\x00", "not with the API's JSON"),
    ],
)
def test_what_is_no_answer_is_said(start: Start, body: bytes, said: str) -> None:
    with api_of(start(http_answer(body))) as api, pytest.raises(InputError) as raised:
        api.query("up", 1)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_no_credentials_come_from_netrc(start: Start, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("default login me password hunter2\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server = start(answered([]))
    with api_of(server) as api:
        api.query("up", 1)
    assert b"uthorization" not in server.requests[0]


def test_a_missing_library_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(
        name: str,
        globals_: Mapping[str, object] | None = None,
        locals_: Mapping[str, object] | None = None,
        names: Sequence[str] = (),
        level: int = 0,
    ) -> Any:
        if name == "prometheus_api_client":
            raise ImportError(name)
        return real(name, globals_, locals_, names, level)

    monkeypatch.setattr(builtins, "__import__", without)
    with HttpApi("http://localhost:1", Access()) as http, pytest.raises(InputError) as raised:
        PrometheusApi(http)
    assert str(raised.value) == (
        "http://localhost:1: reading a Prometheus needs the package prometheus-api-client; "
        "install it: pip install 'inferwatch[prometheus]'"
    )
