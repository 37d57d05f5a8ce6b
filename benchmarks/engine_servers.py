"""Engines for a benchmark: servers on loopback that show recorded scrapes of about a thousand series in turn.

    python -m benchmarks.engine_servers COUNT

Prints the URLs on standard output and serves until it is killed.
"""

from __future__ import annotations

import re
import socketserver
import sys
import threading
from itertools import count

from recordings.reader import load, scrapes

# A recorded vLLM shows 261 canonical series; four data-parallel ranks of it, about a thousand.
_RANKS = 4
_RECORDING = "kv_preemption"


def bodies(ranks: int = _RANKS) -> list[bytes]:
    """Return successive scrapes of an engine under load, each with as many ranks.

    Only those that show all series: the few that it does not have yet in its first seconds come once in its life.
    """
    found = []
    for scrape in scrapes(load(_RECORDING)):
        if scrape.up:
            lines = [line for line in scrape.exposition.split(b"\n") if not line.startswith(b"DCGM")]
            found.append(b"\n".join(_with_ranks(lines, ranks)))
    return [body for body in found if body.count(b"\n") == found[-1].count(b"\n")]


def _with_ranks(lines: list[bytes], ranks: int) -> list[bytes]:
    """Repeat the samples of each family for every rank."""
    out: list[bytes] = []
    family: list[bytes] = []
    for line in [*lines, b"# end"]:
        if not line.startswith(b"#"):
            family.append(line)
            continue
        for rank in range(ranks):
            for sample in family:
                ranked = re.sub(rb'engine="0"', b'engine="%d"' % rank, sample)
                if ranked not in out[-len(family) * ranks :] or rank == 0:
                    out.append(ranked)
        family = []
        out.append(line)
    return [line for line in out[:-1] if line]


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
    answers = bodies()
    for _ in range(int(sys.argv[1])):
        server = _Server(answers)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"http://127.0.0.1:{server.server_address[1]}/metrics", flush=True)
    print("", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
