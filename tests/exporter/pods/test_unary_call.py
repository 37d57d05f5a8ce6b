"""A call to the kubelet: what is sent, and what becomes of every way in which it can fail."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import h2.connection
import pytest

from exporter.pods import unary_call
from exporter.pods.problems import SourceError
from exporter.pods.unary_call import call

if TYPE_CHECKING:
    from tests.exporter.pods.conftest import FrameServer, Kubelet, Respond

METHOD = "/v1.PodResourcesLister/List"
OK_HEADERS = [(":status", "200"), ("content-type", "application/grpc")]


def reason_of(path: Path, timeout_seconds: float = 10.0) -> str:
    with pytest.raises(SourceError) as caught:
        call(str(path), METHOD, b"", timeout_seconds)
    assert str(path) in caught.value.detail
    assert "\n" not in caught.value.detail
    return caught.value.reason


def message(data: bytes, *, compressed: bool = False, promised: int | None = None) -> bytes:
    """A gRPC message as it is framed: a flag, the length, the data."""
    return struct.pack(">?I", compressed, len(data) if promised is None else promised) + data


def answer(data: bytes, *, status: str = "0") -> Respond:
    """Headers, then this as the body, then trailers."""

    def respond(connection: h2.connection.H2Connection, stream: int, _: socket.socket) -> None:
        connection.send_headers(stream, OK_HEADERS)
        connection.send_data(stream, data)
        connection.send_headers(stream, [("grpc-status", status)], end_stream=True)

    return respond


def test_another_implementation_of_grpc_is_understood(kubelet: Kubelet, socket_path: Path) -> None:
    kubelet.answers[METHOD] = b"\x00any bytes\xff"
    assert call(str(socket_path), METHOD, b"", 10.0) == b"\x00any bytes\xff"
    assert kubelet.calls == [METHOD]


def test_the_authority_is_one_that_grpc_servers_accept_on_a_unix_socket(
    socket_path: Path, serve_frames: Callable[[Respond], FrameServer]
) -> None:
    server = serve_frames(answer(message(b"x")))
    assert call(str(socket_path), METHOD, b"", 10.0) == b"x"
    (headers,) = server.headers
    assert headers[":authority"] == "localhost"
    assert headers[":path"] == METHOD
    assert headers[":scheme"] == "http"
    assert headers["te"] == "trailers"
    assert headers["content-type"] == "application/grpc"
    assert headers["grpc-timeout"]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("RESOURCE_EXHAUSTED", "resource_exhausted"),
        ("UNIMPLEMENTED", "unimplemented"),
        ("PERMISSION_DENIED", "permission_denied"),
        ("UNAUTHENTICATED", "permission_denied"),
        ("UNAVAILABLE", "unavailable"),
        ("FAILED_PRECONDITION", "failed_precondition"),
        ("DEADLINE_EXCEEDED", "timeout"),
        ("INTERNAL", "grpc_status"),
    ],
)
def test_a_grpc_status_is_a_named_reason(kubelet: Kubelet, socket_path: Path, code: str, reason: str) -> None:
    kubelet.refuse(METHOD, code)
    with pytest.raises(SourceError) as caught:
        call(str(socket_path), METHOD, b"", 10.0)
    assert caught.value.reason == reason
    assert code in caught.value.detail
    assert "Bearer" not in caught.value.detail, "what a server writes does not reach a log"


def test_a_kubelet_without_the_service_is_unimplemented(kubelet: Kubelet, socket_path: Path) -> None:
    assert reason_of(socket_path) == "unimplemented"


def test_a_missing_socket(socket_path: Path) -> None:
    assert reason_of(socket_path) == "socket_missing"
    assert reason_of(socket_path.parent / "no-folder" / "kubelet.sock") == "socket_missing"


def test_a_socket_that_nobody_listens_on(socket_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(socket_path))
    assert reason_of(socket_path) == "connection_refused"


def test_a_path_that_is_no_socket(socket_path: Path) -> None:
    socket_path.write_text("no socket")
    assert reason_of(socket_path) == "connection_refused"


def test_a_path_too_long_for_a_socket(socket_path: Path) -> None:
    assert reason_of(socket_path.parent / ("x" * 200)) == "unreachable"


def test_a_socket_without_permission(socket_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may connect to any socket, so the refusal is the operating system's answer, not its file's mode.
    def refuse(self: socket.socket, address: object) -> None:
        raise PermissionError(13, os.strerror(13))

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path))
        listener.listen()
        monkeypatch.setattr(socket.socket, "connect", refuse)
        assert reason_of(socket_path) == "permission_denied"


def test_a_slow_answer_ends_at_the_deadline(kubelet: Kubelet, socket_path: Path) -> None:
    released = threading.Event()

    def slow(_: object) -> bytes:
        released.wait(30)
        return b""

    kubelet.answers[METHOD] = slow
    assert reason_of(socket_path, 0.2) == "timeout"
    released.set()


def test_a_server_that_accepts_and_says_nothing(socket_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path))
        listener.listen()
        assert reason_of(socket_path, 0.2) == "timeout"


def test_an_answer_over_the_limit_is_dropped(
    kubelet: Kubelet, socket_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubelet.answers[METHOD] = bytes(3_000_000)
    assert len(call(str(socket_path), METHOD, b"", 10.0)) == 3_000_000
    monkeypatch.setattr(unary_call, "MAX_ANSWER_BYTES", 1_000_000)
    assert reason_of(socket_path) == "too_large"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "malformed"),
        (b"\x00\x00", "malformed"),
        (message(b"short", promised=100), "malformed"),
        (message(b"x", compressed=True), "malformed"),
    ],
)
def test_a_body_that_is_no_grpc_message(
    socket_path: Path, serve_frames: Callable[[Respond], FrameServer], body: bytes, reason: str
) -> None:
    serve_frames(answer(body))
    assert reason_of(socket_path) == reason


def test_a_connection_that_ends_before_the_answer(
    socket_path: Path, serve_frames: Callable[[Respond], FrameServer]
) -> None:
    def hang_up(connection: h2.connection.H2Connection, stream: int, accepted: socket.socket) -> None:
        connection.send_headers(stream, OK_HEADERS)
        connection.send_data(stream, message(b"", promised=1000))
        accepted.sendall(connection.data_to_send())
        accepted.shutdown(socket.SHUT_RDWR)

    serve_frames(hang_up)
    assert reason_of(socket_path) == "connection_lost"


@pytest.mark.parametrize(
    "headers",
    [
        [(":status", "200"), ("content-type", "text/html")],
        [(":status", "200")],
        [(":status", "500"), ("content-type", "application/grpc")],
        [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "not a number")],
        [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "99")],
    ],
)
def test_an_answer_that_is_no_grpc(
    socket_path: Path, serve_frames: Callable[[Respond], FrameServer], headers: list[tuple[str, str]]
) -> None:
    def respond(connection: h2.connection.H2Connection, stream: int, _: socket.socket) -> None:
        connection.send_headers(stream, headers, end_stream=True)

    serve_frames(respond)
    assert reason_of(socket_path) == "grpc_status"


def test_metadata_out_of_form(socket_path: Path, serve_frames: Callable[[Respond], FrameServer]) -> None:
    def respond(connection: h2.connection.H2Connection, stream: int, _: socket.socket) -> None:
        connection.send_headers(stream, [*OK_HEADERS, ("grpc-status", "0"), ("broken-bin", "a")], end_stream=True)

    serve_frames(respond)
    assert reason_of(socket_path) == "malformed"


def test_headers_without_a_status_or_a_message(
    socket_path: Path, serve_frames: Callable[[Respond], FrameServer]
) -> None:
    def respond(connection: h2.connection.H2Connection, stream: int, _: socket.socket) -> None:
        connection.send_headers(stream, OK_HEADERS, end_stream=True)

    serve_frames(respond)
    assert reason_of(socket_path, 0.2) == "timeout"


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(range(256)) * 8, b"\x00" * 64])
def test_a_server_of_another_protocol(socket_path: Path, garbage: bytes) -> None:
    def serve(listener: socket.socket) -> None:
        accepted, _ = listener.accept()
        with accepted:
            accepted.recv(65536)
            accepted.sendall(garbage)
            accepted.shutdown(socket.SHUT_WR)
            while accepted.recv(65536):
                pass

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path))
        listener.listen()
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        assert reason_of(socket_path) == "connection_lost"
        thread.join(10)
    assert not thread.is_alive()
