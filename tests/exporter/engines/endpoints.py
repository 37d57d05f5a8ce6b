"""Servers that answer as no engine should: each a function that gets the open connection after a request."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Answer = Callable[[socket.socket, threading.Event], None]

VLLM = b"""# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="llama"} 3.0
# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="llama"} 1.0
"""


def response(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def says(*parts: bytes) -> Answer:
    """Send these bytes at once and close."""

    def answer(connection: socket.socket, _: threading.Event) -> None:
        connection.sendall(b"".join(parts))

    return answer


def says_in_turn(*bodies: bytes) -> Answer:
    """Answer each request with the next of these bodies."""
    left = list(bodies)

    def answer(connection: socket.socket, stop: threading.Event) -> None:
        says(response(left.pop(0)))(connection, stop)

    return answer


def drips(part: bytes, pause_seconds: float = 0.02, start: bytes = b"") -> Answer:
    """Send a few bytes now and then, for ever."""

    def answer(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(start)
        while not stop.wait(pause_seconds):
            connection.sendall(part)

    return answer


def floods(start: bytes, part: bytes) -> Answer:
    """Send without end, as fast as it is read."""

    def answer(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(start)
        while not stop.is_set():
            connection.sendall(part)

    return answer


def is_silent(connection: socket.socket, stop: threading.Event) -> None:
    """Accept, read, say nothing."""
    del connection
    stop.wait()


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """A server on a free port that gives this answer to every request; yields its URL."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.05)
        threads: list[threading.Thread] = []

        def one(connection: socket.socket) -> None:
            with connection:
                connection.settimeout(5)
                request = b""
                try:
                    while b"\r\n\r\n" not in request:
                        received = connection.recv(4096)
                        if not received:
                            return
                        request += received
                    answer(connection, stop)
                except OSError:
                    return  # the client ended it, as it should

        def accept() -> None:
            while not stop.is_set():
                try:
                    connection, _ = listening.accept()
                except TimeoutError:
                    continue
                thread = threading.Thread(target=one, args=(connection,), daemon=True)
                thread.start()
                threads.append(thread)

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/metrics"
        finally:
            stop.set()
            accepting.join()
            for thread in threads:
                thread.join(5)
