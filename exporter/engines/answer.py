"""Reads an HTTP answer of the usual kind from its socket; whatever else a server sends is left to http.client.

http.client builds an e-mail parser and several objects for each answer, which takes as long as reading the answer.
Usual is: HTTP/1.1, status 200, a length or chunks, nothing packed, and a connection that stays.
"""

from __future__ import annotations

import http.client
import io
import re
import socket
from collections.abc import Iterable
from typing import Any, cast

__all__ = ["BodyTooLargeError", "received", "request"]

_BLOCK_BYTES = 1 << 16
_STATUS = b"http/1.1 200"
_SIZE = re.compile(rb"[0-9a-fA-F]{1,8}")
_LONGEST_SIZE_LINE = 10
_CHUNKED = -1
_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"content-encoding", b"connection", b"trailer"})


class BodyTooLargeError(Exception):
    """The body is larger than allowed: by `announced` bytes, or None where only the limit is known to be passed."""

    def __init__(self, announced: int | None = None) -> None:
        super().__init__(announced)
        self.announced = announced


class _UnusualError(Exception):
    """The answer is none that is read here."""


class _Stream:
    """A socket's bytes, all of which are kept until the answer proved to be usual."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self.blocks: list[bytes] = []
        self.rest = b""

    def more(self, most: int = _BLOCK_BYTES) -> bytes:
        """Return the next bytes; raises http.client.IncompleteRead at the end, RemoteDisconnected before any."""
        block = self._socket.recv(most)
        if not block:
            raise http.client.IncompleteRead(b"") if self.blocks else http.client.RemoteDisconnected("no answer")
        self.blocks.append(block)
        return block

    def line(self) -> bytes:
        """Return the next line, which is a short one."""
        while (end := self.rest.find(b"\r\n")) < 0:
            if len(self.rest) > _LONGEST_SIZE_LINE:
                raise _UnusualError
            self.rest += self.more()
        found, self.rest = self.rest[:end], self.rest[end + 2 :]
        return found

    def exactly(self, size: int) -> list[bytes]:
        """Return the next `size` bytes in pieces."""
        pieces, self.rest = [self.rest[:size]], self.rest[size:]
        left = size - len(pieces[0])
        while left:
            pieces.append(self.more(min(left, _BLOCK_BYTES)))
            left -= len(pieces[-1])
        return pieces


class _Replayed(io.RawIOBase):
    """What was read already, then what the socket gives: a socket as http.client wants it."""

    def __init__(self, blocks: Iterable[bytes], connected: socket.socket) -> None:
        self._read = io.BytesIO(b"".join(blocks))
        self._socket = connected

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any, /) -> int:
        return self._read.readinto(into) or self._socket.recv_into(into)


def request(host: str, port: int | None, path: str, headers: dict[str, str], *, secure: bool) -> bytes:
    """Return a GET as http.client writes it. Raises http.client.HTTPException or ValueError for what it refuses."""
    parts: list[bytes] = []
    writer = http.client.HTTPConnection(host, port)
    writer.default_port = http.client.HTTPS_PORT if secure else http.client.HTTP_PORT
    writer.send = parts.append  # type: ignore[assignment, method-assign]
    writer.request("GET", path, headers=headers)
    return b"".join(parts)


def received(connected: socket.socket, limit: int) -> bytes | http.client.HTTPResponse:
    """Return the body of the next answer when it is of the usual kind, else the answer, its body not read yet.

    Raises BodyTooLargeError, http.client.HTTPException or OSError.
    """
    stream = _Stream(connected)
    try:
        return _usual(stream, limit)
    except _UnusualError:
        response = http.client.HTTPResponse(cast("socket.socket", _Replayed(stream.blocks, connected)), method="GET")
        response.begin()
        return response


def _usual(stream: _Stream, limit: int) -> bytes:
    block = stream.more()
    end = block.find(b"\r\n\r\n")
    if end < 0:
        raise _UnusualError
    size = _size(block[:end])
    stream.rest = block[end + 4 :]
    if size != _CHUNKED:
        if size > limit:
            raise BodyTooLargeError(size)
        pieces = stream.exactly(size)
    else:
        pieces = _chunks(stream, limit)
    if stream.rest:
        # More than was asked for: what comes next on this connection cannot be told from it.
        raise _UnusualError
    return b"".join(pieces)


def _size(head: bytes) -> int:
    """Return the length that the head states, or that chunks follow."""
    status, *fields = head.lower().split(b"\r\n")
    size: int | None = None
    if not status.startswith(_STATUS):
        raise _UnusualError
    for field in fields:
        name, colon, value = field.partition(b":")
        if name == b"content-length" and size is None and value.strip().isdigit():
            size = int(value)
        elif name == b"transfer-encoding" and size is None and value.strip() == b"chunked":
            size = _CHUNKED
        elif name == b"connection" and value.strip() == b"keep-alive":
            continue
        elif name in _FRAMING or not colon or not name or name[:1] in b" \t":
            raise _UnusualError
    if size is None:
        raise _UnusualError
    return size


def _chunks(stream: _Stream, limit: int) -> list[bytes]:
    pieces: list[bytes] = []
    total = 0
    while True:
        line = stream.line()
        if not _SIZE.fullmatch(line):
            raise _UnusualError
        size = int(line, 16)
        total += size
        if total > limit:
            raise BodyTooLargeError
        pieces += stream.exactly(size)
        if b"".join(stream.exactly(2)) != b"\r\n":
            raise _UnusualError
        if not size:
            return pieces
