"""A plan as tables and lines, whatever they are printed as."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from troubleshoot.capacity import GIB
from troubleshoot.plan.answer import Found, Planned
from troubleshoot.plan.estimate import Estimate
from troubleshoot.plan.inputs import Question
from troubleshoot.plan.options import Option
from troubleshoot.plan.search import Fleet
from troubleshoot.report.wording import number

_SHOWN_REFUSALS = 6


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under column heads, all empty where there are none; the first column names, the others are figures."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of prose, or with `code` of a command to copy."""

    title: str
    lines: tuple[str, ...]
    code: bool = False


Section = Table | Lines


@dataclass(frozen=True, slots=True)
class Report:
    """`heading` says what was planned, `verdict` (one word) and `summary` the answer."""

    heading: str
    verdict: str
    summary: str
    sections: tuple[Section, ...]


def planned_report(planned: Planned) -> Report:
    """The answer for given GPUs."""
    question, found = planned.question, planned.estimate
    return Report(
        _heading(question, f"{_gpus(found)} x {question.gpu.name} · {_load(question)}"),
        "fits" if found.fits else "does not fit",
        _summary(found),
        tuple(_planned_sections(planned)),
    )


def found_report(found: Found) -> Report:
    """The answer to which GPUs."""
    question, demand = found.question, found.demand
    best = found.fleets[0] if found.fleets else None
    bounds = [
        f"{name} up to {_milliseconds(seconds)}"
        for name, seconds in (("TTFT", question.ttft_seconds), ("TPOT", question.tpot_seconds))
        if not math.isinf(seconds)
    ]
    asked = ", ".join([f"{number(demand.requests_per_second)} requests/s", _load(question), *bounds])
    summary = f"{best.gpus} x {best.gpu.name}" if best else f"none of the GPUs serves {asked}"
    return Report(_heading(question, asked), "found" if best else "not found", summary, tuple(_found_sections(found)))


def _heading(question: Question, what: str) -> str:
    shape = question.shape
    method = question.quantization if question.quantization != "auto" else shape.quantization or f"{question.dtype}"
    weights = "16-bit" if method == "auto" else method
    return f"{shape.name} ({shape.parameters / 1e9:.2f} billion parameters, {weights}) · {what}"


def _load(question: Question) -> str:
    load = question.load
    cached = f", {number(load.cached_tokens)} of them cached" if load.cached_tokens else ""
    return f"{number(load.prompt_tokens)} prompt{cached} and {number(load.output_tokens)} output tokens a request"


def _gpus(found: Estimate) -> int:
    return found.layout.group * max(found.layout.replicas, 1)


def _summary(found: Estimate) -> str:
    layout = found.layout
    way = f"tensor parallel {layout.tensor_parallel}, pipeline parallel {layout.pipeline_parallel}"
    if not found.fits:
        return f"{found.obstacle} ({way})"
    engines = f"{layout.replicas} engines of " if layout.replicas > 1 else ""
    return f"{engines}{way}: {number(found.total_tokens)} KV tokens, {number(found.memory.longest)} tokens of context"


def _planned_sections(planned: Planned) -> Iterator[Section]:
    found = planned.estimate
    yield _memory(found)
    if found.fits:
        yield _capacity(found)
        yield _pace(planned)
        command = planned.arguments
        if command:
            checked = f"{command.engine} {command.version}".strip()
            yield Lines(f"Arguments ({checked})", (shlex.join(command.words),), code=True)
    yield from _options("Other widths", planned.variants)
    yield from _options("MIG: one engine in each instance of a GPU", planned.slices)
    yield from _options("Time-slicing: engines that share a GPU", planned.shared)
    yield Lines("Notes", planned.notes)


def _memory(found: Estimate) -> Table:
    memory = found.memory
    rows = (
        ("memory that a process sees", memory.total_bytes),
        ("budget of the engine", memory.budget_bytes),
        ("weights", memory.weights_bytes),
        ("activations", memory.activation_bytes),
        ("outside the allocator", memory.non_torch_bytes),
        ("left for the KV cache", memory.kv_bytes),
    )
    return Table("Memory of each GPU", ("", ""), tuple((name, f"{size / GIB:.2f} GiB") for name, size in rows))


def _capacity(found: Estimate) -> Table:
    memory = found.memory
    rows = (
        ("KV cache of a token on each GPU", f"{number(memory.kv_bytes_a_token)} bytes"),
        ("tokens that fit", f"{number(memory.tokens)} ({number(memory.blocks)} blocks of 16)"),
        ("longest context", number(memory.longest)),
        (f"requests of {number(found.context)} tokens at once", f"{found.full_length:.2f}"),
        ("highest safe number of sequences", number(found.most_sequences)),
    )
    return Table("KV cache of each engine", ("", ""), rows)


def _pace(planned: Planned) -> Table:
    found, dollars = planned.estimate, planned.dollars_per_hour
    rows = []
    for pace in found.paces:
        rate = pace.output_tokens_per_second * found.layout.replicas
        cost = () if dollars is None else (f"{found.dollars_per_million(dollars, pace):.2f}",)
        each = (f"{pace.ttft_seconds * 1e3:.0f}", f"{pace.tpot_seconds * 1e3:.1f}", f"{1 / pace.tpot_seconds:.1f}")
        rows.append((number(pace.batch), *each, number(round(rate)), *cost))
    columns = ("running in each engine", "TTFT ms", "TPOT ms", "tokens/s each", "tokens/s in all")
    return Table("Expected pace", (*columns, *(("$/M output",) if dollars is not None else ())), tuple(rows))


def _options(title: str, options: Iterable[Option]) -> Iterator[Table]:
    rows = [
        (
            option.name,
            str(option.copies) if option.estimate.fits else "0",
            number(option.tokens) if option.estimate.fits else "does not fit",
            number(option.estimate.most_sequences) if option.estimate.fits else "",
            number(round(option.tokens_per_second)) if option.estimate.fits else "",
            option.note,
        )
        for option in options
    ]
    if rows:
        columns = ("", "engines", "KV tokens in all", "sequences each", "tokens/s in all", "note")
        yield Table(title, columns, tuple(rows))


def _found_sections(found: Found) -> Iterator[Section]:
    if found.fleets:
        columns = ("GPU", "GPUs", "engines", "split", "most req/s each", "running each")
        more = ("TTFT ms", "TPOT ms", "$/h", "$/M output")
        rows = tuple(_fleet(fleet, found) for fleet in found.fleets)
        yield Table("GPUs that serve this load, cheapest first", (*columns, *more), rows)
    if found.refused:
        rows = tuple((refusal.gpu.name, refusal.because) for refusal in found.refused[:_SHOWN_REFUSALS])
        left = len(found.refused) - len(rows)
        title = "GPUs that do not" + (f" ({left} more)" if left else "")
        yield Table(title, ("GPU", "why"), rows)
    if found.arguments:
        checked = f"{found.arguments.engine} {found.arguments.version}".strip()
        yield Lines(f"Arguments of the first ({checked})", (shlex.join(found.arguments.words),), code=True)
    yield Lines("Notes", found.notes)


def _fleet(fleet: Fleet, found: Found) -> tuple[str, ...]:
    million = fleet.dollars_per_million(found.demand)
    layout = fleet.estimate.layout
    # How each engine is split: tensor parallel, then stages.
    pipeline = f" x {layout.pipeline_parallel}" if layout.pipeline_parallel > 1 else ""
    return (
        fleet.gpu.name,
        str(fleet.gpus),
        str(fleet.replicas),
        f"{layout.tensor_parallel}{pipeline}",
        f"{fleet.capacity.requests_per_second:.1f}",
        f"{fleet.pace.batch:.0f}",
        f"{fleet.pace.ttft_seconds * 1e3:.0f}",
        f"{fleet.pace.tpot_seconds * 1e3:.1f}",
        "" if fleet.dollars_per_hour is None else f"{fleet.dollars_per_hour:.2f}",
        "" if million is None else f"{million:.2f}",
    )


def _milliseconds(seconds: float) -> str:
    return f"{number(seconds * 1e3)} ms"
