"""What an engine must expose for a query to give something, worked out of the query and of the rules it rests on.

No Prometheus is asked: which series an engine has is the catalogue's word, and what a rule reads is the rule's. That
comparisons (`> 0`) let something through is taken for granted. All that no engine exposes (GPUs, Kubernetes, the
exporter's own series) is taken to be there.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from alerts.rule import Record
from catalog.engines import ENGINES
from catalog.engines.base import SeriesMapping
from catalog.recorded import RECORDED
from catalog.signals import SIGNALS
from tests.alerts.promql_tree import bare, children, matchers, operator, parse
from tests.e2e.catalogue_engines import WITHOUT_MODEL, bounds_of
from tests.e2e.rule_passes import passes

_PARTS = ("_bucket", "_sum", "_count")
# These the exporter gives of every engine.
_OF_EXPORTER = frozenset({"llm_up", "llm_engine_info"})
Missing = frozenset[str]
NONE: Missing = frozenset()


@cache
def missing(expr: str, engine: str, slo: str = "") -> Missing | None:
    """What the engine lacks for the expression; None when it gives something. `slo` is what rules above it chose."""
    return _of(parse(expr), engine, slo)


def _of(node: Any, engine: str, slo: str) -> Missing | None:
    node = bare(node)
    kind = type(node).__name__
    if kind == "VectorSelector":
        return _selected(node, engine, slo)
    if kind == "Call" and node.func.name in {"vector", "time"}:
        return None
    found = [_of(child, engine, slo) for child in children(node)]
    if kind == "BinaryExpr" and operator(node) == "or":
        return None if None in found else _joined(found)
    if kind == "BinaryExpr" and operator(node) == "unless":
        return found[0]
    return _joined(found)


def _joined(found: list[Missing | None]) -> Missing | None:
    lacking = [one for one in found if one is not None]
    return frozenset().union(*lacking) if lacking else None


def _selected(selector: Any, engine: str, slo: str) -> Missing | None:
    name = str(selector.name)
    wanted = matchers(selector)
    if name in RECORDED:
        chosen = next((one.value for one in wanted if one.name == "slo"), slo)
        return _recorded(name, engine, chosen)
    signal = next((name.removesuffix(part) for part in _PARTS if name.removesuffix(part) in SIGNALS), name)
    if not name.startswith("llm_"):
        return None
    if not _holds(wanted, "engine", {engine}) or not _holds(wanted, "model", _models(engine, signal)):
        return frozenset({f"{signal} with a model"})
    if name in _OF_EXPORTER:
        return None
    mappings = _exposed(name, signal, engine)
    if not mappings:
        return frozenset({_lack(name, signal, engine)})
    if not any(_labelled(mapping, wanted) for mapping in mappings):
        labels = ", ".join(f'{one.name}="{one.value}"' for one in wanted if one.name in SIGNALS[signal].labels)
        return frozenset({f"{signal}{{{labels}}}"})
    bounds = {f"{bound:g}" for bound in bounds_of(engine, signal)} | {"+Inf"} if name.endswith("_bucket") else set()
    return None if _holds(wanted, "le", bounds) else frozenset({f"{signal}, a bound at the objective"})


def _recorded(name: str, engine: str, slo: str) -> Missing | None:
    lacking = [
        missing(rule.expr, engine, rule.labels.get("slo", slo))
        for rule in _rules(name)
        if not slo or rule.labels.get("slo", slo) == slo
    ]
    return None if None in lacking else _joined(lacking)


@cache
def _rules(name: str) -> tuple[Record, ...]:
    return tuple(rule for one in passes() for rule in one if rule.record == name)


def _exposed(name: str, signal: str, engine: str) -> list[SeriesMapping]:
    """The mappings that give this sample name. Where several need a version, it is that of the newest releases."""
    part = name.removeprefix(signal).removeprefix("_")
    found = [one for one in ENGINES[engine].mappings_of(signal) if not one.needs_version]
    return [one for one in found if one.kind == "histogram" or not part or one.part == part]


def _lack(name: str, signal: str, engine: str) -> str:
    has_other_parts = name != signal and ENGINES[engine].mappings_of(signal)
    return f"{signal} as a histogram" if has_other_parts and name.endswith("_bucket") else (
        f"{name}" if has_other_parts else signal
    )  # fmt: skip


def _models(engine: str, signal: str) -> set[str]:
    has_model = bool(ENGINES[engine].model_label) and signal not in WITHOUT_MODEL
    return {f"model-of-{engine}"} if has_model else {""}


def _labelled(mapping: SeriesMapping, wanted: list[Any]) -> bool:
    """Whether a mapping can give the label values that are asked for."""
    for label in SIGNALS[mapping.signal].labels:
        if label in mapping.labels.values():
            renamed = mapping.values.get(label)
            # An engine's own words can be anything; a code's class is worked out.
            values = set(renamed.values()) if renamed else {"5xx", "any"}
        else:
            values = {mapping.fixed.get(label, "")}
        if not _holds(wanted, label, values):
            return False
    return True


def _holds(wanted: list[Any], label: str, values: set[str]) -> bool:
    """Whether one of a label's values passes all matchers of that label."""
    mine = [one for one in wanted if one.name == label and "$" not in one.value]
    return not mine or any(all(_passes(one, value) for one in mine) for value in values)


def _passes(matcher: Any, value: str) -> bool:
    kind = str(matcher.op).rsplit(".", 1)[-1]
    equal = (
        re.fullmatch(matcher.value, value) is not None
        if kind.startswith("Re") or "Re" in kind
        else value == matcher.value
    )
    return not equal if "Not" in kind else equal
