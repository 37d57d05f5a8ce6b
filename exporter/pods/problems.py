"""How a source of pods can fail: a closed list of reasons, each with one line on what to do."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Source = Literal["pod_resources", "pods_api", "api_server", "device_ids", "candidates"]

Reason = Literal[
    # Reaching the source
    "socket_missing",
    "connection_refused",
    "connection_lost",
    "permission_denied",
    "unreachable",
    "timeout",
    "tls_error",
    # Answers that say no
    "resource_exhausted",
    "unimplemented",
    "unavailable",
    "failed_precondition",
    "grpc_status",
    "unauthorized",
    "forbidden",
    "not_found",
    "expired",
    "throttled",
    "server_error",
    "redirect",
    "http_status",
    # Answers that cannot be used
    "too_large",
    "truncated",
    "malformed",
    # What the process itself lacks
    "not_in_cluster",
    "ca_unreadable",
    "token_unreadable",
    # Device identifiers (source "device_ids")
    "unknown_shape",
    "unknown_device",
    "dra_device",
    "bad_name",
    # Annotations and addresses (source "candidates")
    "bad_annotation",
    "bad_address",
]


class SourceError(Exception):
    """A source that gave no answer. The message is one line without secrets and says what to do.

    `retry_after_seconds` is the pause that the server asked for, 0 when it asked for none.
    """

    def __init__(self, reason: Reason, detail: str, retry_after_seconds: float = 0.0) -> None:
        super().__init__(detail)
        self.reason: Reason = reason
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds


class Problem(Struct, frozen=True):
    """What is wrong now: for the status page, and for the error counter by `source` and `reason`.

    `count` is how often it was met in one refresh: 1 for a source that failed, the number of identifiers for
    "device_ids".
    """

    source: Source
    reason: Reason
    detail: str
    count: int = 1
