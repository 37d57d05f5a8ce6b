"""The HTTP interface as an ASGI application: metrics, probes and the status page.

| path | answer |
| --- | --- |
| `/metrics` | the snapshot's bytes; 503 before the first one |
| `/healthz`, `/health` | 200 while the process answers; `/health` is dcgm-exporter's name of it |
| `/readyz` | 200 when ready, else 503; the reasons, one a line, in both cases |
| `/` | the status page |

Nothing is collected in a request. A request's body is not read: the connection is closed after the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct

from exporter.serving.authentication import Authenticator
from exporter.serving.negotiation import wants_gzip, wants_openmetrics
from exporter.serving.status_view import StatusView
from exporter.serving.web_config import WebConfig
from exporter.snapshot import Snapshot

__all__ = ["Application", "Readiness", "Sources"]

Header = tuple[bytes, bytes]
Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_TEXT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_OPENMETRICS_TYPE = b"application/openmetrics-text; version=1.0.0; charset=utf-8"
_EVERY_RESPONSE = {b"cache-control": b"no-store", b"x-content-type-options": b"nosniff"}
_PLAIN: tuple[Header, ...] = ((b"content-type", b"text/plain; charset=utf-8"),)


def _metrics_headers(openmetrics: bool, gzipped: bool) -> tuple[Header, ...]:
    kind = (b"content-type", _OPENMETRICS_TYPE if openmetrics else _TEXT_TYPE)
    coding = ((b"content-encoding", b"gzip"),) if gzipped else ()
    return (kind, (b"vary", b"Accept, Accept-Encoding"), *coding)


_METRICS = {form: _metrics_headers(*form) for form in ((a, b) for a in (False, True) for b in (False, True))}


class Readiness(Struct, frozen=True):
    """Whether all that is configured is served. `reasons` are for people; a ready exporter may have some too."""

    ready: bool
    reasons: tuple[str, ...] = ()


class Sources(Struct, frozen=True):
    """Where answers come from. Each is called in the server's thread and must return at once.

    `snapshot` gives None before the first collection has finished.
    """

    snapshot: Callable[[], Snapshot | None]
    readiness: Callable[[], Readiness]
    status: Callable[[], StatusView]


class _Response(Struct, frozen=True):
    status: int
    body: bytes
    headers: tuple[Header, ...] = _PLAIN


class _Policy(Struct, frozen=True):
    """What the web configuration adds to every request, swapped as one."""

    authenticator: Authenticator | None
    headers: Mapping[bytes, bytes]


_HEALTHY = _Response(200, b"ok\n")
_NOT_FOUND = _Response(404, b"not found; there are /metrics, /healthz, /readyz and /\n")
_NOT_ALLOWED = _Response(405, b"only GET and HEAD are served\n", (*_PLAIN, (b"allow", b"GET, HEAD")))
_NO_SNAPSHOT = _Response(503, b"no collection has finished yet\n", (*_PLAIN, (b"retry-after", b"5")))
_UNAUTHORIZED = _Response(
    401,
    b"name and password are needed\n",
    (*_PLAIN, (b"www-authenticate", b'Basic realm="inferwatch", charset="UTF-8"')),
)


_PATHS = frozenset({"/", "/metrics", "/healthz", "/health", "/readyz"})


class Application:
    """The ASGI application. `apply` may be called from another thread at any time."""

    def __init__(self, sources: Sources, web: WebConfig) -> None:
        self._sources = sources
        self._policy = _policy(web)

    def apply(self, web: WebConfig) -> None:
        """Take users and headers from a newly read web configuration, from the next request on."""
        self._policy = _policy(web)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request (ASGI 3)."""
        policy = self._policy
        fields = scope["headers"]
        if policy.authenticator and not await policy.authenticator.accepts(_field(fields, b"authorization")):
            response = _UNAUTHORIZED
        else:
            response = await self._answer(scope["method"], scope["path"], fields)
        headers = {
            **_EVERY_RESPONSE,
            **dict(response.headers),
            **policy.headers,
            b"content-length": b"%d" % len(response.body),
        }
        if _has_body(fields):
            headers[b"connection"] = b"close"
        await send({"type": "http.response.start", "status": response.status, "headers": [*headers.items()]})
        await send({"type": "http.response.body", "body": response.body})

    async def _answer(self, method: str, path: str, fields: Iterable[Header]) -> _Response:
        if path not in _PATHS:
            return _NOT_FOUND
        if method not in {"GET", "HEAD"}:
            return _NOT_ALLOWED
        if path == "/metrics":
            return await self._metrics(fields)
        if path == "/readyz":
            return _readiness(self._sources.readiness())
        if path == "/":
            return _page(self._sources.status())
        return _HEALTHY

    async def _metrics(self, fields: Iterable[Header]) -> _Response:
        snapshot = self._sources.snapshot()
        if snapshot is None:
            return _NO_SNAPSHOT
        openmetrics = wants_openmetrics(_field(fields, b"accept"))
        gzipped = wants_gzip(_field(fields, b"accept-encoding"))
        if (openmetrics, gzipped) in snapshot.forms:
            body = snapshot.body(openmetrics, gzipped)
        else:
            # Rendering takes milliseconds, which other clients should not wait for.
            body = await asyncio.to_thread(snapshot.body, openmetrics, gzipped)
        return _Response(200, body, _METRICS[openmetrics, gzipped])


def _policy(web: WebConfig) -> _Policy:
    """A header that the configuration leaves blank is not set; one that it sets replaces the server's own."""
    configured = web.http_server_config.headers.items()
    headers = {name.lower().encode(): value.encode() for name, value in configured if value}
    return _Policy(Authenticator(web.basic_auth_users) if web.basic_auth_users else None, headers)


def _page(view: StatusView) -> _Response:
    # Imported here: the page is opened seldom, and HTML's tables of entities take 300 KB.
    from exporter.serving import status_page

    headers = (
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-security-policy", status_page.CONTENT_SECURITY_POLICY.encode()),
        (b"referrer-policy", b"no-referrer"),
        (b"x-frame-options", b"deny"),
    )
    return _Response(200, status_page.render(view), headers)


def _readiness(readiness: Readiness) -> _Response:
    lines = ["ready" if readiness.ready else "not ready", *(" ".join(reason.split()) for reason in readiness.reasons)]
    return _Response(200 if readiness.ready else 503, "\n".join([*lines, ""]).encode("utf-8", "replace"))


def _field(fields: Iterable[Header], name: bytes) -> bytes:
    """The value of a header, its lines joined as RFC 9110 joins them; empty when it is absent."""
    return b",".join(value for key, value in fields if key == name)


def _has_body(fields: Iterable[Header]) -> bool:
    return _field(fields, b"content-length") not in {b"", b"0"} or bool(_field(fields, b"transfer-encoding"))
