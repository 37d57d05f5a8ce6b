"""Fetching: every way an endpoint can fail has its reason, within the deadline and the memory that it was given."""

from __future__ import annotations

import gzip
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from exporter.engines.fetch import REASONS, Access, Endpoint, FetchError, Reason
from tests.exporter.engines.endpoints import VLLM, Answer, drips, floods, is_silent, response, says, serving

OPEN = "HTTP/1.1 200 OK\r\n"


def endpoint(url: str, access: Access | None = None, timeout_seconds: float = 20.0) -> Endpoint:
    return Endpoint(url, access or Access(), timeout_seconds=timeout_seconds, max_body_bytes=64 << 10)


def failure(fetched: Endpoint) -> FetchError:
    with pytest.raises(FetchError) as raised:
        fetched.fetch()
    fetched.close()
    assert raised.value.reason in REASONS
    assert str(raised.value)
    assert "\n" not in str(raised.value)
    return raised.value


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (says(response(b"", status="404 Not Found")), "not_found"),
        (says(response(b"", status="401 Unauthorized")), "unauthorized"),
        (says(response(b"", status="403 Forbidden")), "unauthorized"),
        (says(response(b"loading", status="503 Service Unavailable")), "http_status"),
        (says(response(b"", "Location: http://169.254.169.254/", status="302 Found")), "redirect"),
        (says(response(VLLM, length=len(VLLM) + 50)), "truncated"),
        (says(OPEN.encode() + b"Transfer-Encoding: chunked\r\n\r\n20\r\nvllm:"), "truncated"),
        (says(response(b"", length=10 << 30)), "too_large"),
        (floods(OPEN.encode() + b"\r\n", b"a 1\n" * 4000), "too_large"),
        (
            floods(OPEN.encode() + b"Transfer-Encoding: chunked\r\n\r\n", b"fa0\r\n" + b"a 1\n" * 1000 + b"\r\n"),
            "too_large",
        ),
        (says(response(gzip.compress(bytes(8 << 20)), "Content-Encoding: gzip")), "too_large"),
        (says(response(gzip.compress(VLLM)[:-9], "Content-Encoding: gzip")), "truncated"),
        (says(response(b"no gzip", "Content-Encoding: gzip")), "encoding"),
        (says(response(VLLM, "Content-Encoding: br")), "encoding"),
        (says(b"SSH-2.0-OpenSSH_9.2\r\n"), "protocol"),
        (says(b""), "unreachable"),
        (floods(OPEN.encode(), b"X-A: b\r\n" * 1000), "protocol"),
    ],
)
def test_an_answer_that_cannot_be_used_has_its_reason(answer: Answer, reason: Reason) -> None:
    with serving(answer) as url:
        assert failure(endpoint(url)).reason == reason


def test_nothing_listens() -> None:
    with serving(is_silent) as url:
        pass
    assert failure(endpoint(url)).reason == "refused"


def test_a_name_that_does_not_resolve() -> None:
    assert failure(endpoint("http://no-such-host.invalid:1/metrics")).reason == "unreachable"


@pytest.mark.parametrize(
    "answer",
    [
        is_silent,
        drips(b"X", start=b"HTTP/1.1 200 OK\r\nX-Slow: "),
        drips(b"a", start=b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n"),
    ],
    ids=["silent", "headers drip", "body drips"],
)
def test_an_abort_ends_a_fetch_that_no_read_timeout_would(answer: Answer) -> None:
    with serving(answer) as url:
        fetched = endpoint(url, timeout_seconds=30)
        found: list[FetchError] = []
        thread = threading.Thread(target=lambda: found.append(failure(fetched)))
        thread.start()
        while fetched._socket is None:
            time.sleep(0.001)
        fetched.abort()
        thread.join(20)
        assert [error.reason for error in found] == ["timeout"]


def test_a_silent_endpoint_ends_by_itself_too() -> None:
    with serving(is_silent) as url:
        assert failure(endpoint(url, timeout_seconds=0.2)).reason == "timeout"


def test_a_compressed_answer_that_was_not_asked_for_is_read() -> None:
    with serving(says(response(gzip.compress(VLLM), "Content-Encoding: gzip"))) as url:
        fetched = endpoint(url)
        assert fetched.fetch() == VLLM
        fetched.close()


class _Engine(BaseHTTPRequestHandler):
    """Keeps connections open and remembers what it was asked."""

    protocol_version = "HTTP/1.1"
    seen: list[dict[str, str]]
    connections: set[object]

    def do_GET(self) -> None:
        type(self).seen.append({"path": self.path, **dict(self.headers.items())})
        type(self).connections.add(self.client_address)
        self.send_response(200)
        self.send_header("Content-Length", str(len(VLLM)))
        self.end_headers()
        self.wfile.write(VLLM)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Silent."""


@contextmanager
def engine(context: ssl.SSLContext | None = None) -> Iterator[tuple[str, type[_Engine]]]:
    handler = type("Handler", (_Engine,), {"seen": [], "connections": set()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http{'s' if context else ''}://127.0.0.1:{server.server_port}/metrics?a=b", handler
        finally:
            server.shutdown()
            thread.join()


def test_one_connection_is_used_again() -> None:
    with engine() as (url, handler):
        fetched = endpoint(url)
        assert [fetched.fetch() for _ in range(5)] == [VLLM] * 5
        fetched.close()
    assert len(handler.connections) == 1
    assert handler.seen[0]["path"] == "/metrics?a=b"
    assert handler.seen[0]["Accept"].startswith("text/plain;version=0.0.4")


def test_a_connection_that_the_server_closed_while_idle_is_no_failure() -> None:
    with serving(says(response(VLLM))) as url:
        fetched = endpoint(url)
        assert [fetched.fetch() for _ in range(3)] == [VLLM] * 3
        fetched.close()


# Being let in


def test_secrets_are_read_at_each_fetch_and_sent_as_headers(tmp_path: Path) -> None:
    token = tmp_path / "token"
    with engine() as (url, handler):
        fetched = endpoint(url, Access(bearer_token_file=str(token)))
        for secret in ("one", "two"):
            token.write_text(secret + "\n")
            fetched.fetch()
        fetched.close()
        password = endpoint(url, Access(username="u", password_file=str(token)))
        password.fetch()
        password.close()
    assert [seen["Authorization"] for seen in handler.seen] == ["Bearer one", "Bearer two", "Basic dTp0d28="]


@pytest.mark.parametrize("content", [None, "", "a\r\nX-Injected: b", "a\nb"])
def test_a_secret_that_cannot_be_sent_is_said_without_it(tmp_path: Path, content: str | None) -> None:
    token = tmp_path / "token"
    if content is not None:
        token.write_bytes(content.encode())
    error = failure(endpoint("http://127.0.0.1:9/", Access(bearer_token_file=str(token))))
    assert error.reason == "credentials"
    assert str(token) in str(error)
    assert "Injected" not in str(error)


def test_tls_is_verified_against_the_given_authority(tmp_path: Path) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    own, other = tmp_path / "own.pem", tmp_path / "other.pem"
    authority.cert_pem.write_to_path(str(own))
    stranger.cert_pem.write_to_path(str(other))
    with engine(context) as (url, _):
        for access in (Access(ca_file=str(own)), Access(insecure_skip_verify=True)):
            fetched = endpoint(url, access)
            assert fetched.fetch() == VLLM
            fetched.close()
        assert failure(endpoint(url, Access(ca_file=str(other)))).reason == "tls"
        assert failure(endpoint(url, Access(ca_file=str(tmp_path / "none.pem")))).reason == "tls"
