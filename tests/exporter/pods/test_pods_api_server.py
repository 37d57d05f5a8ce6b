"""Listing a node's pods at a stub of the API server: what is asked, what is read, and where the server is."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from exporter.pods import api_server
from exporter.pods.api_server import ApiServer, in_cluster, list_pods
from exporter.pods.pod import Container, ContainerPort, Pod
from exporter.pods.problems import SourceError
from tests.exporter.pods.api_server_stub import (
    TOKEN,
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
