"""What went wrong with a request to a store's HTTP API, and what to do about it, one line each."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from troubleshoot.redact import quote
from troubleshoot.sources.endpoint_problems import Problem, transport_problem
from troubleshoot.sources.exposition_text import looks_like

if TYPE_CHECKING:
    import httpx

NOT_HTTP: Final = ("is not an http:// or https:// address", "give http://HOST:PORT")
NO_ANSWER: Final = "gave no answer"
SLOW_BODY: Final = "its answer was not whole"
CUT_OFF: Final = ("the connection closed midway through the answer", "try again, or ask for a shorter --window")
DAMAGED: Final = ("answered with damaged gzip", "go past the proxy")
LATE_ADVICE: Final = "ask for less with --selector, --query or --window, or wait longer with --timeout"
LOGIN: Final = "this is another service or a login page: check the address, or give --bearer-token-file or --basic-user"

_QUOTED_CHARACTERS: Final = 200
_TITLE: Final = re.compile(rb"<title[^>]*>([^<]{1,200})", re.IGNORECASE)
_ADVICE: Final = {
    400: "the store did not understand the query: check --selector or --query",
    401: "give credentials: --bearer-token-file, or --basic-user with --basic-password-file",
    403: "these credentials may not read that: check them, and --tenant",
    404: "the API is not at this address: give the part before /api/v1 or /loki/api/v1 (Mimir: .../prometheus)",
    422: "the store refused the query: ask for less with --selector or --window",
    429: "the store limits requests: try again later, or ask for less with --selector or --window",
    503: "the store is overloaded or not ready: try again later",
    504: "a proxy gave up waiting: ask for less with --selector or --window",
}


def no_connection(error: Exception, timeout_seconds: float) -> Problem:
    """The problem of a request that got no answer at all; what endpoints would be told to do is said of a store."""
    problem, advice = transport_problem(error, timeout_seconds)
    if "refused" in problem:
        return problem, "check host and port, and that it runs"
    if "certificate is not trusted" in problem:
        return problem, "give the PEM file of its authority to --tls-ca, and use the host name it was issued for"
    return problem, advice.replace("engine", "server") if "--log" not in advice else "check the address"


def refused(response: httpx.Response, body: bytes, asks_to_wait_seconds: float | None) -> Problem:
    """The problem of an answer with an error status; `body` is its start."""
    code = response.status_code
    try:
        phrase = HTTPStatus(code).phrase
    except ValueError:
        phrase = ""
    problem = f"answered {code} {phrase}".rstrip()
    said = _said(body)
    if said:
        problem += f": {said}"
    if asks_to_wait_seconds is not None:
        problem += f" (asks to wait {asks_to_wait_seconds:g} s)"
    if code in _ADVICE:
        return problem, _ADVICE[code]
    if code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return problem, "look at the store's own log"
    return problem, "check the address"


def _said(body: bytes) -> str:
    """What a store says of a refusal: the `error` or `message` of its JSON, or a line of plain text."""
    text = body.decode("utf-8", "replace")
    if looks_like(body) in {"an HTML page", "XML", "nothing"}:
        return ""
    try:
        answer = json.loads(text)
    except ValueError:
        return quote(" ".join(text.split()), _QUOTED_CHARACTERS)
    if isinstance(answer, dict):
        said = answer.get("error") or answer.get("message")
        return quote(" ".join(str(said).split()), _QUOTED_CHARACTERS) if said else ""
    return ""


def not_the_api(body: bytes) -> Problem:
    """The problem of a 200 answer that is no answer of the API."""
    what = looks_like(body)
    if what == "nothing":
        return "answered with an empty body", "check the address"
    if what == "an HTML page":
        title = _TITLE.search(body)
        named = f" titled {quote(title[1].decode('utf-8', 'replace'), 60)!r}" if title else ""
        return f"answered with an HTML page{named}, not with the API's JSON", LOGIN
    if what == "JSON":
        return "answered with JSON that is none of the API's", "check that the address is of the store that it says"
    return f"answered with {what}, not with the API's JSON", "check the address"
