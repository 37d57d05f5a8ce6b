"""Every board is what Grafana's own TypeScript types (npm's @grafana/schema) say a dashboard is."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest

from tests.dashboards.pages import NAMES, Json, page, panels
from tests.dashboards.typescript import errors_in

# The packages are fetched once, and a compiler starts twice, on a machine that runs other tests beside.
pytestmark = pytest.mark.timeout(300)


def test_boards_have_grafanas_types(tmp_path: Path) -> None:
    assert errors_in({name: page(name) for name in NAMES}, tmp_path) == []


DEFECTS: dict[str, Callable[[Json], None]] = {
    "refresh": lambda board: board.update(refresh=30),
    "variable": lambda board: board["templating"]["list"][1].update(hide="no"),
    "annotation": lambda board: board["annotations"]["list"][0].update(enable="yes"),
    "unit": lambda board: panels(board)[0]["fieldConfig"]["defaults"].update(unit=5),
    "place": lambda board: panels(board)[0]["gridPos"].update(w="wide"),
    "enum": lambda board: panels(board)[0]["options"]["legend"].update(displayMode="grid"),
    "option": lambda board: panels(board)[0]["options"].update(legnd={}),
    "drawing": lambda board: panels(board)[0]["fieldConfig"]["defaults"]["custom"].update(drawStyle="lines"),
    "key": lambda board: board.update(rows=[]),
}


def test_the_types_see_defects(tmp_path: Path) -> None:
    broken = {name: deepcopy(page("model")) for name in DEFECTS}
    for name, plant in DEFECTS.items():
        plant(broken[name])
    found = errors_in(broken, tmp_path)
    assert {error.partition(":")[0] for error in found} == set(DEFECTS)
