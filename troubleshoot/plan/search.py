"""Which GPUs, and how many, serve a load within its bounds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from catalog.hardware import GPUS, Gpu
from catalog.prices import price_of
from troubleshoot.parallel import tensor_parallel_sizes
from troubleshoot.plan.estimate import GPUS_A_NODE, Estimate, Layout, estimate, replica_of
from troubleshoot.plan.inputs import Question
from troubleshoot.steady_state import Pace, at_concurrency, at_rate, highest_rate

DEFAULT_HEADROOM = 0.3
"""Part of what a replica could serve that stays free: for peaks, a lost replica, and what is not modelled."""


@dataclass(frozen=True, slots=True)
class Demand:
    """Requests a second to serve, and the part of each replica's capacity to keep free."""

    requests_per_second: float
    headroom: float = DEFAULT_HEADROOM


@dataclass(frozen=True, slots=True)
class Fleet:
    """`replicas` engines that serve the demand. `capacity` is each one's pace at its limit, `pace` at its share."""

    gpu: Gpu
    estimate: Estimate
    replicas: int
    capacity: Pace
    pace: Pace
    dollars_per_hour: float | None

    @property
    def gpus(self) -> int:
        """All GPUs."""
        return self.replicas * self.estimate.layout.group

    def dollars_per_million(self, demand: Demand) -> float | None:
        """Price of a million output tokens of this load."""
        tokens = demand.requests_per_second * self.pace.output_tokens_per_second / self.pace.requests_per_second
        return None if self.dollars_per_hour is None else self.dollars_per_hour / (tokens * 3600) * 1e6


@dataclass(frozen=True, slots=True)
class Refusal:
    """A GPU that does not serve the load, and why not, of the group that comes nearest."""

    gpu: Gpu
    because: str


def fleets(
    question: Question, demand: Demand, gpus: Iterable[Gpu] = GPUS
) -> tuple[tuple[Fleet, ...], tuple[Refusal, ...]]:
    """The best fleet of each kind of GPU, cheapest first, and the GPUs that do not serve; bounds are the question's.

    Where a price is not known, GPUs are counted instead, after all that have one.
    """
    found: list[Fleet] = []
    refused: list[Refusal] = []
    for gpu in gpus:
        asked = replace(question, gpu=gpu, gpus=None, concurrency=None)
        price = question.dollars_per_hour or _example_price(gpu)
        tried = [_fleet(replace(asked, gpus=layout.group), layout, demand, price) for layout in _groups(asked)]
        good = [each for each in tried if isinstance(each, Fleet)]
        if good:
            found.append(min(good, key=lambda fleet: (fleet.gpus, fleet.estimate.layout.group)))
        else:
            refused.append(Refusal(gpu, next((str(each) for each in reversed(tried)), "no way to split the model")))
    unpriced = [fleet.dollars_per_hour is None for fleet in found]
    order = sorted(
        zip(unpriced, found, strict=True), key=lambda pair: (pair[0], pair[1].dollars_per_hour or 0.0, pair[1].gpus)
    )
    return tuple(fleet for _, fleet in order), tuple(refused)


def _example_price(gpu: Gpu) -> float | None:
    price = price_of(gpu.name)
    return price.on_demand_dollars_per_hour if price else None


def _groups(question: Question) -> list[Layout]:
    if question.tensor_parallel or question.pipeline_parallel:
        return [Layout(question.tensor_parallel or 1, question.pipeline_parallel or 1)]
    sizes = tensor_parallel_sizes(question.shape, GPUS_A_NODE, question.quantization)
    return [Layout(size, 1) for size in sizes] + [Layout(sizes[-1], 2)]


def _fleet(question: Question, layout: Layout, demand: Demand, price: float | None) -> Fleet | str:
    """The fleet of engines of this layout, or why they do not serve."""
    reckoned = estimate(question, layout)
    if not reckoned.fits:
        return reckoned.obstacle
    replica, load = replica_of(question, layout), question.load
    capacity = highest_rate(replica, load, reckoned.most_sequences, question.ttft_seconds, question.tpot_seconds)
    if capacity is None:
        alone = at_concurrency(replica, load, 1)
        return (
            f"one request alone takes {alone.ttft_seconds * 1e3:.0f} ms to the first token "
            f"and {alone.tpot_seconds * 1e3:.1f} ms a token"
        )
    usable = capacity.requests_per_second * (1 - demand.headroom)
    replicas = max(math.ceil(demand.requests_per_second / usable), 1)
    pace = at_rate(replica, load, demand.requests_per_second / replicas)
    if pace is None:
        return "it cannot follow this rate"
    return Fleet(question.gpu, reckoned, replicas, capacity, pace, price * replicas * layout.group if price else None)
