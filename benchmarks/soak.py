"""Runs the exporter for an hour at one collection a second, or faster, and shows that it neither grows nor leaks.

    python -m benchmarks.soak [--minutes 60] [--interval-seconds 1]

Eight stub GPUs, eight recorded engines, an address where nothing listens, and one that stops and starts every minute.
A scrape a collection, packed and plain in turn. Prints memory, descriptors and threads every minute, and at the end
how memory went in the second half: a straight line through a reading every ten scrapes.
"""

from __future__ import annotations

import argparse
import http.client
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import linear_regression

from benchmarks.exporter import cpu_seconds, engines, first_series, free_port, rss_mib, running, scrape
from recordings.reader import load
from recordings.replay import ReplayServer
from tests.exporter.gpus.stub import STATE_VARIABLE, StubState, build

_INFERWATCH = Path(sys.executable).with_name("inferwatch")
_GPUS, _ENGINES = 8, 8


def main() -> int:
    """Run, print, and tell whether memory stayed flat: 1 after growth of more than a tenth in the second half."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--interval-seconds", type=float, default=1.0)
    options = parser.parse_args()
    minutes, interval_seconds = options.minutes, options.interval_seconds
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        build(folder)
        StubState(gpus=_GPUS).write(folder / "state")
        flapping = free_port()
        urls = [
            *stack.enter_context(engines(_ENGINES)),
            f"http://127.0.0.1:{free_port()}/metrics",
            f"http://127.0.0.1:{flapping}/metrics",
        ]
        config = folder / "exporter.yaml"
        targets = "".join(f"\n    - {{url: {url}, name: engine-{number}}}" for number, url in enumerate(urls))
        config.write_text(
            f"interval_seconds: {interval_seconds}\nkubernetes: {{discovery: none}}\nengines:\n  targets:{targets}\n"
        )
        port = free_port()
        command = [str(_INFERWATCH), "exporter", "--config", str(config), "--listen", f"127.0.0.1:{port}"]
        stub = {"LD_LIBRARY_PATH": str(folder), STATE_VARIABLE: str(folder / "state")}
        begun = time.monotonic()
        process = stack.enter_context(running(command, stub))
        first_series(port, begun, b"llm_up")
        samples: list[tuple[float, int]] = []
        readings: list[tuple[float, float]] = []
        print(f"{'minute':>6} {'RSS MiB':>8} {'fds':>4} {'threads':>7} {'CPU s':>7} {'failed scrapes':>14}", flush=True)
        for minute in range(1, minutes + 1):
            failed = _one_minute(port, flapping, process.pid, readings, interval_seconds, is_up=minute % 2 == 0)
            fds, threads = _entries(process.pid, "fd"), _entries(process.pid, "task")
            samples.append((rss_mib(process.pid), fds))
            cpu = cpu_seconds(process.pid)
            print(f"{minute:6d} {samples[-1][0]:8.1f} {fds:4d} {threads:7d} {cpu:7.1f} {failed:14d}", flush=True)
    half = samples[len(samples) // 2 :]
    flat = max(rss for rss, _ in half) <= 1.1 * half[0][0] and max(fds for _, fds in half) <= half[0][1] + 2
    late = [reading for reading in readings if reading[0] >= (readings[0][0] + readings[-1][0]) / 2]
    line = linear_regression([seconds for seconds, _ in late], [rss for _, rss in late])
    a_collection = line.slope * interval_seconds
    print(f"second half: {min(rss for _, rss in late):.1f} to {max(rss for _, rss in late):.1f} MiB, a straight line")
    print(f"rises by {3600 * line.slope:+.2f} MiB an hour, {3600 * a_collection:+.2f} MiB in 3600 collections")
    print("flat" if flat else "GROWS")
    return 0 if flat else 1


def _entries(pid: int, what: str) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/{what}").iterdir())


def _one_minute(
    port: int, flapping: int, pid: int, readings: list[tuple[float, float]], interval_seconds: float, *, is_up: bool
) -> int:
    """Scrape for a minute, with the flapping engine up or down; note memory; return how many scrapes failed."""
    failed = 0
    with ExitStack() as stack:
        if is_up:
            stack.enter_context(ReplayServer(load("llamacpp_busy"), port=flapping, start="ready", repeat=True))
        until = time.monotonic() + 60
        turn = 0
        while time.monotonic() < until:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            try:
                scrape(connection, "gzip" if turn % 2 else "identity")
            except (OSError, http.client.HTTPException):
                failed += 1
            finally:
                connection.close()
            turn += 1
            if turn % 10 == 0:
                readings.append((time.monotonic(), rss_mib(pid)))
            time.sleep(interval_seconds)
    return failed


if __name__ == "__main__":
    sys.exit(main())
