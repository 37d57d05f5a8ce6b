"""Engines for a benchmark: servers on loopback that show recorded scrapes in turn.

    python -m benchmarks.engine_servers COUNT [SERIES]

Prints the URLs on standard output and serves until it is killed.
"""

from __future__ import annotations

import socketserver
import sys
import threading
from itertools import count

from recordings.reader import load, scrapes

SERIES = 1000
_RECORDING = "kv_preemption"


def bodies(series: int = SERIES) -> list[bytes]:
    """Return successive scrapes of an engine under load that shows so many series, or a few less.

    Only those that show all series: the few that it does not have yet in its first seconds come once in its life.
    """
    found = []
    for scrape in scrapes(load(_RECORDING)):
        if scrape.up:
            lines = [line for line in scrape.exposition.split(b"\n") if line and not line.startswith(b"DCGM")]
            found.append(_with_ranks(lines, series))
    return [b"\n".join(lines) for lines in found if len(lines) == len(found[-1])]


def _with_ranks(lines: list[bytes], series: int) -> list[bytes]:
    """Repeat the samples of one recorded rank for others, family by family, while there is room for a family."""
    families: list[list[bytes]] = [[]]
    for line in lines:
        if line.startswith(b"#"):
            families.append([line])
        else:
            families[-1].append(line)
    left = series - sum(not line.startswith(b"#") for line in lines)
    first = [[line for line in family if b'engine="0"' in line] for family in families]
    for rank in range(1, 1 + series // sum(map(len, first))):
        for family, samples in zip(families, first, strict=True):
            if samples and len(samples) <= left:
                family += [line.replace(b'engine="0"', b'engine="%d"' % rank) for line in samples]
                left -= len(samples)
    return [line for family in families for line in family]


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, answers: list[bytes]) -> None:
        self.answers = answers
        self.turn = count()
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(socketserver.StreamRequestHandler):
    """Keeps the connection, reads requests, answers `/metrics` with the next scrape."""

    server: _Server

    def handle(self) -> None:
        while request := self.rfile.readline():
            while self.rfile.readline().strip():
                pass
            if b" /metrics " in request:
                body = self.server.answers[next(self.server.turn) % len(self.server.answers)]
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            else:
                self.wfile.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")


def main() -> None:
    """Serve until killed."""
    answers = bodies(*map(int, sys.argv[2:3]))
    for _ in range(int(sys.argv[1])):
        server = _Server(answers)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"http://127.0.0.1:{server.server_address[1]}/metrics", flush=True)
    print("", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
