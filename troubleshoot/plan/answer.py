"""Puts a plan together: the estimate with its options, costs, arguments and what it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from catalog.hardware import GPUS, Gpu
from catalog.prices import price_of
from troubleshoot.plan.arguments import Arguments, arguments
from troubleshoot.plan.estimate import Estimate, best_estimate
from troubleshoot.plan.inputs import Question
from troubleshoot.plan.options import Option, shared, slices, variants
from troubleshoot.plan.search import Demand, Fleet, Refusal, fleets

_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Planned:
    """What given GPUs do. `dollars_per_hour` is the price of one GPU, None where none is known."""

    question: Question
    estimate: Estimate
    dollars_per_hour: float | None
    arguments: Arguments | None
    variants: tuple[Option, ...]
    slices: tuple[Option, ...]
    shared: tuple[Option, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """Which GPUs do what was asked; `arguments` are those of the first fleet."""

    question: Question
    demand: Demand
    fleets: tuple[Fleet, ...]
    refused: tuple[Refusal, ...]
    arguments: Arguments | None
    notes: tuple[str, ...]


def plan(question: Question) -> Planned:
    """What the question's GPUs do for its model."""
    estimate = best_estimate(question)
    dollars, priced = _price(question)
    command = arguments(question, estimate) if estimate.fits else None
    notes = [*(command.notes if command else ()), *_notes(question, estimate), *priced]
    single = replace(question, tensor_parallel=None, pipeline_parallel=None)
    return Planned(
        question,
        estimate,
        dollars,
        command,
        tuple(variants(question, estimate)),
        tuple(slices(single)),
        tuple(shared(single)),
        tuple(notes),
    )


def find(question: Question, demand: Demand, gpus: Sequence[Gpu] = GPUS) -> Found:
    """Which of `gpus`, and how many, serve the demand; the question's own GPU does not count."""
    good, refused = fleets(question, demand, gpus)
    command = arguments(replace(question, gpu=good[0].gpu), good[0].estimate) if good else None
    headroom = f"{demand.headroom:.0%} of each engine's capacity stays free (--headroom)"
    priced = "prices are examples of list prices: give your own with --price" if not question.dollars_per_hour else ""
    notes = [*(command.notes if command else ()), headroom, *([priced] if priced else []), _EXPECTED]
    return Found(question, demand, good, refused, command, tuple(notes))


_EXPECTED = (
    "pace and TTFT are expectations of the mean at the shares of the hardware's limits that vLLM reached in recorded "
    "runs (docs/plan-accuracy.md), with CUDA graphs; measure before you promise"
)


def _price(question: Question) -> tuple[float | None, list[str]]:
    if question.dollars_per_hour is not None:
        return question.dollars_per_hour, []
    price = price_of(question.gpu.name)
    if price is None:
        return None, ["no price is known for this GPU: give --price for dollars per million tokens"]
    dollars = price.on_demand_dollars_per_hour
    spot = f", spot {price.spot_dollars_per_hour:g}" if price.spot_dollars_per_hour is not None else ""
    return dollars, [
        f"{dollars:g} dollars an hour and GPU is an example of a list price{spot}: give yours with --price"
    ]


def _notes(question: Question, estimate: Estimate) -> list[str]:
    layout, notes = estimate.layout, []
    if question.concurrency and estimate.fits:
        held = estimate.most_sequences * layout.replicas
        if question.concurrency > held:
            notes.append(
                f"{question.concurrency} requests at once are more than the {held} that run safely: some queue"
            )
    if not estimate.fits:
        fewest = best_estimate(replace(question, gpus=None, tensor_parallel=None, pipeline_parallel=None))
        needed = fewest.layout
        way = f"tensor parallel {needed.tensor_parallel}, pipeline parallel {needed.pipeline_parallel}"
        notes.append(
            f"{needed.group} x {question.gpu.name} hold it ({way})"
            if fewest.fits
            else f"64 x {question.gpu.name} and fewer do not hold it"
        )
    idle = (question.gpus or 0) - layout.group * layout.replicas
    if idle > 0:
        notes.append(f"{idle} of the {question.gpus} GPUs stay idle: the model does not divide over them")
    if layout.group > 1:
        notes.append("1 GiB on each GPU for communication is an assumption: no recording has several GPUs")
    if question.shape.sliding_layers:
        notes.append("sliding layers hold their window at most: an engine that keeps all of it fits less")
    if question.reserved_bytes is None:
        reserved = (estimate.memory.activation_bytes + estimate.memory.non_torch_bytes) / _GIB
        notes.append(f"{reserved:.2f} GiB beside weights and cache are reckoned; --reserve takes what your log says")
    return [*notes, _EXPECTED]
