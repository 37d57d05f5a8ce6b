"""All files that are made from the boards, as text by path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from catalog.yaml_text import document
from dashboards.boards import BOARDS
from dashboards.emit import api_json, as_text, config_map, grafana_dashboard, import_json
from dashboards.finalise import board_json

__all__ = ["KINDS", "board_by_name", "generated_files"]

KINDS: tuple[str, ...] = (".json", ".yaml")
"""Suffixes of the generated files."""

_BANNER = "# Written by `inferwatch dashboards generate`; change the code in dashboards/ instead.\n"


def board_by_name(name: str) -> dict[str, Any]:
    """Return one board's JSON. Raises KeyError for no board."""
    return board_json(BOARDS[name]())


def generated_files() -> Mapping[str, str]:
    """Return the text of every file by its path below the output folder."""
    return dict(_files())


def _files() -> Iterator[tuple[str, str]]:
    for name in BOARDS:
        board = board_by_name(name)
        yield f"api/{name}.json", as_text(api_json(board))
        yield f"import/{name}.json", as_text(import_json(board))
        yield f"configmap/{name}.yaml", _BANNER + document(config_map(board))
        yield f"operator/{name}.yaml", _BANNER + document(grafana_dashboard(board))
