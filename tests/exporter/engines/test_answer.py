"""Reading an HTTP answer: the same body as http.client gives, however the bytes come in."""

from __future__ import annotations

import http.client
import io
import socket
from typing import cast

import pytest

from exporter.engines.answer import BodyTooLargeError, received, request

BODY = b"# TYPE up gauge\nup 1\n" * 5
OK = b"HTTP/1.1 200 OK\r\n"
LIMIT = 1000


class Pieces:
    """A socket that gives bytes in pieces of one size, then ends. `taken` counts what was asked for."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data = io.BytesIO(data)
        self._size = size

    def recv(self, most: int) -> bytes:
        return self._data.read(min(most, self._size))

    def recv_into(self, into: memoryview) -> int:
        found = self.recv(len(into))
        into[: len(found)] = found
        return len(found)

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._data.read())

    @property
    def left(self) -> bytes:
        return self._data.read()

    @property
    def socket(self) -> socket.socket:
        return cast(socket.socket, self)


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + end


def with_length(body: bytes = BODY) -> bytes:
    return OK + b"Content-Length: %d\r\n\r\n" % len(body) + body


def in_chunks(data: bytes, more: bytes = b"") -> bytes:
    return OK + b"Transfer-Encoding: chunked\r\n" + more + b"\r\n" + data


USUAL = {
    "length": with_length(),
    "an empty body": with_length(b""),
    "headers of any spelling": OK
    + b"content-length:%d\r\nDATE: x\r\nconnection: Keep-Alive\r\n\r\n" % len(BODY)
    + BODY,
    "one chunk": in_chunks(chunked(BODY)),
    "chunks": in_chunks(chunked(BODY[:1], BODY[1:30], BODY[30:])),
    "capital hexadecimal digits": in_chunks(b"A\r\n0123456789\r\n0\r\n\r\n"),
    "no chunk": in_chunks(chunked()),
    "chunks that hold line ends": in_chunks(chunked(b"\r\n", b"0\r\n\r\n", b"x")),
}
UNUSUAL = {
    "not found": b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno\n",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nup\n",
    "until the end": OK + b"\r\n" + BODY,
    "a connection that closes": OK + b"Connection: close\r\nContent-Length: 3\r\n\r\nup\n",
    "packed": OK + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nup\n",
    "an interim answer": b"HTTP/1.1 100 Continue\r\n\r\n" + with_length(),
    "a chunk with an extension": in_chunks(b"3;a=b\r\nup\n\r\n0\r\n\r\n"),
    "trailers": in_chunks(chunked(BODY, end=b"0\r\nX: 1\r\n\r\n"), b"Trailer: X\r\n"),
    "trailers unannounced": in_chunks(chunked(BODY, end=b"0\r\nX: 1\r\n\r\n")),
    "a size with leading spaces": in_chunks(b" 3\r\nup\n\r\n0\r\n\r\n"),
    "length and chunks": OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(BODY),
    "a header on two lines": OK + b"Content-Length: 3\r\nX: a\r\n b\r\n\r\nup\n",
    "more than was announced": OK + b"Content-Length: 3\r\n\r\nup\nup\n",
    "other codings": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + chunked(BODY),
}


def read(answer: bytes | http.client.HTTPResponse) -> tuple[int, bytes]:
    return (200, answer) if isinstance(answer, bytes) else (answer.status, answer.read())


def by_http_client(data: bytes) -> tuple[int, bytes]:
    response = http.client.HTTPResponse(Pieces(data, len(data)).socket, method="GET")
    response.begin()
    return response.status, response.read()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1 << 16])
@pytest.mark.parametrize("name", [*USUAL, *UNUSUAL])
def test_the_body_is_what_http_client_reads_in_whatever_pieces_it_comes(name: str, size: int) -> None:
    data = {**USUAL, **UNUSUAL}[name]
    assert read(received(Pieces(data, size).socket, LIMIT)) == by_http_client(data)


@pytest.mark.parametrize("name", USUAL)
def test_a_usual_answer_is_read_to_its_end_and_no_further(name: str) -> None:
    pieces = Pieces(USUAL[name], 1 << 16)
    assert isinstance(received(pieces.socket, LIMIT), bytes)
    assert pieces.left == b""


@pytest.mark.parametrize("name", UNUSUAL)
def test_an_unusual_one_is_left_to_http_client(name: str) -> None:
    answer = received(Pieces(UNUSUAL[name], 1 << 16).socket, LIMIT)
    assert isinstance(answer, http.client.HTTPResponse)
    answer.close()


@pytest.mark.parametrize("name", ["length", "one chunk", "chunks"])
def test_an_answer_that_ends_early_is_an_error(name: str) -> None:
    data = USUAL[name]
    for end in range(data.index(b"\r\n\r\n") + 4, len(data)):
        with pytest.raises(http.client.HTTPException):
            received(Pieces(data[:end], 1 << 16).socket, LIMIT)


def test_no_answer_at_all_is_a_closed_connection() -> None:
    with pytest.raises(http.client.RemoteDisconnected):
        received(Pieces(b"", 1).socket, LIMIT)


@pytest.mark.parametrize(
    ("data", "announced"),
    [
        (OK + b"Content-Length: 1001\r\n\r\n", 1001),
        (in_chunks(b"3e9\r\n"), None),
        (in_chunks(chunked(b"x" * 600, b"x" * 401)), None),
        (in_chunks(b"ffffffff\r\n"), None),
    ],
)
def test_a_body_over_the_limit_is_not_read(data: bytes, announced: int | None) -> None:
    with pytest.raises(BodyTooLargeError) as error:
        received(Pieces(data, 1 << 16).socket, LIMIT)
    assert error.value.announced == announced


def test_a_body_of_just_the_limit_is_read() -> None:
    body = b"x" * LIMIT
    for data in (with_length(body), in_chunks(chunked(body))):
        assert received(Pieces(data, 64).socket, LIMIT) == body


@pytest.mark.parametrize(
    ("host", "port", "secure", "named"),
    [
        ("engine", 8000, False, b"engine:8000"),
        ("engine", None, False, b"engine"),
        ("engine", 443, True, b"engine"),
        ("engine", 80, True, b"engine:80"),
        ("fd00::7", 8000, False, b"[fd00::7]:8000"),
    ],
)
def test_a_request_names_its_host(host: str, port: int | None, secure: bool, named: bytes) -> None:
    written = request(host, port, "/metrics?a=b", {"Accept-Encoding": "identity", "X": "1"}, secure=secure)
    assert written.startswith(b"GET /metrics?a=b HTTP/1.1\r\n")
    assert b"\r\nHost: " + named + b"\r\n" in written
    assert written.count(b"Accept-Encoding") == 1
    assert written.endswith(b"X: 1\r\n\r\n")


@pytest.mark.parametrize(("path", "header"), [("/a b", "1"), ("/a\r\nX: 1", "1"), ("/", "1\r\nY: 2")])
def test_a_request_that_would_be_two_is_refused(path: str, header: str) -> None:
    with pytest.raises((http.client.HTTPException, ValueError)):
        request("engine", 8000, path, {"X": header}, secure=False)
