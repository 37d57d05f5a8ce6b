from __future__ import annotations

import gzip
import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from recordings.reader import load, read_log, scrapes
from troubleshoot.collect import Collected, Request, collect
from troubleshoot.diagnosis import diagnose
from troubleshoot.evidence import Evidence
from troubleshoot.logs.facts import LogFacts
from troubleshoot.metrics.load import MetricsData
from troubleshoot.sources import endpoint
from troubleshoot.sources.access import Access
from troubleshoot.sources.endpoint import Watch
from troubleshoot.sources.errors import InputError

OOM = load("oom_no_kv_blocks")
LOG = OOM.log_path
BUSY = load("kv_preemption")
URL, OTHER_URL = "http://127.0.0.1:9/metrics", "http://127.0.0.1:8/metrics"
PATIENCE_SECONDS = 60
BODIES = [scrape.exposition for scrape in scrapes(BUSY) if scrape.up][:4]

OnScrape = Callable[[float, bytes], None]
Watcher = Callable[[str, float, OnScrape], Watch]


def evidence_of(collected: Collected) -> Evidence:
    assert collected.evidence is not None, collected.problems
    return collected.evidence


def log_of(collected: Collected) -> LogFacts:
    log = evidence_of(collected).log
    assert log is not None
    return log


def metrics_of(collected: Collected) -> MetricsData:
    metrics = evidence_of(collected).metrics
    assert metrics is not None
    return metrics


@pytest.fixture
def watching(monkeypatch: pytest.MonkeyPatch) -> Callable[[Watcher], None]:
    """Put a function in the place of the watch over HTTP."""

    def install(watcher: Watcher) -> None:
        def watch(url: str, window_seconds: float, *, access: Access | None, on_scrape: OnScrape) -> Watch:
            assert access is None
            return watcher(url, window_seconds, on_scrape)

        monkeypatch.setattr(endpoint, "watch", watch)

    return install


def watch_all(_url: str, _seconds: float, on_scrape: OnScrape) -> Watch:
    """All of BODIES, two seconds apart."""
    found = [(1000.0 + 2 * number, body) for number, body in enumerate(BODIES)]
    for time_seconds, body in found:
        on_scrape(time_seconds, body)
    return Watch(found)


# What was read


def test_nothing_to_read_is_no_evidence() -> None:
    assert collect(Request()) == Collected()


def test_log_and_metrics_are_one_evidence() -> None:
    collected = collect(Request([str(BUSY.log_path)], [str(BUSY.metrics_path)]))
    evidence = evidence_of(collected)
    assert (evidence.log is not None, evidence.metrics is not None) == (True, True)
    assert (collected.problems, collected.interrupted) == ([], False)
    assert {given.kind: given.name for given in collected.inputs} == {
        "log": str(BUSY.log_path),
        "metrics": str(BUSY.metrics_path),
    }


def test_inputs_say_how_much_was_read(tmp_path: Path) -> None:
    packed = tmp_path / "engine.log.gz"
    packed.write_bytes(gzip.compress(read_log(BUSY)))
    plain, unpacked = collect(Request([str(BUSY.log_path), str(packed)])).inputs
    assert plain.size_bytes == unpacked.size_bytes == len(read_log(BUSY))
    assert plain.lines == unpacked.lines == len(read_log(BUSY).splitlines())


def test_metrics_say_which_time_they_cover() -> None:
    (given,) = collect(Request(metrics=[str(BUSY.metrics_path)])).inputs
    ups = [scrape.time_seconds for scrape in scrapes(BUSY) if scrape.up]
    assert given.span_seconds == pytest.approx(ups[-1] - ups[0], abs=0.01)


def test_what_the_user_says_is_part_of_the_evidence() -> None:
    evidence = evidence_of(collect(Request([str(LOG)], engine="sglang", symptom="ttft")))
    assert (evidence.engine, evidence.symptom) == ("sglang", "ttft")


def test_several_logs_are_counted_together(tmp_path: Path) -> None:
    copy = tmp_path / "other.log"
    copy.write_bytes(LOG.read_bytes())
    once, twice = (log_of(collect(Request(logs))) for logs in ([str(LOG)], [str(LOG), str(copy)]))
    assert twice.lines == 2 * once.lines
    assert twice.count("kv_memory") == 2 * once.count("kv_memory") > 0


def test_what_other_containers_wrote_is_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "compose.log"
    own = ["vllm-1 | " + line for line in read_log(OOM).decode().splitlines()]
    path.write_text("\n".join([*own, *["web-1  | INFO:     Application startup complete."] * 7]) + "\n")
    assert not log_of(collect(Request([str(path)]))).has("ready")


# What was not


def test_an_input_that_cannot_be_read_is_a_problem_and_the_rest_is_used(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.log")
    collected = collect(Request([missing, str(LOG)]))
    assert log_of(collected).lines > 0
    (problem,) = collected.problems
    assert problem.startswith(f"{missing}: no such file")
    notes = {given.name: given.note for given in collected.inputs}
    assert notes[missing].startswith("not read: no such file")
    assert notes[str(LOG)] == ""


@pytest.mark.parametrize("kind", ["log", "metrics"])
def test_without_one_readable_input_there_is_no_evidence(tmp_path: Path, kind: str) -> None:
    missing = [str(tmp_path / "a"), str(tmp_path / "b")]
    collected = collect(Request(missing) if kind == "log" else Request(metrics=missing))
    assert collected.evidence is None
    assert len(collected.problems) == 2


def test_unread_metrics_cover_no_time(tmp_path: Path) -> None:
    collected = collect(Request(metrics=[str(tmp_path / "missing.om"), str(BUSY.metrics_path)]))
    spans = {Path(given.name).name: given.span_seconds for given in collected.inputs}
    assert spans["missing.om"] is None
    assert spans[BUSY.metrics_path.name] is not None


def test_a_truncated_log_is_used_and_noted(tmp_path: Path) -> None:
    path = tmp_path / "engine.log.gz"
    path.write_bytes(gzip.compress(read_log(OOM))[:-100])
    collected = collect(Request([str(path)]))
    assert log_of(collected).lines > 10
    assert collected.inputs[0].note.startswith("truncated gzip: read")


def test_one_scrape_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "metrics.txt"
    path.write_bytes(BODIES[-1])
    collected = collect(Request(metrics=[str(path)]))
    assert metrics_of(collected).engine == "vllm"
    assert collected.inputs[0].note == "one scrape: rates cannot be computed"


def test_lines_that_are_no_samples_are_noted(tmp_path: Path) -> None:
    path = tmp_path / "metrics.txt"
    path.write_bytes(BODIES[-1] + b"\nthis is no sample at all }\n")
    collected = collect(Request(metrics=[str(path)]))
    assert "1 lines are no samples, the first: 'this is no sample" in collected.inputs[0].note


@pytest.mark.parametrize("labels", ["alike", "told apart"])
def test_two_replicas_add_up(tmp_path: Path, labels: str) -> None:
    """Two pods of one model: each has counters of its own, scraped at times of its own."""
    first = gzip.decompress(load("healthy_steady").metrics_path.read_bytes())

    def other(sample: re.Match[bytes]) -> bytes:
        return b"%s %r %.3f" % (sample["series"], float(sample["value"]) * 0.5, float(sample["time"]) + 0.7)

    second = re.sub(rb"(?m)^(?P<series>vllm:\S*_total\{.*?\}) (?P<value>\S+) (?P<time>\S+)$", other, first)
    if labels == "told apart":
        second = second.replace(b"127.0.0.1:8000", b"127.0.0.1:8001")
    rates = []
    for number, contents in enumerate(([first], [second], [first, second])):
        paths = [tmp_path / f"{number}-{index}.om" for index in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)
        evidence = evidence_of(collect(Request(metrics=[str(path) for path in paths])))
        rates.append(diagnose(evidence).numbers["generation_tokens_per_second"])
    assert rates[2] == pytest.approx(float(rates[0]) + float(rates[1]), rel=0.1)


# Live engines


def test_a_watched_engine_gives_scrapes_with_their_times(watching: Callable[[Watcher], None]) -> None:
    watching(watch_all)
    collected = collect(Request(metrics=[URL], window_seconds=6))
    assert metrics_of(collected).timeline.scrape_times == [1000.0, 1002.0, 1004.0, 1006.0]
    (given,) = collected.inputs
    assert (given.name, given.span_seconds, given.size_bytes) == (URL, 6.0, sum(map(len, BODIES)))


def test_the_password_of_an_address_is_not_kept(watching: Callable[[Watcher], None]) -> None:
    watching(watch_all)
    collected = collect(Request(metrics=["http://me:hunter2@127.0.0.1:9/metrics"]))
    assert "hunter2" not in repr(collected.inputs)


def test_scrapes_that_fail_in_between_are_evidence(watching: Callable[[Watcher], None]) -> None:
    def dies(url: str, seconds: float, on_scrape: OnScrape) -> Watch:
        watched = watch_all(url, seconds, on_scrape)
        return Watch(watched.scrapes, [(1008.0, "connection refused"), (1010.0, "connection refused")])

    watching(dies)
    collected = collect(Request(metrics=[URL]))
    assert collected.inputs[0].note == "2 of 6 scrapes failed, the first: connection refused"
    assert metrics_of(collected).failures == ((1008.0, "connection refused"), (1010.0, "connection refused"))


def test_an_engine_that_never_answers_leaves_the_log(watching: Callable[[Watcher], None]) -> None:
    def refuses(_url: str, _seconds: float, _on_scrape: OnScrape) -> Watch:
        raise InputError(URL, "connection refused", "check the port")

    watching(refuses)
    collected = collect(Request([str(LOG)], [URL]))
    assert log_of(collected).lines > 0
    assert evidence_of(collected).metrics is None
    assert collected.problems == [f"{URL}: connection refused; check the port"]


def test_what_the_engine_logs_while_it_is_watched_is_read(watching: Callable[[Watcher], None], tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    log.write_text("(APIServer pid=1) INFO:     Started server process [1]\n")

    def logs_meanwhile(url: str, seconds: float, on_scrape: OnScrape) -> Watch:
        log.write_text(log.read_text() + "(APIServer pid=1) INFO:     Application startup complete.\n")
        return watch_all(url, seconds, on_scrape)

    watching(logs_meanwhile)
    assert log_of(collect(Request([str(log)], [URL]))).has("ready")


def test_several_engines_are_watched_at_the_same_time(watching: Callable[[Watcher], None]) -> None:
    both = threading.Barrier(2, timeout=PATIENCE_SECONDS)

    def watcher(url: str, seconds: float, on_scrape: OnScrape) -> Watch:
        both.wait()
        return watch_all(url, seconds, on_scrape)

    watching(watcher)
    collected = collect(Request(metrics=[URL, OTHER_URL]))
    assert sorted(given.name for given in collected.inputs) == sorted([URL, OTHER_URL])
    assert collected.problems == []


def test_one_of_several_engines_may_be_down(watching: Callable[[Watcher], None]) -> None:
    def watcher(url: str, seconds: float, on_scrape: OnScrape) -> Watch:
        if url == URL:
            raise InputError(URL, "connection refused", "check the port")
        return watch_all(url, seconds, on_scrape)

    watching(watcher)
    collected = collect(Request(metrics=[URL, OTHER_URL]))
    assert metrics_of(collected).engine == "vllm"
    assert collected.problems == [f"{URL}: connection refused; check the port"]
    assert {given.name: given.note for given in collected.inputs} == {
        URL: "not read: connection refused",
        OTHER_URL: "",
    }


# Ctrl-C


def stop_after(number: int) -> Watcher:
    """A watch that Ctrl-C ends after some scrapes."""

    def watcher(_url: str, _seconds: float, on_scrape: OnScrape) -> Watch:
        for index, body in enumerate(BODIES[:number]):
            on_scrape(1000.0 + 2 * index, body)
        raise KeyboardInterrupt

    return watcher


def test_ctrl_c_while_watching_keeps_what_was_scraped_and_reads_the_log(watching: Callable[[Watcher], None]) -> None:
    watching(stop_after(3))
    collected = collect(Request([str(LOG)], [URL]))
    assert collected.interrupted
    assert metrics_of(collected).timeline.scrape_times == [1000.0, 1002.0, 1004.0]
    assert log_of(collected).lines > 0


def test_ctrl_c_before_the_first_scrape_leaves_no_metrics(watching: Callable[[Watcher], None]) -> None:
    watching(stop_after(0))
    collected = collect(Request(metrics=[URL]))
    assert (collected.interrupted, collected.evidence, collected.inputs) == (True, None, [])


def test_ctrl_c_ends_the_watching_of_all_engines(watching: Callable[[Watcher], None]) -> None:
    other_was_scraped, over = threading.Event(), threading.Event()

    def watcher(url: str, seconds: float, on_scrape: OnScrape) -> Watch:
        if threading.current_thread() is threading.main_thread():
            assert other_was_scraped.wait(PATIENCE_SECONDS)
            return stop_after(2)(url, seconds, on_scrape)
        watched = watch_all(url, seconds, on_scrape)
        other_was_scraped.set()
        over.wait(PATIENCE_SECONDS)
        return watched

    watching(watcher)
    collected = collect(Request(metrics=[URL, OTHER_URL]))
    was_waited_for = over.is_set()
    over.set()
    assert collected.interrupted
    assert not was_waited_for
    sizes = {given.name: given.size_bytes for given in collected.inputs}
    assert sizes == {URL: sum(map(len, BODIES[:2])), OTHER_URL: sum(map(len, BODIES))}


# Progress


def test_progress_of_a_file_goes_up_to_its_size() -> None:
    told: list[tuple[str, int, int | None]] = []
    collect(Request([str(LOG)]), lambda *step: told.append(step))
    assert {(name, total) for name, _, total in told} == {(str(LOG), LOG.stat().st_size)}
    done = [done for _, done, _ in told]
    assert done == sorted(done)
    assert done[-1] == LOG.stat().st_size


def test_progress_of_a_watched_engine_is_in_seconds(watching: Callable[[Watcher], None]) -> None:
    watching(watch_all)
    told: list[tuple[str, int, int | None]] = []
    collect(
        Request(metrics=["http://me:hunter2@127.0.0.1:9/metrics"], window_seconds=6), lambda *step: told.append(step)
    )
    assert told == [("http://***@127.0.0.1:9/metrics", seconds, 6) for seconds in (0, 2, 4, 6)]
