"""Lints of what is not PromQL. Each takes a board's JSON and returns what is wrong, a line each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise

from dashboards.metrics import metrics_in, series_kinds
from tests.dashboards.pages import Json, asked, columns_of, overrides, panels, query_variables

# Okabe and Ito's, without black and without yellow, which is faint on white; grey for what is no measurement.
SAFE = {"#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7", "#999999"}
# Grafana's ids of the units that are used: a typing error in one shows as text behind the number.
UNITS = {
    *("short", "percent", "percentunit", "s", "bytes", "mbytes", "Bps", "reqps", "ops", "flops"),
    *("watt", "celsius", "currencyUSD", "bool_yes_no", "string"),
}
CUSTOM_UNIT = re.compile(r"(suffix|count):[a-zA-Z/]+")
# Labels whose values are words that have a colour.
WORDS = ("{{reason}}", "{{code_class}}", "{{slo}}", "{{phase}}")
DATASOURCES = {"prometheus": "${datasource}", "loki": "${loki}"}
_LOG_SELECTOR = re.compile(r'\{(\w+=~"[^"]+"(, )?)+\}')


def wordless(board: Json) -> list[str]:
    """panel-title-description, of every kind of panel: what is good, what to do, and which series it is."""
    return [f"{panel['title'] or panel['id']}: {text}" for panel in panels(board) for text in _wordless(panel)]


def _wordless(panel: Json) -> Iterator[str]:
    description = panel.get("description", "")
    if not panel["title"]:
        yield "no title"
    for heading in ("**Good:** ", "**If not:** "):
        if not re.search(re.escape(heading) + r"\w", description):
            yield f"no {heading!r} in its description"
    read = dict.fromkeys(
        name
        for target in panel.get("targets", ())
        if target["datasource"]["type"] == "prometheus"
        for name in metrics_in(target["expr"])
    )
    if read and not description.endswith(f"Metric: {', '.join(f'`{name}`' for name in read)}"):
        yield "its description does not end with its series"


def unitless(board: Json) -> list[str]:
    """panel-units, without its holes: every kind of panel, every column, both sides of a heatmap, mappings or not."""
    return [f"{panel['title']}: unit {unit!r}" for panel in panels(board) for unit in _units(panel) if not _known(unit)]


def _units(panel: Json) -> Iterator[str]:
    yield panel["fieldConfig"]["defaults"].get("unit", "")
    if panel["type"] == "heatmap":
        yield panel["options"]["yAxis"].get("unit", "")
        yield panel["options"]["cellValues"].get("unit", "")
    if panel["type"] == "table":
        by_title = {matcher["options"]: properties for matcher, properties in overrides(panel)}
        renamed = columns_of(panel)
        yield from (
            by_title.get(title, {}).get("unit", "") for name, title in renamed.items() if name.startswith("Value")
        )


def _known(unit: str) -> bool:
    return unit in UNITS or CUSTOM_UNIT.fullmatch(unit) is not None


def bare_panels(board: Json) -> list[str]:
    """panel-no-targets, and the names of queries."""
    found = []
    for panel in panels(board):
        refs = [target["refId"] for target in panel.get("targets", ())]
        if not refs:
            found.append(f"{panel['title']}: asks nothing")
        if refs != [chr(ord("A") + number) for number in range(len(refs))]:
            found.append(f"{panel['title']}: refIds {refs}")
    return found


def other_datasources(board: Json) -> list[str]:
    """panel-datasource: what the variables choose, on panels, queries, annotations and variables."""
    using = [(panel["title"], panel["datasource"]) for panel in panels(board)]
    using += [(panel["title"], target["datasource"]) for panel in panels(board) for target in panel.get("targets", ())]
    using += [(one["name"], one["datasource"]) for one in board["annotations"]["list"]]
    using += [(one["name"], one["datasource"]) for one in query_variables(board)]
    return [f"{name}: {source}" for name, source in using if DATASOURCES.get(source["type"]) != source["uid"]]


def odd_variables(board: Json) -> list[str]:
    """template-datasource, template-instance, template-on-time-change-reload: each works with All."""
    first, *others = board["templating"]["list"]
    found = []
    if (first["name"], first["type"], first["query"], first["label"]) != (
        *("datasource", "datasource", "prometheus"),
        "Data source",
    ):
        found.append("the first variable is not the data source")
    for one in others:
        if one["type"] == "datasource":
            continue
        if not (one["multi"] and one["includeAll"] and one["allValue"] in {".*", ".+"}):
            found.append(f"{one['name']}: takes no All, or not several")
        if one["refresh"] != 2:
            found.append(f"{one['name']}: is not read anew when the time range changes")
        if not one["label"] or not one["label"][0].isupper():
            found.append(f"{one['name']}: has no label")
    return found


def editable(board: Json) -> list[str]:
    """uneditable-dashboard."""
    return ["the board can be edited"] if board.get("editable") is not False else []


def bad_logql(board: Json) -> list[str]:
    """target-logql: a selector over the board's variables, and no window of its own."""
    return [
        f"{panel['title']}: {target['expr']}"
        for panel in panels(board)
        for target in panel.get("targets", ())
        if target["datasource"]["type"] == "loki" and not _LOG_SELECTOR.fullmatch(target["expr"])
    ]


def overlaps(board: Json) -> list[str]:
    """No panel stands on another or beyond the 24 columns, within a folded row neither; headings part the rows."""
    found = []
    folded = [panel["panels"] for panel in board["panels"] if panel.get("panels")]
    for group in (board["panels"], *folded):
        taken: dict[tuple[int, int], str] = {}
        for panel in group:
            place = panel["gridPos"]
            if place["x"] < 0 or place["x"] + place["w"] > 24 or place["w"] < 1 or place["h"] < 1:
                found.append(f"{panel['title']}: beyond the board")
            for cell in (
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            ):
                if cell in taken:
                    found.append(f"{panel['title']} stands on {taken[cell]}")
                    break
                taken[cell] = panel["title"]
    return found


def odd_ids(board: Json) -> list[str]:
    """Panels are numbered from 1 in reading order, folded ones too."""
    ids = [inner["id"] for panel in board["panels"] for inner in (panel, *panel.get("panels", ()))]
    return [f"ids {ids}"] if ids != list(range(1, len(ids) + 1)) else []


def out_of_order(board: Json) -> list[str]:
    """Panels are listed as they are read."""
    places = [(panel["gridPos"]["y"], panel["gridPos"]["x"]) for panel in board["panels"]]
    return [f"{second} after {first}" for first, second in pairwise(places) if second < first]


def odd_colours(board: Json) -> list[str]:
    """Colours are of the safe set, stay apart within a panel, and are of series that there are."""
    found = [f"{where}: {colour}" for where, colour in _colours(board) if colour not in SAFE]
    for panel in panels(board):
        if panel["type"] == "table":
            continue
        words = {
            matcher["options"]: properties["color"]["fixedColor"]
            for matcher, properties in overrides(panel)
            if "color" in properties
        }
        shared = [colour for colour, count in Counter(words.values()).items() if count > 1]
        found += [f"{panel['title']}: two series are {colour}" for colour in shared]
        legends = [one.legend for one in asked(board) if one.panel["id"] == panel["id"]]
        for pattern, _ in overrides(panel):
            if not any(
                legend.startswith(WORDS) or re.search(pattern["options"].strip("/"), legend) for legend in legends
            ):
                found.append(f"{panel['title']}: no series is {pattern['options']}")
    return found


def _colours(board: Json) -> Iterator[tuple[str, str]]:
    for annotation in board["annotations"]["list"]:
        yield annotation["name"], annotation["iconColor"]
    for panel in panels(board):
        text = str(panel["fieldConfig"])
        yield from ((panel["title"], colour) for colour in re.findall(r"#[0-9A-Fa-f]{6}", text))
        yield from ((panel["title"], word) for word in re.findall(r"'(?:fixedColor|color)': '([a-z-]+)'", text))


def without_exemplars(board: Json) -> list[str]:
    """Latency from buckets shows single requests beside it."""
    found = []
    for panel in panels(board):
        exprs = [target for target in panel.get("targets", ()) if "_seconds_bucket" in target.get("expr", "")]
        if exprs and not any(target.get("exemplar") for target in exprs):
            found.append(f"{panel['title']}: no exemplars")
    return found


def unmeasured(board: Json) -> list[str]:
    """Heatmaps take buckets as they are, and nothing but buckets."""
    found = []
    for panel in panels(board):
        if panel["type"] != "heatmap":
            continue
        formats = {target["format"] for target in panel["targets"]}
        kinds = {series_kinds()[name] for target in panel["targets"] for name in metrics_in(target["expr"])}
        if panel["options"]["calculate"] or formats != {"heatmap"} or kinds != {"bucket"}:
            found.append(f"{panel['title']}: no buckets as they are")
    return found


RULES: tuple[Callable[[Json], list[str]], ...] = (
    wordless,
    unitless,
    bare_panels,
    other_datasources,
    odd_variables,
    editable,
    bad_logql,
    overlaps,
    odd_ids,
    out_of_order,
    odd_colours,
    without_exemplars,
    unmeasured,
)
