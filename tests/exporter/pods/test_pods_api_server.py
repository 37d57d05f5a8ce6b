"""Listing a node's pods at a stub of the API server, over TLS."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import trustme

from exporter.pods import api_server
from exporter.pods.api_server import ApiServer, in_cluster, list_pods
from exporter.pods.pod import Container, ContainerPort, Pod
from exporter.pods.problems import SourceError

TOKEN = "header.secret-payload.signature"
Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Records a request and gives the server's next answer; the last one stays."""

    protocol_version = "HTTP/1.1"
    server: StubServer

    def do_GET(self) -> None:
        """Answer one request."""
        self.server.requests.append((self.path, dict(self.headers)))
        answers = self.server.answers
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        """Send a whole answer."""
        self.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class StubServer(ThreadingHTTPServer):
    """An API server that gives these answers, one a request."""

    daemon_threads = False

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.answers: list[Answer] = []
        self.requests: list[tuple[str, dict[str, str]]] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up, or that does not trust us, is what some tests are about."""


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def stub(authority: trustme.CA) -> Iterator[StubServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "::1").configure_cert(context)
    with StubServer(context) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join(10)
    assert not thread.is_alive()


@pytest.fixture
def server(stub: StubServer, authority: trustme.CA, tmp_path: Path) -> ApiServer:
    token, ca = tmp_path / "token", tmp_path / "ca.crt"
    token.write_text(TOKEN + "\n")
    authority.cert_pem.write_to_path(ca)
    return ApiServer("127.0.0.1", stub.server_port, token, ca)


def pod(name: str = "llama-0", **changes: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": "ai",
            "uid": "uid-1",
            "creationTimestamp": None,
            "labels": {"app": "llama"},
            "annotations": {"prometheus.io/port": "8000", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
            "managedFields": [{"manager": "kubelet"}],
        },
        "spec": {
            "nodeName": "node-1",
            "containers": [
                {"name": "engine", "image": "x", "ports": [{"name": "http", "containerPort": 8000, "protocol": "TCP"}]},
                {"name": "sidecar", "image": "y"},
            ],
        },
        "status": {
            "phase": "Running",
            "podIP": "10.0.0.7",
            "podIPs": [{"ip": "10.0.0.7"}],
            "containerStatuses": [{"name": "engine", "ready": True}, {"name": "sidecar", "ready": False}],
        },
    } | changes


def page(*pods: dict[str, Any], more: str = "") -> Answer:
    body = {
        "kind": "PodList",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": "1", "continue": more},
        "items": pods,
    }
    return lambda handler: handler.reply(200, json.dumps(body).encode())


def body(data: bytes, status: int = 200, **headers: str) -> Answer:
    return lambda handler: handler.reply(status, data, **headers)


def error_of(server: ApiServer, timeout_seconds: float = 10.0) -> SourceError:
    with pytest.raises(SourceError) as caught:
        list_pods(server, "node-1", timeout_seconds)
    assert TOKEN not in caught.value.detail
    assert caught.value.detail.isprintable()
    return caught.value


# What is asked, and what is read


def test_the_pods_of_the_node_are_read(stub: StubServer, server: ApiServer) -> None:
    stub.answers = [page(pod())]
    assert list_pods(server, "node-1", 10.0) == (
        Pod(
            namespace="ai",
            name="llama-0",
            uid="uid-1",
            ip="10.0.0.7",
            phase="Running",
            annotations={"prometheus.io/port": "8000"},
            labels={"app": "llama"},
            containers=(Container("engine", (ContainerPort("http", 8000),), ready=True), Container("sidecar")),
        ),
    )
    ((path, headers),) = stub.requests
    assert urlsplit(path).path == "/api/v1/pods"
    assert parse_qs(urlsplit(path).query) == {
        "fieldSelector": ["spec.nodeName=node-1"],
        "limit": ["500"],
        "resourceVersion": ["0"],
    }
    assert headers["Authorization"] == f"Bearer {TOKEN}"


def test_a_pod_that_has_only_begun(stub: StubServer, server: ApiServer) -> None:
    pending = pod(spec={"containers": None}, status={"phase": "Pending", "podIPs": None})
    pending["metadata"] = {"name": "new", "namespace": "ai", "labels": None, "annotations": None}
    stub.answers = [page(pending, {"metadata": {"name": "bare", "namespace": "ai"}})]
    assert list_pods(server, "node-1", 10.0) == (Pod("ai", "new", phase="Pending"), Pod("ai", "bare"))


def test_a_full_node_of_110_pods(stub: StubServer, server: ApiServer) -> None:
    stub.answers = [page(*(pod(f"pod-{number}") for number in range(110)))]
    assert [each.name for each in list_pods(server, "node-1", 10.0)] == [f"pod-{number}" for number in range(110)]


def test_a_long_list_is_read_page_by_page(stub: StubServer, server: ApiServer) -> None:
    stub.answers = [page(pod("a"), more="token of/page 2"), page(pod("b"), more="page 3"), page(pod("c"))]
    assert [each.name for each in list_pods(server, "node-1", 10.0)] == ["a", "b", "c"]
    queries = [parse_qs(urlsplit(path).query) for path, _ in stub.requests]
    assert [query.get("continue") for query in queries] == [None, ["token of/page 2"], ["page 3"]]
    assert [query.get("resourceVersion") for query in queries] == [["0"], None, None]


def test_a_list_without_end_is_cut(stub: StubServer, server: ApiServer) -> None:
    stub.answers = [page(pod(), more="again")]
    assert error_of(server).reason == "too_large"
    assert len(stub.requests) == api_server.MAX_PAGES


def test_the_token_is_read_anew_each_time(stub: StubServer, server: ApiServer) -> None:
    stub.answers = [page()]
    list_pods(server, "node-1", 10.0)
    server.token_file.write_text("rotated")
    list_pods(server, "node-1", 10.0)
    assert [headers["Authorization"] for _, headers in stub.requests] == [f"Bearer {TOKEN}", "Bearer rotated"]


def test_a_node_name_cannot_change_the_request(stub: StubServer, server: ApiServer) -> None:
    stub.answers = [page()]
    list_pods(server, "node&limit=1\r\nX-Evil: 1", 10.0)
    ((path, headers),) = stub.requests
    assert parse_qs(urlsplit(path).query)["fieldSelector"] == ["spec.nodeName=node&limit=1\r\nX-Evil: 1"]
    assert "X-Evil" not in headers


def test_an_answer_in_chunks_is_read(stub: StubServer, server: ApiServer) -> None:
    def chunked(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for part in (b'{"kind": "PodList",', b' "items": []}', b""):
            handler.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")

    stub.answers = [chunked]
    assert list_pods(server, "node-1", 10.0) == ()


def test_an_answer_that_ends_with_the_connection_is_read(stub: StubServer, server: ApiServer) -> None:
    def closing(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(b'{"kind": "PodList", "items": []}')

    stub.answers = [closing]
    assert list_pods(server, "node-1", 10.0) == ()


# Refusals


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "unauthorized"),
        (403, "forbidden"),
        (404, "not_found"),
        (410, "expired"),
        (429, "throttled"),
        (500, "server_error"),
        (503, "server_error"),
        (204, "http_status"),
        (418, "http_status"),
    ],
)
def test_a_refusal_is_a_named_reason(stub: StubServer, server: ApiServer, status: int, reason: str) -> None:
    stub.answers = [body(b"" if status == 204 else b'{"message": "evil\\u001b[31m"}', status)]
    error = error_of(server)
    assert error.reason == reason
    assert f"HTTP {status}" in error.detail
    assert error.retry_after_seconds == 0.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("0", 0.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 0.0), ("-5", 0.0), ("9" * 50, 0.0), ("nan", 0.0)],
)
def test_a_pause_that_the_server_asks_for_is_passed_on(
    stub: StubServer, server: ApiServer, header: str, seconds: float
) -> None:
    stub.answers = [body(b"", 429, Retry_After=header)]
    assert error_of(server).retry_after_seconds == seconds


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(stub: StubServer, server: ApiServer, status: int) -> None:
    stub.answers = [body(b"", status, Location=f"https://127.0.0.1:{stub.server_port}/elsewhere")]
    assert error_of(server).reason == "redirect"
    assert len(stub.requests) == 1


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
    assert list_pods(dataclasses.replace(server, host="::1"), "node-1", 10.0) == ()
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


# Where it is


@pytest.mark.parametrize(
    ("environment", "host", "port"),
    [
        ({"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}, "10.96.0.1", 443),
        ({"KUBERNETES_SERVICE_HOST": "10.96.0.1"}, "10.96.0.1", 443),
        (
            {
                "KUBERNETES_SERVICE_HOST": "fd00::1",
                "KUBERNETES_SERVICE_PORT": "8443",
                "KUBERNETES_SERVICE_PORT_HTTPS": "6443",
            },
            "fd00::1",
            6443,
        ),
        ({"KUBERNETES_SERVICE_HOST": "[fd00::1]", "KUBERNETES_SERVICE_PORT": "6443"}, "fd00::1", 6443),
    ],
)
def test_the_environment_of_a_pod_names_it(environment: dict[str, str], host: str, port: int) -> None:
    found = in_cluster(environment)
    assert found is not None
    assert (found.host, found.port) == (host, port)
    assert found.token_file == Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


def test_outside_of_a_cluster_there_is_none() -> None:
    assert in_cluster({}) is None
    assert in_cluster({"KUBERNETES_SERVICE_HOST": ""}) is None


@pytest.mark.parametrize("port", ["https", "0", "65536", "-1", "4" * 5000, "٤٤٣"])
def test_a_port_that_is_none(port: str) -> None:
    with pytest.raises(SourceError, match="KUBERNETES_SERVICE_PORT") as caught:
        in_cluster({"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": port})
    assert caught.value.reason == "not_in_cluster"
    assert len(caught.value.detail) < 200
