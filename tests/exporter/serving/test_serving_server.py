"""The server itself: addresses, slow and rude clients, and a stop that drains."""

from __future__ import annotations

import http.client
import signal
import socket
import threading
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from exporter.exposition import Family
from exporter.serving import server as server_module
from exporter.serving.app import Application, Readiness, Sources
from exporter.serving.listening import listen
from exporter.serving.server import MAX_CONNECTIONS, Server
from exporter.serving.web_config import WebConfig
from exporter.snapshot import Snapshot

Serve = Callable[..., Server]

BIG = Snapshot([{Family("big", "gauge", "Big."): b"big 1\n" * 5_000_000}], created_unix_seconds=0.0)
"""30 MB: more than the kernel's buffers of a connection hold."""


def connected(server: Server, request: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    connection.sendall(request)
    return connection


def received(connection: socket.socket) -> bytes:
    """All until the server closes; a reset ends it too."""
    parts: list[bytes] = []
    try:
        while part := connection.recv(1 << 20):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


GET = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"


# Addresses


@pytest.mark.parametrize("address", ["127.0.0.1:0", "localhost:0", "0.0.0.0:0", ":0"])
def test_an_address_is_served(serve: Serve, sources: Sources, address: str) -> None:
    server = serve(sources, address=address)
    with connected(server, GET.replace(b"x\r\n", b"x\r\nConnection: close\r\n")) as connection:
        assert received(connection).startswith(b"HTTP/1.1 200 OK\r\n")


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="this host has no IPv6 loopback")
def test_any_ipv6_address_takes_ipv4_too(serve: Serve, sources: Sources) -> None:
    server = serve(sources, address="[::]:0")
    for family, host in ((socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1")):
        with socket.socket(family) as connection:
            connection.settimeout(20)
            connection.connect((host, server.port))
            connection.sendall(GET)
            assert connection.recv(100).startswith(b"HTTP/1.1 200")


# Clients


def test_a_client_that_does_not_read_holds_up_nobody(serve: Serve, sources: Sources) -> None:
    server = serve(replace(sources, snapshot=lambda: BIG))
    with connected(server, GET) as slow:
        assert slow.recv(15) == b"HTTP/1.1 200 OK"
        for _ in range(3):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            connection.request("GET", "/metrics")
            assert connection.getresponse().read() == BIG.body(openmetrics=False, gzipped=False)
            connection.close()


def test_a_client_that_does_not_read_is_cut_off(
    serve: Serve, sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "STALL_SECONDS", 0.3)
    server = serve(replace(sources, snapshot=lambda: BIG))
    with connected(server, GET) as slow:
        assert slow.recv(15) == b"HTTP/1.1 200 OK"
        wait_until_closed(server)
        assert len(received(slow)) < len(BIG.body(openmetrics=False, gzipped=False))


def wait_until_closed(server: Server) -> None:
    """Until the server has let go of its connections, within a bound."""
    waiting = threading.Event()
    for _ in range(400):
        if not server._server.server_state.connections:
            return
        waiting.wait(0.05)
    raise AssertionError("the connection stays open")


@pytest.mark.parametrize("sent", [b"", b"GET /metr", b"GET /metrics HTTP/1.1\r\nHost: x\r\n"])
def test_a_client_that_completes_no_request_is_cut_off(
    serve: Serve, sources: Sources, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(server_module, "STALL_SECONDS", 0.3)
    with connected(serve(sources), sent) as connection:
        assert received(connection) == b""


def test_an_idle_connection_outlives_the_bound_on_stalls(
    serve: Serve, sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "STALL_SECONDS", 0.1)
    server = serve(sources)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    with connected(server) as stalled:
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        kept = connection.sock
        assert received(stalled) == b""
        with connected(server) as stalled_later:
            assert received(stalled_later) == b""
    connection.request("GET", "/healthz")
    assert connection.getresponse().read() == b"ok\n"
    assert connection.sock is kept is not None
    connection.close()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x00\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"y" * 20000,
    ],
)
def test_what_is_no_request_gets_400(
    serve: Serve, sources: Sources, caplog: pytest.LogCaptureFixture, request_bytes: bytes
) -> None:
    with connected(serve(sources), request_bytes) as connection:
        assert received(connection).startswith(b"HTTP/1.1 400")
    assert caplog.text == ""


def test_an_endless_body_is_not_read(serve: Serve, sources: Sources) -> None:
    head = b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"
    with connected(serve(sources), head) as connection:
        answer = received(connection)
    assert answer.startswith(b"HTTP/1.1 405")
    assert b"connection: close" in answer


def test_an_upgrade_is_answered_as_a_plain_request(
    serve: Serve, sources: Sources, caplog: pytest.LogCaptureFixture
) -> None:
    upgrade = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n"
    with connected(serve(sources), upgrade) as connection:
        assert received(connection).startswith(b"HTTP/1.1 200")
    assert caplog.text == ""


def test_connections_are_bounded(serve: Serve, sources: Sources) -> None:
    server = serve(sources)
    opened: list[socket.socket] = []
    try:
        for _ in range(MAX_CONNECTIONS):
            opened.append(connected(server, GET))
            assert opened[-1].recv(12) in {b"HTTP/1.1 200", b"HTTP/1.1 503"}
        with connected(server, GET) as beyond:
            assert received(beyond).startswith(b"HTTP/1.1 503")
    finally:
        for connection in opened:
            connection.close()


# Stopping


def test_a_response_under_way_is_finished(serve: Serve, sources: Sources) -> None:
    asked, release = threading.Event(), threading.Event()

    class Slow(Snapshot):
        def body(self, openmetrics: bool, gzipped: bool) -> bytes:
            asked.set()
            assert release.wait(20)
            return b"done\n"

    slow = Slow([], 0.0)
    server = serve(replace(sources, snapshot=lambda: slow))
    with connected(server, GET) as connection, connected(server) as idle:
        assert asked.wait(20)
        server.stop()
        assert received(idle) == b""
        with pytest.raises(ConnectionRefusedError):
            connected(server)
        release.set()
        answer = received(connection)
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\ndone\n")


def test_a_slow_reader_gets_all_of_its_response(serve: Serve, sources: Sources) -> None:
    server = serve(replace(sources, snapshot=lambda: BIG))
    with connected(server, GET) as connection:
        start = connection.recv(1000)
        server.stop()
        answer = start + received(connection)
    assert answer.partition(b"\r\n\r\n")[2] == BIG.body(openmetrics=False, gzipped=False)


def test_a_client_that_never_reads_does_not_keep_the_process(
    serve: Serve, sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "DRAIN_SECONDS", 1)
    server = serve(replace(sources, snapshot=lambda: BIG))
    with connected(server, GET) as connection:
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
        server.stop()
        wait_until_closed(server)
        assert len(received(connection)) < len(BIG.body(openmetrics=False, gzipped=False))


def test_a_stop_before_the_start_is_kept(sources: Sources) -> None:
    server = Server(Application(sources, WebConfig()), listen("127.0.0.1:0"), WebConfig())
    server.stop()
    server.run()
    with pytest.raises(ConnectionRefusedError):
        connected(server)


def test_signals_are_left_to_the_process(sources: Sources) -> None:
    seen: list[object] = []

    def readiness() -> Readiness:
        seen.append((signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)))
        server.stop()
        return Readiness(ready=True)

    server = Server(Application(replace(sources, readiness=readiness), WebConfig()), listen("127.0.0.1:0"), WebConfig())
    before = (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))
    with connected(server, b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n") as connection:
        server.run()
        assert received(connection).startswith(b"HTTP/1.1 200")
    assert seen == [before]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
