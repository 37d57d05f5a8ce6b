"""Writes docs/plan-accuracy.md: `inferwatch plan` against the recordings and against the source claims.

    python -m benchmarks.plan_accuracy

A test holds the page to what this writes, and the differences to their bounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks import plan_claims as claims
from benchmarks import plan_recordings as recorded
from benchmarks.plan_documents import figures
from troubleshoot.capacity import GIB
from troubleshoot.steady_state import Load

PAGE = Path(__file__).resolve().parents[1] / "docs" / "plan-accuracy.md"
SHORT, LONG = Load(128, 128), Load(512, 256)

_INTRODUCTION = """# How right `inferwatch plan` is

Written by `python -m benchmarks.plan_accuracy` (`make generate`); a test holds this page to the code and the
differences to their bounds: 3 % for memory, 25 % for pace, or the reason.

## Memory, against what vLLM printed

Predicted from the model's config, the GPU's data sheet and `--gpu-memory-utilization` alone: 0.92, the default of
vLLM 0.24.0, unless the run set it. Two figures in the prediction were fitted on these very runs: 0.35 GiB outside the
allocator, and 0.6 GiB that the driver keeps of an H200. Activations are computed. The last column takes the memory from
the log ("Available KV cache memory") and predicts tokens alone.
"""

_PACE = """## Pace, against what clients measured

Expected from the shape of the model, the data sheet and the lengths that the clients sent; the share of the memory
limit (62 %) is the one that `thr_serial_client` reached, so that row is no test. Running requests: measured where the
load was closed, computed where requests arrived at a rate. TTFT is compared where nothing queued.
"""

_PACE_NOTES = """- `kv_preemption`: a client's token takes longer than a step, for preempted sequences wait; the rate
  is the engine's.
- `healthy_steady` and `stuck_engine`: the difference is that of a token's time; the one's rate was given, the other
  stood still for most of its run.
- Runs on a CPU: there is no data sheet of the CPU, so no pace is predicted."""

_BENCHMARKS = """## The source documents' benchmark tables

`000` section 10.2 and `001` section four. They state neither lengths nor what is counted. "Tokens a request" is what
their own latency, rate and batch imply; plan's columns are output tokens a second at the stated batch, or at as many
sequences as are safe, for requests of 128 + 128 and of 512 + 256 tokens; the limit is that of the stated batch.
"""

_PRICES = """The cost columns imply an hour's price that differs from row to row for the same GPU: 2.07 to 2.30 dollars
for an A100 40GB, 2.42 and 1.30 for an A100 80GB. Those of the A100s are below what clouds list on demand (the
catalogue's examples), that of the A10G above; costs per token are comparable only at the same price of an hour.
"""


def page() -> str:
    """The whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _INTRODUCTION
    yield from _memory()
    yield _PACE
    yield from _pace()
    yield _BENCHMARKS
    yield from _benchmarks()
    yield _PRICES
    yield "## The source documents' other figures"
    yield ""
    yield from _table(
        ("where", "said", "plan", "why they differ"),
        [(figure.where, figure.said, figure.reckoned, figure.why) for figure in figures()],
    )


def _memory() -> Iterator[str]:
    rows: list[tuple[str, ...]] = []
    notes: dict[str, list[str]] = {}
    for recording in recorded.vllm_runs():
        row = recorded.memory_row(recording)
        printed = row.printed
        seen = printed.profiled_tokens or printed.tokens
        rows.append(
            (
                f"`{recording.name}`",
                _gib(row.planned.memory.kv_bytes if row.planned else None),
                "" if printed.kv_gib is None else f"{printed.kv_gib:.2f}",
                _count(row.tokens),
                _count(seen),
                _percent(row.error),
                _count(None if row.planned is None else row.planned.memory.blocks),
                _count(row.longest),
                _count(printed.context),
                "" if row.concurrency is None else f"{row.concurrency:.2f}",
                "" if printed.concurrency is None else f"{printed.concurrency:.2f}",
                _count(row.tokens_from_log),
            )
        )
        if row.note:
            notes.setdefault(row.note, []).append(f"`{recording.name}`")
    heads = ("KV GiB", "printed", "KV tokens", "printed", "difference", "blocks", "longest context", "in force")
    yield from _table(("run", *heads, "requests of that length", "printed", "tokens from the log's memory"), rows)
    yield from (f"- {', '.join(names)}: {note}." for note, names in notes.items())
    yield ""


def _pace() -> Iterator[str]:
    rows, notes = [], []
    for recording in recorded.vllm_runs():
        row = recorded.pace_row(recording)
        if row is None:
            continue
        measured, expected = row.measured, row.expected
        queued = measured.ttft_seconds > 0.05
        rows.append(
            (
                f"`{recording.name}`",
                recording.model,
                f"{row.loaded}; {measured.prompt_tokens:.0f} + {measured.output_tokens:.0f} tokens",
                f"{expected.tpot_seconds * 1e3:.2f}",
                f"{measured.tpot_seconds * 1e3:.2f}",
                f"{expected.output_tokens_per_second:.0f}",
                f"{measured.tokens_per_second:.0f}",
                _percent(row.error),
                f"{expected.ttft_seconds * 1e3:.0f}",
                f"{measured.ttft_seconds * 1e3:.0f}" + (" (queue)" if queued else ""),
            )
        )
        if row.reason:
            notes.append(f"- `{recording.name}`: {row.reason}.")
    heads = ("run", "model", "load", "ms a token", "measured", "tokens/s", "measured", "difference")
    yield from _table((*heads, "ms to first token", "measured"), rows)
    yield from notes
    yield from (_PACE_NOTES, "")


def _benchmarks() -> Iterator[str]:
    rows = []
    for claim in claims.CLAIMS:
        short, long = claims.rate_at(claim, SHORT), claims.rate_at(claim, LONG)
        price = claims.example_price(claim)
        cost = price * claim.gpus / (short[1] * 3600) * 1e6
        rows.append(
            (
                claim.model,
                claim.engine,
                f"{claim.gpus} x {claim.gpu.removeprefix('NVIDIA ')}",
                str(claim.batch),
                f"{claim.tokens_per_second:.0f}",
                f"{claims.implied_tokens(claim):.0f}",
                f"{short[1]:.0f} ({short[0]} running)",
                f"{long[1]:.0f} ({long[0]} running)",
                f"{claims.limit_of(claim, SHORT):.0f}",
                f"{claim.dollars_per_million:.2f} at {claims.implied_hour(claim):.2f} / h",
                f"{cost:.2f} at {price:.2f} / h",
                claim.why,
            )
        )
    heads = ("model", "engine", "GPUs", "batch", "tokens/s", "tokens a request", "plan, 128 + 128", "plan, 512 + 256")
    prices = ("$ / million said", "$ / million, 128 + 128")
    yield from _table((*heads, "memory limit, 128 + 128", *prices, "why they differ"), rows)


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    columns = tuple(heads)
    yield f"| {' | '.join(columns)} |"
    yield f"| {' | '.join('---' for _ in columns)} |"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def _gib(size: float | None) -> str:
    return "" if size is None else f"{size / GIB:.2f}"


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}".replace(",", " ")


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:+.1%}".replace("%", " %")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
