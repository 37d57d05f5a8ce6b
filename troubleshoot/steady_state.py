"""What one replica serves in steady state: pace of a sequence, time to first token, tokens a second.

The model behind it: a decode step reads the weights once and every sequence's cache; a prompt's arithmetic hides in
the steps' unused arithmetic and delays everybody by the rest; requests arrive at random. Roofline limits times the
shares that sound engines reach, so an expectation, not a bound. Held against the recordings in docs/plan-accuracy.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from catalog.hardware import Gpu
from troubleshoot.capacity import mean_resident_tokens, request_kv_bytes
from troubleshoot.model_shape import ModelShape
from troubleshoot.parallel import stage_layers
from troubleshoot.profiled_memory import DEFAULT_BATCHED_TOKENS
from troubleshoot.roofline import (
    SERVER_SECONDS,
    TYPICAL_DECODE_SHARE,
    TYPICAL_PREFILL_SHARE,
    all_reduce_seconds,
    attention_flops_per_token,
    batch_step_seconds,
    expected_ttft,
    matrix_flops,
    prefill_limit,
    prefill_parameters,
    streamed_weight_bytes,
)

_MOST_SEQUENCES = 100_000
_HALVINGS = 14


@dataclass(frozen=True, slots=True)
class Load:
    """What a request brings: tokens of its prompt, of which `cached_tokens` are found cached, and of its output."""

    prompt_tokens: float
    output_tokens: float
    cached_tokens: float = 0.0

    @property
    def fresh_tokens(self) -> float:
        """Prompt tokens to compute."""
        return max(self.prompt_tokens - self.cached_tokens, 1.0)


@dataclass(frozen=True, slots=True)
class Replica:
    """A model on GPUs that work together; `quantization` and `kv_dtype` as in `troubleshoot.capacity`."""

    shape: ModelShape
    gpu: Gpu
    quantization: str = "auto"
    kv_dtype: str = "auto"
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    batched_tokens: int = DEFAULT_BATCHED_TOKENS

    @property
    def _flops(self) -> float:
        method = (self.shape.quantization or "auto") if self.quantization == "auto" else self.quantization
        return matrix_flops(self.gpu, method)

    def step_seconds(self, batch: float, resident_tokens: float) -> float:
        """The time of a decode step, which is a token of each of `batch` sequences of so many tokens.

        In a pipeline each stage works on its part of the batch, and a token passes through all of them.
        """
        part = max(batch / self.pipeline_parallel, 1.0)
        stages = min(self.pipeline_parallel, self.shape.layers)
        share = stage_layers(self.shape, self.pipeline_parallel) / self.shape.layers
        cache = request_kv_bytes(
            self.shape, math.ceil(resident_tokens), self.kv_dtype, self.tensor_parallel, 1, self.pipeline_parallel
        )
        weights = streamed_weight_bytes(self.shape, self.quantization, self.tensor_parallel, part)
        memory = batch_step_seconds(
            self.gpu.hbm_bandwidth_bytes_per_second, weights * share, part, kv_bytes_a_sequence=cache
        )
        arithmetic = self._arithmetic_seconds(part) * share
        reduce = all_reduce_seconds(self.shape, part, self.tensor_parallel, self.gpu) * share
        return stages * (max(memory / TYPICAL_DECODE_SHARE, arithmetic) + reduce)

    def _arithmetic_seconds(self, tokens: float) -> float:
        limit = prefill_limit(self._flops, self.shape.active_parameters, self.tensor_parallel)
        return tokens / (limit * TYPICAL_PREFILL_SHARE)

    def _prefill_limit(self, load: Load) -> float:
        # A fresh token meets the cached ones in full and half of the fresh ones on average.
        met = load.fresh_tokens + 2 * (load.prompt_tokens - load.fresh_tokens)
        attention = attention_flops_per_token(self.shape, met)
        return prefill_limit(self._flops, prefill_parameters(self.shape), self.tensor_parallel, attention)

    def prefill_seconds(self, load: Load) -> float:
        """The time of a prompt's arithmetic on an otherwise idle replica."""
        computing = load.fresh_tokens / (self._prefill_limit(load) * TYPICAL_PREFILL_SHARE)
        return computing + all_reduce_seconds(self.shape, load.fresh_tokens, self.tensor_parallel, self.gpu)

    def token_seconds(self, load: Load, batch: float, prompts_a_step: float) -> float:
        """The time of a token for `batch` sequences while, on average, so many prompts are computed in each step.

        A prompt goes in chunks of `batched_tokens`; each step with a chunk has room for arithmetic beside its reading.
        """
        step, room = self._step_and_room(load, batch)
        chunks = prompts_a_step * math.ceil(load.fresh_tokens / self.batched_tokens)
        return step + max(prompts_a_step * self._prompt_seconds(load) - min(chunks, 1.0) * room, 0.0)

    def token_seconds_at(self, load: Load, batch: float, rate: float) -> float:
        """The same while `rate` prompts a second arrive; infinite where they take all the time.

        The prompts of a step are those that arrived during the last one, so the step's length is the smallest that
        agrees with itself: alone, with less than one chunk in a step, or with one in every step.
        """
        step, room = self._step_and_room(load, batch)
        chunks = math.ceil(load.fresh_tokens / self.batched_tokens)
        prompt = self._prompt_seconds(load)
        if rate * step * prompt <= min(rate * step * chunks, 1.0) * room:
            return step
        busy = rate * (prompt - chunks * room)
        if 0 < busy < 1 and rate * step / (1 - busy) * chunks <= 1:
            return step / (1 - busy)
        return (step - room) / (1 - rate * prompt) if rate * prompt < 1 else math.inf

    def _step_and_room(self, load: Load, batch: float) -> tuple[float, float]:
        step = self.step_seconds(batch, mean_resident_tokens(load.prompt_tokens, load.output_tokens))
        return step, max(step - self._arithmetic_seconds(batch), 0.0)

    def _prompt_seconds(self, load: Load) -> float:
        return self.prefill_seconds(load) / self.pipeline_parallel

    def first_token_seconds(self, load: Load, step_seconds: float, rate: float = 0.0, batch: float = 1.0) -> float:
        """Time to first token: server, half of a running step, the prompts that arrived before, the own prompt.

        `step_seconds` is a step of the engine as it runs, prompts included. At `rate` requests a second the queue is
        that of random arrivals at a server of constant time; infinite where prompts arrive faster than are computed.
        """
        prompt = self._prompt_seconds(load)
        busy = rate * prompt
        if busy >= 1:
            return math.inf
        queue = SERVER_SECONDS + (step_seconds / 2 if batch > 1 else 0.0) + busy * prompt / (2 * (1 - busy))
        return expected_ttft(load.fresh_tokens, self._prefill_limit(load), queue, step_seconds=step_seconds)


@dataclass(frozen=True, slots=True)
class Pace:
    """What is expected with `batch` sequences running on one replica."""

    batch: float
    tpot_seconds: float
    ttft_seconds: float
    requests_per_second: float
    output_tokens_per_second: float


def at_concurrency(replica: Replica, load: Load, sequences: float) -> Pace:
    """The pace when so many requests always run, each followed at once by the next."""
    steps = max(load.output_tokens - 1, 0.0)
    tpot = replica.token_seconds(load, sequences, (sequences - 1) / max(load.output_tokens, 1.0))
    first = replica.first_token_seconds(load, tpot, batch=sequences)
    rate = sequences / (first + steps * tpot)
    return Pace(sequences, tpot, first, rate, rate * load.output_tokens)


def at_rate(replica: Replica, load: Load, rate: float) -> Pace | None:
    """The pace when `rate` requests a second arrive; None where the replica cannot follow.

    By Little's law `rate` times the time that a request decodes are running, and how long it decodes depends on
    that; the smallest number that agrees with itself is the steady state.
    """
    steps = max(load.output_tokens - 1, 0.0)

    def running(batch: float) -> float:
        return rate * steps * replica.token_seconds_at(load, max(batch, 1.0), rate)

    low, high = 0.0, 1.0
    while running(high) > high:
        low, high = high, 2 * high
        if high > _MOST_SEQUENCES:
            return None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if running(middle) > middle else (low, middle)
    batch = high
    tpot = replica.token_seconds_at(load, max(batch, 1.0), rate)
    first = replica.first_token_seconds(load, tpot, rate, batch)
    return None if math.isinf(first) else Pace(batch, tpot, first, rate, rate * load.output_tokens)


def highest_rate(
    replica: Replica, load: Load, sequences: int, ttft_seconds: float = math.inf, tpot_seconds: float = math.inf
) -> Pace | None:
    """The highest rate of requests at which both bounds hold and at most `sequences` run, but for rare peaks.

    Of random arrivals two standard deviations above the mean are kept free. None where no rate holds them.
    """

    def holds(rate: float) -> Pace | None:
        pace = at_rate(replica, load, rate)
        if pace is None or pace.tpot_seconds > tpot_seconds or pace.ttft_seconds > ttft_seconds:
            return None
        return pace if pace.batch + 2 * math.sqrt(pace.batch) <= max(sequences, 3) else None

    best, low, high = None, 0.0, at_concurrency(replica, load, sequences).requests_per_second * 2 + 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        pace = holds(middle)
        low, high = (middle, high) if pace else (low, middle)
        best = pace or best
    return best
