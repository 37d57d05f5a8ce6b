"""Every query of every panel, asked of a Prometheus that holds all that the boards are about.

With all variables at All each query gives something, in the range that its unit has. With one engine chosen, it gives
something exactly where the catalogue says that the engine exposes what the query needs (`tests/dashboards/needs.py`);
`docs/dashboards-coverage.md` is written from the same answers.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from click.testing import CliRunner

from catalog.engines import ENGINES
from dashboards.boards import BOARDS
from dashboards.metrics import metrics_in
from dashboards.preview.variables import Period, Scope, choosable, chosen, durations
from inferwatch.commands.dashboards_preview import command
from tests.dashboards.coverage import promql
from tests.dashboards.needs import missing
from tests.dashboards.panel_queries import PanelQuery, asked, boards, other_panels, panel_queries
from tests.e2e.browser import Browser, browser
from tests.e2e.drawn_panels import CHAPTERS, DRAWN
from tests.e2e.full_prometheus import Full, full_prometheus
from tests.e2e.prometheus import get
from tests.exporter.gpus.conftest import uuid_of

# What is loaded once for all tests counts as the first one's time.
pytestmark = pytest.mark.timeout(400)
STEP_SECONDS = 60
RECORDINGS = ("healthy_steady", "kv_preemption", "ttft_queue_burst")
# A folder for pictures of the boards: `docs/images` makes those of the documentation anew.
IMAGES = os.environ.get("INFERWATCH_IMAGES", "")
Answer = list[tuple[dict[str, str], list[float]]]
"""Series by their labels."""

RANGES: Mapping[str, tuple[float, float]] = {
    "percentunit": (0, 1),
    "percent": (0, 100),
    "bool_yes_no": (0, 1),
    "celsius": (0, 120),
    "watt": (0, 2000),
    "suffix:MHz": (0, 5000),
}
"""What a value of a unit may be; of the others, 0 and more."""
OTHER_RANGES: Mapping[str, tuple[float, float]] = {
    "Error budget left": (-math.inf, 1),
    "Error budget left, over time": (-math.inf, 1),
    # Its columns of the budget left: a budget may be overspent many times over.
    "Objectives": (-math.inf, math.inf),
    "Models": (-math.inf, math.inf),
}
ROUNDING = 1e-9


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Full]:
    read = {name for query in panel_queries() for name in metrics_in(query.expr)}
    with full_prometheus(tmp_path_factory.mktemp("full"), read) as running:
        yield running


@pytest.fixture(scope="module")
def answers(full: Full) -> Mapping[str, Answer]:
    """The answer of each query, by its text as it is sent and by whether it is of one moment."""
    period = Period(full.start, full.end, STEP_SECONDS)
    texts = {(asked(query, period, **one), query.is_instant) for query in panel_queries() for one in choices(query)}
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda one: answer(full, *one), sorted(texts))
        return dict(zip((text for text, _ in sorted(texts)), found, strict=True))


def choices(query: PanelQuery) -> list[dict[str, str]]:
    """All, and each engine where a query is narrowed by one."""
    return [{}, *({"engine": engine} for engine in ENGINES if query.names_engine)]


def answer(full: Full, expr: str, is_instant: bool) -> Answer:
    if is_instant:
        path, span = "query", {"time": full.end}
    else:
        path, span = "query_range", {"start": full.start, "end": full.end, "step": STEP_SECONDS}
    status, body = get(full.port, f"/api/v1/{path}?{urlencode({'query': expr, **span})}")
    assert status == 200, f"{body.decode()}\n{expr}"
    series: list[dict[str, Any]] = json.loads(body)["data"]["result"]
    return [(one["metric"], [float(value) for _, value in one.get("values") or [one["value"]]]) for one in series]


def of(answers: Mapping[str, Answer], full: Full, query: PanelQuery, **wanted: str) -> Answer:
    return answers[asked(query, Period(full.start, full.end, STEP_SECONDS), **wanted)]


def test_every_query_of_every_panel_gives_something(full: Full, answers: Mapping[str, Answer]) -> None:
    assert len(panel_queries()) > 250
    assert [str(query) for query in panel_queries() if not of(answers, full, query)] == []


def test_values_are_plausible(full: Full, answers: Mapping[str, Answer]) -> None:
    wrong = []
    for query in panel_queries():
        low, high = OTHER_RANGES.get(query.panel, RANGES.get(query.unit, (0, math.inf)))
        values = [value for _, series in of(answers, full, query) for value in series]
        odd = [value for value in values if not math.isfinite(value) or not low <= value <= high + ROUNDING]
        if odd:
            wrong.append(f"{query}: {len(odd)} of {len(values)} not within {low} to {high} {query.unit}: {odd[:3]}")
    assert wrong == []


def test_quantiles_lie_within_the_bounds_of_their_histogram(full: Full, answers: Mapping[str, Answer]) -> None:
    highest: dict[str, float] = defaultdict(float)
    checked = 0
    for query in panel_queries():
        for histogram in set(re.findall(r"histogram_quantile\(.*?(llm_\w+)_bucket", query.expr)):
            if histogram not in highest:
                finite = answer(full, f'group by (le) ({histogram}_bucket{{le!="+Inf"}})', is_instant=False)
                highest[histogram] = max(float(labels["le"]) for labels, _ in finite)
            values = [value for _, series in of(answers, full, query) for value in series]
            checked += len(values)
            assert max(values) <= highest[histogram], str(query)
    assert checked > 1000


def test_an_engine_fills_exactly_what_the_catalogue_says_it_can(full: Full, answers: Mapping[str, Answer]) -> None:
    wrong = []
    for query in panel_queries():
        for engine in ENGINES if query.names_engine else ():
            lacks = missing(promql(query), engine)
            has = bool(of(answers, full, query, engine=engine))
            if has != (lacks is None):
                wrong.append(f"{query} of {engine}: {'given' if has else 'empty'}, lacks {sorted(lacks or ())}")
    assert wrong == []


def test_every_mark_and_every_variable_gives_something(full: Full) -> None:
    """`cluster` is Prometheus's external label and `node` of GPUs the scrape's: neither is in what is stored."""
    empty = []
    macros = durations(Period(full.start, full.end, STEP_SECONDS), STEP_SECONDS)
    for name, board in boards().items():
        scope = Scope(chosen(board, {}), macros)
        marks = [mark for mark in board.annotations.list if not answer(full, scope.query(mark.expr), is_instant=False)]
        empty += [f"{name}: {mark.name}" for mark in marks]
        for variable in choosable(board):
            (series, label) = re.findall(r"label_values\((.*), (\w+)\)", str(variable.query))[0]
            found = answer(full, f"group by ({label}) ({scope.query(series)})", is_instant=False)
            if not any(labels.get(label) for labels, _ in found) and label not in {"cluster", "node"}:
                empty.append(f"{name}: ${variable.name}")
    assert empty == []


def test_what_asks_no_prometheus_is_the_log_alone() -> None:
    assert other_panels() == (("replica", "Engine log", "loki"),)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as running:
        running.resize(1500, 900)
        yield running


@pytest.mark.parametrize("recording", RECORDINGS)
def test_every_board_draws_what_was_recorded(full: Full, chromium: Browser, tmp_path: Path, recording: str) -> None:
    written = tmp_path / f"{recording}.html"
    options = ["--prometheus", full.url, "--at", str(full.end), "--range", f"{full.end - full.start}s"]
    options += ["--scrape-interval", str(STEP_SECONDS), "--variable", f"namespace={recording}"]
    # The recording's GPU, which was read without profiling, beside one of the exporter's that was read with it.
    options += ["--variable", f"gpu=GPU-{recording}", "--variable", f"gpu={uuid_of(0)}"]
    done = CliRunner().invoke(command, [*options, "-o", str(written), *BOARDS], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    chromium.errors(), chromium.requested()
    chromium.open(written)
    panels = chromium.run(DRAWN)
    assert len(panels) > 100
    assert [panel["title"] for panel in panels if panel["drawn"] == "false" or panel["failed"]] == []
    assert [panel["title"] for panel in panels if panel["drawn"] and not panel["marks"]] == []
    assert [panel["title"] for panel in panels if not panel["text"].strip() and not panel["drawn"]] == []
    chapters = chromium.run(f"return {CHAPTERS}.map((one) => `#${{one.id}}`)")
    assert len(chapters) == len(BOARDS)
    assert chapters == chromium.run("return [...document.querySelectorAll('nav a')].map((link) => link.hash)")
    assert chromium.errors() == []
    assert [url for url in chromium.requested() if not url.startswith("data:")] == [written.as_uri()]
    if IMAGES:
        tops = chromium.run(f"return [...{CHAPTERS}.map((one) => one.offsetTop), document.body.scrollHeight]")
        for name, (top, end) in zip(BOARDS, pairwise(tops), strict=True):
            chromium.screenshot(Path(IMAGES) / f"board-{name}-{recording}.webp", top=top, height=end - top)
