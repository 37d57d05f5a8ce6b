"""Lints of queries. Each takes a board's JSON and returns what is wrong, a line each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import promql_parser as promql

from catalog.gpu import find_field
from dashboards.metrics import FIRING_ALERTS, series_kinds
from dashboards.variables import label_of
from tests.dashboards.pages import Asked, Json, asked, asked_everywhere, query_variables
from tests.dashboards.promql_tree import (
    MACROS,
    carried,
    is_number,
    labels_of,
    nodes,
    parents,
    selectors,
    tree,
)

RATES = {"rate", "irate", "increase"}
OVER_A_COUNTER = {*RATES, "resets", "changes"}
# How many series there are is no reading of their values.
COUNTING = {"count", "group"}
FRAGILE = {"topk", "bottomk", "limitk", "count_values"}
_LEGEND = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_LABEL_VALUES = re.compile(r"label_values\((?P<series>.+), (?P<label>\w+)\)")
_REGEXP = re.compile(r"[.*+?|()\[\]{}^$\\]")
# Series of a process, which serves models but names none, and alerts, of which some have no model.
_NAMES_NO_MODEL = ("llm_http_requests_total", "llm_process_", "llm_kv_cache_capacity_tokens", "llm_engine_info")
# What carries a pod's labels only while one container alone holds the GPU: these are joined instead.
_SOMETIMES = {"namespace", "pod", "container"}


def unparsable(board: Json) -> list[str]:
    """target-promql, promql/syntax, of annotations and variables too."""
    found = []
    for one in asked_everywhere(board):
        try:
            tree(one.expr)
        except ValueError as error:
            found.append(f"{one.where}: {error}")
    return found


def unparsable_variables(board: Json) -> list[str]:
    """template-label-promql: every query variable is label_values(selector, label the series has)."""
    found = []
    for variable in query_variables(board):
        query = variable["query"]["query"]
        match = _LABEL_VALUES.fullmatch(query)
        if match is None or variable["definition"] != query:
            found.append(f"{variable['name']}: {query!r} is no label_values(series, label)")
            continue
        (selector,) = selectors(tree(match["series"]))
        if match["label"] not in carried(selector.name):
            found.append(f"{variable['name']}: {selector.name} has no label {match['label']}")
    return found


def unknown_series(board: Json) -> list[str]:
    """promql/series: no series that the catalogue does not know."""
    exprs = [(one.where, one.expr) for one in asked_everywhere(board)]
    exprs += [
        (variable["name"], match["series"])
        for variable in query_variables(board)
        if (match := _LABEL_VALUES.fullmatch(variable["query"]["query"]))
    ]
    return [
        f"{where}: {selector.name}"
        for where, expr in exprs
        for selector in selectors(tree(expr))
        if selector.name not in series_kinds()
    ]


def unknown_labels(board: Json) -> list[str]:
    """Matchers, groupings and joins name labels that the series has."""
    return [f"{one.where}: {text}" for one in asked_everywhere(board) for text in _unknown_labels(tree(one.expr))]


def _unknown_labels(root: Any) -> Iterator[str]:
    for node in nodes(root):
        if isinstance(node, promql.VectorSelector):
            strange = {matcher.name for matcher in node.matchers.matchers} - carried(node.name)
            yield from (f"{node.name} has no label {name}" for name in strange)
        if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            strange = set(node.modifier.labels) - labels_of(node.expr)
            yield from (f"nothing below by ({name}) has that label" for name in strange)
        if isinstance(node, promql.BinaryExpr) and node.modifier is not None and node.modifier.matching is not None:
            sides = labels_of(node.lhs) & labels_of(node.rhs)
            strange = set(node.modifier.matching.labels) - sides
            yield from (f"on ({name}): not both sides have that label" for name in strange)


def fixed_windows(board: Json) -> list[str]:
    """target-rate-interval, without its hole: every rate of a raw series takes `$__rate_interval` or `$__range`."""
    allowed = {MACROS["$__rate_interval"], MACROS["$__range"]}
    return [
        f"{one.where}: {node.func.name} over {node.args[0].range}"
        for one in asked(board)
        for node in nodes(tree(one.expr))
        if isinstance(node, promql.Call) and node.func.name in RATES and node.args[0].range not in allowed
    ]


def naked_counters(board: Json) -> list[str]:
    """target-counter-agg, without its hole: a counter or a bucket is read under a rate alone, matchers or not."""
    kinds = series_kinds()
    return [
        f"{one.where}: {selector.name} under {' < '.join(above) or 'nothing'}"
        for one in asked_everywhere(board)
        for selector, above in parents(tree(one.expr))
        if kinds.get(selector.name) in {"counter", "bucket"}
        and not (above and (above[0] in OVER_A_COUNTER or above[0] in COUNTING))
    ]


def rated_gauges(board: Json) -> list[str]:
    """promql/rate: a gauge has no rate; NVLink's "bandwidth" is one that is declared a counter."""
    kinds = series_kinds()
    return [
        f"{one.where}: {above[0]} of {selector.name}"
        for one in asked_everywhere(board)
        for selector, above in parents(tree(one.expr))
        if kinds.get(selector.name) in {"gauge", "info"} and above and above[0] in RATES
    ]


def unguarded_divisions(board: Json) -> list[str]:
    """promql/nan: a divisor is a number, or it is compared so that zeros fall away."""
    return [
        f"{one.where}: / {node.rhs.prettify()[:80]}"
        for one in asked_everywhere(board)
        for node in nodes(tree(one.expr))
        if isinstance(node, promql.BinaryExpr)
        and str(node.op) == "/"
        and not is_number(node.rhs)
        and not _is_guarded(node.rhs)
    ]


def _is_guarded(node: Any) -> bool:
    inside = node.expr if isinstance(node, promql.ParenExpr) else node
    return (
        isinstance(inside, promql.BinaryExpr)
        and str(inside.op) == ">"
        and not (inside.modifier is not None and inside.modifier.return_bool)
    )


def mismatched_sides(board: Json) -> list[str]:
    """promql/vector_matching: two sides without `on` have the same labels, or nothing ever matches."""
    return [
        f"{one.where}: {sorted(labels_of(node.lhs))} {node.op} {sorted(labels_of(node.rhs))}"
        for one in asked_everywhere(board)
        for node in nodes(tree(one.expr))
        if isinstance(node, promql.BinaryExpr)
        and str(node.op) != "or"
        and not is_number(node.lhs)
        and not is_number(node.rhs)
        and not (node.modifier is not None and node.modifier.matching is not None)
        and labels_of(node.lhs) != labels_of(node.rhs)
    ]


def needless_regexps(board: Json) -> list[str]:
    """promql/regexp: `=~` with nothing to expand or to match by."""
    return [
        f"{one.where}: {selector.name}{{{matcher.name}=~{matcher.value!r}}}"
        for one in asked_everywhere(board)
        for selector in selectors(tree(one.expr))
        for matcher in selector.matchers.matchers
        if matcher.op in (promql.MatchOp.Re, promql.MatchOp.NotRe) and not _REGEXP.search(matcher.value)
    ]


def fragile(board: Json) -> list[str]:
    """promql/fragile: series that come and go with their values."""
    return [
        f"{one.where}: {node.op}"
        for one in asked_everywhere(board)
        for node in nodes(tree(one.expr))
        if isinstance(node, promql.AggregateExpr) and str(node.op) in FRAGILE
    ]


def repeated(board: Json) -> list[str]:
    """rule/duplicate: no panel asks the same twice."""
    counts = Counter((one.where.rpartition(" ")[0], one.panel["id"], one.expr) for one in asked(board))
    return [f"{where}: {expr}" for (where, _, expr), count in counts.items() if count > 1]


def lost_legend_labels(board: Json) -> list[str]:
    """alerts/template, for legends: a label that a legend names comes out of the query."""
    return [
        f"{one.where}: legend names {label}"
        for one in asked(board)
        for label in _LEGEND.findall(one.legend)
        if label not in labels_of(tree(one.expr))
    ]


def ambiguous_legends(board: Json) -> list[str]:
    """Two series with one name cannot be told apart: all labels that come out are in the legend, but for the place."""
    return [
        f"{one.where}: legend lacks {sorted(lacking)}"
        for one in asked(board)
        if one.panel["type"] not in {"table", "heatmap"} and (lacking := _lacking(one))
    ]


def _lacking(one: Asked) -> set[str]:
    # A pod stands on one node, in one namespace, has one engine, and its containers are told apart by its rank; a
    # GPU's number names it on its host.
    implied = {"node", "container"} if "{{pod}}" in one.legend else set[str]()
    if "{{pod}}" in one.legend:
        implied |= {"namespace", "engine"}
    if "{{gpu}}" in one.legend:
        implied |= {"UUID", "cluster"}
    fixed = [
        {matcher.name for matcher in selector.matchers.matchers if matcher.op == promql.MatchOp.Equal}
        for selector in selectors(tree(one.expr))
    ]
    implied |= set.intersection(*fixed)
    return set(labels_of(tree(one.expr))) - set(_LEGEND.findall(one.legend)) - implied


def unfiltered(board: Json) -> list[str]:
    """target-job, target-instance: each series that has a variable's label is narrowed by that variable."""
    names = [variable["name"] for variable in query_variables(board)]
    found = []
    for one in asked(board):
        every: dict[str, list[set[str]]] = {}
        for selector in selectors(tree(one.expr)):
            chosen = {matcher.name for matcher in selector.matchers.matchers if matcher.value.startswith("$")}
            every.setdefault(selector.name, []).append(_narrowing(selector.name, names) - chosen)
        # Where a query reads a series twice, once whole to compare with, one of them is narrowed.
        found += [f"{one.where}: {name} lacks {sorted(lacks[0])}" for name, lacks in every.items() if all(lacks)]
    return found


def _narrowing(name: str, variables: list[str]) -> set[str]:
    wanted = {label_of(variable) for variable in variables} & carried(name)
    if name.startswith(_NAMES_NO_MODEL):
        wanted -= {"model"}
    if find_field(name) is not None:
        wanted -= _SOMETIMES
    if name == FIRING_ALERTS:
        wanted &= {"cluster", "namespace"}
    return wanted


RULES: tuple[Callable[[Json], list[str]], ...] = (
    unparsable,
    unparsable_variables,
    unknown_series,
    unknown_labels,
    fixed_windows,
    naked_counters,
    rated_gauges,
    unguarded_divisions,
    mismatched_sides,
    needless_regexps,
    fragile,
    repeated,
    lost_legend_labels,
    ambiguous_legends,
    unfiltered,
)
