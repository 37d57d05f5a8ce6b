"""One metrics endpoint over HTTP, with a bound on time and on memory for whatever answers."""

from __future__ import annotations

import io
from collections.abc import Iterator
from http import HTTPStatus
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from troubleshoot.sources.access import Access
from troubleshoot.sources.address import candidates, has_scheme, redacted
from troubleshoot.sources.client import open_client, other_server
from troubleshoot.sources.deadline import Deadline
from troubleshoot.sources.decompress import StreamError
from troubleshoot.sources.endpoint_problems import (
    BROKEN_BODY,
    DAMAGED_BODY,
    INVALID_ADDRESS,
    NO_ANSWER,
    NOT_HTTP,
    SLOW_BODY,
    Problem,
    body_problem,
    status_problem,
    transport_problem,
)
from troubleshoot.sources.errors import InputError
from troubleshoot.sources.exposition_text import kind_of, looks_like
from troubleshoot.sources.files import human_size
from troubleshoot.sources.http_body import UnaskedEncodingError, text_chunks_of

if TYPE_CHECKING:
    import httpx

TIMEOUT_SECONDS: Final = 10.0
MAX_BODY_BYTES: Final = 64 << 20
MAX_REDIRECTS: Final = 3

_HEADERS: Final = {
    "Accept": "text/plain;version=0.0.4, text/plain;q=0.5, */*;q=0.1",
    "Accept-Encoding": "gzip",
    # A server may drop an idle connection between two scrapes just as the next one uses it.
    "Connection": "close",
    "User-Agent": "inferwatch",
}


class _WrongPathError(Exception):
    """An engine answers, but its metrics are not at this path."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem


class Scraper:
    """One endpoint, scraped any number of times. The first scrape settles which path has the metrics."""

    def __init__(self, url: str, timeout_seconds: float, max_bytes: int, access: Access | None = None) -> None:
        """Raise `InputError` where the address or the credentials are no use."""
        import httpx

        access = access or Access()
        self._name = redacted(url)
        self._timeout_seconds = timeout_seconds
        self._max_bytes = max_bytes
        if has_scheme(url) and not url.lower().startswith(("http://", "https://")):
            raise self._error(NOT_HTTP)
        try:
            self._urls = tuple(httpx.URL(candidate) for candidate in candidates(url))
        except (httpx.InvalidURL, ValueError):
            raise self._error(INVALID_ADDRESS) from None
        if not self._urls[0].host or not 0 < (self._urls[0].port or 80) < 65536:
            raise self._error(INVALID_ADDRESS)
        self._client = open_client(self._name, access, _HEADERS, timeout_seconds)
        self._has_credentials = access.has_credentials

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def scrape(self) -> bytes:
        """Return one exposition; raise `InputError`."""
        first_error: InputError | None = None
        for url in self._urls:
            try:
                body = self._scrape(url)
            except _WrongPathError as error:
                first_error = first_error or self._error(error.problem)
            else:
                self._urls = (url,)
                return body
        assert first_error is not None  # noqa: S101
        raise first_error

    def _scrape(self, url: httpx.URL) -> bytes:
        import httpx

        with Deadline(self._timeout_seconds) as deadline:
            try:
                body = self._request(url, deadline)
            except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, OSError) as error:
                if deadline.expired and not isinstance(error, httpx.ConnectTimeout):
                    raise self._error(self._late(NO_ANSWER)) from error
                raise self._error(transport_problem(error, self._timeout_seconds)) from error
        if kind_of(body) is None:
            what = looks_like(body)
            problem = body_problem(body, what)
            if what == "JSON":
                raise _WrongPathError(problem)
            raise self._error(problem)
        return body

    def _request(self, url: httpx.URL, deadline: Deadline) -> bytes:
        request = self._client.build_request("GET", url)
        for _ in range(MAX_REDIRECTS + 1):
            request.extensions = {**request.extensions, "trace": deadline.trace}
            response = self._client.send(request, stream=True)
            try:
                if response.next_request is None:
                    return self._answer(response, deadline)
                before, request = request, response.next_request
            finally:
                response.close()
            if self._has_credentials and (problem := other_server(before.url, request.url)):
                raise self._error((problem, "give the address that it leads to"))
            if request.url.scheme not in {"http", "https"}:
                raise self._error((f"redirects to {redacted(str(request.url))}", "give the address of the engine"))
        raise self._error((f"redirects more than {MAX_REDIRECTS} times", "give the address of the engine"))

    def _answer(self, response: httpx.Response, deadline: Deadline) -> bytes:
        import httpx

        problem = status_problem(response)
        if problem and response.status_code == HTTPStatus.NOT_FOUND:
            raise _WrongPathError(problem)
        if problem:
            raise self._error(problem)
        try:
            body = self._body(response)
        except (httpx.HTTPError, StreamError) as error:
            if deadline.expired or isinstance(error, httpx.TimeoutException):
                raise self._error(self._late(SLOW_BODY)) from error
            damaged = isinstance(error, StreamError) and error.kind != "truncated"
            raise self._error(DAMAGED_BODY if damaged else BROKEN_BODY) from error
        if deadline.expired:
            raise self._error(self._late(SLOW_BODY))
        if _ended_by_close(response) and body and not body.endswith(b"\n"):
            raise self._error(BROKEN_BODY)
        return body

    def _body(self, response: httpx.Response) -> bytes:
        body = io.BytesIO()
        for chunk in self._decoded(response):
            body.write(chunk)
            if body.tell() > self._max_bytes:
                raise self._error(
                    (
                        f"answered with more than {human_size(self._max_bytes)}",
                        "check that the address is an engine's /metrics",
                    )
                )
        return body.getvalue()

    def _decoded(self, response: httpx.Response) -> Iterator[bytes]:
        try:
            return text_chunks_of(response)
        except UnaskedEncodingError as error:
            said = f"answered in the encoding {error.encoding}, which was not asked for"
            raise self._error((said, "scrape past the proxy")) from None

    def _late(self, problem: Problem) -> Problem:
        return f"{problem[0]} within {self._timeout_seconds:g} s", problem[1]

    def _error(self, problem: Problem) -> InputError:
        return InputError(self._name, *problem)


def _ended_by_close(response: httpx.Response) -> bool:
    """Whether the body ends where the connection does, so that only its text can tell a cut one."""
    return "content-length" not in response.headers and "transfer-encoding" not in response.headers
