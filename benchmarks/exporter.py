"""What the exporter costs: 8 GPUs and 8 engines that show a thousand series each, beside what others take for less.

    python -m benchmarks.exporter [--quick] [--growth]

GPUs are a stub of NVML (it answers at once: the driver's own time is not in these figures), engines are recorded
scrapes served on loopback. Every program is a process of its own, collects once a second, and is measured by the
kernel's account of its threads; the exporter is scraped every 15 s meanwhile, as Prometheus does.

The budget for CPU was set on a machine where prometheus_client's parser took 126 ms for 9 804 samples: what is held
against it is the exporter's CPU at that speed, by how long the parser takes here in the same seconds. Exits with 1
where the exporter is over its budget.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import machine_speed
from benchmarks.engine_servers import SERIES
from benchmarks.scraping import scrape_ms
from tests.exporter.gpus.stub import STATE_VARIABLE, StubState, build

MOST_CPU_MS, MOST_SCRAPE_MS, MOST_RSS_MIB, MOST_START_SECONDS = 5.0, 1.0, 45.0, 0.5
_BUDGETS_PARSER_MS = 126.0
_GPUS, _ENGINES, _INTERVAL_SECONDS, _SCRAPE_SECONDS = 8, 8, 1.0, 15.0
# So many make a thousand canonical ones: not every series of an engine has a meaning that others share.
_MORE_SERIES = 1294
_INFERWATCH = Path(sys.executable).with_name("inferwatch")
_NVITOP = Path(sys.executable).with_name("nvitop-exporter")
_POLL_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Cost:
    """What a program took: CPU a collection, memory, time to the first series, and a scrape's time.

    `parser_ms` is the machine's speed meanwhile.
    """

    name: str
    cpu_ms: float
    parser_ms: float
    rss_mib: float
    start_seconds: float
    scrape_ms: float
    series: int

    @property
    def share(self) -> float:
        """CPU a collection as a share of what the parser took meanwhile."""
        return self.cpu_ms / self.parser_ms


def cpu_seconds(pid: int) -> float:
    """Return the time that all threads of a process were on a processor."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def spent(pid: int, seconds: float) -> tuple[float, float]:
    """Let this time pass; return what a process took a collection, and the parser meanwhile, in ms of CPU."""
    before = cpu_seconds(pid)
    parser_ms = machine_speed.during(seconds)
    return 1e3 * (cpu_seconds(pid) - before) / (seconds / _INTERVAL_SECONDS), parser_ms


def rss_mib(pid: int) -> float:
    """Return the resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


@contextmanager
def running(command: list[str], environment: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """Run a program while the context is open."""
    with subprocess.Popen(
        command,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def engines(number: int, series: int = SERIES) -> Iterator[list[str]]:
    """Serve engines that show so many series each; yields their URLs."""
    with running([sys.executable, "-m", "benchmarks.engine_servers", str(number), str(series)]) as process:
        assert process.stdout is not None
        yield [process.stdout.readline().strip() for _ in range(number)]


def scrape(connection: http.client.HTTPConnection, encoding: str = "gzip") -> bytes:
    """Scrape as Prometheus does; of a packed answer, its length is all that matters here."""
    connection.request("GET", "/metrics", headers={"Accept": "text/plain;version=0.0.4", "Accept-Encoding": encoding})
    return connection.getresponse().read()


@contextmanager
def scraped_every(seconds: float, port: int) -> Iterator[None]:
    """Scrape a port at once and then in this rhythm, over one connection, while the context is open."""
    ended = threading.Event()

    def run() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        scrape(connection)
        while not ended.wait(seconds):
            scrape(connection)
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def free_port() -> int:
    """Return a port that nobody listens at now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def inferwatch(folder: Path, urls: list[str], stub: dict[str, str], seconds: float, what: str = "") -> Cost:
    """Measure the exporter; `what` says more of the engines."""
    port = free_port()
    targets = "".join(f"\n    - {{url: {url}, name: engine-{number}}}" for number, url in enumerate(urls))
    config = folder / f"exporter-{len(urls)}.yaml"
    config.write_text(f"interval_seconds: {_INTERVAL_SECONDS}\nengines:\n  targets:{targets or ' []'}\n")
    begun = time.monotonic()
    command = [str(_INFERWATCH), "exporter", "--config", str(config), "--listen", f"127.0.0.1:{port}"]
    with running(command, stub) as process:
        identity = http.client.HTTPConnection("127.0.0.1", port)
        start = first_series(port, begun, b"llm_up" if urls else b"DCGM_FI_DEV_GPU_UTIL")
        with scraped_every(_SCRAPE_SECONDS, port):
            time.sleep(_SCRAPE_SECONDS + 2)
            cpu_ms, parser_ms = spent(process.pid, seconds)
        scraped, memory = scrape_ms(port, 200), rss_mib(process.pid)
        body = gzip.decompress(scrape(identity))
        series = sum(1 for line in body.splitlines() if line and not line.startswith(b"#"))
        return Cost(
            f"inferwatch exporter, {len(urls)} engines {what}".strip(),
            cpu_ms,
            parser_ms,
            memory,
            start,
            scraped,
            series,
        )


def first_series(port: int, begun: float, needle: bytes) -> float:
    """Wait until a port serves a series of this name; return the seconds since `begun`."""
    while time.monotonic() - begun < 30:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        try:
            if needle in gzip.decompress(scrape(connection)):
                return time.monotonic() - begun
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(_POLL_SECONDS)
    raise SystemExit(f"port {port}: no {needle.decode()} within 30 s")


def nvitop(stub: dict[str, str], seconds: float) -> Cost:
    """Measure nvitop-exporter over the same GPUs; it knows no engines."""
    port = free_port()
    begun = time.monotonic()
    command = [str(_NVITOP), "--bind-address", "127.0.0.1", "--port", str(port), "--interval", str(_INTERVAL_SECONDS)]
    with running(command, stub) as process:
        start = first_series(port, begun, b"gpu_utilization")
        time.sleep(2)
        cpu_ms, parser_ms = spent(process.pid, seconds)
        scraped = scrape_ms(port, 50)
        body = gzip.decompress(scrape(http.client.HTTPConnection("127.0.0.1", port)))
        series = sum(1 for line in body.splitlines() if line and not line.startswith(b"#"))
        return Cost("nvitop-exporter, no engines", cpu_ms, parser_ms, rss_mib(process.pid), start, scraped, series)


def object_parser(urls: list[str], seconds: float) -> Cost:
    """Measure the same engine work done with prometheus_client's parser."""
    begun = time.monotonic()
    with running([sys.executable, "-m", "benchmarks.object_parser", str(_INTERVAL_SECONDS), *urls]) as process:
        assert process.stdout is not None
        process.stdout.readline()
        start = time.monotonic() - begun
        cpu_ms, parser_ms = spent(process.pid, seconds)
        name = f"the same with prometheus_client's parser, {len(urls)} engines, no GPUs"
        return Cost(name, cpu_ms, parser_ms, rss_mib(process.pid), start, 0, 0)


def table(costs: list[Cost]) -> None:
    """Print the costs, with CPU as a share of the parser's and as a ratio to the first's share."""
    print(
        f"{'':68} {'CPU ms':>8} {'parser ms':>10} {'share %':>8} {'ratio':>6} {'RSS MiB':>8} {'start s':>8} "
        f"{'scrape ms':>10} {'series':>7}"
    )
    for cost in costs:
        print(
            f"{cost.name:68} {cost.cpu_ms:8.2f} {cost.parser_ms:10.0f} {100 * cost.share:8.2f} "
            f"{cost.share / costs[0].share:6.2f} {cost.rss_mib:8.1f} {cost.start_seconds:8.2f} "
            f"{cost.scrape_ms:10.2f} {cost.series:7d}"
        )


def over_budget(cost: Cost) -> list[str]:
    """Return what is over the budget, as lines."""
    limits = (
        ("CPU a collection, ms at the budget's speed", cost.share * _BUDGETS_PARSER_MS, MOST_CPU_MS),
        ("a scrape, ms", cost.scrape_ms, MOST_SCRAPE_MS),
        ("RSS, MiB", cost.rss_mib, MOST_RSS_MIB),
        ("start, s", cost.start_seconds, MOST_START_SECONDS),
    )
    return [f"over budget: {what} {value:.2f}, allowed {most:g}" for what, value, most in limits if value > most]


def main() -> int:
    """Measure, print, and tell whether the budget holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="half of the time, less exact")
    parser.add_argument("--growth", action="store_true", help="also 1, 2, 4, 16, 32 and 64 engines")
    options = parser.parse_args()
    seconds = 15.0 if options.quick else 30.0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        build(folder)
        state = folder / "state"
        StubState(gpus=_GPUS).write(state)
        stub = {"LD_LIBRARY_PATH": str(folder), STATE_VARIABLE: str(state), "NODE_NAME": "bench"}
        urls = stack.enter_context(engines(64 if options.growth else _ENGINES))
        costs = [inferwatch(folder, urls[:_ENGINES], stub, seconds)]
        with engines(_ENGINES, _MORE_SERIES) as larger:
            costs.append(inferwatch(folder, larger, stub, seconds, f"of {_MORE_SERIES} series"))
        costs.append(object_parser(urls[:_ENGINES], seconds))
        if _NVITOP.exists():
            costs.append(nvitop(stub, seconds))
        else:
            print("nvitop-exporter is not installed (pip install 'inferwatch[bench]'): left out")
        costs += [
            inferwatch(folder, urls[:number], stub, seconds) for number in (0, 1, 2, 4, 16, 32, 64) if options.growth
        ]
    table(costs)
    print(
        f"At the speed for which the budget was set, where the parser took {_BUDGETS_PARSER_MS:.0f} ms for "
        f"{machine_speed.SAMPLES} samples, a collection takes {costs[0].share * _BUDGETS_PARSER_MS:.1f} ms of CPU."
    )
    problems = over_budget(costs[0])
    print(*problems, sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
