"""The preview in a real browser, its data from a real Prometheus that holds recordings of real engines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from inferwatch.commands.dashboards_preview import command
from recordings.reader import load
from tests.charts.blocks import HOSTILE
from tests.e2e.browser import Browser, browser
from tests.e2e.drawn_panels import DRAWN
from tests.e2e.recorded_prometheus import Recorded, recorded_prometheus

SMALL = Path(__file__).resolve().parents[1] / "dashboards/preview/small_board.json"
RECORDINGS = {"llama-7b-0": "kv_preemption", "llama-7b-1": "healthy_steady", "llama-13b-0": "ttft_queue_burst"}
HOSTILE_POD = f"pod {HOSTILE}"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    folder = tmp_path_factory.mktemp("prometheus")
    recordings = {pod: load(name) for pod, name in RECORDINGS.items()}
    end = int(max(recording.ended_unix_seconds for recording in recordings.values()))
    pod = HOSTILE_POD.replace("\\", "\\\\").replace('"', '\\"')
    labels = f'engine="vllm",model="m",namespace="serving",pod="{pod}"'
    extra = "".join(f"hostile_load{{{labels}}} {second} {end - 60 + second}\n" for second in range(0, 60, 5))
    with recorded_prometheus(folder, recordings, extra=extra) as running:
        yield running


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as running:
        yield running


def draw(recorded: Recorded, page: Path, *arguments: Path | str) -> str:
    options = ["--prometheus", recorded.url, "--at", str(recorded.end), "--range", "150s", "--scrape-interval", "2"]
    given = [*options, "-o", str(page), *map(str, arguments)]
    done = CliRunner().invoke(command, given, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def page(recorded: Recorded, tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = tmp_path_factory.mktemp("page") / "small.html"
    draw(recorded, written, SMALL)
    return written


@pytest.fixture
def panels(chromium: Browser, page: Path) -> dict[str, dict[str, Any]]:
    chromium.open(page)
    return {panel["title"]: panel for panel in chromium.run(DRAWN)}


def test_every_panel_draws(panels: dict[str, dict[str, Any]]) -> None:
    plots = {title: panel for title, panel in panels.items() if panel["kind"] in {"timeseries", "heatmap"}}
    assert {"Time to first token", "Tokens per second", "Time to first token, all requests"} == set(plots)
    assert {title: panel["drawn"] for title, panel in plots.items()} == dict.fromkeys(plots, "true")
    assert all(panel["marks"] for panel in plots.values())
    assert [title for title, panel in panels.items() if not panel["text"].strip() and not panel["drawn"]] == []
    assert [title for title, panel in panels.items() if panel["overflows"]] == []


def test_a_panel_without_data_says_why(panels: dict[str, dict[str, Any]]) -> None:
    empty = {title: panel["text"].strip() for title, panel in panels.items() if panel["kind"] == "notice"}
    assert empty == {
        "Draft tokens": "No data: in this time, Prometheus has no llm_spec_decode_draft_tokens_total.",
        "Log": "Not in the preview: these lines come from Loki.",
    }


def test_values_are_those_of_prometheus(recorded: Recorded, panels: dict[str, dict[str, Any]]) -> None:
    assert panels["Up"]["text"].strip() == "up"
    assert panels["Requests per second"]["text"].strip().endswith("req/s")
    rows = {line.split("\t")[0]: line.split("\t")[1:] for line in panels["Replicas"]["text"].splitlines()}
    assert rows == {
        "Pod": ["model", "Running", "Waiting"],
        "llama-13b-0": ["llama-2-13b", "0", "0"],
        "llama-7b-0": ["llama-2-7b", "0", "0"],
        "llama-7b-1": ["llama-2-7b", "0", "0"],
    }


def test_the_browser_complains_of_nothing_and_asks_for_nothing(chromium: Browser, page: Path) -> None:
    chromium.errors(), chromium.requested()
    chromium.open(page)
    assert chromium.errors() == []
    assert [url for url in chromium.requested() if not url.startswith("data:")] == [page.as_uri()]


def test_the_policy_stops_what_would_reach_the_network(chromium: Browser, page: Path) -> None:
    """The check above can fail: what a page tries is seen, and refused."""
    chromium.open(page)
    chromium.errors()
    chromium.run("document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/x.png'}))")
    tried = chromium.run("return fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')")
    assert tried == "refused"
    assert all("Content Security Policy" in error for error in chromium.errors())


def test_a_legend_entry_hides_its_series_and_shows_it_again(chromium: Browser, page: Path) -> None:
    chromium.open(page)
    lines = "return document.querySelectorAll('.of-timeseries .scatterlayer')[0].querySelectorAll('.trace').length"
    click = "document.querySelector('.of-timeseries .series button').click()"
    before = chromium.run(lines)
    chromium.run(click)
    assert chromium.run(lines) == before - 1
    assert chromium.run("return document.querySelector('.series button').getAttribute('aria-pressed')") == "false"
    chromium.run(click)
    assert chromium.run(lines) == before


@pytest.mark.parametrize(("width", "columns"), [(1500, 2), (600, 1)])
def test_a_narrow_window_has_one_column(chromium: Browser, page: Path, width: int, columns: int) -> None:
    chromium.resize(width, 900)
    chromium.open(page)
    lefts = chromium.run(
        "return [...document.querySelectorAll('.of-timeseries, .of-heatmap')].slice(0, 2)"
        ".map((panel) => panel.getBoundingClientRect().left)"
    )
    assert len(set(lefts)) == columns
    assert chromium.run("return document.documentElement.scrollWidth <= window.innerWidth")
    chromium.resize(1500, 900)


def test_colours_follow_the_readers_choice(chromium: Browser, page: Path) -> None:
    colour = "return getComputedStyle(document.querySelector('.chart text')).fill"
    found = []
    for scheme in ("light", "dark"):
        chromium.colour_scheme(scheme)
        chromium.open(page)
        found.append(chromium.run(colour))
    assert len(set(found)) == 2


def test_hostile_labels_are_text(chromium: Browser, recorded: Recorded, tmp_path: Path) -> None:
    board = json.loads(SMALL.read_text())
    rewritten = json.dumps(board).replace("llm_up", "hostile_load").replace("Engines up", json.dumps(HOSTILE)[1:-1])
    hostile = tmp_path / "hostile.json"
    hostile.write_text(rewritten)
    written = tmp_path / "hostile.html"
    draw(recorded, written, hostile, "--variable", f"model={HOSTILE}", "--variable", "model=m")
    chromium.errors()
    chromium.open(written)
    assert chromium.run("return window.struck ?? 0") == 0
    assert chromium.errors() == []
    shown = [panel for panel in chromium.run(DRAWN) if panel["kind"] == "statetimeline"]
    assert [panel["title"] for panel in shown] == [HOSTILE]
    assert HOSTILE_POD in shown[0]["text"]
    assert HOSTILE in chromium.run("return document.querySelector('.facts').innerText")


def test_a_hostile_name_is_text_where_plotly_shows_it(chromium: Browser, recorded: Recorded, tmp_path: Path) -> None:
    board = json.loads(SMALL.read_text())
    (panel,) = [one for one in board["panels"] if one["type"] == "timeseries"]
    panel["targets"] = [{"expr": "hostile_load", "legendFormat": "{{pod}}", "refId": "A"}]
    board["panels"] = [panel]
    (tmp_path / "one.json").write_text(json.dumps(board))
    draw(recorded, tmp_path / "one.html", tmp_path / "one.json")
    chromium.open(tmp_path / "one.html")
    x, y = chromium.run(
        "const box = document.querySelector('.chart .nsewdrag').getBoundingClientRect();"
        "return [box.x + box.width * 0.8, box.y + box.height / 2]"
    )
    chromium.hover(x - 4, y)
    chromium.hover(x, y)
    hovered = "return [...document.querySelectorAll('.hoverlayer text')].map((text) => text.textContent)"
    texts = chromium.eventually(hovered)
    assert any(HOSTILE_POD in text for text in texts), texts
    assert HOSTILE_POD in chromium.run("return document.querySelector('.series').innerText")
    assert chromium.run("return window.struck ?? 0") == 0


def test_on_paper_plots_shrink_with_their_panels_and_colours_are_light(chromium: Browser, page: Path) -> None:
    """A printer lays the page out anew, narrower, and tells no script of it."""
    chromium.colour_scheme("dark")
    chromium.open(page)
    chromium.colour_scheme("dark", media="print")
    try:
        chromium.run("document.body.style.width = '700px'")
        outside = chromium.run(
            "return [...document.querySelectorAll('.panel')].flatMap((panel) => {"
            "  const around = panel.getBoundingClientRect();"
            "  const parts = [...panel.querySelectorAll('.nsewdrag, .gridlayer path')];"
            "  return parts.map((one) => one.getBoundingClientRect())"
            "    .filter((inner) => inner.right > around.right || inner.bottom > around.bottom)"
            "    .map((inner) => inner.right - around.right)"
            "})"
        )
        assert outside == []
        assert chromium.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    finally:
        chromium.colour_scheme("light")
