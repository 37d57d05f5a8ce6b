"""A Prometheus, asked over its HTTP API by prometheus-api-client."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

from dashboards.preview.variables import Period

if TYPE_CHECKING:
    from prometheus_api_client import PrometheusConnect
    from requests import Response

__all__ = ["PrometheusError", "QueryError", "Source", "TimedSeries", "connect", "without_credentials"]

_T = TypeVar("_T")
_WORDS = 300


class PrometheusError(Exception):
    """A Prometheus that cannot be asked at all; the message is one line that names it and what to do."""


class QueryError(Exception):
    """A query that this Prometheus refused; the message is its own."""


@dataclass(frozen=True, slots=True)
class TimedSeries:
    """One series: its labels, and its values on the period's grid, None where there is none."""

    labels: Mapping[str, str]
    values: tuple[float | None, ...]


class Source:
    """Answers queries, each asked once."""

    def __init__(self, client: PrometheusConnect, url: str) -> None:
        self._client = client
        self.url = url
        self._ranges: dict[tuple[str, Period], list[TimedSeries]] = {}
        self._instants: dict[tuple[str, int], list[tuple[Mapping[str, str], float]]] = {}

    def range(self, expression: str, period: Period) -> list[TimedSeries]:
        """Evaluate over a period. Raises QueryError, PrometheusError."""
        key = (expression, period)
        if key not in self._ranges:
            start, end, step = _moment(period.start), _moment(period.end), f"{period.step}s"
            self._ranges[key] = self._ask(
                lambda: _over_time(self._client.custom_query_range(expression, start, end, step), period)
            )
        return self._ranges[key]

    def instant(self, expression: str, time: int) -> list[tuple[Mapping[str, str], float]]:
        """Evaluate at a moment. Raises QueryError, PrometheusError."""
        key = (expression, time)
        if key not in self._instants:
            self._instants[key] = self._ask(
                lambda: _at_once(self._client.custom_query(expression, params={"time": time}))
            )
        return self._instants[key]

    def names(self, period: Period) -> frozenset[str]:
        """Return the names of all series that have samples in a period. Raises QueryError, PrometheusError."""
        # Five minutes more: that far a query looks back.
        span = {"start": period.start - 300, "end": period.end}
        found = self._ask(lambda: self._client.get_label_values("__name__", params=dict(span)))
        return frozenset(str(name) for name in found) if isinstance(found, list) else frozenset()

    def _ask(self, call: Callable[[], _T]) -> _T:
        from requests.exceptions import ConnectionError as NoConnection
        from requests.exceptions import RequestException, Timeout

        try:
            return call()
        except Timeout as error:
            hint = "try a shorter --range or a longer --timeout"
            raise PrometheusError(f"{self.url}: no answer in time; {hint}") from error
        except NoConnection as error:
            raise PrometheusError(f"{self.url}: cannot be reached ({_cause(error)}); is Prometheus there?") from error
        except (RequestException, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            # requests' own errors, and an answer that is no JSON or JSON of another shape.
            raise PrometheusError(f"{self.url}: no Prometheus answers there ({_line(str(error))})") from error


def connect(
    url: str, *, token: str = "", headers: Mapping[str, str] | None = None, timeout_seconds: float = 30.0
) -> Source:
    """Return a source for the Prometheus at `url`, which is asked whether it is there.

    Raises PrometheusError when it is not, when it refuses the credentials, or when the client is not installed.
    """
    shown = without_credentials(url)
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise PrometheusError(f"{shown}: no address; write it like http://prometheus:9090")
    try:
        from prometheus_api_client import PrometheusConnect
        from requests import Session
        from urllib3.util.retry import Retry
    except ImportError as error:
        raise PrometheusError("the preview needs prometheus-api-client: pip install 'inferwatch[preview]'") from error
    session = Session()
    session.hooks["response"].append(_refuse(shown))
    client = PrometheusConnect(
        url.rstrip("/"),
        headers={**({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})},
        session=session,
        # `read=False`: a query that took too long once would do so again.
        retry=Retry(
            1, connect=0, read=False, backoff_factor=0.2, status_forcelist=(429, 502, 504), raise_on_status=False
        ),
        timeout=timeout_seconds,
    )
    source = Source(client, shown)
    source.instant("vector(1)", int(datetime.now(UTC).timestamp()))
    return source


def without_credentials(url: str) -> str:
    """Return an address without what may be secret in it: user, password, query."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))


def _refuse(shown: str) -> Callable[..., None]:
    """A hook that turns an answer which is no result into an error that says what Prometheus said."""

    def check(response: Response, *_: object, **__: object) -> None:
        if response.ok or response.is_redirect:
            return
        try:
            said = response.json()
        except ValueError:
            said = {}
        words = said.get("error") if isinstance(said, dict) else None
        if response.status_code in (400, 422, 503) and words:
            raise QueryError(_line(str(words)))
        hint = "; give --token or --header" if response.status_code in (401, 403) else "; is this a Prometheus?"
        raise PrometheusError(f"{shown}: answers {response.status_code} {response.reason}{hint}")

    return check


def _moment(unix_seconds: int) -> datetime:
    return datetime.fromtimestamp(unix_seconds, UTC)


def _at_once(found: Any) -> list[tuple[Mapping[str, str], float]]:
    """A vector's samples, or a scalar as one without labels."""
    if len(found) == 2 and isinstance(found[1], str):
        return [({}, float(found[1]))]
    return [(dict(row["metric"]), float(row["value"][1])) for row in found]


def _over_time(found: Any, period: Period) -> list[TimedSeries]:
    """A matrix' series, on the period's grid."""
    series = []
    for row in found:
        values: list[float | None] = [None] * len(period.times)
        for time, value in row["values"]:
            place = round((float(time) - period.start) / period.step)
            if 0 <= place < len(values):
                values[place] = float(value)
        series.append(TimedSeries(dict(row["metric"]), tuple(values)))
    return series


def _cause(error: BaseException) -> str:
    """The last of what urllib3 wrapped: "Connection refused"."""
    last = _line(str(error)).rpartition(": ")[2].strip("')(\" ")
    return re.sub(r"^\[Errno -?[0-9]+\] ", "", last) or type(error).__name__


def _line(text: str) -> str:
    """One line that a terminal may show."""
    kept = "".join(sign if sign.isprintable() else " " for sign in text)
    return " ".join(kept.split())[:_WORDS]
