"""What the stub of the API server can be told to send instead of an answer."""

from __future__ import annotations

import time

from tests.e2e.kube_api_stub import Fault, Handler


def refused(
    code: int, reason: str = "InternalError", message: str = "etcdserver: request timed out", **headers: str
) -> Fault:
    """A failure as the API tells it; headers such as `Retry_After="1"`."""
    return lambda handler: handler.status(code, reason, message, **headers)


def says(body: bytes, kind: str = "application/json") -> Fault:
    """200 with any body."""
    return lambda handler: handler.send(200, kind, body)


def cut_off(body: bytes, after: int) -> Fault:
    """The connection closes midway."""
    return lambda handler: handler.chunked(body, cut_after=after)


def silent(seconds: float) -> Fault:
    """No answer for so long."""

    def wait(handler: Handler) -> None:
        handler.server.stopping.wait(seconds)
        handler.close_connection = True

    return wait


def dripping(body: bytes, pause_seconds: float) -> Fault:
    """64 KiB at a time, with pauses."""
    return lambda handler: handler.chunked(body, pause_seconds=pause_seconds)


def endless(line: bytes, until_seconds: float = 30.0) -> Fault:
    """Lines without end."""

    def pour(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        end, part = time.monotonic() + until_seconds, line * (1 + 65536 // len(line))
        while time.monotonic() < end and not handler.server.stopping.is_set():
            handler.wfile.write(part)
        handler.close_connection = True

    return pour
