from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from recordings.reader import load
from troubleshoot.collect import Request, collect
from troubleshoot.logs import statistics
from troubleshoot.logs.events import Event
from troubleshoot.logs.statistics import LogStats, read_statistics

BEGIN = "Avg prompt throughput: 105.2 tokens/s, Avg generation throughput: 32.1 tokens/s, "

# The text of every release that was read (0.2.7 to 0.33.0), with what it says in place of its placeholders.
VLLM = {
    "V0 0.2.7 to 0.4.2": (
        BEGIN + "Running: 3 reqs, Swapped: 1 reqs, Pending: 5 reqs, GPU KV cache usage: 41.3%, CPU KV cache usage: 0.0%"
    ),
    "V0 0.4.3 to 0.11.0": (
        BEGIN
        + "Running: 3 reqs, Swapped: 1 reqs, Pending: 5 reqs, GPU KV cache usage: 41.3%, CPU KV cache usage: 0.0%."
    ),
    "V1 0.7.1": BEGIN + "Running: 3 reqs, Waiting: 5 reqs GPU KV cache usage: 41.3%.",
    "V1 0.7.3 to 0.8.2": (
        BEGIN + "Running: 3 reqs, Waiting: 5 reqs, GPU KV cache usage: 41.3%, Prefix cache hit rate: 62.5%"
    ),
    "V1 0.8.3 to 0.11.0": (
        "Engine 000: "
        + BEGIN
        + "Running: 3 reqs, Waiting: 5 reqs, GPU KV cache usage: 41.3%, Prefix cache hit rate: 62.5%"
    ),
    "V1 0.11.1, all parts": (
        "Engine 000: " + BEGIN + "Running: 3 reqs, Waiting: 5 reqs, Preemptions: 2, GPU KV cache usage: 41.3%, "
        "Prefix cache hit rate: 62.5%, Corrupted: 0 reqs, External prefix cache hit rate: 10.0%, "
        "MM cache hit rate: 20.0%"
    ),
    "V1 0.20, deferred": (
        "Engine 000: " + BEGIN + "Running: 3 reqs, Waiting: 5 reqs, Deferred: 2 reqs, GPU KV cache usage: 41.3%, "
        "Prefix cache hit rate: 62.5%"
    ),
    "V1 0.31, on a GPU": (
        "Engine 000: "
        + BEGIN
        + "Running: 3 reqs, Waiting: 5 reqs, GPU KV cache usage: 41.3%, Prefix cache hit rate: 62.5%"
    ),
    "V1 0.31, on a CPU": (
        "Engine 000: "
        + BEGIN
        + "Running: 3 reqs, Waiting: 5 reqs, CPU KV cache usage: 41.3%, Prefix cache hit rate: 62.5%"
    ),
    "V1 0.31, on an XPU": (
        "Engine 000: "
        + BEGIN
        + "Running: 3 reqs, Waiting: 5 reqs, XPU KV cache usage: 41.3%, Prefix cache hit rate: 62.5%"
    ),
    "V1 0.32, KV fetch": (
        "Engine 000: " + BEGIN + "Running: 3 reqs, Waiting: 5 reqs, "
        "KV fetch: 7 waiting to start, 8 in progress, 9 completed waiting, GPU KV cache usage: 41.3%"
    ),
    "V1, engines aggregated": (
        "2 Engines Aggregated: " + BEGIN + "Running: 3 reqs, Waiting: 5 reqs, GPU KV cache usage: 41.3%"
    ),
}
SGLANG = {
    "0.3": (
        "Decode batch. #running-req: 3, #token: 4300, token usage: 0.41, gen throughput (token/s): 32.10, #queue-req: 5"
    ),
    "0.4": (
        "Decode batch. #running-req: 3, #token: 4300, token usage: 0.41, cuda graph: True, "
        "gen throughput (token/s): 32.10, #queue-req: 5, "
    ),
    "0.5": (
        "Decode batch, #running-req: 3, #token: 4300, token usage: 0.41, npu graph: False, "
        "gen throughput (token/s): 32.10, #queue-req: 5, "
    ),
}


def event(message: str, *, line: int = 1, process: str = "", file: str = "engine.log") -> Event:
    return Event("vllm_stats", file, line, line * 100, message, message, process=process, time_seconds=float(line))


def vllm(*messages: str) -> Sequence[LogStats]:
    return read_statistics([event(message, line=number) for number, message in enumerate(messages, 1)], ())


def sglang(*messages: str) -> Sequence[LogStats]:
    return read_statistics((), [event(message, line=number) for number, message in enumerate(messages, 1)])


@pytest.mark.parametrize("version", VLLM)
def test_every_version_of_vllms_line(version: str) -> None:
    (line,) = vllm(VLLM[version])
    assert (line.running, line.waiting) == (3, 5)
    assert line.kv_usage_ratio == pytest.approx(0.413)
    assert (line.prompt_tokens_per_second, line.generation_tokens_per_second) == (105.2, 32.1)
    assert line.prefix_hit_ratio == (pytest.approx(0.625) if "Prefix" in VLLM[version] else None)
    assert line.rank == ("000" if "Engine 000" in VLLM[version] else "")


@pytest.mark.parametrize("version", VLLM)
def test_a_line_read_in_one_look_says_what_its_figures_say(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    in_one_look = vllm(VLLM[version])
    monkeypatch.setattr(statistics, "_usual", lambda: re.compile("(?!)"))
    assert vllm(VLLM[version]) == in_one_look


def test_what_a_version_does_not_print_is_unknown() -> None:
    (line,) = vllm("Running: 3 reqs, Waiting: 5 reqs")  # V1 0.7.0
    assert (line.running, line.waiting) == (3, 5)
    rest = (
        line.kv_usage_ratio,
        line.prompt_tokens_per_second,
        line.generation_tokens_per_second,
        line.prefix_hit_ratio,
    )
    assert rest == (None, None, None, None)


@pytest.mark.parametrize(
    "message",
    [
        "Prefix cache hit rate: GPU: 12.34%, CPU: 0.00%",
        "SpecDecoding metrics: Mean acceptance length: 1.50, Accepted throughput: 3.00 tokens/s",
        "KV Transfer metrics: Num successful transfers=1",
        "Iteration(7): 1 context requests, 5 context tokens, 2 generation requests, 2 generation tokens, "
        "iteration elapsed time: 5.00 ms, GPU KV cache usage: 3.0%",
        "",
    ],
)
def test_other_periodic_lines_are_no_statistics(message: str) -> None:
    assert vllm(message) == ()


def test_each_rank_has_its_own_lines() -> None:
    line = "Engine 00{}: " + BEGIN + "Running: 3 reqs, Waiting: 5 reqs, GPU KV cache usage: 41.3%"
    assert [found.rank for found in vllm(line.format(0), line.format(1), line.format(0))] == ["000", "001", "000"]


def test_swapped_requests_are_told_apart_from_waiting_ones() -> None:
    (line,) = vllm(VLLM["V0 0.4.3 to 0.11.0"])
    assert line.waiting == 5


@pytest.mark.parametrize("version", SGLANG)
def test_every_version_of_sglangs_decode_line(version: str) -> None:
    (line,) = sglang(SGLANG[version])
    assert (line.running, line.waiting) == (3, 5)
    assert line.kv_usage_ratio == pytest.approx(0.41)
    assert line.generation_tokens_per_second == pytest.approx(32.1)


def test_sglangs_prefill_line_gives_the_share_of_cached_tokens() -> None:
    (line,) = sglang(
        "Prefill batch. #new-seq: 1, #new-token: 300, #cached-token: 100, token usage: 0.03, "
        "#running-req: 2, #queue-req: 1"
    )
    assert (line.running, line.waiting, line.prefix_hit_ratio) == (2, 1, 0.25)
    assert line.generation_tokens_per_second is None


def test_a_prefill_of_nothing_has_no_share() -> None:
    (line,) = sglang("Prefill batch. #new-seq: 0, #new-token: 0, #cached-token: 0, #running-req: 2, #queue-req: 1")
    assert line.prefix_hit_ratio is None


def test_lines_stand_in_the_order_of_the_file() -> None:
    decode = event(SGLANG["0.4"], line=3, process="TP0")
    prefill = event("Prefill batch. #new-token: 1, #cached-token: 0, #running-req: 1, #queue-req: 0", line=2)
    lines = read_statistics((), [decode, prefill])
    assert [line.event.line for line in lines] == [2, 3]
    assert [line.rank for line in lines] == ["", "TP0"]
    assert [line.time_seconds for line in lines] == [2.0, 3.0]


@pytest.mark.parametrize(
    ("running", "waiting", "prompt", "generation", "idle", "stands_still"),
    [
        (0, 0, 0.0, 0.0, True, False),
        (3, 0, 0.0, 0.0, False, True),
        (0, 3, 0.0, 0.0, False, True),
        (3, 0, 0.0, 10.0, False, False),
        (3, 0, 10.0, 0.0, False, False),
        (3, 0, None, 0.0, False, True),
        (3, 0, None, None, False, False),
    ],
)
def test_idle_and_stuck_are_told_apart(
    running: int, waiting: int, prompt: float | None, generation: float | None, idle: bool, stands_still: bool
) -> None:
    line = LogStats(
        event(""), "", running, waiting, prompt_tokens_per_second=prompt, generation_tokens_per_second=generation
    )
    assert (line.idle, line.makes_no_tokens) == (idle, stands_still)


@pytest.mark.parametrize(
    "message", ["Running: 3 reqs, GPU KV cache usage: 1.2.3%", "Running: 9999999 reqs", "Running: , Waiting: 5 reqs"]
)
def test_broken_lines_do_not_raise(message: str) -> None:
    assert all(line._asdict() for line in vllm(message))


@pytest.mark.parametrize(
    ("name", "lines", "highest_waiting"), [("kv_preemption", 5, 48), ("c_json_native", 2, 0), ("healthy_steady", 4, 0)]
)
def test_statistics_of_a_recording(name: str, lines: int, highest_waiting: int) -> None:
    evidence = collect(Request([str(load(name).log_path)])).evidence
    assert evidence is not None
    assert evidence.log is not None
    statistics = evidence.log.statistics
    assert len(statistics) >= lines
    assert max(line.waiting for line in statistics) == highest_waiting
    assert all(line.time_seconds is not None for line in statistics)
