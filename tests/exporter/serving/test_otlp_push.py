"""Pushing to a receiver in this process that decodes the protobuf: what arrives, and how failures are told apart."""

from __future__ import annotations

import gzip
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
import requests
import trustme
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from exporter.config import Otlp
from exporter.exposition import Family
from exporter.serving.otlp import PUSH_FAILURES, Pusher
from exporter.snapshot import Snapshot

HISTOGRAM = Family("llm_time_to_first_token_seconds", "histogram", "TTFT")
SNAPSHOT = Snapshot(
    [
        {
            Family("llm_requests_running", "gauge", "Running."): b'llm_requests_running{pod="a"} 3\n',
            Family("llm_preemptions_total", "counter", "Preempted."): b"llm_preemptions_total 12\n",
            HISTOGRAM: b'llm_time_to_first_token_seconds_bucket{le="0.1"} 2\n'
            b'llm_time_to_first_token_seconds_bucket{le="+Inf"} 9\n'
            b"llm_time_to_first_token_seconds_sum 7.5\nllm_time_to_first_token_seconds_count 9\n",
        }
    ],
    created_unix_seconds=1_700_000_000.0,
)


class Receiver(ThreadingHTTPServer):
    """Answers as told, and keeps what it was sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: Queue[tuple[str, dict[str, str], ExportMetricsServiceRequest]] = Queue()
        self.status = 200
        self.answer = b""
        self.may_answer = threading.Event()
        self.may_answer.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gave up waiting is no failure of the receiver."""


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.put((self.path, headers, ExportMetricsServiceRequest.FromString(body)))
        assert self.server.may_answer.wait(20)
        self.send_response(self.server.status)
        if self.server.status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class names it so
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.may_answer.set()
        server.shutdown()
        thread.join(20)


@pytest.fixture(autouse=True)
def settings_of_this_process_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def pusher(endpoint: str, snapshot: Snapshot | None = SNAPSHOT, interval: float = 20, headers: str = "") -> Pusher:
    """The interval bounds a push with its retries: short where each is refused."""
    config = Otlp(endpoint=endpoint, interval_seconds=interval, headers_file=headers)
    return Pusher(config, lambda: snapshot, {"host.name": "node-a", "k8s.node.name": "node-a"}, "1.2.3")


@contextmanager
def stopping(pushing: Pusher) -> Iterator[Pusher]:
    try:
        yield pushing
    finally:
        pushing.stop()


def test_a_push_arrives_whole(receiver: Receiver) -> None:
    with stopping(pusher(receiver.url)) as pushing:
        assert pushing.push() is None
        assert pushing.pushed == 1
    path, headers, request = receiver.requests.get(timeout=20)
    assert (path, headers["content-type"], headers["content-encoding"]) == (
        "/v1/metrics",
        "application/x-protobuf",
        "gzip",
    )
    [resource] = request.resource_metrics
    attributes = {item.key: item.value.string_value for item in resource.resource.attributes}
    assert attributes == {"service.name": "inferwatch", "host.name": "node-a", "k8s.node.name": "node-a"}
    found = {metric.name: metric for metric in resource.scope_metrics[0].metrics}
    assert set(found) == {"llm_requests_running", "llm_preemptions_total", "gen_ai.server.time_to_first_token"}
    [gauge] = found["llm_requests_running"].gauge.data_points
    assert gauge.as_double == 3
    assert [(item.key, item.value.string_value) for item in gauge.attributes] == [("pod", "a")]
    total = found["llm_preemptions_total"].sum
    assert (total.is_monotonic, total.aggregation_temporality) == (True, 2)
    assert total.data_points[0].as_double == 12
    assert total.data_points[0].time_unix_nano == 1_700_000_000_000_000_000
    [point] = found["gen_ai.server.time_to_first_token"].histogram.data_points
    assert (point.count, point.sum, list(point.bucket_counts), list(point.explicit_bounds)) == (9, 7.5, [2, 7], [0.1])
    assert sum(point.bucket_counts) == point.count
    assert not point.HasField("min")
    assert not point.HasField("max")


@pytest.mark.parametrize("path", ["/v1/metrics", "/otlp/v1/metrics", "/x"])
def test_a_path_of_its_own_is_kept(receiver: Receiver, path: str) -> None:
    with stopping(pusher(receiver.url + path)) as pushing:
        assert pushing.push() is None
    assert receiver.requests.get(timeout=20)[0] == path


@pytest.mark.parametrize(
    ("status", "reason"),
    [(400, "client_error"), (401, "client_error"), (429, "client_error"), (500, "server_error"), (503, "server_error")],
)
def test_a_refusal_is_counted_by_its_kind(receiver: Receiver, status: int, reason: str) -> None:
    receiver.status = status
    with stopping(pusher(receiver.url, interval=1)) as pushing:
        assert pushing.push() == reason
        assert pushing.push() == reason
        assert pushing.failures == {name: 2 if name == reason else 0 for name in PUSH_FAILURES}
        receiver.status = 200
        assert pushing.push() is None
        assert pushing.pushed == 1


def test_a_redirect_is_not_followed_and_no_success(receiver: Receiver) -> None:
    receiver.status = 302
    with stopping(pusher(receiver.url)) as pushing:
        assert pushing.push() == "redirect"
    assert receiver.requests.qsize() == 1


def test_points_left_out_are_a_failure(receiver: Receiver) -> None:
    partial = ExportMetricsPartialSuccess(rejected_data_points=1, error_message="too old")
    receiver.answer = ExportMetricsServiceResponse(partial_success=partial).SerializeToString()
    with stopping(pusher(receiver.url)) as pushing:
        assert pushing.push() == "rejected"


@pytest.mark.parametrize("answer", [b"", b"thank you", b"\0" * 100_000])
def test_an_answer_in_prose_is_none(receiver: Receiver, answer: bytes) -> None:
    receiver.answer = answer
    with stopping(pusher(receiver.url)) as pushing:
        assert pushing.push() is None


def test_a_receiver_that_does_not_answer_is_a_timeout(receiver: Receiver) -> None:
    receiver.may_answer.clear()
    with stopping(pusher(receiver.url, interval=0.3)) as pushing:
        assert pushing.push() == "timeout"


def test_nobody_there_is_a_connection_failure() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with stopping(pusher(f"http://127.0.0.1:{taken.getsockname()[1]}", interval=1)) as pushing:
            assert pushing.push() == "connection"


def test_an_error_that_the_library_lets_through_is_counted(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(*_: object, **__: object) -> None:
        raise requests.exceptions.InvalidHeader

    with stopping(pusher(receiver.url)) as pushing:
        monkeypatch.setattr(pushing._delivery._exporter, "export", raising)
        assert pushing.push() == "other"
        assert pushing.failures["other"] == 1


def test_an_untrusted_certificate_is_a_tls_failure(receiver: Receiver) -> None:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    receiver.socket = context.wrap_socket(receiver.socket, server_side=True)
    with stopping(pusher(receiver.url.replace("http", "https"), interval=1)) as pushing:
        assert pushing.push() == "tls"


def test_before_the_first_snapshot_nothing_is_pushed(receiver: Receiver) -> None:
    with stopping(pusher(receiver.url, snapshot=None)) as pushing:
        assert pushing.push() is None
        assert pushing.pushed == 0
    assert receiver.requests.empty()


def test_pushes_go_on_at_their_interval_and_end(receiver: Receiver) -> None:
    pushing = pusher(receiver.url)
    pushing._interval_seconds = 0.05  # the pushes themselves keep their time
    pushing.start()
    for _ in range(3):
        receiver.requests.get(timeout=20)
    pushing.stop()
    assert not pushing._thread.is_alive()
    assert sum(pushing.failures.values()) == 0


def test_a_stop_cuts_a_wait_for_a_retry_short(receiver: Receiver) -> None:
    receiver.status = 503
    pushing = pusher(receiver.url, interval=3600)
    pushing.start()
    receiver.requests.get(timeout=20)
    pushing.stop()
    assert not pushing._thread.is_alive()
    assert sum(pushing.failures.values()) == 0


def test_a_change_of_outcome_is_logged_once(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    receiver.status = 500
    with stopping(pusher(receiver.url + "/v1/metrics?token=hunter2", interval=1)) as pushing:
        for _ in range(3):
            pushing.push()
        receiver.status = 200
        for _ in range(3):
            pushing.push()
    lines = [record.getMessage() for record in caplog.records if record.name.startswith(("exporter", "opentelemetry"))]
    assert lines == ["OTLP push to 127.0.0.1 failed: server_error", "OTLP push to 127.0.0.1 succeeds again"]
    assert "hunter2" not in "".join(lines)


def test_headers_come_from_a_file_and_follow_it(
    receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "headers"
    path.write_text("# ours\n\nAuthorization: Bearer one:two\nX-Scope-OrgID:  team \n", encoding="utf-8")
    with stopping(pusher(receiver.url, headers=str(path))) as pushing:
        assert pushing.push() is None
        sent = receiver.requests.get(timeout=20)[1]
        assert (sent["authorization"], sent["x-scope-orgid"]) == ("Bearer one:two", "team")
        path.write_text("Authorization: Bearer three\n", encoding="utf-8")
        assert pushing.push() is None
        sent = receiver.requests.get(timeout=20)[1]
        assert (sent["authorization"], "x-scope-orgid" in sent) == ("Bearer three", False)
        path.unlink()
        assert pushing.push() == "headers_file"
        assert pushing.failures["headers_file"] == 1
    assert "Bearer" not in caplog.text
