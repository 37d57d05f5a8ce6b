"""What every rule keeps to, whatever it watches. Each lint is shown to find what it looks for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import promql_parser as promql
import pytest

from alerts.config import Config, Model
from alerts.generate import groups
from alerts.rule import Alert, Record
from catalog.gpu import find_field
from catalog.kubernetes import KUBERNETES
from catalog.recorded import RECORDED
from tests.alerts.promql_tree import (
    bare,
    children,
    counters,
    labels_by_name,
    labels_left,
    matchers,
    operator,
    parse,
    raw_names,
    selectors,
    walk,
)

CONFIG = Config(models=(Model(name="llama", namespace="chat", engine="vllm", cold_start_seconds=60),))
RULES = [(group.name, rule) for group in groups(CONFIG) for rule in group.rules]
ALERTS = [rule for _, rule in RULES if isinstance(rule, Alert)]
RECORDS = [rule for _, rule in RULES if isinstance(rule, Record)]
DIRECT = "inferwatch-records-direct"

# Series that are above 0 wherever they are: the budget is 1 - target, and a target of 1 is refused.
ALWAYS_POSITIVE = {"model:llm_slo_error_budget:ratio"}
# A counter may be used bare where only its being there counts.
EXISTENCE = {"count", "group", "absent", "absent_over_time", "present_over_time", "count_over_time", "last_over_time"}
CHANGE = {"rate", "irate", "increase", "changes", "resets"}


def name_of(rule: Alert | Record) -> str:
    return f"{rule.name}-{rule.severity}" if isinstance(rule, Alert) else rule.record


def complaints(lint: Any, rules: list[Any]) -> list[str]:
    return [f"{name_of(rule)}: {said}" for rule in rules for said in lint(rule.expr)]


# The lints: each yields what is wrong with an expression.


def unknown_names(expr: str) -> Iterator[str]:
    for selector, _ in selectors(expr):
        if selector.name not in labels_by_name():
            yield f"{selector.name} is not in the catalogue"


def unknown_labels(expr: str) -> Iterator[str]:
    for selector, _ in selectors(expr):
        carried = labels_by_name().get(selector.name)
        for matcher in matchers(selector):
            if carried is not None and matcher.name not in carried | {"cluster", "job", "instance"}:
                yield f"{selector.name} has no label {matcher.name}"


def bare_counters(expr: str) -> Iterator[str]:
    for selector, above in selectors(expr):
        if selector.name not in counters():
            continue
        called = {node.func.name for node in above if isinstance(node, promql.Call)}
        called |= {operator(node) for node in above if isinstance(node, promql.AggregateExpr)}
        nodes = (*above, selector)
        is_condition = any(
            isinstance(node, promql.BinaryExpr) and operator(node) in {"and", "unless"} and nodes[i + 1] is node.rhs
            for i, node in enumerate(above)
        )
        if not (called & CHANGE or called & EXISTENCE or is_condition):
            yield f"{selector.name} is a counter outside rate()"


def rates_of_gauges(expr: str) -> Iterator[str]:
    for selector, above in selectors(expr):
        called = [node.func.name for node in above if isinstance(node, promql.Call)]
        if called and called[-1] in {"rate", "irate", "increase"} and selector.name not in counters() | raw_names():
            yield f"{called[-1]}() of {selector.name}, which is no counter"


def unguarded_divisions(expr: str) -> Iterator[str]:
    for node, _ in walk(parse(expr)):
        if isinstance(node, promql.BinaryExpr) and operator(node) == "/" and not is_never_zero(bare(node.rhs)):
            yield f"divides by what may be 0: {node.rhs.prettify()}"


def is_never_zero(node: Any) -> bool:
    match node:
        case promql.NumberLiteral():
            return bool(node.val != 0)
        case promql.VectorSelector():
            return node.name in ALWAYS_POSITIVE
        case promql.BinaryExpr() if operator(node) in {">", ">="}:
            limit = bare(node.rhs)
            return isinstance(limit, promql.NumberLiteral) and (limit.val > 0 or operator(node) == ">")
        case promql.BinaryExpr() if operator(node) in {"and", "unless", "*"}:
            parts = [is_never_zero(bare(child)) for child in children(node)]
            return all(parts) if operator(node) == "*" else parts[0]
        case promql.AggregateExpr() if operator(node) in {"count", "group"}:
            return True
        case promql.Call() if node.func.name in {"clamp_min", "count_over_time"}:
            limit = bare(node.args[-1])
            return node.func.name == "count_over_time" or (isinstance(limit, promql.NumberLiteral) and limit.val > 0)
    return False


def loose_aggregations(expr: str) -> Iterator[str]:
    for node, _ in walk(parse(expr)):
        if isinstance(node, promql.AggregateExpr) and "By" not in str(getattr(node.modifier, "type", "")):
            yield f"{operator(node)} without by (...)"


def quantiles_without_le(expr: str) -> Iterator[str]:
    for node, _ in walk(parse(expr)):
        is_quantile = isinstance(node, promql.Call) and node.func.name == "histogram_quantile"
        if is_quantile and "le" not in labels_left(node.args[1]):
            yield "histogram_quantile of what has no le"


def needless_regexes(expr: str) -> Iterator[str]:
    for selector, _ in selectors(expr):
        for matcher in matchers(selector):
            if "Re" in str(matcher.op) and re.fullmatch(r"[\w-]*", matcher.value):
                yield f'{matcher.name}=~"{matcher.value}" is an equality'


def unstable_choices(expr: str) -> Iterator[str]:
    for node, _ in walk(parse(expr)):
        if isinstance(node, promql.AggregateExpr) and operator(node) in {"topk", "bottomk", "limitk", "limit_ratio"}:
            yield f"{operator(node)} chooses another series each time"


EVERYWHERE = [rates_of_gauges, unguarded_divisions, quantiles_without_le, needless_regexes, loose_aggregations]
# Normalisation copies counters as they are, under labels of the engine's own that relabeling left.
BUT_FOR_NORMALISATION = [unknown_names, unknown_labels, bare_counters]
FOUND_BY = {
    "vllm_num_requests_waiting > 50": unknown_names,
    'llm_up{hostname="a"} == 0': unknown_labels,
    "llm_preemptions_total > 5": bare_counters,
    "sum by (pod) (llm_time_to_first_token_seconds_sum) > 0": bare_counters,
    "increase(DCGM_FI_DEV_XID_ERRORS[5m]) > 0": rates_of_gauges,
    "llm_requests_waiting / llm_requests_running": unguarded_divisions,
    "llm_requests_waiting / sum by (pod) (llm_requests_running)": unguarded_divisions,
    "sum(llm_up)": loose_aggregations,
    "sum without (pod) (llm_up)": loose_aggregations,
    "histogram_quantile(0.9, sum by (pod) (rate(llm_request_queue_seconds_bucket[5m])))": quantiles_without_le,
    'llm_up{engine=~"vllm"}': needless_regexes,
    "topk by (pod) (1, llm_up)": unstable_choices,
}


@pytest.mark.parametrize("expr", FOUND_BY)
def test_the_lint_finds_what_it_looks_for(expr: str) -> None:
    assert list(FOUND_BY[expr](expr))


@pytest.mark.parametrize("lint", EVERYWHERE, ids=lambda lint: lint.__name__)
def test_all_rules_keep_to_it(lint: Any) -> None:
    assert complaints(lint, [rule for _, rule in RULES]) == []


@pytest.mark.parametrize("lint", BUT_FOR_NORMALISATION, ids=lambda lint: lint.__name__)
def test_rules_on_canonical_series_keep_to_it(lint: Any) -> None:
    assert complaints(lint, [rule for group, rule in RULES if group != DIRECT]) == []


@pytest.mark.parametrize("lint", [unstable_choices], ids=lambda lint: lint.__name__)
def test_alerts_keep_to_it(lint: Any) -> None:
    assert complaints(lint, ALERTS) == []


def test_normalisation_reads_what_engines_expose() -> None:
    foreign = [
        selector.name
        for group, rule in RULES
        if group == DIRECT
        for selector, _ in selectors(rule.expr)
        if selector.name not in labels_by_name() and selector.name not in raw_names() | {"up"}
    ]
    assert foreign == []


# Labels


TEMPLATE_LABEL = re.compile(r"\$labels\.(\w+)")


@pytest.mark.parametrize("alert", ALERTS, ids=name_of)
def test_every_label_of_a_template_survives_the_expression(alert: Alert) -> None:
    left = labels_left(parse(alert.expr)) | set(alert.labels)
    assert set(TEMPLATE_LABEL.findall(alert.summary + alert.description)) <= left


@pytest.mark.parametrize("alert", ALERTS, ids=name_of)
def test_a_link_sets_at_least_one_variable(alert: Alert) -> None:
    left = labels_left(parse(alert.expr)) | set(alert.labels)
    if alert.name not in {"Watchdog", "RuleEvaluationFailing"}:  # they are about no model and no GPU
        assert left & set(alert.board.variables.values())


@pytest.mark.parametrize("rule", [rule for rule in RECORDS if rule.record in RECORDED], ids=name_of)
def test_a_recorded_series_has_the_labels_that_the_catalogue_says(rule: Record) -> None:
    assert labels_left(parse(rule.expr)) | set(rule.labels) >= set(RECORDED[rule.record].labels)
    assert labels_left(parse(rule.expr)) | set(rule.labels) <= {*RECORDED[rule.record].labels, "cluster"}


def test_what_is_recorded_is_what_the_catalogue_lists() -> None:
    recorded = {rule.record for group, rule in RULES if isinstance(rule, Record) and group != DIRECT}
    assert recorded == set(RECORDED)


# Form


@pytest.mark.parametrize("alert", ALERTS, ids=name_of)
def test_an_alert_says_what_a_person_needs(alert: Alert) -> None:
    assert re.fullmatch(r"(LLM|GPU|Inferwatch|Rule|Watchdog)[A-Za-z]*", alert.name)
    assert alert.summary and "\n" not in alert.summary and not alert.summary.endswith(".")
    assert alert.description.endswith(".") and "\n" not in alert.description
    assert alert.why.endswith(".")
    assert alert.pending


def test_no_two_rules_are_one() -> None:
    identities = [(rule.name, rule.severity, *sorted(rule.labels.items())) for rule in ALERTS]
    identities += [(rule.record, rule.expr, *sorted(rule.labels.items())) for rule in RECORDS]
    assert len(identities) == len(set(identities))


def is_given_unasked(name: str) -> bool:
    """Whether an engine, the exporter at its defaults, or Prometheus gives a series."""
    field = find_field(name)
    return field.default if field is not None else name not in KUBERNETES


@pytest.mark.parametrize("alert", ALERTS, ids=name_of)
def test_what_must_be_switched_on_is_named(alert: Alert) -> None:
    used = {selector.name for selector, _ in selectors(alert.expr)}
    needed = {name for name in used if not is_given_unasked(name)}
    spellings = {spelling for name in alert.requires for spelling in getattr(find_field(name), "names", (name,))}
    assert needed <= spellings
    assert set(alert.requires) <= used | set(RECORDED) | needed
    assert all(alert.requires.values())
