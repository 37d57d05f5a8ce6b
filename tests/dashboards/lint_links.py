"""Lints of variables, links and tables. Each takes a board's JSON and returns what is wrong, a line each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from catalog.boards import BOARDS
from tests.dashboards.pages import Json, asked_everywhere, columns_of, overrides, page, panels
from tests.dashboards.promql_tree import labels_of, tree

_MACROS = {"__rate_interval", "__range", "__interval", "__url_time_range", "__field", "__data"}
_VARIABLE = re.compile(r"\$(?:\{(\w+)|(\w+))")
_OF_FIELD = re.compile(r"__field\.labels\.(\w+)")
_OF_ROW = re.compile(r'__data\.fields\["([^"]+)"\]')


def unknown_variables(board: Json) -> list[str]:
    """Queries and links use variables that there are, and every variable is used."""
    there = {variable["name"] for variable in board["templating"]["list"]}
    texts = {one.where: one.expr for one in asked_everywhere(board)}
    texts |= {f"{panel['title']} {url}": url for panel in panels(board) for url in _urls(panel)}
    texts |= {f"log {n}": t["expr"] for n, p in enumerate(panels(board)) for t in p.get("targets", ()) if "expr" in t}
    used = {where: {one or other for one, other in _VARIABLE.findall(text)} - _MACROS for where, text in texts.items()}
    found = [f"{where}: no variable {name}" for where, names in used.items() for name in names - there]
    every = set[str]().union(*used.values()) | {"datasource", "loki"}
    return [*found, *(f"nothing uses {name}" for name in there - every)]


def _urls(panel: Json) -> Iterator[str]:
    yield from (link["url"] for link in panel["fieldConfig"]["defaults"].get("links", ()))
    for _, properties in overrides(panel):
        yield from (link["url"] for link in properties.get("links", ()))


def lost_links(board: Json) -> list[str]:
    """Links lead to boards and variables that there are, and set them from labels that there are."""
    found = [
        f"link {link['title']}: {link['url']}"
        for link in board["links"]
        if not _leads_to_a_board(link["url"]) or not (link["includeVars"] and link["keepTime"])
    ]
    others = {f"/d/{one.uid}" for one in BOARDS.values()} - {f"/d/{board['uid']}"}
    if {link["url"] for link in board["links"]} != others:
        found.append("the head does not link to every other board")
    for panel in panels(board):
        found += [f"{panel['title']}: {text}" for url in _urls(panel) for text in _lost(url, panel)]
    return found


def _lost(url: str, panel: Json) -> Iterator[str]:
    parts = urlsplit(url)
    if not _leads_to_a_board(parts.path):
        yield f"{parts.path} is no board"
        return
    target = page(parts.path.removeprefix("/d/inferwatch-"))
    there = {variable["name"] for variable in target["templating"]["list"]}
    set_here = re.findall(r"var-(\w+)=", parts.query)
    yield from (f"{target['title']} has no variable {name}" for name in set_here if name not in there)
    if "${datasource:queryparam}" not in parts.query or "${__url_time_range}" not in parts.query:
        yield "loses the data source or the time range"
    exprs = [tree(one["expr"]) for one in panel["targets"]]
    known = frozenset[str]().union(*(labels_of(root) for root in exprs))
    yield from (f"no query has label {label}" for label in _OF_FIELD.findall(url) if label not in known)
    titles = set(columns_of(panel).values()) if panel["type"] == "table" else set()
    yield from (f"there is no column {title}" for title in _OF_ROW.findall(url) if title not in titles)


def _leads_to_a_board(url: str) -> bool:
    return url in {f"/d/{one.uid}" for one in BOARDS.values()}


def odd_columns(board: Json) -> list[str]:
    """A table's columns are labels that its queries give; overrides are of columns that there are."""
    found = []
    for panel in panels(board):
        if panel["type"] != "table":
            continue
        renamed = columns_of(panel)
        for target in panel["targets"]:
            labels = {name for name in renamed if not name.startswith("Value")}
            given = labels_of(tree(target["expr"]))
            if given != labels:
                found.append(f"{panel['title']} {target['refId']}: gives {sorted(given)}, columns are {sorted(labels)}")
        titles = set(renamed.values())
        if len(titles) < len(renamed):
            found.append(f"{panel['title']}: two columns have one title")
        found += [
            f"{panel['title']}: no column {one['options']}"
            for one, _ in overrides(panel)
            if one["options"] not in titles
        ]
        found += [
            f"{panel['title']}: sorts by no column"
            for one in panel["options"]["sortBy"]
            if one["displayName"] not in titles
        ]
    return found


RULES: tuple[Callable[[Json], list[str]], ...] = (unknown_variables, lost_links, odd_columns)
