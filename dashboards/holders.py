"""Which replica and which model hold a GPU: the joins of engine and GPU series.

A whole GPU's holder carries no `GPU_I_ID`, a MIG instance's does, and so do the fields that an instance has of its own.
Power, clocks and temperature belong to the GPU, whoever holds a part of it.
"""

from __future__ import annotations

from catalog.gpu import GPU_FIELDS
from catalog.recorded.levels import MODEL, by, labels
from dashboards.promql import Selector
from dashboards.query import Query, line

__all__ = ["HOLDER", "field_by_model", "field_of_holders", "holders_with_model"]

HOLDER: tuple[str, ...] = ("cluster", "namespace", "pod", "container")
"""What holds a GPU."""

_INFO = "inferwatch_pod_gpu_info"


def field_of_holders(name: str, holders: Selector) -> Query:
    """Return the query of a GPU field of the GPUs that the chosen pods hold, by GPU."""
    joined_by = _joined_by(name)
    field = Selector(("cluster",)).field(name)
    expr = f"max {by((*joined_by, 'Hostname', 'gpu'))} ({field} and on ({labels(joined_by)}) {holders(_INFO)})"
    return line(expr, " ".join(f"{{{{{label}}}}}" for label in ("Hostname", "gpu", *joined_by[1:])))


def holders_with_model(gpus: Selector, keep: tuple[str, ...]) -> str:
    """Return the pairs of container and GPU with these labels, and with engine and model where it serves one alone.

    A container that serves several models (Triton) keeps its row and names none of them: no join could choose one.
    """
    info = f"group {by((*HOLDER, *keep))} ({gpus(_INFO)})"
    serving = Selector(tuple(one for one in gpus.variables if one in {"cluster", "node"}))("llm_up")
    named = f"{info} * on ({labels(HOLDER)}) group_left (engine, model) ({_single_models(serving)})"
    return f"({named}) or on ({labels((*HOLDER, *keep))}) {info}"


def field_by_model(name: str, engines: Selector) -> str:
    """Return the mean of a GPU field over the GPUs that hold a model, by model."""
    joined_by = _joined_by(name)
    info = Selector(tuple(one for one in engines.variables if one in {"cluster", "namespace"}))(_INFO)
    pairs = f"group {by(tuple(dict.fromkeys((*HOLDER, 'UUID', *joined_by))))} ({info})"
    named = f"{pairs} * on ({labels(HOLDER)}) group_left (engine, model) ({_single_models(engines('llm_up'))})"
    values = f"max {by(joined_by)} ({Selector(('cluster',)).field(name)})"
    return f"avg {by(MODEL)} ({named} * on ({labels(joined_by)}) group_left () {values})"


def _single_models(serving: str) -> str:
    """Engine and model of the containers that serve one model alone."""
    every = f"group {by((*HOLDER, 'engine', 'model'))} ({Selector(('cluster',))('llm_up')})"
    mine = f"group {by((*HOLDER, 'engine', 'model'))} ({serving})"
    return f"{mine} and on ({labels(HOLDER)}) (count {by(HOLDER)} ({every}) == 1)"


def _joined_by(name: str) -> tuple[str, ...]:
    return ("cluster", "UUID", *(("GPU_I_ID",) if GPU_FIELDS[name].entity == "instance" else ()))
