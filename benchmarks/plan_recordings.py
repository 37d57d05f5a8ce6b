"""What `inferwatch plan` predicts for each recorded run of vLLM, beside what vLLM printed and clients measured."""

from __future__ import annotations

import csv
import gzip
import re
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from catalog.hardware import find_gpu
from recordings.reader import Recording, bundled, load, read_log
from troubleshoot.capacity import (
    DEFAULT_BLOCK_SIZE,
    GIB,
    kv_bytes_per_token,
    max_concurrency,
    safe_max_num_seqs,
    tokens_that_fit,
)
from troubleshoot.collect import Request, collect
from troubleshoot.logs.facts import MemoryFacts
from troubleshoot.model_config import shape_from_config
from troubleshoot.model_shape import ModelShape
from troubleshoot.model_table import CONFIGS
from troubleshoot.plan.estimate import Estimate, Layout, estimate, replica_of
from troubleshoot.plan.inputs import Question
from troubleshoot.steady_state import Load, Pace, Replica, at_concurrency, at_rate

# vLLM 0.24.0 takes this part of a GPU when nothing is said; its CPU build has blocks of 128 tokens.
DEFAULT_UTILIZATION = 0.92
CPU_BLOCK_SIZE = 128

# One is the recorder's own: Llama-3-8B with a vocabulary of 32 000 and a context of 32 768. The config of the tiny
# Llama of the CPU runs was not kept.
MODELS: Mapping[str, Mapping[str, Any]] = {
    "llama-2-7b": CONFIGS["llama-2-7b"],
    "llama-2-13b": CONFIGS["llama-2-13b"],
    "llama-3-8b-32k": {**CONFIGS["llama-3-8b"], "vocab_size": 32000, "max_position_embeddings": 32768},
}

# Of healthy_steady's prompts all share their first 512 tokens, which stand in the prefix cache.
CACHED_TOKENS = {"healthy_steady": 512}

WITHOUT_PACE = {
    "stuck_engine": (
        "--enforce-eager: the host launches every kernel, and decode is bound by that, at 19 % of the memory limit. "
        "Plan reckons with CUDA graphs"
    ),
    "ttft_long_prefill": (
        "prompts of 24 000 tokens arrive faster than they are computed, so TTFT is a queue that grows; the prompts' "
        "own rate was 58 % of the arithmetic limit, plan reckons with 50 %"
    ),
}


@dataclass(frozen=True, slots=True)
class Printed:
    """What vLLM wrote at start-up; None where it did not."""

    kv_gib: float | None
    tokens: int | None
    profiled_tokens: int | None
    context: int | None
    concurrency: float | None


@dataclass(frozen=True, slots=True)
class MemoryRow:
    """One run: what was printed, what plan says from the config alone, and tokens from the memory in the log."""

    recording: Recording
    printed: Printed
    planned: Estimate | None
    tokens: int | None
    longest: int | None
    concurrency: float | None
    tokens_from_log: int | None
    note: str = ""

    @property
    def error(self) -> float | None:
        """Predicted over printed tokens, less 1; an override is left out of it."""
        printed = self.printed.profiled_tokens or self.printed.tokens
        return self.tokens / printed - 1 if printed and self.tokens is not None else None


@dataclass(frozen=True, slots=True)
class Measured:
    """What the clients measured: medians and rates of the requests that ended well."""

    prompt_tokens: float
    output_tokens: float
    tpot_seconds: float
    ttft_seconds: float
    tokens_per_second: float
    requests_per_second: float
    running: float


@dataclass(frozen=True, slots=True)
class PaceRow:
    """One run under load: how it was loaded, what was measured, what is expected."""

    recording: Recording
    loaded: str
    measured: Measured
    expected: Pace
    reason: str

    @property
    def error(self) -> float:
        """Expected over measured output tokens a second, less 1.

        Where the rate of requests was given, or the engine stood still for a while, the same of a sequence's tokens.
        """
        if self.recording.name in {"healthy_steady", "stuck_engine"}:
            return self.measured.tpot_seconds / self.expected.tpot_seconds - 1
        return self.expected.output_tokens_per_second / self.measured.tokens_per_second - 1


def vllm_runs() -> list[Recording]:
    """The bundled runs of vLLM."""
    return [recording for name in bundled() if (recording := load(name)).engine == "vllm"]


def shape_of(recording: Recording) -> ModelShape:
    """The shape of the recorded model."""
    return shape_from_config(MODELS[recording.model], name=recording.model)


def is_on_cpu(recording: Recording) -> bool:
    """Whether the run had no GPU."""
    return "CPU" in recording.gpu


def question_of(recording: Recording, utilization: float = DEFAULT_UTILIZATION) -> Question:
    """What would have been asked before the start."""
    gpu = find_gpu(recording.gpu.partition(" (")[0])
    if gpu is None:
        raise LookupError(recording.gpu)
    return Question(
        shape=shape_of(recording),
        model=recording.model,
        gpu=gpu,
        load=Load(64, 64),
        gpus=1,
        utilization=utilization,
        engine_version=recording.engine_version,
    )


def printed_by(recording: Recording) -> tuple[Printed, MemoryFacts, Mapping[str, Any]]:
    """The figures of the log, by the diagnosis' own reader, and the settings in force."""
    evidence = collect(Request([str(recording.log_path)], [])).evidence
    if evidence is None or evidence.log is None:
        raise LookupError(recording.name)
    memory = evidence.log.memory
    said = re.search(rb"Maximum concurrency for ([\d,]+) tokens per request: ([\d.]+)x", read_log(recording))
    context = int(said[1].replace(b",", b"")) if said else None
    printed = Printed(
        memory.kv_gib, memory.kv_tokens, memory.kv_tokens_profiled, context, float(said[2]) if said else None
    )
    names = ("gpu_memory_utilization", "num_gpu_blocks_override")
    return printed, memory, {name: evidence.settings.number(name) for name in names}


def memory_row(recording: Recording) -> MemoryRow:
    """Predicted and printed memory of a run."""
    printed, _, settings = printed_by(recording)
    if is_on_cpu(recording):
        return _on_cpu(recording, printed)
    utilization = settings["gpu_memory_utilization"] or DEFAULT_UTILIZATION
    question = question_of(recording, utilization)
    planned = estimate(question, Layout(1, 1))
    tokens = planned.memory.tokens
    context = question.shape.max_position_embeddings or 0
    note = ""
    held = tokens
    if override := settings["num_gpu_blocks_override"]:
        held = int(override) * DEFAULT_BLOCK_SIZE
        note = f"--num-gpu-blocks-override {override:.0f} cuts the cache; compared with what was profiled before it"
    elif not planned.fits:
        note = f"plan: does not fit, {planned.memory.kv_bytes / GIB:.2f} GiB left; vLLM refused to start"
    elif printed.tokens is None:
        note = "vLLM refused to start: another process held 60 GiB of the GPU, which no plan knows"
    per_token = kv_bytes_per_token(question.shape)
    from_log = tokens_that_fit(printed.kv_gib * GIB, per_token) if printed.kv_gib is not None else None
    return MemoryRow(
        recording,
        printed,
        planned,
        tokens,
        min(planned.memory.longest, held),
        max_concurrency(held, context),
        from_log,
        note,
    )


def _on_cpu(recording: Recording, printed: Printed) -> MemoryRow:
    if printed.tokens is None or printed.context is None:
        return MemoryRow(recording, printed, None, None, None, None, None, "the port was taken: no engine started")
    note = (
        f"CPU, and the tiny model's config.json was not kept: of the 1 GiB given with VLLM_CPU_KVCACHE_SPACE the log's "
        f"{printed.tokens} tokens take {GIB // printed.tokens} bytes each; {printed.tokens // CPU_BLOCK_SIZE} blocks "
        f"of {CPU_BLOCK_SIZE} and the concurrency follow from them"
    )
    concurrency = max_concurrency(printed.tokens, printed.context, CPU_BLOCK_SIZE)
    return MemoryRow(recording, printed, None, None, None, concurrency, None, note)


def measured_by_clients(recording: Recording) -> Measured | None:
    """What the clients of a run measured; None where none came."""
    with gzip.open(recording.folder / "requests.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if not row["error"] and int(row["stream_chunks"]) > 1]
    if not rows:
        return None
    start = min(float(row["start_unix_s"]) for row in rows)
    seconds = max(float(row["start_unix_s"]) + float(row["e2e_s"]) for row in rows) - start
    decoding = [float(row["e2e_s"]) - float(row["ttft_s"]) for row in rows]
    tokens = [int(row["stream_chunks"]) for row in rows]
    return Measured(
        prompt_tokens=statistics.mean(int(row["prompt_tokens"]) for row in rows),
        output_tokens=statistics.mean(tokens),
        tpot_seconds=statistics.median(taken / (count - 1) for taken, count in zip(decoding, tokens, strict=True)),
        ttft_seconds=statistics.median(float(row["ttft_s"]) for row in rows),
        tokens_per_second=sum(tokens) / seconds,
        requests_per_second=len(rows) / seconds,
        running=sum(decoding) / seconds,
    )


def pace_row(recording: Recording) -> PaceRow | None:
    """Expected and measured pace of a run on a GPU; None for the others, and where nobody asked for anything."""
    measured = None if is_on_cpu(recording) else measured_by_clients(recording)
    if measured is None:
        return None
    question = question_of(recording)
    cached = CACHED_TOKENS.get(recording.name, 0)
    offered = Load(measured.prompt_tokens, measured.output_tokens, cached)
    replica = replica_of(replace(question, load=offered), Layout(1, 1))
    loaded, expected = _expected(recording, replica, offered, measured)
    return PaceRow(recording, loaded, measured, expected, WITHOUT_PACE.get(recording.name, ""))


def _expected(recording: Recording, replica: Replica, offered: Load, measured: Measured) -> tuple[str, Pace]:
    if recording.name == "healthy_steady":
        pace = at_rate(replica, offered, measured.requests_per_second)
        if pace is None:
            raise ArithmeticError(recording.name)
        return f"{measured.requests_per_second:.1f} requests/s", pace
    if recording.name == "kv_preemption":
        mean = offered.prompt_tokens + offered.output_tokens / 2
        held = safe_max_num_seqs(14400, mean)
        return f"64 clients; the cache holds {held}", at_concurrency(replica, offered, held)
    sequences = {"thr_serial_client": 1, "stuck_engine": 16, "ttft_queue_burst": 32}.get(recording.name)
    if sequences is None:
        return f"{measured.running:.0f} running on average", at_concurrency(replica, offered, round(measured.running))
    said = "one client" if sequences == 1 else f"{sequences} at once"
    return said, at_concurrency(replica, offered, sequences)
