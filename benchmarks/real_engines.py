"""A real vLLM, a real llama.cpp server and replayed recordings, through the exporter, into a real Prometheus.

    python -m benchmarks.real_engines --vllm-url http://127.0.0.1:8000 --llama-url http://127.0.0.1:8080

The two servers must run already and serve nobody else meanwhile; Prometheus and promtool must be installed. Sends the
servers requests, lets Prometheus scrape the exporter every second, and, once all values are still, compares each
canonical series in Prometheus with what the engine itself shows, and the totals with what the clients counted. Exits
with 1 where anything differs.

real_engines.txt is the output of a run with small models of random weights on a CPU: vLLM with `--max-num-seqs 4
--max-num-queued-reqs 10 --num-gpu-blocks-override 11 --max-model-len 1024 --enable-mfu-metrics` and ngram speculation,
so that it queues, preempts, refuses and drafts; llama-server with `--metrics --parallel 4 -c 4096 --spec-type
ngram-simple`.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from catalog.engines import recognise
from catalog.exposition import Sample, parse
from catalog.translate import Translator
from recordings.reader import load
from recordings.replay import ReplayServer
from tests.e2e.prometheus import Prometheus, eventually, exporter, get, prometheus

RECORDINGS = ("kv_preemption", "llamacpp_busy", "triton_healthy")
MOVING = ("llm_process_cpu_seconds_total", "llm_process_resident_memory_bytes")
"""Series that move although no request runs: they may differ by `MOVING_SHARE`."""
MOVING_SHARE = 0.05
# What the exporter says of an engine by itself: nothing that an engine shows.
_OWN = ("llm_up", "llm_engine_info")
_ADDED_LABELS = {"__name__", "pod", "node", "job", "instance"}
_SPEED = 4.0
_STILL_SECONDS = 5.0
_CLIENTS = 12
_PAUSE_SECONDS = 0.3
_FEWEST_TOKENS, _MORE_TOKENS, _LENGTHS = 16, 24, 6
_PROMPT = "The quick brown fox jumps over the lazy dog, and what it saw there it told to number "

Key = tuple[str, tuple[tuple[str, str], ...]]
Verdict = Literal["equal", "moving", "missing", "different", "extra"]


@dataclass
class Load:
    """Clients of one engine, and what they counted. `start` them, then `stop`, which waits for their last answers."""

    url: str
    sent: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._client, args=(number,)) for number in range(_CLIENTS)]
        _, listed = fetched(self.url, "/v1/models")
        self._model = json.loads(listed)["data"][0]["id"]

    def start(self) -> None:
        """Start the clients; the first of them begins with a request that must be refused."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Return when the last request was answered."""
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def _client(self, number: int) -> None:
        if number == 0:
            self._completion({"max_tokens": 1})
        turn = 0
        while not self._ending.is_set():
            turn += 1
            prompt = f"{turn % 3} {4 * _PROMPT} {number} {turn}"
            tokens = _FEWEST_TOKENS + _MORE_TOKENS * ((number + turn) % _LENGTHS)
            self._completion({"prompt": prompt, "max_tokens": tokens, "temperature": 0, "ignore_eos": True})
            self._ending.wait(_PAUSE_SECONDS)

    def _completion(self, request: Mapping[str, Any]) -> None:
        status, answer = fetched(self.url, "/v1/completions", {"model": self._model, **request})
        with self._lock:
            if status != http.client.OK:
                self.sent[f"answered {status}"] += 1
                return
            usage = json.loads(answer)["usage"]
            self.sent["completions"] += 1
            self.sent["prompt tokens"] += usage["prompt_tokens"]
            self.sent["generated tokens"] += usage["completion_tokens"]


@dataclass(frozen=True)
class Engine:
    """One engine: the pod under which Prometheus has it, and how to ask it directly.

    `told_version` is what it says of itself, "" where it does not. `counts` gives, by what clients count, the query
    for the same amount.
    """

    pod: str
    exposition: Callable[[], bytes]
    told_version: str = ""
    counts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """One engine's series, by verdict, and its raw sample names by what the catalogue says of them."""

    series: Mapping[Verdict, list[str]]
    raw_names: Mapping[str, list[str]]
    figures: Mapping[str, tuple[float, float]]
    found_versions: list[str]

    def __getitem__(self, verdict: Verdict) -> int:
        return len(self.series.get(verdict, ()))


def fetched(url: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, bytes]:
    """Get a path of a server, or post JSON to it; return the status and the answer."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
    try:
        if body is None:
            connection.request("GET", path)
        else:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def real_engine(pod: str, url: str, version_path: str, version_key: str, counts: Mapping[str, str]) -> Engine:
    """Return an engine that runs."""
    told = json.loads(fetched(url, version_path)[1])[version_key]
    return Engine(pod, lambda: fetched(url, "/metrics")[1], told, counts)


def recorded_engine(replay: ReplayServer, pod: str) -> Engine:
    """Return an engine that is played back."""

    def exposition() -> bytes:
        scrape = replay.current_scrape()
        return scrape.exposition if scrape is not None else b""

    return Engine(pod, exposition)


def is_up(replay: ReplayServer) -> bool:
    """Tell whether the recorded engine answers: some begin a moment before their first scrape."""
    scrape = replay.current_scrape()
    return scrape is not None and scrape.up


def in_prometheus(running: Prometheus) -> dict[str, dict[Key, str]]:
    """Return by pod what Prometheus has of each engine now, the values as they are written."""
    found: dict[str, dict[Key, str]] = {}
    for one in running.query('{__name__=~"llm_.+",pod!=""}'):
        labels: dict[str, str] = one["metric"]
        name = labels["__name__"]
        kept = tuple(sorted(pair for pair in labels.items() if pair[0] not in _ADDED_LABELS))
        found.setdefault(labels["pod"], {})[name, kept] = one["value"][1]
    return found


def wait_until_still(running: Prometheus) -> None:
    """Return when nothing but what always moves has changed for a few seconds."""

    def values() -> dict[str, dict[Key, str]]:
        return {
            pod: {key: value for key, value in series.items() if key[0] not in MOVING}
            for pod, series in in_prometheus(running).items()
        }

    def is_still() -> bool:
        before = values()
        time.sleep(_STILL_SECONDS)
        return values() == before

    eventually(is_still, "values are still")


def compare(engine: Engine, running: Prometheus) -> Comparison:
    """Translate what the engine shows now, and compare it with what Prometheus has."""
    samples = parse(engine.exposition()).samples
    catalogue = recognise(sample.name for sample in samples)
    if catalogue is None:
        raise SystemExit(f"{engine.pod} is no engine that the catalogue knows")
    in_store = in_prometheus(running)[engine.pod]
    versions = [dict(labels)["version"] for name, labels in in_store if name == "llm_engine_info"]
    translator = Translator(catalogue, versions[0] if versions else "")
    expected = {key_of(sample): sample.value for sample in translator.translate_all(samples)}
    found = {key: float(value) for key, value in in_store.items() if key[0] not in _OWN}
    series: dict[Verdict, list[str]] = {}
    for key in sorted(expected.keys() | found.keys()):
        verdict = judged(key, expected.get(key), found.get(key))
        shown = f"{key[0]}{dict(key[1])}: the engine {expected.get(key)}, Prometheus {found.get(key)}"
        series.setdefault(verdict, []).append(shown)
    raw_names: dict[str, list[str]] = {}
    for name in dict.fromkeys(sample.name for sample in samples):
        raw_names.setdefault(translator.account(name), []).append(name)
    figures = {
        signal: (figure(expected, signal), figure(found, signal))
        for signal in dict.fromkeys(signal_of(name) for name, _ in sorted(expected))
    }
    return Comparison(series, raw_names, figures, versions)


def key_of(sample: Sample) -> Key:
    """Return what identifies a series; an empty label is none."""
    return sample.name, tuple(sorted(pair for pair in sample.labels.items() if pair[1]))


def judged(key: Key, expected: float | None, found: float | None) -> Verdict:
    """Say how two values of one series agree; two that are no number are equal."""
    if found is None:
        return "missing"
    if expected is None:
        return "extra"
    if key[0] in MOVING:
        return "moving" if abs(found - expected) <= MOVING_SHARE * abs(expected) else "different"
    return "equal" if found == expected or (math.isnan(found) and math.isnan(expected)) else "different"


def signal_of(name: str) -> str:
    """Return a sample's signal: a histogram's parts are one."""
    return re.sub("_(bucket|sum|count)$", "", name)


def figure(series: Mapping[Key, float], signal: str) -> float:
    """Return one figure for a signal: its values, or its histograms' sums, added up."""
    return sum(value for (name, _), value in series.items() if name in {signal, f"{signal}_sum"})


def count(running: Prometheus, engine: Engine) -> dict[str, float]:
    """Return what the engine has counted, as Prometheus has it."""
    return {what: running.value(query) for what, query in engine.counts.items()}


@contextmanager
def under_load(loads: Iterable[Load], seconds: float) -> Iterator[None]:
    """Send requests for some seconds, then run what is inside while they still run."""
    started = list(loads)
    for one in started:
        one.start()
    try:
        time.sleep(seconds)
        yield
    finally:
        for one in started:
            one.stop()


def scrape_errors(running: Prometheus) -> int:
    """Print what Prometheus and the exporter say of their scrapes; return how many things are wrong."""
    _, own = get(running.port, "/metrics")
    refusals = {
        sample.name: sample.value
        for sample in parse(own).samples
        if re.fullmatch(r"prometheus_target_scrape(s|_pool)_\w+_total", sample.name)
        and re.search("exceeded|duplicate|out_of|sample_|failed", sample.name)
    }
    _, built = get(running.port, "/api/v1/status/buildinfo")
    log = running.log.read_text()
    lowest, scrapes = running.value("min_over_time(up[10m])"), running.value("count_over_time(up[10m])")
    complaints = len(re.findall(r"level=(?:warn|error)", log))
    down = int(running.value("count(llm_up)") - running.value("sum(llm_up)"))
    totals = [
        running.query(f"sum(inferwatch_exporter_{name}_total)")
        for name in ("engine_scrape_errors", "engine_dropped", "source_errors")
    ]
    failed, dropped, sources = (float(total[0]["value"][1]) if total else 0.0 for total in totals)
    print(f"Prometheus {json.loads(built)['data']['version']}: {scrapes:.0f} scrapes, lowest up {lowest:.0f}, ", end="")
    print(f"refused {sum(refusals.values()):.0f} ({len(refusals)} counters), warnings and errors logged {complaints}")
    print(f"exporter: failed scrapes of engines {failed:.0f}, lines left out {dropped:.0f}, ", end="")
    print(f"errors of other sources {sources:.0f}, engines down {down}")
    for one in running.query("inferwatch_exporter_engine_scrape_errors_total > 0"):
        print(f"  {one['metric']['pod']}: {one['metric']['reason']} {one['value'][1]}")
    return sum(map(bool, (lowest != 1, sum(refusals.values()), complaints, failed, dropped, sources, down)))


def check_metrics(port: int) -> int:
    """Print promtool's complaints of the exporter's page; return how many there are."""
    _, body = get(port, "/metrics")
    done = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, check=False, timeout=60)
    complaints = [line for line in (done.stdout + done.stderr).decode().splitlines() if line.strip()]
    series = sum(1 for line in body.splitlines() if line and not line.startswith(b"#"))
    print(f"promtool check metrics: {len(complaints)} complaints, exit status {done.returncode}, {series} series")
    for complaint in complaints:
        print(f"  {complaint}")
    return len(complaints) + bool(done.returncode)


def print_peaks(running: Prometheus, pod: str, seconds: float) -> None:
    """Print how busy an engine was, as Prometheus saw it."""
    window = f'{{pod="{pod}"}}[{int(seconds) + 5}s]'
    peaks = (running.value(f"max_over_time(llm_requests_{what}{window})") for what in ("running", "waiting"))
    print("{}: at most {:.0f} requests running and {:.0f} waiting in one scrape".format(pod, *peaks))


def print_comparisons(compared: Mapping[str, tuple[Engine, Comparison]]) -> int:
    """Print all verdicts; return how many things are wrong."""
    wrong = 0
    verdicts: tuple[Verdict, ...] = ("equal", "moving", "missing", "different", "extra")
    accounts = ("mapped", "ignored", "generic", "unknown")
    heads = f"{'canonical series in Prometheus':^44} {'sample names of the engine':^35}"
    print(f"\n{'':21} {'version':12} {heads}")
    print(f"{'':34} {' '.join(f'{one:>8}' for one in (*verdicts, *accounts))}")
    for pod, (engine, comparison) in compared.items():
        version = ", ".join(comparison.found_versions) or "-"
        names = [len(comparison.raw_names.get(account, ())) for account in accounts]
        cells = [*(comparison[verdict] for verdict in verdicts), *names]
        print(f"{pod:21} {version:12} {' '.join(f'{cell:8d}' for cell in cells)}")
        if comparison.found_versions != ([engine.told_version] if engine.told_version else []):
            wrong += 1
            print(f"  VERSION: the engine says {engine.told_version!r}")
        for verdict in ("missing", "different", "extra"):
            wrong += comparison[verdict]
            for shown in comparison.series.get(verdict, ()):
                print(f"  {verdict.upper()}: {shown}")
        for name in comparison.raw_names.get("unknown", ()):
            wrong += 1
            print(f"  UNKNOWN to the catalogue: {name}")
    return wrong


def print_figures(pod: str, comparison: Comparison) -> None:
    """Print a real engine's signals, so that a reader sees what the values are."""
    print(f"\n{pod + ', of a histogram its sum':52} {'engine':>16} {'Prometheus':>16}")
    for signal, (shown, stored) in comparison.figures.items():
        print(f"{signal:52} {shown:16.12g} {stored:16.12g}{'  moving' if signal in MOVING else ''}")


def print_counts(pod: str, sent: Mapping[str, int], counted: Mapping[str, float]) -> int:
    """Print what clients counted beside what Prometheus has; return how many differ, or were answered unexpectedly."""
    wrong = 0
    for what in sorted(sent.keys() | counted.keys()):
        amount, stored = sent.get(what, 0), counted.get(what)
        if stored is not None:
            verdict = "ok" if stored == amount else "DIFFERS"
        elif what in {"completions", "answered 400"}:
            verdict = "the engine does not count it"
        else:
            verdict = "UNEXPECTED"
        wrong += verdict.isupper()
        print(f"{pod:10} {what:18} {amount:10d} {'-' if stored is None else f'{stored:.0f}':>10}  {verdict}")
    return wrong


def main() -> int:
    """Run everything, print, and tell whether all agree."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--vllm-url", required=True, help="http://HOST:PORT of a vLLM that runs")
    parser.add_argument("--llama-url", required=True, help="http://HOST:PORT of a llama-server with --metrics")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to send requests")
    options = parser.parse_args()
    urls = {"vllm": options.vllm_url.rstrip("/"), "llamacpp": options.llama_url.rstrip("/")}
    real = {
        "vllm": real_engine("vllm", urls["vllm"], "/version", "version", VLLM_COUNTS),
        "llamacpp": real_engine("llamacpp", urls["llamacpp"], "/props", "build_info", LLAMACPP_COUNTS),
    }
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        replays = {
            name: stack.enter_context(ReplayServer(load(name), start="ready", speed=_SPEED)) for name in RECORDINGS
        }
        eventually(lambda: all(map(is_up, replays.values())), "the recorded engines answer")
        addresses = {pod: f"{url}/metrics" for pod, url in urls.items()}
        addresses |= {f"replay-{name}": replay.url for name, replay in replays.items()}
        engines = {
            **real,
            **{f"replay-{name}": recorded_engine(one, f"replay-{name}") for name, one in replays.items()},
        }
        config = folder / "exporter.yaml"
        targets = "".join(f"    - {{url: '{url}', name: {pod}}}\n" for pod, url in addresses.items())
        config.write_text(
            "interval_seconds: 1\nkubernetes: {discovery: none}\ngpu: {enabled: false}\n"
            f"engines:\n  targets:\n{targets}"
        )
        _, port = stack.enter_context(exporter(folder, "--config", str(config)))
        running = stack.enter_context(prometheus(folder, port))
        eventually(lambda: len(running.query("llm_up == 1")) == len(addresses), "every engine is up")
        before = {pod: count(running, engine) for pod, engine in real.items()}
        loads = {pod: Load(url) for pod, url in urls.items()}
        with under_load(loads.values(), options.seconds):
            for pod in real:
                print_peaks(running, pod, options.seconds)
        eventually(lambda: all(replay.ended for replay in replays.values()), "the recordings are played to their end")
        wait_until_still(running)
        compared = {pod: (engine, compare(engine, running)) for pod, engine in engines.items()}
        wrong = scrape_errors(running) + check_metrics(port) + print_comparisons(compared)
        print(f"\n{'since the start':29} {'clients':>10} {'Prometheus':>10}")
        for pod, engine in real.items():
            counted = {what: amount - before[pod][what] for what, amount in count(running, engine).items()}
            wrong += print_counts(pod, loads[pod].sent, counted)
        for pod in real:
            print_figures(pod, compared[pod][1])
    print(f"\n{wrong} things differ" if wrong else "\neverything agrees")
    return 1 if wrong else 0


VLLM_COUNTS: Mapping[str, str] = {
    "completions": 'sum(llm_requests_total{pod="vllm"})',
    "answered 400": 'sum(llm_http_requests_total{pod="vllm",code_class="4xx"} or vector(0))',
    "answered 503": 'sum(llm_requests_rejected_total{pod="vllm"} or vector(0))',
    "prompt tokens": 'sum(llm_prompt_tokens_total{pod="vllm"})',
    "generated tokens": 'sum(llm_generation_tokens_total{pod="vllm"})',
}
"""vLLM's prompt tokens include those that were cached."""
LLAMACPP_COUNTS: Mapping[str, str] = {
    "prompt tokens": 'sum({__name__=~"llm_prompt_tokens(_cached)?_total",pod="llamacpp"})',
    "generated tokens": 'sum(llm_generation_tokens_total{pod="llamacpp"})',
}
"""llama.cpp counts neither requests nor errors, and cached prompt tokens apart."""


if __name__ == "__main__":
    sys.exit(main())
