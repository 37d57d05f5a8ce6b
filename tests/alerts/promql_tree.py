"""What an expression is made of: names, and the labels that are left at its end."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import promql_parser as promql

from catalog.engines import ENGINES
from catalog.engines.base import EngineCatalog
from catalog.exporter_signals import EXPORTER_SIGNALS, PROCESS_SIGNALS
from catalog.gpu import GPU_FIELDS, GPU_LABELS
from catalog.kubernetes import KUBERNETES
from catalog.prometheus import PROMETHEUS
from catalog.recorded import RECORDED
from catalog.signals import COMMON_LABELS, SIGNALS

TARGET_LABELS = frozenset({"cluster", "job", "instance"})
_HISTOGRAM_PARTS = ("_bucket", "_sum", "_count")
_OWN_GPU_LABELS = ("gpu", "pci_bus_id", "device", "model_name", "Hostname")


@cache
def labels_by_name() -> dict[str, frozenset[str]]:
    """Every catalogued series -> the labels that it may carry, those of its target aside."""
    found: dict[str, set[str]] = {}
    for signal in SIGNALS.values():
        common = COMMON_LABELS if signal.name.startswith("llm_") else _OWN_GPU_LABELS
        names = [signal.name]
        if signal.kind == "histogram":
            names = [signal.name + part for part in _HISTOGRAM_PARTS]
        for name in names:
            found[name] = {*common, *signal.labels, *(["le"] if name.endswith("_bucket") else [])}
    for field in GPU_FIELDS.values():
        for name in field.names:
            found[name] = {*GPU_LABELS, "hostname", "xid", "clock_event", "err_code"}
    for own in (*EXPORTER_SIGNALS.values(), *PROCESS_SIGNALS):
        found[own.name] = {*own.labels, "node"}  # the PodMonitor names the node of its target
    found |= {series.name: set(series.labels) for series in KUBERNETES.values()}
    found |= {series.name: set(series.labels) for series in PROMETHEUS.values()}
    for recorded in RECORDED.values():
        found[recorded.name] = set(recorded.labels)
    return {name: frozenset(labels) for name, labels in found.items()}


@cache
def raw_names() -> frozenset[str]:
    """Names that engines themselves expose: only the normalisation of directly scraped ones may use them."""
    found = set()
    for engine in ENGINES.values():
        for mapping in engine.mappings:
            for name in {mapping.series, *_aliases(engine, mapping.series)}:
                found.add(name)
                if mapping.kind in {"histogram", "summary"}:
                    found.update(name + part for part in _HISTOGRAM_PARTS)
    return frozenset(found)


def _aliases(engine: EngineCatalog, name: str) -> Iterator[str]:
    """The names of a series under other prefixes, where counters may lack `_total`."""
    for raw, own in engine.aliases:
        if name.startswith(own):
            alias = raw + name.removeprefix(own)
            yield from (alias, alias.removesuffix("_total"))


@cache
def counters() -> frozenset[str]:
    """Names of counters, the parts of histograms among them."""
    found = {signal.name for signal in SIGNALS.values() if signal.kind == "counter"}
    found |= {
        signal.name + part for signal in SIGNALS.values() if signal.kind == "histogram" for part in _HISTOGRAM_PARTS
    }
    found |= {name for field in GPU_FIELDS.values() if field.kind == "counter" for name in field.names}
    found |= {series.name for series in KUBERNETES.values() if series.kind == "counter"}
    found |= {series.name for series in PROMETHEUS.values() if series.kind == "counter"}
    return frozenset(found | {own.name for own in EXPORTER_SIGNALS.values() if own.kind == "counter"})


def parse(expr: str) -> Any:
    """The tree of an expression."""
    return promql.parse(expr)


def children(node: Any) -> Iterator[Any]:
    """The nodes directly below a node."""
    match node:
        case promql.BinaryExpr():
            yield from (node.lhs, node.rhs)
        case promql.Call():
            yield from node.args
        case promql.AggregateExpr():
            yield node.expr
            if node.param is not None:
                yield node.param
        case promql.MatrixSelector():
            yield node.vector_selector
        case promql.ParenExpr() | promql.SubqueryExpr() | promql.UnaryExpr():
            yield node.expr


def walk(node: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Every node with the nodes above it, the nearest last."""
    yield node, above
    for child in children(node):
        yield from walk(child, (*above, node))


def bare(node: Any) -> Any:
    """A node without the parentheses around it."""
    while isinstance(node, promql.ParenExpr):
        node = node.expr
    return node


def operator(node: Any) -> str:
    """A binary operator or an aggregation by its name."""
    return str(node.op)


def selectors(expr: str) -> list[tuple[Any, tuple[Any, ...]]]:
    """The vector selectors of an expression with the nodes above them."""
    return [(node, above) for node, above in walk(parse(expr)) if isinstance(node, promql.VectorSelector)]


def matchers(selector: Any) -> list[Any]:
    """A selector's matchers."""
    return list(selector.matchers.matchers)


def is_scalar(node: Any) -> bool:
    """Whether an expression gives one number rather than series."""
    node = bare(node)
    if isinstance(node, promql.BinaryExpr):
        return is_scalar(node.lhs) and is_scalar(node.rhs)
    if isinstance(node, promql.UnaryExpr):
        return is_scalar(node.expr)
    return isinstance(node, promql.NumberLiteral) or (
        isinstance(node, promql.Call) and node.func.name in {"time", "scalar", "pi"}
    )


def _joined(node: Any) -> frozenset[str]:
    """The labels that a binary expression leaves: see promql/engine.go, resultMetric."""
    left, right = labels_left(node.lhs), labels_left(node.rhs)
    name = operator(node)
    if is_scalar(node.rhs):
        return left
    if is_scalar(node.lhs):
        return right
    if name in {"and", "unless"}:
        return left
    if name == "or":
        return left & right
    modifier = node.modifier
    card = str(modifier.card) if modifier else ""
    if "ManyToOne" in card or "OneToMany" in card:
        many = left if "ManyToOne" in card else right
        return many | frozenset(modifier.group_labels or ())
    if modifier and modifier.matching:
        named = frozenset(modifier.matching.labels)
        return named if "Include" in str(modifier.matching.type) else left - named
    return left


def labels_left(node: Any) -> frozenset[str]:
    """The labels that the result of an expression may carry."""
    node = bare(node)
    match node:
        case promql.VectorSelector():
            of_target = {"cluster"} if node.name in RECORDED else TARGET_LABELS
            return labels_by_name().get(str(node.name), frozenset()) | of_target
        case promql.MatrixSelector():
            return labels_left(node.vector_selector)
        case promql.SubqueryExpr() | promql.UnaryExpr():
            return labels_left(node.expr)
        case promql.AggregateExpr():
            if operator(node) in {"topk", "bottomk"}:
                return labels_left(node.expr)
            return frozenset(node.modifier.labels) & labels_left(node.expr) if node.modifier else frozenset()
        case promql.BinaryExpr():
            return _joined(node)
        case promql.Call():
            return _called(node)
    return frozenset()


def _called(node: Any) -> frozenset[str]:
    name = node.func.name
    if name in {"absent", "absent_over_time"}:
        inner = next(found for found, _ in walk(node) if isinstance(found, promql.VectorSelector))
        return frozenset(matcher.name for matcher in matchers(inner) if "Equal" in str(matcher.op))
    if name in {"vector", "scalar", "time"}:
        return frozenset()
    vectors = [argument for argument in node.args if not isinstance(bare(argument), promql.StringLiteral)]
    left = labels_left(vectors[-1] if name == "histogram_quantile" else vectors[0])
    if name == "histogram_quantile":
        return left - {"le"}
    if name in {"label_replace", "label_join"}:
        return left | {node.args[1].val}
    return left
