"""PromQL read into its tree: which series, which windows, which labels come out.

Grafana's macros are no PromQL: each stands for a duration that nobody would write.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from typing import Any

import promql_parser as promql

from catalog.exporter_signals import EXPORTER_SIGNALS
from catalog.gpu import GPU_LABELS, find_field
from catalog.kubernetes import KUBERNETES
from catalog.recorded import RECORDED
from catalog.signals import COMMON_LABELS, SIGNALS
from dashboards.metrics import FIRING_ALERTS

MACROS = {
    "$__rate_interval": timedelta(seconds=67),
    "$__range": timedelta(minutes=67),
    "$__interval": timedelta(seconds=71),
}
_PLACE = {"cluster", "node"}
_IDENTITY = {"gpu", "UUID", "pci_bus_id", "device", "model_name", "Hostname", "GPU_I_PROFILE", "GPU_I_ID"}
_ALERT = {"alertname", "alertstate", "severity", "cluster", "namespace", "engine", "model", "pod", "UUID"}
_PARTS = ("_bucket", "_sum", "_count")
_SET_OPERATORS = {"and", "or", "unless"}


@cache
def tree(expr: str) -> promql.Expr:
    """Raises ValueError for what is no PromQL."""
    for macro, stands_for in MACROS.items():
        expr = expr.replace(macro, f"{int(stands_for.total_seconds())}s")
    return promql.parse(expr)


def nodes(root: Any) -> list[Any]:
    found: list[Any] = []
    promql.walk(root, found.append)
    return found


def selectors(root: Any) -> list[Any]:
    """Vector selectors, those below ranges too."""
    return [node for node in nodes(root) if isinstance(node, promql.VectorSelector)]


def parents(root: Any) -> list[tuple[Any, tuple[str, ...]]]:
    """Each selector with the functions and aggregations above it, the nearest first."""
    return list(_below(root, ()))


def _below(node: Any, above: tuple[str, ...]) -> Iterator[tuple[Any, tuple[str, ...]]]:
    match node:
        case promql.VectorSelector():
            yield node, above
        case promql.MatrixSelector():
            yield node.vector_selector, above
        case promql.Call():
            for one in node.args:
                yield from _below(one, (node.func.name, *above))
        case promql.AggregateExpr():
            yield from _below(node.expr, (str(node.op), *above))
        case promql.BinaryExpr():
            yield from _below(node.lhs, above)
            yield from _below(node.rhs, above)
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            yield from _below(node.expr, above)


def carried(name: str | None) -> frozenset[str]:
    """The labels that a series can carry, as the catalogue has them. Raises KeyError for an unknown one."""
    if name is None:
        raise KeyError(name)
    if name == FIRING_ALERTS:
        return frozenset(_ALERT)
    if name in RECORDED:
        return frozenset(RECORDED[name].labels)
    if find_field(name) is not None:
        return frozenset({*GPU_LABELS, *_PLACE, "clock_event", "xid"})
    if name in KUBERNETES:
        return frozenset({*KUBERNETES[name].labels, "cluster"})
    if name in EXPORTER_SIGNALS:
        return frozenset({*EXPORTER_SIGNALS[name].labels, *_PLACE})
    base = next((name.removesuffix(part) for part in _PARTS if name.removesuffix(part) in SIGNALS), name)
    signal = SIGNALS[base]
    own = {*signal.labels, *_PLACE, *(("le",) if name.endswith("_bucket") else ())}
    return frozenset({*own, *(_IDENTITY if name.startswith("inferwatch_") else COMMON_LABELS)})


def labels_of(node: Any) -> frozenset[str]:
    """The labels that can come out of an expression."""
    match node:
        case promql.VectorSelector():
            return carried(node.name)
        case promql.MatrixSelector():
            return carried(node.vector_selector.name)
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            return labels_of(node.expr)
        case promql.AggregateExpr():
            return _aggregated(node)
        case promql.Call():
            inside = frozenset[str]().union(*(labels_of(one) for one in node.args))
            return inside - {"le"} if node.func.name == "histogram_quantile" else inside
        case promql.BinaryExpr():
            return _joined(node)
    return frozenset()


def _aggregated(node: Any) -> frozenset[str]:
    if node.modifier is None:
        return frozenset()
    assert node.modifier.type == promql.AggModifierType.By, "`without` keeps labels that nobody has listed"
    return labels_of(node.expr) & frozenset(node.modifier.labels)


def _joined(node: Any) -> frozenset[str]:
    left, right = labels_of(node.lhs), labels_of(node.rhs)
    operator, modifier = str(node.op), node.modifier
    if operator == "or":
        return left | right
    if operator in _SET_OPERATORS or is_number(node.rhs):
        return left
    if is_number(node.lhs):
        return right
    if modifier is not None and modifier.card == promql.VectorMatchCardinality.ManyToOne:
        return left | frozenset(modifier.group_labels or ())
    if modifier is not None and modifier.matching is not None:
        return left & frozenset(modifier.matching.labels)
    return left & right


def is_number(node: Any) -> bool:
    """A number, or a function without series such as time()."""
    return not selectors(node)
