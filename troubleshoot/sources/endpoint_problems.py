"""Turns what went wrong with a metrics request into a problem and what to do about it, one line each."""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import httpx

Problem = tuple[str, str]
"""(problem, advice) of an `InputError`."""

NOT_HTTP: Final = ("is not an http:// or https:// address", "give http://HOST:PORT/metrics")
INVALID_ADDRESS: Final = ("is not a valid address", "give http://HOST:PORT/metrics")
NO_ANSWER: Final = ("connected, but got no answer", "the server may hang: look at its log and at its process")
SLOW_BODY: Final = (
    "the answer was not whole",
    "check that the address is an engine's /metrics, and the network",
)
BROKEN_BODY: Final = (
    "the connection closed midway through the answer",
    "try again; if it stays, look at the engine's log for a crash",
)

CLOSED_EARLY: Final = (
    "the connection closed without an answer",
    "check the port; if the server speaks TLS, use https://",
)
DAMAGED_BODY: Final = ("answered with damaged gzip", "scrape the engine itself, past the proxy")

_CHECK_ADDRESS: Final = "check host and port, and that the engine is up"
_WHERE_METRICS_ARE: Final = (
    "SGLang needs --enable-metrics, llama.cpp needs --metrics, TensorRT-LLM serves /prometheus/metrics, "
    "Triton serves port 8002, TGI serves its router's port or --prometheus-port; "
    "vLLM always serves /metrics, even with --disable-log-stats, so for vLLM check the port and --root-path"
)
_LLAMACPP: Final = "start llama-server with --metrics"
_TITLE: Final = re.compile(rb"<title[^>]*>([^<]{1,200})", re.IGNORECASE)


def transport_problem(error: Exception, timeout_seconds: float) -> Problem:
    """Return the problem of a request that got no answer at all."""
    import httpx

    if isinstance(error, httpx.ConnectTimeout):
        return (
            f"no connection within {timeout_seconds:g} s",
            "check host and port, and firewalls or network policies on the way",
        )
    if isinstance(error, httpx.TimeoutException):
        return f"{NO_ANSWER[0]} within {timeout_seconds:g} s", NO_ANSWER[1]
    if isinstance(error, httpx.ProxyError):
        return "the proxy refused the request", "check HTTPS_PROXY, or put the host into NO_PROXY"
    for cause in _causes(error):
        if problem := _cause_problem(cause):
            return problem
    if isinstance(error, httpx.NetworkError) or "without sending" in str(error):
        return CLOSED_EARLY
    if isinstance(error, httpx.RemoteProtocolError):
        return "what answers there does not speak HTTP", "check the port; if it speaks TLS, use https://"
    return f"cannot be scraped ({type(error).__name__})", _CHECK_ADDRESS


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _cause_problem(cause: BaseException) -> Problem | None:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"its TLS certificate is not trusted: {cause.verify_message}",
            "set SSL_CERT_FILE to the PEM file of its authority, and use the host name it was issued for",
        )
    if isinstance(cause, ssl.SSLError):
        return (
            f"the TLS handshake failed ({(cause.reason or 'no reason given').lower().replace('_', ' ')})",
            "if the port speaks plain HTTP, use http://",
        )
    if isinstance(cause, socket.gaierror):
        return (
            "the host name is not known",
            "check its spelling; cluster names resolve only inside the cluster",
        )
    if isinstance(cause, UnicodeError):
        return "the host name is not valid", "check its spelling"
    if isinstance(cause, ConnectionRefusedError):
        return (
            "connection refused: nothing listens there",
            "check host and port; if they are right, the engine is down or loading: give its log to --log",
        )
    if isinstance(cause, OSError) and cause.errno in {errno.EHOSTUNREACH, errno.ENETUNREACH}:
        return "no route to the host", "check the address and the network; try from within the cluster"
    return None


def status_problem(response: httpx.Response) -> Problem | None:
    """Return the problem of an answer's status, None for 200."""
    code = response.status_code
    if code == HTTPStatus.OK:
        return None
    said = f"answered {code} {_phrase(code)}".rstrip()
    if code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return said, "give --bearer-token-file or --basic-user, or go past the proxy"
    if code == HTTPStatus.NOT_IMPLEMENTED:
        return said, f"llama.cpp answers this until its metrics are on: {_LLAMACPP}"
    if code in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}:
        return said, _not_found_advice(response)
    if code == HTTPStatus.SERVICE_UNAVAILABLE:
        return said, "the engine may still be loading its model, or no replica is ready: look at its log"
    if code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return said, "the engine may have died behind its web server: look at its log"
    if code == HTTPStatus.BAD_REQUEST:
        return said, "check the address; if the server speaks TLS, use https://"
    return said, "give the address that serves the metrics themselves"


def _phrase(code: int) -> str:
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return ""


def _not_found_advice(response: httpx.Response) -> str:
    if "llama.cpp" in response.headers.get("server", ""):
        return _LLAMACPP
    path = urlsplit(str(response.url)).path
    if path.rstrip("/").endswith("metrics"):
        return _WHERE_METRICS_ARE
    return f"metrics are rarely at {path}: give HOST:PORT alone; {_WHERE_METRICS_ARE}"


def body_problem(body: bytes, looks_like: str) -> Problem:
    """Return the problem of a 200 answer that holds no samples; `looks_like` is what its body seems to be."""
    if looks_like == "nothing":
        return (
            "answered with an empty body",
            "the engine may still be starting: try again after a request",
        )
    if looks_like == "metric descriptions without samples":
        return "answered with metric names but no samples", "try again once the engine has served a request"
    if looks_like == "an HTML page":
        title = _TITLE.search(body)
        named = f" titled {title[1].decode('utf-8', 'replace').strip()!r}" if title else ""
        return (
            f"answered with an HTML page{named}, not metrics",
            "this is another service or a login page: check port and path (/metrics)",
        )
    if looks_like == "JSON":
        return (
            "answered with JSON, not metrics",
            "TensorRT-LLM has Prometheus text at /prometheus/metrics; for other engines check port and path",
        )
    return "answered with text that holds no metrics", "check port and path (/metrics)"
