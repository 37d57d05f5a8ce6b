"""Queries to a store that speaks Prometheus's HTTP API.

The calls are prometheus-api-client's. Its transport is not: it has no deadline for an answer as a whole and no bound
on its size, waits as long as a Retry-After says, puts the query of a POST into the address, drops the warnings that
mark a partial answer, and follows redirects with every header. So its `requests` session gets a transport adapter, the
extension point that requests documents, which hands each request to `HttpApi`.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from troubleshoot.redact import quote
from troubleshoot.sources.errors import InputError
from troubleshoot.sources.http_api_problems import not_the_api

if TYPE_CHECKING:
    from prometheus_api_client import PrometheusConnect
    from requests import PreparedRequest, Response

    from troubleshoot.sources.http_api import HttpApi

INSTALL = "install it: pip install 'inferwatch[prometheus]'"
_WARNINGS_KEPT = 5


class Row(NamedTuple):
    """One series of an answer: its labels and its (unix seconds, value) points; one point in an instant vector."""

    labels: dict[str, str]
    points: list[tuple[float, float]]

    @property
    def value(self) -> float:
        """The newest value."""
        return self.points[-1][1]


class PrometheusApi:
    """Asks one store. `warnings` collects what it says of its answers, each text once and the first few alone."""

    def __init__(self, http: HttpApi) -> None:
        self._http = http
        self.name = http.name
        self.warnings: list[str] = []
        self._connect = _connected(http, self.warnings)

    @property
    def bytes_read(self) -> int:
        """Bytes of all answers so far."""
        return self._http.bytes_read

    def query(self, expression: str, at_seconds: float) -> list[Row]:
        """Evaluate at a time: an instant vector, or the raw samples of a range vector. Raises `InputError`."""
        # The server is told when nobody waits for its answer any longer.
        parameters = {"time": f"{at_seconds:.3f}", "timeout": f"{math.ceil(self._http.timeout_seconds)}s"}
        result = self._connect.custom_query(expression, params=parameters)
        try:
            return [_row(series) for series in result]
        except (KeyError, TypeError, ValueError, AttributeError):
            raise self._http.error(not_the_api(b"{}")) from None

    def value(self, expression: str, at_seconds: float) -> float | None:
        """The value of an expression with one series; None where it has none."""
        rows = self.query(expression, at_seconds)
        return rows[0].value if rows and rows[0].points else None


def _row(series: Mapping[str, Any]) -> Row:
    points = series["values"] if "values" in series else [series["value"]]
    labels = {str(name): str(value) for name, value in series["metric"].items()}
    return Row(labels, [(float(time), float(value)) for time, value in points])


def _connected(http: HttpApi, warnings: list[str]) -> PrometheusConnect:
    """The library's client over our transport; raise `InputError` where the library is not installed."""
    try:
        import requests
        from prometheus_api_client import PrometheusConnect
        from requests.adapters import BaseAdapter
    except ImportError:
        problem = "reading a Prometheus needs the package prometheus-api-client"
        raise InputError(http.name, problem, INSTALL) from None

    class Answer(requests.Response):
        """A whole answer, checked when it is read."""

        def json(self, **_options: Any) -> Any:
            return _checked(http, self.content, warnings)

    class Transport(BaseAdapter):
        """Every request of the session goes through `HttpApi`, which has the credentials and the bounds."""

        def send(self, request: PreparedRequest, *_arguments: Any, **_options: Any) -> Response:
            parts = urlsplit(str(request.url))
            answer = Answer()
            answer.status_code = 200
            answer.url = http.name
            answer.raw = io.BytesIO(http.ask(_API + parts.path.partition(_API)[2], dict(parse_qsl(parts.query))))
            return answer

        def close(self) -> None:
            """Nothing is held: the `HttpApi` is closed by who opened it."""

    session = requests.Session()
    session.trust_env = False  # no credentials from ~/.netrc
    connect = PrometheusConnect(url="http://store", session=session)
    session.mount("http://store", Transport())  # in place of the adapter that the library has just mounted
    return connect


_API = "/api/v1"


def _checked(http: HttpApi, body: bytes, warnings: list[str]) -> dict[str, Any]:
    """The decoded answer of a query with status success; its warnings are kept. Raises `InputError`."""
    import msgspec

    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise http.error(not_the_api(body)) from None
    if not isinstance(answer, dict) or answer.get("status") != "success" or not _has_result(answer.get("data")):
        raise http.error(not_the_api(body))
    said = answer.get("warnings")
    found = [str(text) for text in said] if isinstance(said, list) else []
    if answer.get("isPartial"):  # VictoriaMetrics's word for what Thanos says in a warning
        found.append("the answer is partial: a storage node did not answer")
    for text in (quote(" ".join(text.split()), 200) for text in found):
        if text not in warnings and len(warnings) < _WARNINGS_KEPT:
            warnings.append(text)
    return answer


def _has_result(data: object) -> bool:
    return isinstance(data, dict) and isinstance(data.get("result"), list)
