"""`docs/dashboards-coverage.md`: which panel shows something of which engine, and what is lacking where it does not.

`python -m tests.dashboards.coverage` writes it. Its answers are those that `tests/e2e/test_dashboards_data.py` finds to
be Prometheus's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from catalog.boards import BOARDS as IDENTITIES
from catalog.engines import ENGINES
from tests.dashboards.needs import missing
from tests.dashboards.panel_queries import PanelQuery, other_panels, panel_queries

PAGE = Path(__file__).resolve().parents[2] / "docs/dashboards-coverage.md"
ALL, PART = "yes", "part"
_INTRODUCTION = """# Which panel shows what of which engine

Written by `python -m tests.dashboards.coverage` from the engines' catalogue, the boards' queries and the rules that
they rest on. `tests/e2e/test_dashboards_data.py` holds it against a real Prometheus: every query of every panel, with
all engines and with each alone, over pages made of each engine's whole catalogue.

*yes*: every query of the panel gives something. *part* and a number: some do; a number alone: none does. The numbers
stand below for what the engine does not expose. An engine may need a flag for some of its series, and older releases
have fewer: see [the exporter's page](exporter.md).
"""
_ELSEWHERE = """
## What depends on no engine

Panels of GPUs, Kubernetes, alerts and money as a whole are not narrowed by an engine. They need what gives their
series:

| board | panels | need |
| --- | --- | --- |
"""


@dataclass(frozen=True)
class Panel:
    """The queries of a panel that one looks at together."""

    board: str
    row: str
    title: str
    queries: tuple[PanelQuery, ...]

    def lacks(self, engine: str) -> list[frozenset[str] | None]:
        """What the engine lacks for each query, None for nothing."""
        return [missing(promql(query), engine) for query in self.queries]


def promql(query: PanelQuery) -> str:
    """The query with durations for Grafana's macros, its variables as they are."""
    return re.sub(r"\$__\w+", "5m", query.expr)


def panels() -> list[Panel]:
    """All panels that ask Prometheus, in order."""
    found: dict[tuple[str, str, str], list[PanelQuery]] = {}
    for query in panel_queries():
        found.setdefault((query.board, query.row, query.panel), []).append(query)
    return [Panel(*place, tuple(queries)) for place, queries in found.items()]


def page() -> str:
    """The page's text."""
    reasons: dict[frozenset[str], int] = {}
    tables = "".join(_table(board, reasons) for board in dict.fromkeys(panel.board for panel in panels()))
    listed = "".join(
        f"{number}. {', '.join(f'`{name}`' for name in sorted(names))}\n" for names, number in reasons.items()
    )
    return f"{_INTRODUCTION}{tables}\n## What is not exposed\n\n{listed}{_ELSEWHERE}{''.join(_others())}"


def _table(board: str, reasons: dict[frozenset[str], int]) -> str:
    mine = [panel for panel in panels() if panel.board == board and any(one.names_engine for one in panel.queries)]
    if not mine:
        return ""
    title = IDENTITIES[board].title
    names = [f"`{name}`" for name in ENGINES]
    lines = [f"\n## {title}\n", f"| panel | {' | '.join(names)} |", "| --- |" + " --- |" * len(names)]
    for panel in mine:
        cells = [_cell(panel, engine, reasons) for engine in ENGINES]
        lines.append(f"| {panel.row}: {panel.title} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(panel: Panel, engine: str, reasons: dict[frozenset[str], int]) -> str:
    lacking = [one for one in panel.lacks(engine) if one is not None]
    if not lacking:
        return ALL
    together = frozenset[str]().union(*lacking)
    number = str(reasons.setdefault(together, len(reasons) + 1))
    return number if len(lacking) == len(panel.queries) else f"{PART} {number}"


def _others() -> Iterator[str]:
    free = [panel for panel in panels() if not any(one.names_engine for one in panel.queries)]
    for board in dict.fromkeys(panel.board for panel in free):
        sources: dict[str, list[str]] = {}
        for panel in free:
            if panel.board == board:
                sources.setdefault(_sources(panel), []).append(panel.title)
        for source, titles in sources.items():
            yield f"| {board} | {', '.join(dict.fromkeys(titles))} | {source} |\n"
    for board, title, kind in other_panels():
        yield f"| {board} | {title} | {kind.capitalize()} with the engines' logs; it cannot be had in tests |\n"


def _sources(panel: Panel) -> str:
    text = " ".join(query.expr for query in panel.queries)
    patterns = {
        "the exporter, or a dcgm-exporter": r"DCGM_",
        "the exporter": r"\binferwatch_",
        "the recording rules": r"\b(cluster|gpu|pod):",
        "kube-state-metrics": r"\bkube_",
        "cAdvisor": r"\bcontainer_\w+_(total|bytes)",
        "the alerts": r"\bALERTS\b",
    }
    return ", ".join(name for name, pattern in patterns.items() if re.search(pattern, text))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
