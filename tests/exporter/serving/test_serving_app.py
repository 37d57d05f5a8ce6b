"""What each path answers, over a real server on a loopback port."""

from __future__ import annotations

import asyncio
import gzip
import http.client
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.serving.app import Application, Readiness, Sources
from exporter.serving.server import Server
from exporter.serving.status_view import StatusView
from exporter.serving.web_config import HttpServerConfig, WebConfig
from exporter.snapshot import Snapshot

Serve = Callable[..., Server]
Answer = tuple[int, Mapping[str, str], bytes]

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


def ask(
    server: Server, path: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.request(method, path, body=body, headers=dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def test_metrics_are_the_snapshots_bytes(serve: Serve, sources: Sources, snapshot: Snapshot) -> None:
    status, headers, body = ask(serve(sources), "/metrics")
    assert (status, headers["content-type"]) == (200, TEXT)
    assert body == snapshot.body(openmetrics=False, gzipped=False)
    assert b"# TYPE a_total counter" in body
    assert headers["content-length"] == str(len(body))
    assert headers["vary"] == "Accept, Accept-Encoding"
    assert "content-encoding" not in headers


def test_prometheus_gets_openmetrics_in_gzip(serve: Serve, sources: Sources, snapshot: Snapshot) -> None:
    asked = {"Accept": PROMETHEUS_3, "Accept-Encoding": "gzip"}
    server = serve(sources)
    for _ in ("rendered for this request", "kept from the last one"):
        status, headers, body = ask(server, "/metrics", headers=asked)
        assert (status, headers["content-type"], headers["content-encoding"]) == (200, OPENMETRICS, "gzip")
        assert gzip.decompress(body) == snapshot.body(openmetrics=True, gzipped=False)
        assert gzip.decompress(body).endswith(b"# EOF\n")


def test_a_new_snapshot_is_served_at_the_next_request(serve: Serve, sources: Sources) -> None:
    current: list[Snapshot | None] = [None]
    server = serve(replace(sources, snapshot=lambda: current[0]))
    assert ask(server, "/metrics")[0] == 503
    current[0] = Snapshot([], created_unix_seconds=0.0)
    assert ask(server, "/metrics", headers={"Accept": "application/openmetrics-text"})[2] == b"# EOF\n"


@pytest.mark.parametrize("path", ["/healthz", "/health"])
def test_the_process_is_healthy_before_anything_is_collected(serve: Serve, sources: Sources, path: str) -> None:
    server = serve(
        replace(sources, snapshot=lambda: None, readiness=lambda: Readiness(ready=False, reasons=("no snapshot",)))
    )
    status, headers, body = ask(server, path)
    assert (status, headers["content-type"], body) == (200, "text/plain; charset=utf-8", b"ok\n")


def test_readiness_says_why_not(serve: Serve, sources: Sources) -> None:
    reasons = ("gpus: libnvidia-ml.so.1 is missing", "engines: first\nscrape under way")
    server = serve(replace(sources, readiness=lambda: Readiness(False, reasons)))
    status, _, body = ask(server, "/readyz")
    assert status == 503
    assert body == b"not ready\ngpus: libnvidia-ml.so.1 is missing\nengines: first scrape under way\n"


def test_readiness_may_have_remarks(serve: Serve, sources: Sources) -> None:
    server = serve(replace(sources, readiness=lambda: Readiness(True, ("gpus: no driver; engines are served",))))
    assert ask(server, "/readyz")[::2] == (200, b"ready\ngpus: no driver; engines are served\n")


def test_the_status_page_forbids_scripts(serve: Serve, sources: Sources) -> None:
    server = serve(replace(sources, status=lambda: StatusView("1.2.3", "<node>", None)))
    status, headers, body = ask(server, "/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert b"&lt;node&gt;" in body


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz", "/", "/nothing"])
def test_head_is_get_without_a_body(serve: Serve, sources: Sources, path: str) -> None:
    server = serve(sources)
    status, headers, body = ask(server, path)
    head_status, head_headers, head_body = ask(server, path, "HEAD")
    assert head_status == status
    assert head_body == b""
    assert body
    assert head_headers["content-length"] == headers["content-length"] == str(len(body))


@pytest.mark.parametrize("path", ["/metrics/", "/Metrics", "/%2e%2e/etc/passwd", "/favicon.ico", "//metrics", "*"])
def test_other_paths_are_not_found(serve: Serve, sources: Sources, path: str) -> None:
    status, headers, body = ask(serve(sources), path)
    assert (status, headers["content-type"]) == (404, "text/plain; charset=utf-8")
    assert b"/metrics" in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
def test_other_methods_are_refused(serve: Serve, sources: Sources, method: str) -> None:
    status, headers, _ = ask(serve(sources), "/metrics", method)
    assert (status, headers["allow"]) == (405, "GET, HEAD")


def test_a_query_makes_no_difference(serve: Serve, sources: Sources) -> None:
    assert ask(serve(sources), "/metrics?name[]=a_total")[0] == 200


def test_a_requests_body_ends_the_connection_unread(serve: Serve, sources: Sources) -> None:
    status, headers, _ = ask(serve(sources), "/metrics", body=b"x" * 1000)
    assert (status, headers["connection"]) == (200, "close")


def test_connections_are_kept(serve: Serve, sources: Sources) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", serve(sources).port, timeout=20)
    try:
        connection.request("GET", "/metrics")
        connection.getresponse().read()
        kept = connection.sock
        connection.request("GET", "/metrics")
        assert connection.getresponse().read()
        assert connection.sock is kept is not None
    finally:
        connection.close()


def test_no_response_tells_the_servers_name(serve: Serve, sources: Sources) -> None:
    server = serve(sources)
    for path in ("/metrics", "/healthz", "/nothing"):
        _, headers, _ = ask(server, path)
        assert "server" not in headers
        assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")
        assert "date" in headers


def test_configured_headers_replace_the_servers_own(serve: Serve, sources: Sources) -> None:
    headers = {"Content-Security-Policy": "default-src 'self'", "X-Frame-Options": "sameorigin", "X-XSS-Protection": ""}
    server = serve(sources, WebConfig(http_server_config=HttpServerConfig(headers=headers)))
    _, page, _ = ask(server, "/")
    assert (page["content-security-policy"], page["x-frame-options"]) == ("default-src 'self'", "sameorigin")
    _, found, _ = ask(server, "/nothing")
    assert found["x-frame-options"] == "sameorigin"
    assert "x-xss-protection" not in found


NAMES = st.sampled_from([b"accept", b"accept-encoding", b"authorization", b"content-length", b"transfer-encoding"])
# "password" with bcrypt's least cost.
USERS = {"alice": "$2b$04$EP7oDQV7lLeBDvQYWzgCzeMmCEJj/TuGQJvjATRWQ3euyZZrhG4Uq"}


async def answered(application: Application, path: str, headers: list[tuple[bytes, bytes]]) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        raise AssertionError("a request's body is never read")

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await application({"type": "http", "method": "GET", "path": path, "headers": headers}, receive, send)
    return sent


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(NAMES, st.binary(max_size=80)), max_size=6), st.booleans())
def test_no_header_makes_a_server_error(headers: list[tuple[bytes, bytes]], with_users: bool) -> None:
    snapshot = Snapshot([], created_unix_seconds=0.0)
    sources = Sources(lambda: snapshot, lambda: Readiness(ready=True), lambda: StatusView("1", "n", 0.0))
    application = Application(sources, WebConfig(basic_auth_users=USERS if with_users else {}))
    start, body = asyncio.run(answered(application, "/metrics", headers))
    assert start["status"] == (401 if with_users else 200)
    assert dict(start["headers"])[b"content-length"] == str(len(body["body"])).encode()
