"""The boards as the tests read them: JSON, its panels, and the queries of all that has any."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from dashboards.boards import BOARDS
from dashboards.generate import board_by_name

NAMES = tuple(BOARDS)

Json = dict[str, Any]


class Asked(NamedTuple):
    """A PromQL query: what asks it, its text, its legend, and the panel's JSON ({} for an annotation or a variable)."""

    where: str
    expr: str
    legend: str
    panel: Json


@cache
def page(name: str) -> Json:
    return board_by_name(name)


def panels(board: Json) -> list[Json]:
    """All panels but the headings, those of folded rows too."""
    every = [inner for panel in board["panels"] for inner in (panel, *panel.get("panels", ()))]
    return [panel for panel in every if panel["type"] != "row"]


def asked(board: Json) -> Iterator[Asked]:
    """What panels ask of Prometheus."""
    for panel in panels(board):
        for target in panel.get("targets", ()):
            if target["datasource"]["type"] == "prometheus":
                where = f"{board['title']}: {panel['title']} {target['refId']}"
                yield Asked(where, target["expr"], target.get("legendFormat", ""), panel)


def asked_everywhere(board: Json) -> Iterator[Asked]:
    """What panels and annotations ask."""
    yield from asked(board)
    for annotation in board["annotations"]["list"]:
        yield Asked(f"{board['title']}: annotation {annotation['name']}", annotation["expr"], "", {})


def query_variables(board: Json) -> list[Json]:
    return [variable for variable in board["templating"]["list"] if variable["type"] == "query"]


def overrides(panel: Json) -> Iterator[tuple[Json, Json]]:
    """Each override's matcher, and its properties by id."""
    for override in panel["fieldConfig"]["overrides"]:
        yield override["matcher"], {one["id"]: one["value"] for one in override["properties"]}


def columns_of(table: Json) -> dict[str, str]:
    """The title of each column, by the label or value that it shows."""
    options = next(one["options"] for one in table["transformations"] if one["id"] == "organize")
    renamed: dict[str, str] = options["renameByName"]
    return renamed
