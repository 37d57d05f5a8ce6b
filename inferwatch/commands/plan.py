"""`inferwatch plan`: what a model needs and gives on given GPUs, or which GPUs a load needs."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from troubleshoot.plan.answer import Found, Planned, find, plan
from troubleshoot.plan.inputs import (
    DTYPES,
    ENGINES,
    KV_DTYPES,
    QUANTIZATIONS,
    Question,
    checked,
    read_gpu,
    read_model,
    seconds_of,
)
from troubleshoot.plan.report import FORMATS, render
from troubleshoot.plan.search import DEFAULT_HEADROOM, Demand
from troubleshoot.sources.errors import InputError
from troubleshoot.steady_state import Load

STATUS_DOES_NOT_FIT = 1
_MOST_GPUS = 4096
_MOST_TOKENS = 100_000_000

_COUNT = click.IntRange(1, _MOST_TOKENS)
_GPUS = click.IntRange(1, _MOST_GPUS)


def _between(most: float, zero: bool = False) -> Callable[..., float | None]:
    """A callback for numbers above 0, or from 0 on, up to `most`; infinity and not-a-number are none."""

    def check(_ctx: click.Context, _param: click.Parameter, value: float | None) -> float | None:
        if value is not None and not (0 <= value <= most and (zero or value > 0)):
            raise click.BadParameter(f"{value:g} is no number {'from' if zero else 'above'} 0 to {most:g}")
        return value

    return check


def _seconds(_ctx: click.Context, _param: click.Parameter, text: str | None) -> float:
    try:
        return math.inf if text is None else seconds_of(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _print_models(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from troubleshoot.model_table import CONFIGS

        click.echo("\n".join(sorted(CONFIGS)))
        ctx.exit()


def _print_gpus(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from catalog.hardware import GPUS

        for gpu in GPUS:
            click.echo(f"{gpu.name:<32}{gpu.memory_gib:6.1f} GiB {gpu.hbm_bandwidth_bytes_per_second / 1e9:6.0f} GB/s")
        ctx.exit()


@click.command("plan")
@click.argument("model", metavar="MODEL|CONFIG.JSON")
@click.option("--gpu", "gpus_named", multiple=True, metavar="NAME", help="The GPU; with a rate, those to choose from.")
@click.option("--gpus", type=_GPUS, help="How many. Without it, as few as hold the model well.")
@click.option("--dtype", type=click.Choice(DTYPES), default="auto", show_default=True, help="Of unquantized weights.")
@click.option("--quantization", type=click.Choice(QUANTIZATIONS), default="auto", show_default=True, help="Of weights.")
@click.option("--kv-cache-dtype", type=click.Choice(KV_DTYPES), default="auto", show_default=True, help="Of the cache.")
@click.option("--tensor-parallel", type=_GPUS, help="GPUs that share each layer. Without it, found.")
@click.option("--pipeline-parallel", type=_GPUS, help="Groups of GPUs that share the layers. Without it, found.")
@click.option("--context", type=_COUNT, help="The longest request to admit. Without it, the longest that fits.")
@click.option("--concurrency", type=_COUNT, help="Requests at once. Without it, the highest safe number.")
@click.option("--prompt-tokens", type=_COUNT, default=512, show_default=True, help="Of the usual request.")
@click.option("--output-tokens", type=_COUNT, default=256, show_default=True, help="Of the usual request.")
@click.option("--cached-tokens", type=click.IntRange(0, _MOST_TOKENS), default=0, help="Of the prompt, found cached.")
@click.option(
    "--gpu-memory-utilization",
    type=float,
    callback=_between(1.0),
    default=0.9,
    show_default=True,
    help="The engine's part.",
)
@click.option(
    "--reserve",
    type=float,
    callback=_between(1000.0, zero=True),
    metavar="GIB",
    help="Beside weights and cache, measured.",
)
@click.option(
    "--price",
    type=float,
    callback=_between(1e6),
    metavar="DOLLARS",
    help="Of a GPU for an hour. Without it, an example.",
)
@click.option(
    "--engine", type=click.Choice(ENGINES), default="vllm", show_default=True, help="Whose arguments to print."
)
@click.option("--engine-version", default="", metavar="RELEASE", help="Holds the arguments against that release.")
@click.option(
    "--requests-per-second",
    type=float,
    callback=_between(1e6),
    help="The load: asks which GPUs serve it, and how many.",
)
@click.option("--ttft", callback=_seconds, metavar="DURATION", help="Bound of the time to first token: 500ms, 2s.")
@click.option("--tpot", callback=_seconds, metavar="DURATION", help="Bound of the time of each token after it.")
@click.option(
    "--headroom",
    type=float,
    callback=_between(0.9, zero=True),
    default=DEFAULT_HEADROOM,
    show_default=True,
    help="Kept free.",
)
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="Of the report.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the report to FILE instead of standard output.",
)
@click.option(
    "--list-models", is_flag=True, is_eager=True, expose_value=False, callback=_print_models, help="And exit."
)
@click.option("--list-gpus", is_flag=True, is_eager=True, expose_value=False, callback=_print_gpus, help="And exit.")
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Say what MODEL needs and gives on given GPUs, or which GPUs serve a load.

    MODEL is a well-known name (--list-models), a config.json, or the folder that holds one. With --gpu: do the weights
    fit, how many tokens, how long a context, how many sequences, how fast, at what price, with which arguments. With
    --requests-per-second: which GPUs serve that within --ttft and --tpot.

    Exit status: 0 it fits, 1 it does not, 2 bad usage or unreadable input.
    """
    try:
        answer = _answered(options)
    except InputError as error:
        raise click.UsageError(str(error), ctx) from None
    _print(answer, options["form"], options["output"])
    good = answer.estimate.fits if isinstance(answer, Planned) else bool(answer.fleets)
    ctx.exit(0 if good else STATUS_DOES_NOT_FIT)


def _answered(options: dict[str, Any]) -> Planned | Found:
    from catalog.hardware import GPUS

    shape = read_model(options["model"], options["dtype"])
    named = [read_gpu(name) for name in options["gpus_named"]]
    rate = options["requests_per_second"]
    if rate is None and len(named) != 1:
        problem = "several are named" if named else "none is named"
        raise InputError("--gpu", problem, "name one, or give --requests-per-second to choose among them")
    if rate is not None and options["gpus"]:
        raise InputError("--gpus", "with --requests-per-second the number is what is asked", "leave it out")
    reserve = options["reserve"]
    question = checked(
        Question(
            shape=shape,
            model=options["model"],
            gpu=named[0] if named else GPUS[0],
            load=Load(options["prompt_tokens"], options["output_tokens"], options["cached_tokens"]),
            gpus=options["gpus"],
            quantization=options["quantization"],
            kv_dtype=options["kv_cache_dtype"],
            dtype=options["dtype"],
            tensor_parallel=options["tensor_parallel"],
            pipeline_parallel=options["pipeline_parallel"],
            context=options["context"],
            concurrency=options["concurrency"],
            utilization=options["gpu_memory_utilization"],
            reserved_bytes=None if reserve is None else reserve * 1024**3,
            dollars_per_hour=options["price"],
            engine=options["engine"],
            engine_version=options["engine_version"],
            ttft_seconds=options["ttft"],
            tpot_seconds=options["tpot"],
        )
    )
    return plan(question) if rate is None else find(question, Demand(rate, options["headroom"]), named or GPUS)


def _print(answer: Planned | Found, form: str, output: Path | None) -> None:
    if output is None:
        render(answer, form, sys.stdout)
        return
    try:
        with output.open("w", encoding="utf-8") as stream:
            render(answer, form, stream)
    except OSError as error:
        raise click.UsageError(f"{output}: cannot be written ({error.strerror}); choose another --output") from error
