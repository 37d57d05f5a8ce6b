"""Periodic statistics lines -> one form, whatever the engine: how many run and wait, how full the KV cache is.

vLLM V0 says Pending, V1 Waiting; percent in the log, a ratio here. SGLang prints a ratio. llama.cpp and TGI print
times of single requests, which are read elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from troubleshoot.logs.events import Event

_VLLM = {
    "running": r"Running:\s*(\d+)",
    "waiting": r"(?:Waiting|Pending):\s*(\d+)",
    "deferred": r"Deferred:\s*(\d+)",
    "swapped": r"Swapped:\s*(\d+)",
    "kv": r"(?:GPU|CPU|[A-Z]{2,4})? ?KV cache usage:\s*([\d.]+)\s*%",
    "prompt": r"Avg prompt throughput:\s*([\d.]+)",
    "generation": r"Avg generation throughput:\s*([\d.]+)",
    "hits": r"Prefix cache hit rate:\s*(?:GPU:\s*)?([\d.]+)\s*%",
}
_SGLANG = {
    "running": r"#running-req:\s*(\d+)",
    "waiting": r"#queue-req:\s*(\d+)",
    "kv": r"token usage:\s*([\d.]+)",
    "generation": r"gen throughput \(token/s\):\s*([\d.]+)",
    "tokens": r"#token:\s*(\d+)",
    "new": r"#new-token:\s*(\d+)",
    "cached": r"#cached-token:\s*(\d+)",
}
# What vLLM 1 writes, in one look; a line that differs at all is read figure by figure.
_VLLM_USUAL = (
    r"(?:Engine (?P<rank>\d{3}): )?Avg prompt throughput: (?P<prompt>\d+\.\d+) tokens/s, "
    r"Avg generation throughput: (?P<generation>\d+\.\d+) tokens/s, Running: (?P<running>\d+) reqs, "
    r"Waiting: (?P<waiting>\d+) reqs, (?:GPU|CPU) KV cache usage: (?P<kv>\d+\.\d+)%, "
    r"Prefix cache hit rate: (?P<hits>\d+\.\d+)%"
)
HARDLY_ANY_TOKENS = 0.2
"""Tokens per second and running sequence: a hundredth of what the slowest useful server does."""
_ENGINE_INDEX = r"Engine (\d{3}):"


class LogStats(NamedTuple):
    """One statistics line. Rates in tokens per second; ratios 0..1; None where the line does not say."""

    event: Event
    rank: str
    running: int
    waiting: int
    kv_usage_ratio: float | None = None
    prompt_tokens_per_second: float | None = None
    generation_tokens_per_second: float | None = None
    prefix_hit_ratio: float | None = None
    deferred: int = 0

    @property
    def time_seconds(self) -> float | None:
        """When, as in `Event.time_seconds`."""
        return self.event.time_seconds

    @property
    def idle(self) -> bool:
        """Nothing to do: no request runs or waits."""
        return self.running == 0 and self.waiting == 0

    @property
    def makes_no_tokens(self) -> bool:
        """Work is there, and neither a prompt nor, for practical purposes, a generated token was counted.

        The line covers its whole interval, so the first after a stop still holds a few tokens from before it.
        """
        if self.generation_tokens_per_second is None or self.prompt_tokens_per_second:
            return False
        return not self.idle and self.generation_tokens_per_second < HARDLY_ANY_TOKENS * max(self.running, 1)


def read_statistics(vllm: Iterable[Event], sglang: Iterable[Event]) -> tuple[LogStats, ...]:
    """Every statistics line that names running requests, in file order."""
    found = [stats for event in vllm if (stats := _vllm(event))]
    found += [stats for event in sglang if (stats := _sglang(event))]
    return tuple(sorted(found, key=lambda stats: (stats.event.file, stats.event.offset)))


def _vllm(event: Event) -> LogStats | None:
    usual = _usual().fullmatch(event.message)
    if usual is not None:
        rank, prompt, generation, running, waiting, kv, hits = usual.groups()
        return LogStats(
            event,
            rank or "",
            int(running),
            int(waiting),
            float(kv) / 100,
            float(prompt),
            float(generation),
            float(hits) / 100,
        )
    values = {name: _first(expression, event.message) for name, expression in _compiled("vllm")}
    if values["running"] is None:
        return None
    rank = re.search(_ENGINE_INDEX, event.message)
    return LogStats(
        event=event,
        rank=rank.group(1) if rank else "",
        running=int(values["running"]),
        waiting=int(values["waiting"] or 0),
        kv_usage_ratio=None if values["kv"] is None else values["kv"] / 100,
        prompt_tokens_per_second=values["prompt"],
        generation_tokens_per_second=values["generation"],
        prefix_hit_ratio=None if values["hits"] is None else values["hits"] / 100,
        deferred=int(values["deferred"] or 0),
    )


def _sglang(event: Event) -> LogStats | None:
    values = {name: _first(expression, event.message) for name, expression in _compiled("sglang")}
    if values["running"] is None:
        return None
    new, cached = values["new"], values["cached"]
    return LogStats(
        event=event,
        rank=event.process,
        running=int(values["running"]),
        waiting=int(values["waiting"] or 0),
        kv_usage_ratio=values["kv"],
        generation_tokens_per_second=values["generation"],
        prefix_hit_ratio=cached / (new + cached) if new is not None and cached is not None and new + cached else None,
    )


@cache
def _usual() -> re.Pattern[str]:
    return re.compile(_VLLM_USUAL, re.ASCII)


@cache
def _compiled(engine: str) -> list[tuple[str, re.Pattern[str]]]:
    expressions = _VLLM if engine == "vllm" else _SGLANG
    return [(name, re.compile(expression)) for name, expression in expressions.items()]


def _first(expression: re.Pattern[str], text: str) -> float | None:
    match = expression.search(text)
    return float(match.group(1)) if match and match.group(1).count(".") <= 1 else None
