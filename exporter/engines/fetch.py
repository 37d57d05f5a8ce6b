"""Fetches one endpoint over and over: one connection, a hard deadline, a bounded body, no redirect.

http.client's own timeout holds for one read; a server that sends a byte a second would never meet it. So whoever
waits calls `abort` at the deadline, from its own thread: that shuts the socket, and the read under way ends.
"""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
import threading
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct

from exporter.engines.answer import BodyTooLargeError, received, request

__all__ = ["REASONS", "Access", "Endpoint", "FetchError", "Reason"]

Reason = Literal[
    "refused",
    "unreachable",
    "timeout",
    "tls",
    "unauthorized",
    "not_found",
    "http_status",
    "redirect",
    "too_large",
    "truncated",
    "encoding",
    "protocol",
    "not_metrics",
    "unknown_engine",
    "credentials",
    "internal",
]
REASONS: tuple[Reason, ...] = Reason.__args__  # type: ignore[attr-defined]

# Not OpenMetrics: exemplars and timestamps would make the text of a line unstable. Not packed: on one node
# that costs the engine more than it saves.
_HEADERS = {
    "Accept": "text/plain;version=0.0.4;q=1,*/*;q=0.1",
    "Accept-Encoding": "identity",
    "User-Agent": "inferwatch",
}
_BLOCK_BYTES = 1 << 16
_SECRET_LIMIT_BYTES = 1 << 16
_BY_STATUS: Mapping[int, Reason] = {401: "unauthorized", 403: "unauthorized", 404: "not_found"}


class FetchError(Exception):
    """A fetch that failed: `reason` is one of a closed list, the message says more and holds no secret."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason


class Access(Struct, frozen=True):
    """How to be let in. Secrets are read from their files at each fetch, so that they can be rotated."""

    bearer_token_file: str = ""
    username: str = ""
    password_file: str = ""
    ca_file: str = ""
    insecure_skip_verify: bool = False

    def headers(self) -> dict[str, str]:
        """Return the header that carries the secret; empty without one. Raises FetchError."""
        if self.bearer_token_file:
            return {"Authorization": f"Bearer {_secret(self.bearer_token_file)}"}
        if self.username:
            pair = f"{self.username}:{_secret(self.password_file)}".encode()
            return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        return {}

    def tls_context(self) -> ssl.SSLContext:
        """Return the context of an https endpoint. Raises FetchError for an unreadable certificate."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
        except (OSError, ssl.SSLError) as error:
            raise FetchError("tls", f"ca_file {self.ca_file} cannot be used: {error}") from error
        if self.insecure_skip_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class Endpoint:
    """One URL. `fetch` is called by one thread at a time, `abort` by any."""

    def __init__(self, url: str, access: Access, *, timeout_seconds: float, max_body_bytes: int) -> None:
        self.url = url
        parts = urlsplit(url)
        self._host, self._port, self._secure = parts.hostname or "", parts.port, parts.scheme == "https"
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._access = access
        self._timeout_seconds = timeout_seconds
        self._max_body_bytes = max_body_bytes
        self._last_request: tuple[str, dict[str, str], bytes] = ("", {}, b"")
        self._connection: http.client.HTTPConnection | None = None
        # A response without keep-alive takes the socket away from its connection: abort needs it all the same.
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._aborted = self._ended = False

    def fetch(self, path: str = "") -> bytes:
        """Return the body of the URL, or of another path of the same server. Raises FetchError."""
        with self._lock:
            self._aborted = self._ended
        headers = {**_HEADERS, **self._access.headers()}
        reused = self._connection is not None and self._connection.sock is not None
        try:
            try:
                return self._get(path or self._path, headers)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                # The server closed the idle connection, as it may: once more, on a new one.
                if not reused or self._aborted:
                    raise
                self.close()
                return self._get(path or self._path, headers)
        except FetchError:
            self.close()
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise self._failure(error) from error

    def abort(self) -> None:
        """End a fetch that is under way; it fails with "timeout"."""
        with self._lock:
            self._aborted = True
            connected = self._socket
        if connected is not None:
            try:
                connected.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it was closed already: nothing is left to end

    def end(self) -> None:
        """End a fetch that is under way, and let no other begin: each fails from now on."""
        self._ended = True
        self.abort()
        self.close()

    def close(self) -> None:
        """Close the connection; the next fetch opens another."""
        with self._lock:
            connection, self._connection, self._socket = self._connection, None, None
        if connection is not None:
            connection.close()

    def _get(self, path: str, headers: dict[str, str]) -> bytes:
        connection = self._connected()
        connection.sock.sendall(self._request(path, headers))
        try:
            answer = received(connection.sock, self._max_body_bytes)
        except BodyTooLargeError as error:
            raise self._too_large(error.announced) from error
        body = answer if isinstance(answer, bytes) else self._unusual(answer)
        if self._aborted:
            raise TimeoutError
        return body

    def _request(self, path: str, headers: dict[str, str]) -> bytes:
        if self._last_request[:2] != (path, headers):
            written = request(self._host, self._port, path, headers, secure=self._secure)
            self._last_request = (path, headers, written)
        return self._last_request[2]

    def _unusual(self, answer: http.client.HTTPResponse) -> bytes:
        with answer as response:
            if response.status != http.client.OK:
                raise self._status_error(response)
            body = _decoded(self._body(response), response.headers.get("Content-Encoding", ""), self._max_body_bytes)
        # What may still stand in its buffer is lost with it.
        self.close()
        return body

    def _connected(self) -> http.client.HTTPConnection:
        if self._aborted:
            raise TimeoutError
        connection = self._connection
        if connection is None:
            connection = self._new_connection()
            with self._lock:
                self._connection = connection
        if connection.sock is None:
            connection.connect()
            with self._lock:
                self._socket = connection.sock
        if self._aborted:
            raise TimeoutError
        return connection

    def _new_connection(self) -> http.client.HTTPConnection:
        if self._secure:
            context = self._access.tls_context()
            return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout_seconds, context=context)
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_seconds)

    def _body(self, response: http.client.HTTPResponse) -> bytes:
        limit = self._max_body_bytes
        if response.length is not None:
            if response.length > limit:
                raise self._too_large(response.length)
            return response.read()
        blocks: list[bytes] = []
        size = 0
        while block := response.read(_BLOCK_BYTES):
            blocks.append(block)
            size += len(block)
            if size > limit:
                raise self._too_large(None)
        return b"".join(blocks)

    def _too_large(self, announced: int | None) -> FetchError:
        limit = self._max_body_bytes
        if announced is None:
            return FetchError("too_large", f"the body is more than the limit of {limit} bytes")
        return FetchError("too_large", f"the body is {announced} bytes, the limit is {limit}")

    def _status_error(self, response: http.client.HTTPResponse) -> FetchError:
        if 300 <= response.status < 400:
            return FetchError("redirect", f"{response.status}: redirects are not followed; name the final address")
        reason = _BY_STATUS.get(response.status, "http_status")
        return FetchError(reason, f"the server answered {response.status}")

    def _failure(self, error: Exception) -> FetchError:
        if self._aborted or isinstance(error, TimeoutError):
            return FetchError("timeout", f"no whole answer within {self._timeout_seconds:g} s")
        if isinstance(error, ConnectionRefusedError):
            return FetchError("refused", "connection refused: nothing listens there")
        if isinstance(error, ssl.SSLError):
            return FetchError("tls", f"TLS failed: {error.reason or error}")
        if isinstance(error, http.client.IncompleteRead):
            return FetchError("truncated", "the body ended early")
        if isinstance(error, (ConnectionError, socket.gaierror)) or (
            isinstance(error, OSError) and not isinstance(error, http.client.HTTPException)
        ):
            return FetchError("unreachable", f"{error.strerror or error}")
        return FetchError("protocol", f"no HTTP answer: {type(error).__name__}")


def _secret(path: str) -> str:
    """Read a secret; one line, so that it cannot add a header of its own."""
    try:
        with Path(path).open("rb") as file:
            text = file.read(_SECRET_LIMIT_BYTES).decode("latin-1").strip()
    except OSError as error:
        raise FetchError("credentials", f"{path} cannot be read: {error.strerror}") from error
    if not text or any(character in text for character in "\r\n\0"):
        raise FetchError("credentials", f"{path} must hold one line")
    return text


def _decoded(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo a compression that was not asked for, up to the limit: a small body may unpack to gigabytes."""
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return body
    if name not in {"gzip", "x-gzip", "deflate"}:
        raise FetchError("encoding", f"the body is packed as {name[:20]!r}, which was not asked for")
    unpacker = zlib.decompressobj(wbits=47 if name != "deflate" else 15)
    try:
        unpacked = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise FetchError("encoding", f"the body cannot be unpacked: {error}") from error
    if len(unpacked) > limit:
        raise FetchError("too_large", f"the body unpacks to more than the limit of {limit} bytes")
    if not unpacker.eof:
        raise FetchError("truncated", "the packed body ended early")
    return unpacked
