"""Stub kubelets: gRPC servers on a Unix socket, built to the documented APIs.

`Kubelet` is served by grpcio, an implementation of gRPC that shares no line with the client under test.
`FrameServer` answers below gRPC, for answers that no good server gives. Messages are written by hand from the
field numbers of the kubelet's api.proto, not by the client's own table.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import h2.config
import h2.connection
import h2.events
import pytest

POD_RESOURCES = "/v1.PodResourcesLister/List"
LIST_PODS = "/v1alpha1.Pods/ListPods"
GPU = "GPU-11111111-2222-3333-4444-{:012d}"


# The wire format of protobuf, of which only varints and length-delimited fields are needed


def varint(number: int) -> bytes:
    more, last = number >> 7, number & 0x7F
    return bytes([last | 0x80]) + varint(more) if more else bytes([last])


def wire(number: int, value: str | bytes | int) -> bytes:
    """One field with its number."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def devices(resource: str, *device_ids: str) -> bytes:
    """ContainerDevices, with a topology (field 3) that the client does not know."""
    topology = wire(3, wire(1, wire(1, 1)))
    return wire(1, resource) + b"".join(wire(2, device_id) for device_id in device_ids) + topology


def pod_resources(namespace: str, name: str, container: str, *content: bytes) -> bytes:
    """PodResources with one container; `content` are its encoded fields."""
    return wire(1, name) + wire(2, namespace) + wire(3, wire(1, container) + b"".join(content))


def resources_answer(*pods: bytes) -> bytes:
    """ListPodResourcesResponse."""
    return b"".join(wire(1, pod) for pod in pods)


def gpu_pod(namespace: str, name: str, container: str, *gpus: str, resource: str = "nvidia.com/gpu") -> bytes:
    return pod_resources(namespace, name, container, wire(2, devices(resource, *gpus)))


def core_pod(
    namespace: str = "ai",
    name: str = "llama-0",
    *,
    ip: str = "10.0.0.7",
    phase: str = "Running",
    annotations: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
    containers: Sequence[tuple[str, Sequence[tuple[str, int]]]] = (("engine", (("http", 8000),)),),
    ready: Sequence[str] = ("engine",),
    more_ips: Sequence[str] = (),
) -> bytes:
    """A core/v1 Pod, with fields that the client does not know."""

    def entries(number: int, mapping: dict[str, str] | None) -> bytes:
        return b"".join(wire(number, wire(1, key) + wire(2, value)) for key, value in (mapping or {}).items())

    metadata = (
        wire(1, name) + wire(3, namespace) + wire(5, "uid-1") + wire(6, "4711") + entries(11, labels)
        + entries(12, annotations)
    )  # fmt: skip
    spec = wire(3, "Always") + wire(10, "node-1")
    for container, ports in containers:
        encoded = b"".join(wire(6, wire(1, port) + wire(3, number) + wire(4, "TCP")) for port, number in ports)
        spec += wire(2, wire(1, container) + wire(2, "registry/engine:1") + encoded)
    status = wire(1, phase) + wire(5, "192.0.2.1") + (wire(6, ip) if ip else b"")
    for container, _ in containers:
        status += wire(8, wire(1, container) + wire(4, int(container in ready)) + wire(5, 3))
    status += b"".join(wire(12, wire(1, more)) for more in more_ips)
    return wire(1, metadata) + wire(2, spec) + wire(3, status)


def pods_answer(*pods: bytes) -> bytes:
    """ListPodsResponse."""
    return b"".join(wire(1, pod) for pod in pods)


@pytest.fixture
def socket_path() -> Iterator[Path]:
    """A path short enough for a Unix socket (108 bytes)."""
    folder = Path(tempfile.mkdtemp(prefix="kubelet-"))
    yield folder / "kubelet.sock"
    shutil.rmtree(folder)


class Kubelet:
    """A stub kubelet. `answers` maps a method to its answer, or to what gives or refuses it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers: dict[str, bytes | Callable[[Any], bytes]] = {}
        self.calls: list[str] = []
        self._server: Any = None

    def start(self) -> None:
        self._server = grpc.server(ThreadPoolExecutor(4), handlers=[_Handlers(self)])
        self._server.add_insecure_port(f"unix:{self.path}")
        self._server.start()

    def stop(self) -> None:
        """As a kubelet that ends: connections break, the socket goes."""
        if self._server is not None:
            self._server.stop(grace=None).wait()
            self._server = None
        self.path.unlink(missing_ok=True)

    def refuse(self, method: str, code: str) -> None:
        """Answer a method with a gRPC status from now on."""

        def abort(context: Any) -> bytes:
            context.abort(grpc.StatusCode[code], "secret-looking detail: Bearer abc")
            raise AssertionError

        self.answers[method] = abort


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, kubelet: Kubelet) -> None:
        self._kubelet = kubelet

    def service(self, details: Any) -> Any:
        answer = self._kubelet.answers.get(details.method)
        if answer is None:
            return None  # grpcio says UNIMPLEMENTED

        def handle(request: bytes, context: Any) -> bytes:
            self._kubelet.calls.append(details.method)
            assert request == b""
            return answer if isinstance(answer, bytes) else answer(context)

        return grpc.unary_unary_rpc_method_handler(handle)


@pytest.fixture
def kubelet(socket_path: Path) -> Iterator[Kubelet]:
    """A stub kubelet that serves."""
    served = Kubelet(socket_path)
    served.start()
    yield served
    served.stop()


Respond = Callable[[h2.connection.H2Connection, int, socket.socket], None]


class FrameServer:
    """An HTTP/2 server on a Unix socket that records each request's headers and lets `respond` answer."""

    def __init__(self, path: Path, respond: Respond) -> None:
        self.headers: list[dict[str, str]] = []
        self._respond = respond
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            with accepted, contextlib.suppress(OSError):
                self._converse(accepted)

    def _converse(self, accepted: socket.socket) -> None:
        accepted.settimeout(10)
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        connection.initiate_connection()
        accepted.sendall(connection.data_to_send())
        while data := accepted.recv(65536):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    assert event.headers is not None
                    self.headers.append({str(name): str(value) for name, value in event.headers})
                elif isinstance(event, h2.events.StreamEnded):
                    assert event.stream_id is not None
                    self._respond(connection, event.stream_id, accepted)
            accepted.sendall(connection.data_to_send())

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.fixture
def serve_frames(socket_path: Path) -> Iterator[Callable[[Respond], FrameServer]]:
    """Serve answers below gRPC at `socket_path`."""
    served: list[FrameServer] = []

    def serve(respond: Respond) -> FrameServer:
        served.append(FrameServer(socket_path, respond))
        return served[-1]

    yield serve
    for server in served:
        server.close()
