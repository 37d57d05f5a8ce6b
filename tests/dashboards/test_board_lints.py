"""What holds for every board, and that each lint sees what it is there for.

The rules are those of Grafana's dashboard-linter, and of pint what needs no server, without their holes; some are ours.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from tests.dashboards import lint_links, lint_promql, lint_structure
from tests.dashboards.pages import NAMES, Json, page, panels

RULES = {rule.__name__: rule for module in (lint_promql, lint_structure, lint_links) for rule in module.RULES}
Break = Callable[[Json], None]


@pytest.mark.parametrize("board", NAMES)
@pytest.mark.parametrize("rule", RULES)
def test_board(rule: str, board: str) -> None:
    assert RULES[rule](page(board)) == []


# Each lint finds a defect that is planted in the model board.


def of_kind(board: Json, kind: str) -> Json:
    return next(panel for panel in panels(board) if panel["type"] == kind)


def first_query_has(**values: Any) -> Break:
    return lambda board: panels(board)[0]["targets"][0].update(values)


def asks(expr: str) -> Break:
    return first_query_has(expr=expr)


def legend(text: str) -> Break:
    return first_query_has(legendFormat=text)


def panel_has(kind: str, **values: Any) -> Break:
    return lambda board: of_kind(board, kind).update(values)


def field_has(kind: str, **values: Any) -> Break:
    return lambda board: of_kind(board, kind)["fieldConfig"]["defaults"].update(values)


def option_has(kind: str, option: str, **values: Any) -> Break:
    return lambda board: of_kind(board, kind)["options"][option].update(values)


def variable_has(**values: Any) -> Break:
    return lambda board: board["templating"]["list"][1].update(values)


def annotation_has(**values: Any) -> Break:
    return lambda board: board["annotations"]["list"][0].update(values)


def first_override(kind: str, **values: Any) -> Break:
    return lambda board: of_kind(board, kind)["fieldConfig"]["overrides"].insert(0, values)


def log_query(expr: str) -> Break:
    def plant(board: Json) -> None:
        source = {"type": "loki", "uid": "${loki}"}
        panels(board)[0]["targets"] = [{"datasource": source, "expr": expr, "refId": "A"}]

    return plant


def without_exemplar(board: Json) -> None:
    for target in of_kind(board, "heatmap")["targets"]:
        del target["exemplar"]


def another_variable(board: Json) -> None:
    every = board["templating"]["list"]
    every.append({**every[1], "name": "unused"})


def swapped(board: Json) -> None:
    board["panels"][1], board["panels"][2] = board["panels"][2], board["panels"][1]


def renamed_column(old: str, new: str) -> Break:
    def plant(board: Json) -> None:
        of_kind(board, "table")["transformations"][1]["options"]["renameByName"][old] = new

    return plant


def link_to(url: str) -> Break:
    return field_has("timeseries", links=[{"title": "there", "url": url}])


def named(pattern: str, colour: str) -> Break:
    return first_override(
        "timeseries",
        matcher={"id": "byRegexp", "options": pattern},
        properties=[{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
    )


FIXED = {"type": "prometheus", "uid": "P1"}
NARROWED = 'cluster=~"$cluster", namespace=~"$namespace", engine=~"$engine", model=~"$model"'
GOOD_LEAD = "?${datasource:queryparam}&var-model=${__field.labels.model:percentencode}&${__url_time_range}"
PLANTED: list[tuple[str, str, Break]] = [
    ("unparsable", "PromQL with a hole", asks("sum by (model (llm_up)")),
    ("unparsable", "an annotation's", annotation_has(expr="llm_up ==")),
    (
        "unparsable_variables",
        "another function",
        variable_has(query={"query": "query_result(llm_up)"}, definition="query_result(llm_up)"),
    ),
    (
        "unparsable_variables",
        "a label it lacks",
        variable_has(query={"query": "label_values(llm_up, UUID)"}, definition="label_values(llm_up, UUID)"),
    ),
    ("unknown_series", "an old name", asks("llm_gpu_cache_usage_perc")),
    ("unknown_series", "in an annotation", annotation_has(expr="up == 1")),
    ("unknown_labels", "a matcher", asks('llm_up{job="vllm"}')),
    ("unknown_labels", "a grouping", asks("sum by (instance) (llm_up)")),
    ("unknown_labels", "a join", asks("llm_up and on (UUID) llm_requests_running")),
    ("fixed_windows", "five minutes", asks("rate(llm_requests_total[5m])")),
    ("naked_counters", "bare", asks("llm_requests_total")),
    ("naked_counters", "with a matcher, which the linter lets pass", asks('sum(llm_requests_total{reason="stop"})')),
    ("naked_counters", "a mean of lifetimes", asks("sum(llm_request_queue_seconds_sum)")),
    ("naked_counters", "buckets", asks("histogram_quantile(0.9, llm_request_queue_seconds_bucket)")),
    ("rated_gauges", "a rate of a gauge", asks("rate(DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL[$__rate_interval])")),
    ("unguarded_divisions", "a divisor that may be zero", asks("llm_requests_running / llm_requests_waiting")),
    (
        "unguarded_divisions",
        "a guard that keeps zeros",
        asks("llm_requests_running / (llm_requests_waiting > bool 0)"),
    ),
    (
        "mismatched_sides",
        "other labels left and right",
        asks("sum by (model) (llm_requests_running) + sum by (pod) (llm_requests_waiting)"),
    ),
    ("needless_regexps", "=~ of a word", asks('llm_up{engine=~"vllm"}')),
    ("fragile", "topk", asks("topk(3, llm_requests_running)")),
    ("repeated", "twice the same", lambda board: panels(board)[1]["targets"].append(panels(board)[1]["targets"][0])),
    ("lost_legend_labels", "a label that was summed away", legend("{{pod}}")),
    ("ambiguous_legends", "a legend that leaves the namespace out", legend("{{cluster}} {{engine}} {{model}}")),
    ("unfiltered", "every namespace", asks("llm_up{" + NARROWED.replace("namespace=~", "job=~") + "}")),
    ("wordless", "no title", panel_has("table", title="")),
    ("wordless", "no advice", panel_has("heatmap", description="What it is. **Good:** low.")),
    ("wordless", "another series", panel_has("timeseries", description="**Good:** a **If not:** b Metric: `llm_up`")),
    ("unitless", "none", field_has("timeseries", unit="")),
    ("unitless", "none, behind mappings", field_has("timeseries", unit="", mappings=[])),
    ("unitless", "a typing error", field_has("heatmap", unit="secs")),
    ("unitless", "a heatmap's axis", option_has("heatmap", "yAxis", unit="")),
    ("unitless", "a heatmap's cells", option_has("heatmap", "cellValues", unit="")),
    ("unitless", "a column", lambda board: of_kind(board, "table")["fieldConfig"]["overrides"].pop()),
    ("bare_panels", "no query", panel_has("heatmap", targets=[])),
    ("bare_panels", "a name twice", lambda board: panels(board)[1]["targets"][1].update(refId="A")),
    ("other_datasources", "a fixed one", first_query_has(datasource=FIXED)),
    ("other_datasources", "an annotation's", annotation_has(datasource=FIXED)),
    ("odd_variables", "no All", variable_has(includeAll=False)),
    ("odd_variables", "no value for All", variable_has(allValue="")),
    ("odd_variables", "read once", variable_has(refresh=1)),
    ("odd_variables", "no label", variable_has(label="")),
    ("odd_variables", "another first one", lambda board: board["templating"]["list"].reverse()),
    ("editable", "editable", lambda board: board.update(editable=True)),
    ("bad_logql", "a window of its own", log_query('rate({namespace=~"$namespace"}[5m])')),
    ("overlaps", "two in a place", lambda board: board["panels"][2]["gridPos"].update(board["panels"][1]["gridPos"])),
    ("overlaps", "too wide", lambda board: board["panels"][1]["gridPos"].update(x=20, w=8)),
    ("odd_ids", "an id twice", lambda board: board["panels"][3].update(id=1)),
    ("out_of_order", "swapped", swapped),
    ("odd_colours", "one that some cannot see", named("/^p95/", "#00FF00")),
    ("odd_colours", "one with a name", field_has("timeseries", color={"mode": "fixed", "fixedColor": "dark-red"})),
    ("odd_colours", "of no series", named("/^p42/", "#0072B2")),
    ("without_exemplars", "no exemplars", without_exemplar),
    ("unmeasured", "calculated anew", lambda board: of_kind(board, "heatmap")["options"].update(calculate=True)),
    ("unknown_variables", "in a query", asks('llm_up{pod=~"$pod"}')),
    ("unknown_variables", "in a link", link_to("/d/inferwatch-slo?var-model=${served:queryparam}")),
    ("unknown_variables", "used by nothing", another_variable),
    ("lost_links", "to no board", link_to(f"/d/inferwatch-nothing{GOOD_LEAD}")),
    ("lost_links", "to no variable", link_to(f"/d/inferwatch-gpu{GOOD_LEAD}")),
    ("lost_links", "from no label", link_to(f"/d/inferwatch-slo{GOOD_LEAD.replace('labels.model', 'labels.pod')}")),
    ("lost_links", "without the time", link_to(f"/d/inferwatch-slo{GOOD_LEAD.replace('&${__url_time_range}', '')}")),
    ("lost_links", "one board less in the head", lambda board: board["links"].pop()),
    ("lost_links", "variables lost in the head", lambda board: board["links"][0].update(includeVars=False)),
    ("odd_columns", "a label that no query gives", renamed_column("container", "Container")),
    ("odd_columns", "one title twice", renamed_column("pod", "Model")),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "defect", "plant"), PLANTED, ids=[f"{rule}: {what}" for rule, what, _ in PLANTED])
def test_the_lint_sees(rule: str, defect: str, plant: Break) -> None:
    board = deepcopy(page("model"))
    plant(board)
    assert RULES[rule](board) != [], f"{rule} lets pass: {defect}"


def test_every_lint_has_seen_a_defect() -> None:
    assert {rule for rule, _, _ in PLANTED} == set(RULES)
