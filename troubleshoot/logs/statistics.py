"""Periodic statistics lines -> one form, whatever the engine: how many run and wait, how full the KV cache is.

vLLM V0 says Pending, V1 Waiting; percent in the log, a ratio here. SGLang prints a ratio. llama.cpp and TGI print
times of single requests, which are read elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from troubleshoot.logs.events import Event

_VLLM = {
    "running": re.compile(r"Running:\s*(\d+)"),
    "waiting": re.compile(r"(?:Waiting|Pending):\s*(\d+)"),
    "deferred": re.compile(r"Deferred:\s*(\d+)"),
    "swapped": re.compile(r"Swapped:\s*(\d+)"),
    "kv": re.compile(r"(?:GPU|CPU|[A-Z]{2,4})? ?KV cache usage:\s*([\d.]+)\s*%"),
    "prompt": re.compile(r"Avg prompt throughput:\s*([\d.]+)"),
    "generation": re.compile(r"Avg generation throughput:\s*([\d.]+)"),
    "hits": re.compile(r"Prefix cache hit rate:\s*(?:GPU:\s*)?([\d.]+)\s*%"),
}
_SGLANG = {
    "running": re.compile(r"#running-req:\s*(\d+)"),
    "waiting": re.compile(r"#queue-req:\s*(\d+)"),
    "kv": re.compile(r"token usage:\s*([\d.]+)"),
    "generation": re.compile(r"gen throughput \(token/s\):\s*([\d.]+)"),
    "tokens": re.compile(r"#token:\s*(\d+)"),
    "new": re.compile(r"#new-token:\s*(\d+)"),
    "cached": re.compile(r"#cached-token:\s*(\d+)"),
}
HARDLY_ANY_TOKENS = 0.2
"""Tokens per second and running sequence: a hundredth of what the slowest useful server does."""
_ENGINE_INDEX = re.compile(r"Engine (\d{3}):")


@dataclass(frozen=True, slots=True)
class LogStats:
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
    values = {name: _first(expression, event.message) for name, expression in _VLLM.items()}
    if values["running"] is None:
        return None
    rank = _ENGINE_INDEX.search(event.message)
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
    values = {name: _first(expression, event.message) for name, expression in _SGLANG.items()}
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


def _first(expression: re.Pattern[str], text: str) -> float | None:
    match = expression.search(text)
    return float(match.group(1)) if match and match.group(1).count(".") <= 1 else None
