"""Listing a node's pods where the API server's answer cannot be used, or the server not be reached or trusted."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
import trustme
from msgspec import structs

from exporter.pods import api_server
from exporter.pods.api_server import ApiServer, list_pods
from tests.exporter.pods.api_server_stub import (
    Handler,
    StubServer,
    authority,
    body,
    error_of,
    page,
    pod,
    server,
    stub,
)

__all__ = ["authority", "server", "stub"]


# Answers that cannot be used


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no JSON",
        b"[]",
        b"{}",
        b'{"kind": "Status", "status": "Failure"}',
        b'{"kind": "PodList", "items": {}}',
        b'{"kind": "PodList", "items": [{"metadata": {"name": 7}}]}',
        b'{"kind": "PodList", "items": [{"metadata": {"name": "a"}, "status": {"podIP": []}}]}',
        b'{"kind": "PodList", "items": [{}]}',
        b'{"kind": "PodList", "items": [',
        b'{"kind": "\xff"}',
        b"[" * 100_000,
        b'{"kind": "PodList", "unknown": ' + b"[" * 100_000,
    ],
)
def test_an_answer_that_is_no_list_of_pods(stub: StubServer, server: ApiServer, data: bytes) -> None:
    stub.answers = [body(data)]
    assert error_of(server).reason == "malformed"


def test_pods_with_names_that_kubernetes_forbids_are_left_out(stub: StubServer, server: ApiServer) -> None:
    stub.answers = [page(pod('x"} 1\nevil'), pod(""), pod("good"))]
    assert [each.name for each in list_pods(server, "node-1", 10.0)] == ["good"]


def test_an_answer_cut_off(stub: StubServer, server: ApiServer) -> None:
    def cut(handler: Handler) -> None:
        handler.reply(200, b'{"kind": "PodList"', Content_Length="1000")
        handler.close_connection = True

    stub.answers = [cut]
    assert error_of(server).reason == "truncated"


def test_an_answer_in_chunks_cut_off(stub: StubServer, server: ApiServer) -> None:
    def cut(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"100\r\n{")
        handler.close_connection = True

    stub.answers = [cut]
    assert error_of(server).reason == "truncated"


@pytest.mark.parametrize("promised", [True, False])
def test_a_huge_answer(stub: StubServer, server: ApiServer, monkeypatch: pytest.MonkeyPatch, promised: bool) -> None:
    monkeypatch.setattr(api_server, "MAX_ANSWER_BYTES", 100_000)

    def huge(handler: Handler) -> None:
        handler.send_response(200)
        if promised:
            handler.send_header("Content-Length", str(10**12))
        handler.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(10_000):
                handler.wfile.write(b" " * 10_000)
        handler.close_connection = True

    stub.answers = [huge]
    assert error_of(server).reason == "too_large"


@pytest.mark.parametrize("headers_first", [False, True])
def test_a_slow_answer_ends_at_the_deadline(stub: StubServer, server: ApiServer, headers_first: bool) -> None:
    released = threading.Event()

    def slow(handler: Handler) -> None:
        if headers_first:
            handler.send_response(200)
            handler.send_header("Content-Length", "100")
            handler.end_headers()
        released.wait(30)
        handler.close_connection = True

    stub.answers = [slow]
    assert error_of(server, 0.5).reason == "timeout"
    released.set()


def test_an_answer_that_drips_ends_at_the_deadline(stub: StubServer, server: ApiServer) -> None:
    released = threading.Event()

    def drip(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        with contextlib.suppress(OSError):
            while not released.wait(0.02):
                handler.wfile.write(b" ")
        handler.close_connection = True

    stub.answers = [drip]
    assert error_of(server, 0.5).reason == "timeout"
    released.set()


def test_no_time_at_all(server: ApiServer) -> None:
    assert error_of(server, -1.0).reason == "timeout"


def test_a_server_that_hangs_up(stub: StubServer, server: ApiServer) -> None:
    def hang_up(handler: Handler) -> None:
        handler.close_connection = True

    stub.answers = [hang_up]
    assert error_of(server).reason == "connection_lost"


def test_a_server_that_speaks_no_http(stub: StubServer, server: ApiServer) -> None:
    def babble(handler: Handler) -> None:
        handler.wfile.write(b"220 smtp.example ESMTP\r\n")
        handler.close_connection = True

    stub.answers = [babble]
    assert error_of(server).reason == "malformed"


# Reaching it, and being trusted


def test_a_server_of_another_authority_is_not_told_the_token(
    stub: StubServer, server: ApiServer, tmp_path: Path
) -> None:
    stub.answers = [page()]
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.crt")
    error = error_of(ApiServer(server.host, server.port, server.token_file, tmp_path / "other.crt"))
    assert error.reason == "tls_error"
    assert stub.requests == []


def test_a_certificate_for_another_name_is_refused(stub: StubServer, server: ApiServer) -> None:
    stub.answers = [page()]
    assert error_of(ApiServer("localhost", server.port, server.token_file, server.ca_file)).reason == "tls_error"
    assert stub.requests == []


def test_nothing_listens(server: ApiServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert error_of(ApiServer("127.0.0.1", port, server.token_file, server.ca_file)).reason == "connection_refused"


def test_a_host_that_is_not_known(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert error_of(server).reason == "unreachable"


def test_an_ipv6_address_is_trusted_by_its_certificate_and_named_in_brackets(
    stub: StubServer, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The stub listens on IPv4, so that a machine without IPv6 can run this: only the connection is led there.
    connect = socket.create_connection
    asked: list[object] = []

    def lead(address: tuple[str, int], *rest: Any) -> socket.socket:
        asked.append(address)
        return connect(("127.0.0.1", address[1]), *rest)

    monkeypatch.setattr(socket, "create_connection", lead)
    stub.answers = [page()]
    assert list_pods(structs.replace(server, host="::1"), "node-1", 10.0) == ()
    assert asked == [("::1", server.port)]
    assert stub.requests[0][1]["Host"] == f"[::1]:{server.port}"


@pytest.mark.parametrize("content", [None, "", "two words", "line\nbreak", "t\u00f6ken"])
def test_a_token_that_cannot_be_used_is_not_shown(stub: StubServer, server: ApiServer, content: str | None) -> None:
    server.token_file.unlink()
    if content is not None:
        server.token_file.write_text(content, encoding="utf-8")
    error = error_of(server)
    assert error.reason == "token_unreadable"
    assert str(server.token_file) in error.detail
    assert not content or content not in error.detail
    assert stub.requests == []


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_certificate_authority_that_cannot_be_used(server: ApiServer, content: str | None) -> None:
    server.ca_file.unlink()
    if content is not None:
        server.ca_file.write_text(content)
    error = error_of(server)
    assert error.reason == "ca_unreadable"
    assert str(server.ca_file) in error.detail
