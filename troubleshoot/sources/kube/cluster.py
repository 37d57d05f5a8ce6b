"""The API server, asked with a bound on time and memory. All requests are GETs of `calls.CALLS`.

The kubernetes package brings credentials, TLS and the proxy; answers are read here, for it reads whole bodies whatever
their size. Refusals that pass (429, 5xx) are tried again while time is left, at the pace that the server asks for.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote as url_quote

from troubleshoot.sources.files import human_size
from troubleshoot.sources.kube.calls import Call
from troubleshoot.sources.kube.login import Login
from troubleshoot.sources.kube.problems import (
    CUT_OFF,
    NO_ANSWER,
    ClusterError,
    reason_in,
    status_problem,
    transport_problem,
)

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

TIMEOUT_SECONDS: Final = 20.0
MAX_ANSWER_BYTES: Final = 16 << 20
MAX_PAGES: Final = 10
_PAGE_ITEMS: Final = 500
_CONNECT_SECONDS: Final = 10.0
_TRIES: Final = 3
_FIRST_WAIT_SECONDS: Final = 1.0
_ERROR_BYTES: Final = 16 << 10
_CHUNK_BYTES: Final = 64 << 10
_PASSING: Final = frozenset({429, 500, 502, 503, 504})
_EXPIRED: Final = 410


Take = Callable[[dict[str, Any]], Any]
"""What is kept of an object, None for nothing."""


class Paging(NamedTuple):
    """How a list is asked for: objects a page, so many pages, none after the monotonic time `until`."""

    items: int
    most_pages: int
    until: float = float("inf")


class Listed(NamedTuple):
    """What was kept of a list; `is_whole` unless it has more objects than were asked for."""

    items: list[Any]
    is_whole: bool


class Cluster:
    """One API server. Its methods raise `ClusterError`; they may be called from several threads."""

    def __init__(self, login: Login, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.name = login.name
        self._client = login.client
        self._timeout_seconds = TIMEOUT_SECONDS
        self._sleep = sleep

    def one(self, call: Call, **place: str) -> dict[str, Any]:
        """One object."""
        return self._object(call, place, {})

    def all(self, call: Call, query: Mapping[str, str], **place: str) -> list[dict[str, Any]]:
        """The objects of a list, at most `MAX_PAGES` pages."""
        return self.listed(call, query, Paging(_PAGE_ITEMS, MAX_PAGES), lambda item: item, **place).items

    def listed(self, call: Call, query: Mapping[str, str], paging: Paging, take: Take, **place: str) -> Listed:
        """What `take` makes of each object of a list. A list that expires meanwhile is begun anew once."""
        for again in (True, False):
            try:
                return self._listed(call, query, paging, take, place)
            except ClusterError as error:
                if error.status != _EXPIRED or not again:
                    raise
        raise AssertionError("the second try returns or raises")

    def body(self, call: Call, max_bytes: int, *, retried: bool = True, **place: str) -> bytes:
        """A whole answer of any kind."""
        until = time.monotonic() + self._timeout_seconds
        return self._body(self._opened(call, place, {}, until, retried=retried), call, max_bytes, until)

    def stream(self, call: Call, query: Mapping[str, str], **place: str) -> BaseHTTPResponse:
        """An answer to be read bit by bit, by `chunks`."""
        return self._opened(call, place, query, time.monotonic() + self._timeout_seconds, retried=True)

    def chunks(self, response: BaseHTTPResponse, call: Call, until: float) -> Iterator[bytes]:
        """The answer's bytes as they come, up to the monotonic time `until`; it is closed at the end."""
        import urllib3

        try:
            while chunk := response.read1(_CHUNK_BYTES):
                yield chunk
                if time.monotonic() > until:
                    raise ClusterError(self.name, NO_ANSWER, call)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            late = "timed out" in str(error).lower()
            raise ClusterError(self.name, NO_ANSWER if late else CUT_OFF, call) from error
        finally:
            response.close()

    def _listed(
        self, call: Call, query: Mapping[str, str], paging: Paging, take: Take, place: Mapping[str, str]
    ) -> Listed:
        found: list[Any] = []
        following = ""
        for _ in range(paging.most_pages):
            if time.monotonic() > paging.until:
                raise ClusterError(self.name, NO_ANSWER, call)
            asked = {**query, "limit": str(paging.items), **({"continue": following} if following else {})}
            page = self._object(call, place, asked)
            items = page.get("items") or []
            if not isinstance(items, list):
                raise self._malformed(call)
            found += [taken for item in items if isinstance(item, dict) and (taken := take(item)) is not None]
            metadata = page.get("metadata")
            following = str(metadata.get("continue") or "") if isinstance(metadata, dict) else ""
            if not following:
                return Listed(found, True)
        return Listed(found, False)

    def _object(self, call: Call, place: Mapping[str, str], query: Mapping[str, str]) -> dict[str, Any]:
        until = time.monotonic() + self._timeout_seconds
        body = self._body(self._opened(call, place, query, until, retried=True), call, MAX_ANSWER_BYTES, until)
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            raise self._malformed(call) from None
        if not isinstance(answer, dict):
            raise self._malformed(call)
        return answer

    def _malformed(self, call: Call) -> ClusterError:
        problem = f"what answers is no Kubernetes API: no JSON of it comes to {call.right}"
        return ClusterError(self.name, (problem, "check server in the kubeconfig"), call)

    def _body(self, response: BaseHTTPResponse, call: Call, max_bytes: int, until: float) -> bytes:
        body = bytearray()
        for chunk in self.chunks(response, call, until):
            body += chunk
            if len(body) > max_bytes:
                response.close()
                problem = f"answered {call.right} with more than {human_size(max_bytes)}"
                raise ClusterError(self.name, (problem, "ask for less"), call)
        return bytes(body)

    def _opened(
        self, call: Call, place: Mapping[str, str], query: Mapping[str, str], until: float, *, retried: bool
    ) -> BaseHTTPResponse:
        for again in reversed(range(_TRIES if retried else 1)):
            response = self._request(call, place, query)
            if response.status == 200:
                return response
            wait = _wait_seconds(
                response.headers.get("Retry-After", ""), _FIRST_WAIT_SECONDS * 2 ** (_TRIES - 1 - again)
            )
            error = self._refused(response, call, place, until)
            if error.status not in _PASSING or not again or time.monotonic() + wait >= until:
                raise error
            self._sleep(wait)
        raise AssertionError("the last try returns or raises")

    def _request(self, call: Call, place: Mapping[str, str], query: Mapping[str, str]) -> BaseHTTPResponse:
        import urllib3
        from kubernetes.client import ApiException

        path = call.path.format(
            **{name: url_quote(value, safe="/:" if name == "path" else ":") for name, value in place.items()}
        )
        try:
            request = self._client.param_serialize(
                "GET",
                path,
                query_params=list(query.items()),
                header_params={"Accept": "application/json, */*"},
                auth_settings=["BearerToken"],
            )
            answer = self._client.call_api(
                *request, _request_timeout=(min(_CONNECT_SECONDS, self._timeout_seconds), self._timeout_seconds)
            )
        except (ApiException, urllib3.exceptions.HTTPError, OSError) as error:
            raise ClusterError(self.name, transport_problem(error), call) from None
        response: BaseHTTPResponse = answer.response
        return response

    def _refused(self, response: BaseHTTPResponse, call: Call, place: Mapping[str, str], until: float) -> ClusterError:
        said = bytearray()
        try:
            for chunk in self.chunks(response, call, until):
                said += chunk
                if len(said) > _ERROR_BYTES:
                    break
        except ClusterError:
            pass  # the status says enough
        finally:
            response.close()
        reason = reason_in(bytes(said[:_ERROR_BYTES]))
        problem = status_problem(call, response.status, reason, place.get("namespace", ""))
        return ClusterError(self.name, problem, call, response.status, reason)


def _wait_seconds(asked: str, otherwise: float) -> float:
    """What `Retry-After` asks for; the API server gives whole seconds."""
    return float(asked) if asked.isdigit() and len(asked) < 6 else otherwise
