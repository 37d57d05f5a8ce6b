from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from recordings.reader import bundled, load
from troubleshoot.collect import Request, collect
from troubleshoot.logs.events import Event
from troubleshoot.logs.facts import LogFacts

Read = Callable[..., LogFacts]


def facts_of(*paths: Path) -> LogFacts:
    evidence = collect(Request([str(path) for path in paths])).evidence
    assert evidence is not None
    assert evidence.log is not None
    return evidence.log


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """The facts of a log given line by line."""

    def facts(*lines: str) -> LogFacts:
        path = tmp_path / "engine.log"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return facts_of(path)

    return facts


def errors_of(facts: LogFacts) -> list[Event]:
    """The lines that say OOM, each once."""
    found = {event.line: event for events in facts.events.values() for event in events if "OutOfMemory" in event.text}
    return list(found.values())


def core(message: str, level: str = "INFO") -> str:
    return f"(EngineCore_DP0 pid=7) {level} 11-21 10:00:00 [core.py:88] {message}"


BANNER = "(APIServer pid=1) INFO 11-21 10:00:00 [api_server.py:1839] vLLM API server version 0.11.0"
ARGS = "(APIServer pid=1) INFO 11-21 10:00:00 [utils.py:233] non-default args: {'model': 'opt'}"
READY = "(APIServer pid=1) INFO:     Application startup complete."
ANSWER = '(APIServer pid=1) INFO:     10.0.0.9:1 - "POST /v1/completions HTTP/1.1" 200 OK'
STATS = (
    "(APIServer pid=1) INFO 11-21 10:01:00 [loggers.py:127] Engine 000: Avg prompt throughput: 1.0 tokens/s, "
    "Avg generation throughput: 9.0 tokens/s, Running: 1 reqs, Waiting: 0 reqs, GPU KV cache usage: 1.0%"
)
OOM = core("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", "ERROR")


# Which engine, which version


@pytest.mark.parametrize("name", bundled())
def test_the_engine_of_a_recording(name: str) -> None:
    recording = load(name)
    assert facts_of(recording.log_path).engine == recording.engine


@pytest.mark.parametrize("name", [name for name in bundled() if load(name).engine == "vllm"])
def test_the_version_of_a_recording(name: str) -> None:
    recording = load(name)
    assert facts_of(recording.log_path).version == recording.engine_version.split()[0]


@pytest.mark.parametrize(
    ("line", "engine"),
    [
        (BANNER, "vllm"),
        ("[2025-09-01 10:00:00] server_args=ServerArgs(model_path='qwen', tp_size=1)", "sglang"),
        ("[2025-09-01 10:00:00 TP0] Decode batch. #running-req: 3, #token: 1, #queue-req: 0", "sglang"),
        ("2024-06-07T10:29:03.123456Z  INFO text_generation_launcher: Args {", "tgi"),
        ("llama_model_loader: loaded meta data with 29 key-value pairs", "llamacpp"),
        ('I1121 20:50:22.315862 27528 model_lifecycle.cc:472] "loading: slow_echo:1"', "triton"),
        ("[TensorRT-LLM][INFO] Engine version 0.15.0 found in the config file", "tensorrt_llm"),
        ("hello", ""),
    ],
)
def test_an_engine_is_known_by_its_lines(read: Read, line: str, engine: str) -> None:
    assert read(line).engine == engine


def test_triton_with_vllm_inside_is_triton(read: Read) -> None:
    lines = ('I1121 20:50:22.315862 1 model_lifecycle.cc:472] "loading: vllm_model:1"', core("vLLM is here"))
    assert read(*lines).engine == "triton"


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ("INFO 02-03 13:14:04 api_server.py:651] vLLM API server version 0.6.6.post1", "0.6.6.post1"),
        ("INFO 02-03 13:14:04 llm_engine.py:98] Initializing an LLM engine (v0.4.2) with config: model='opt'", "0.4.2"),
        (core("Initializing a V1 LLM engine (v0.11.0rc2) with config: model='opt'"), "0.11.0rc2"),
        (
            "(APIServer pid=2041) INFO 11-21 19:38:41 [api_utils.py:339]  ▄▄ ▄█ █     █     █ ▀▄▀ █  version 0.24.0",
            "0.24.0",
        ),
        ("nothing of the kind", ""),
    ],
)
def test_a_version_is_read_from_the_banner(read: Read, line: str, version: str) -> None:
    assert read(line).version == version


def test_the_last_start_gives_the_version(read: Read) -> None:
    assert read(BANNER, READY, BANNER.replace("0.11.0", "0.12.0")).version == "0.12.0"


# Memory


@pytest.mark.parametrize(
    ("line", "gib"),
    [
        ("INFO 02-03 13:14:04 model_runner.py:160] Loading model weights took 12.5524 GB", 12.5524),
        (core("Model loading took 12.55 GiB and 4.201 seconds"), 12.55),
        (core("Model loading took 12.5500 GiB memory and 4.201000 seconds"), 12.55),
    ],
)
def test_the_weights_memory(read: Read, line: str, gib: float) -> None:
    assert read(line).memory.weights_gib == pytest.approx(gib)


def test_sglang_counts_in_gigabytes_of_ten(read: Read) -> None:
    line = "[2025-09-01 10:00:40] Load weight end. type=LlamaForCausalLM, dtype=torch.bfloat16, mem usage=15.00 GB."
    assert read("[2025-09-01 10:00:00] sglang", line).memory.weights_gib == pytest.approx(15.0 * 1e9 / 2**30)


@pytest.mark.parametrize(
    ("line", "tokens"),
    [
        (core("GPU KV cache size: 235,632 tokens"), 235_632),
        ("INFO 02-03 13:14:04 gpu_executor.py:76] # GPU blocks: 7000, # CPU blocks: 512", 112_000),
        ("INFO 03-27 10:29:03 [executor_base.py:111] # cuda blocks: 7000, # CPU blocks: 512", 112_000),
        ("[2025-09-01 10:00:00] max_total_num_tokens=441903, chunked_prefill_size=8192", 441_903),
        ("[2025-09-01 10:00:00] KV Cache is allocated. #tokens: 441903, K size: 26.97 GB, V size: 26.97 GB", 441_903),
        ("2024-06-07T10:29:03.1Z  INFO text_generation_router: Setting max batch total tokens to 65536", 65_536),
    ],
)
def test_the_capacity_of_the_kv_cache(read: Read, line: str, tokens: int) -> None:
    assert read(line).memory.kv_tokens == tokens


def test_an_override_tells_what_the_gpu_would_hold() -> None:
    memory = facts_of(load("kv_preemption").log_path).memory
    assert (memory.kv_tokens, memory.kv_tokens_profiled) == (14_400, 14_727 * 16)


def test_the_memory_of_a_failed_start() -> None:
    memory = facts_of(load("oom_shared_gpu").log_path).memory
    assert memory.total_gib is not None
    assert memory.free_gib is not None
    assert memory.utilization is not None
    assert memory.free_gib < memory.utilization * memory.total_gib


def test_the_newest_figure_holds(read: Read) -> None:
    facts = read(core("Available KV cache memory: 10.00 GiB"), BANNER, core("Available KV cache memory: -0.25 GiB"))
    assert facts.memory.kv_gib == -0.25


def test_what_was_not_printed_is_unknown(read: Read) -> None:
    memory = read("hello").memory
    assert (memory.weights_gib, memory.kv_gib, memory.kv_tokens, memory.total_gib) == (None, None, None, None)


# Order of what happened


def test_events_stand_in_file_order_whatever_their_signature(read: Read) -> None:
    facts = read(BANNER, READY, ANSWER, BANNER)
    assert [event.line for event in facts.all("engine_start", "ready")] == [1, 2, 4]
    first, last = facts.first("engine_start", "ready"), facts.last("engine_start", "ready")
    assert first is not None
    assert last is not None
    assert (first.line, last.line) == (1, 4)
    assert (facts.first("unknown"), facts.last("unknown")) == (None, None)


def test_counts(read: Read) -> None:
    facts = read(BANNER, READY, READY)
    assert facts.count("ready") == 2
    assert facts.count("ready", "engine_start") == 3
    assert facts.has("unknown", "ready")
    assert not facts.has("unknown")
    assert facts.lines == 3


@pytest.mark.parametrize(
    ("lines", "ready_before", "served_after", "survived"),
    [
        ([BANNER, OOM], False, False, False),
        ([BANNER, OOM, READY], False, True, True),
        ([BANNER, OOM, STATS], False, True, True),
        ([BANNER, READY, OOM], True, False, False),
        ([BANNER, READY, ANSWER, OOM, STATS], True, True, True),
        ([BANNER, READY, OOM, BANNER, ARGS, READY], True, True, False),
        ([BANNER, READY, BANNER, OOM], False, False, False),
        ([OOM], False, False, False),
        ([STATS, OOM], True, False, False),
    ],
)
def test_before_and_after_an_error(
    read: Read, lines: list[str], ready_before: bool, served_after: bool, survived: bool
) -> None:
    facts = read(*lines)
    (error,) = errors_of(facts)
    assert facts.was_ready_before(error) is ready_before
    assert facts.served_after(error) is served_after
    assert facts.survived(error) is survived


def test_an_idle_engines_last_line_is_no_sign_of_service(read: Read) -> None:
    idle = STATS.replace("9.0 tokens/s", "0.0 tokens/s")
    (error,) = errors_of(facts := read(BANNER, OOM, idle))
    assert not facts.served_after(error)


def test_what_stands_in_another_file_neither_precedes_nor_follows(tmp_path: Path) -> None:
    paths = tmp_path / "a.log", tmp_path / "b.log"
    paths[0].write_text(f"{BANNER}\n{READY}\n")
    paths[1].write_text(f"{OOM}\n")
    (error,) = errors_of(facts := facts_of(paths[1], paths[0]))
    assert not facts.was_ready_before(error)
    assert not facts.served_after(error)


@pytest.mark.parametrize(("line", "begins"), [(BANNER, True), (ARGS, True), (READY, False), (STATS, False)])
def test_a_log_that_begins_late_is_known_by_its_missing_start(read: Read, line: str, begins: bool) -> None:
    assert read(line).begins_at_start is begins
