"""Servers that speak no proper HTTP, or speak it over TLS alone."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trustme

_NOTHING = b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\nConnection: close\r\n\r\nnot found"
_ENDLESS = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
_DRIP_SECONDS = 0.05


@contextmanager
def tls_server(authority: trustme.CA) -> Iterator[int]:
    """Answer 404 over TLS, with a certificate of this authority; yields the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def answer(connection: socket.socket, ended: threading.Event) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            secure.recv(65536)
            secure.sendall(_NOTHING)

    with _listening(answer) as port:
        yield port


@contextmanager
def dripping_server() -> Iterator[int]:
    """Answer a byte at a time, without end; yields the port."""

    def answer(connection: socket.socket, ended: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(_ENDLESS)
        while not ended.wait(_DRIP_SECONDS):
            connection.sendall(b" ")

    with _listening(answer) as port:
        yield port


@contextmanager
def _listening(answer: Callable[[socket.socket, threading.Event], None]) -> Iterator[int]:
    ended = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        while not ended.is_set():
            connection, _ = listener.accept()
            with connection:
                try:
                    answer(connection, ended)
                except OSError:
                    continue  # The client went away, or refused the certificate.

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    port = listener.getsockname()[1]
    try:
        yield port
    finally:
        ended.set()
        socket.create_connection(("127.0.0.1", port)).close()
        thread.join()
        listener.close()
