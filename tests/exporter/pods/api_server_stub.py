"""A stub of the API server, over TLS, that lists pods, and an `ApiServer` that leads to it."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from exporter.pods.api_server import ApiServer, list_pods
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
