"""One gRPC call to the kubelet over a Unix socket: connected, asked, closed.

A connection a call costs about a millisecond every few seconds, and a kubelet that restarted (the socket is
another inode, the old connection dead) is nothing special. Importing this module loads grpclib and asyncio:
import it only where a socket is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from grpclib.client import Channel, UnaryUnaryMethod
from grpclib.const import Status
from grpclib.encoding.base import CodecBase
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError
from grpclib.protocol import H2Protocol

from exporter.pods.problems import Reason, SourceError

MAX_ANSWER_BYTES = 16 << 20
"""As the kubelet's own clients have it (`PodResourcesMaxSize`); 110 pods are about 0.6 MiB."""

_REASONS: Mapping[Status, tuple[Reason, str]] = {
    Status.RESOURCE_EXHAUSTED: ("resource_exhausted", "its rate limit is spent; is something else asking it often?"),
    Status.UNIMPLEMENTED: ("unimplemented", "it does not know this call; the API may be off, or of another version"),
    Status.PERMISSION_DENIED: ("permission_denied", "it refuses this client"),
    Status.UNAUTHENTICATED: ("permission_denied", "it refuses this client"),
    Status.UNAVAILABLE: ("unavailable", "it is not ready to answer"),
    Status.FAILED_PRECONDITION: ("failed_precondition", "it has not finished starting"),
    Status.DEADLINE_EXCEEDED: ("timeout", "it did not answer in time"),
}


class _Bytes(CodecBase):
    """Messages stay bytes here; who calls knows their type."""

    __content_subtype__ = "proto"

    def encode(self, message: bytes, message_type: type[bytes]) -> bytes:
        return message

    def decode(self, data: bytes, message_type: type[bytes]) -> bytes:
        return bytes(data)


class _BoundedProtocol(H2Protocol):
    """Drops the connection once it has given more bytes than any good answer has: grpclib has no such limit."""

    received_bytes = 0

    def data_received(self, data: bytes) -> None:
        self.received_bytes += len(data)
        if self.received_bytes <= MAX_ANSWER_BYTES:
            super().data_received(data)
        else:
            self.processor.close("answer too large")


class _KubeletChannel(Channel):
    """grpclib names 127.0.0.1:50051 as the authority of a Unix socket; gRPC's own clients say localhost there."""

    opened: _BoundedProtocol | None = None

    def _get_authority(self, host: str, port: int) -> str:
        return "localhost"

    def _protocol_factory(self) -> H2Protocol:
        plain = super()._protocol_factory()
        self.opened = _BoundedProtocol(plain.handler, plain.config, plain.h2_config)
        return self.opened


def call(socket_path: str, method: str, request: bytes, timeout_seconds: float) -> bytes:
    """Call `method` ("/package.Service/Method") and return the answer's bytes.

    Raises SourceError. Everything, connecting included, ends within `timeout_seconds`. Must not be called from
    inside an event loop.
    """
    return asyncio.run(_call(socket_path, method, request, timeout_seconds))


async def _call(socket_path: str, method: str, request: bytes, timeout_seconds: float) -> bytes:
    channel = _KubeletChannel(path=socket_path, codec=_Bytes())
    try:
        async with asyncio.timeout(timeout_seconds):
            unary = UnaryUnaryMethod(channel, method, bytes, bytes)
            answer: bytes = await unary(request, timeout=timeout_seconds)
            return answer
    except TimeoutError as error:
        raise SourceError("timeout", f"{socket_path}: no answer within {timeout_seconds:g} s") from error
    except OSError as error:
        raise _unreachable(socket_path, error) from error
    except GRPCError as error:
        raise _refused(socket_path, error) from error
    except (StreamTerminatedError, ProtocolError) as error:
        if channel.opened is not None and channel.opened.received_bytes > MAX_ANSWER_BYTES:
            raise SourceError("too_large", f"{socket_path}: the answer is over {MAX_ANSWER_BYTES} bytes") from error
        raise SourceError("connection_lost", f"{socket_path}: the connection ended before the answer") from error
    except (AssertionError, NotImplementedError, ValueError) as error:
        # So grpclib reports an answer that ends early, is missing, compressed, or has metadata out of form.
        raise SourceError("malformed", f"{socket_path}: the answer is no gRPC message") from error
    finally:
        channel.close()


def _unreachable(socket_path: str, error: OSError) -> SourceError:
    if isinstance(error, FileNotFoundError):
        return SourceError("socket_missing", f"{socket_path}: no such socket; mount its directory from the host")
    if isinstance(error, PermissionError):
        return SourceError("permission_denied", f"{socket_path}: no permission; the kubelet's sockets belong to root")
    if isinstance(error, ConnectionRefusedError):
        return SourceError("connection_refused", f"{socket_path}: nothing listens; is the kubelet starting?")
    return SourceError("unreachable", f"{socket_path}: {error.strerror or 'cannot connect'}")


def _refused(socket_path: str, error: GRPCError) -> SourceError:
    reason, meaning = _REASONS.get(error.status, ("grpc_status", "it answered with an error"))
    return SourceError(reason, f"{socket_path}: {meaning} (gRPC {error.status.name})")
