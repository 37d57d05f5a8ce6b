"""One HTTP API of a store, asked with a bound on time and memory, and with credentials that no other host gets.

A redirect is followed only to the same scheme, host and port: httpx takes `Authorization` off a request that leaves
its host, but not a tenant, a cookie or an extra header. Refusals that pass (429, 502, 503, 504) are tried again
while time is left, at the pace that the store asks for.
"""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlencode

from troubleshoot.sources.access import Access
from troubleshoot.sources.address import has_scheme, redacted
from troubleshoot.sources.client import open_client, other_server
from troubleshoot.sources.deadline import Deadline
from troubleshoot.sources.decompress import StreamError
from troubleshoot.sources.errors import InputError
from troubleshoot.sources.files import human_size
from troubleshoot.sources.http_api_problems import (
    CUT_OFF,
    DAMAGED,
    LATE_ADVICE,
    LOGIN,
    NO_ANSWER,
    NOT_HTTP,
    SLOW_BODY,
    no_connection,
    refused,
)
from troubleshoot.sources.http_body import UnaskedEncodingError, text_chunks_of

if TYPE_CHECKING:
    import httpx

    from troubleshoot.sources.endpoint_problems import Problem

MAX_ANSWER_BYTES: Final = 8 << 20
LONGEST_GET_CHARACTERS: Final = 1500
"""A longer query goes into the body of a POST: proxies cut request lines from 4 KiB on. A short one is a GET, which
proxies that map verbs to rights count as reading."""

ANSWERS_WORTH: Final = 6
"""All answers together may take as long as this many single ones: a store that crawls must not keep one for an hour."""

_TRIES: Final = 3
_FIRST_WAIT_SECONDS: Final = 1.0
_MAX_REDIRECTS: Final = 3
_ERROR_BYTES: Final = 16 << 10
_PASSING: Final = frozenset({429, 502, 503, 504})
_HEADERS: Final = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "inferwatch"}
_NO_POST: Final = frozenset({403, 405})
"""How a proxy that lets only reading verbs through answers a POST."""
_PASTED: Final = re.compile(r"/(?:(?:loki/)?api/v1(?:/.*)?|(?:classic/)?graph|query)/?\Z")
"""The end of an address copied from a browser or a manual; what stands before it is the base."""


class RefusedError(InputError):
    """The store answered with an error status, `status`; `said` is the start of its body."""

    def __init__(self, name: str, problem: Problem, status: int, said: bytes) -> None:
        super().__init__(name, *problem)
        self.status = status
        self.said = said


class TooLargeError(InputError):
    """The answer is larger than what is read of one."""


class HttpApi:
    """A store's API below one base address. Raises `InputError` where its address or credentials are no use."""

    def __init__(
        self,
        url: str,
        access: Access,
        *,
        max_bytes: int = MAX_ANSWER_BYTES,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        import httpx

        self.name = redacted(url)
        self.bytes_read = 0
        self.timeout_seconds = access.timeout_seconds
        self._end = time.monotonic() + ANSWERS_WORTH * access.timeout_seconds
        self._max_bytes = max_bytes
        self._sleep = sleep
        complete = url if has_scheme(url) else f"http://{url}"
        try:
            self._base = httpx.URL(complete).copy_with(query=None, fragment=None)
        except (httpx.InvalidURL, ValueError):
            raise self.error(NOT_HTTP) from None
        if self._base.scheme not in {"http", "https"} or not self._base.host:
            raise self.error(NOT_HTTP)
        self._prefix = _PASTED.sub("", self._base.path).rstrip("/")
        self._client = open_client(self.name, access, _HEADERS, access.timeout_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def error(self, problem: Problem) -> InputError:
        """An `InputError` of this store."""
        return InputError(self.name, *problem)

    def ask(self, path: str, parameters: Mapping[str, str]) -> bytes:
        """The body of a 200 answer; raise `InputError`, of which `RefusedError` is an error status."""
        if time.monotonic() >= self._end:
            problem = f"all answers together took more than {ANSWERS_WORTH * self.timeout_seconds:g} s"
            raise self.error((problem, LATE_ADVICE))
        until = min(time.monotonic() + self.timeout_seconds, self._end)
        encoded = urlencode(parameters)
        method = "GET" if len(encoded) <= LONGEST_GET_CHARACTERS else "POST"
        for again in reversed(range(_TRIES)):
            try:
                return self._ask_once(method, path, encoded, until)
            except RefusedError as error:
                if method == "GET" or error.status not in _NO_POST:
                    raise
                method = "GET"
            except _PassingError as passing:
                wait = passing.wait_seconds
                if wait is None:
                    wait = _FIRST_WAIT_SECONDS * 2 ** (_TRIES - 1 - again)
                if not again or time.monotonic() + wait >= until:
                    raise passing.error from None
                self._sleep(wait)
        raise AssertionError("the last try returns or raises")

    def _ask_once(self, method: str, path: str, encoded: str, until: float) -> bytes:
        import httpx

        with Deadline(max(until - time.monotonic(), 0.001)) as deadline:
            try:
                return self._follow(method, self._base.copy_with(path=self._prefix + path), encoded, deadline)
            except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, OSError) as error:
                if deadline.expired or isinstance(error, httpx.ReadTimeout):
                    raise self._late(NO_ANSWER) from error
                raise self.error(no_connection(error, self.timeout_seconds)) from error

    def _follow(self, method: str, url: httpx.URL, encoded: str, deadline: Deadline) -> bytes:
        for _ in range(_MAX_REDIRECTS + 1):
            if method == "GET":
                request = self._client.build_request(method, url.copy_with(query=encoded.encode()))
            else:
                form = {"Content-Type": "application/x-www-form-urlencoded"}
                request = self._client.build_request(method, url, content=encoded, headers=form)
            request.extensions = {**request.extensions, "trace": deadline.trace}
            response = self._client.send(request, stream=True)
            try:
                if not response.has_redirect_location:
                    return self._answer(response, deadline)
                url = self._same_place(url, response.headers["location"])
            finally:
                response.close()
        raise self.error((f"redirects more than {_MAX_REDIRECTS} times", "give the address that it leads to"))

    def _same_place(self, url: httpx.URL, location: str) -> httpx.URL:
        """Where a redirect leads, if that is the same server."""
        target = url.join(location)
        if problem := other_server(url, target):
            raise self.error((problem, LOGIN))
        return target.copy_with(query=None, userinfo=url.userinfo)

    def _answer(self, response: httpx.Response, deadline: Deadline) -> bytes:
        import httpx

        if response.status_code != HTTPStatus.OK:
            raise self._refused(response)
        try:
            body = self._body(response)
        except (httpx.HTTPError, StreamError) as error:
            if deadline.expired or isinstance(error, httpx.TimeoutException):
                raise self._late(SLOW_BODY) from error
            damaged = isinstance(error, StreamError) and error.kind != "truncated"
            raise self.error(DAMAGED if damaged else CUT_OFF) from error
        if deadline.expired:
            raise self._late(SLOW_BODY)
        return body

    def _refused(self, response: httpx.Response) -> Exception:
        """The error of a status; a `_PassingError` where another try may help."""
        import httpx

        said = b""
        try:
            for chunk in text_chunks_of(response):
                said += chunk
                if len(said) > _ERROR_BYTES:
                    break
        except (httpx.HTTPError, StreamError, UnaskedEncodingError):
            pass  # the status says enough
        wait = _retry_after(response.headers.get("retry-after", ""))
        error = RefusedError(
            self.name, refused(response, said[:_ERROR_BYTES], wait), response.status_code, said[:_ERROR_BYTES]
        )
        return _PassingError(error, wait) if response.status_code in _PASSING else error

    def _body(self, response: httpx.Response) -> bytes:
        body = io.BytesIO()
        try:
            for chunk in text_chunks_of(response):
                body.write(chunk)
                self.bytes_read += len(chunk)
                if body.tell() > self._max_bytes:
                    said = f"answered with more than {human_size(self._max_bytes)}"
                    raise TooLargeError(self.name, said, "ask for less with --selector, --query or --window")
        except UnaskedEncodingError as error:
            said = f"answered in the encoding {error.encoding}, which was not asked for"
            raise self.error((said, "go past the proxy")) from None
        return body.getvalue()

    def _late(self, problem: str) -> InputError:
        return self.error((f"{problem} within {self.timeout_seconds:g} s", LATE_ADVICE))


class _PassingError(Exception):
    """A refusal that may pass; `wait_seconds` is what the store asks for, None where it does not say."""

    def __init__(self, error: RefusedError, wait_seconds: float | None) -> None:
        super().__init__(error)
        self.error = error
        self.wait_seconds = wait_seconds


def _retry_after(text: str) -> float | None:
    """Seconds to wait by a Retry-After header (RFC 9110: seconds or a date); None where it says neither."""
    if text.strip().isdigit():
        return float(text[:9])
    try:
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (TypeError, ValueError):
        return None
