"""The HTML report in a real browser: every chart drawn, nothing asked for, nothing of a log more than text."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from recordings.reader import bundled, load, read_log
from tests.e2e.browser import Browser, browser
from troubleshoot.collect import Request, collect
from troubleshoot.diagnosis import diagnose
from troubleshoot.report.html import render_html

# A folder for pictures of the report: `docs/images` makes those of the documentation anew.
IMAGES = os.environ.get("INFERWATCH_IMAGES", "")
PICTURES = {"kv_preemption": 1500, "stuck_engine": 1300}
"""The recordings that the documentation shows, each with the height of its picture in pixels."""
STRUCK = "<script>window.struck=1</script><img src=x onerror='window.struck=1'>"
DRAWN = """
return [...document.querySelectorAll(".of-timeseries")].map((panel) => ({
  title: panel.querySelector("h3, h4").textContent,
  drawn: panel.querySelector(".chart").dataset.drawn,
  marks: panel.querySelectorAll(".scatterlayer .trace path, .barlayer path").length,
  shapes: panel.querySelectorAll(".shapelayer path").length,
  overflows: panel.scrollWidth > panel.clientWidth + 1,
}))
"""
WIDER = "return document.documentElement.scrollWidth > window.innerWidth"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as running:
        running.resize(1240, 900)
        yield running


def written(folder: Path, log: bytes, metrics: Path | None = None) -> Path:
    """The report that the command writes, its log and metrics under plain names."""
    (folder / "engine.log").write_bytes(log)
    given = ["--log", "engine.log", "--format", "html", "-o", "report.html"]
    if metrics is not None:
        shutil.copy(metrics, folder / "metrics.om.gz")
        given += ["--metrics", "metrics.om.gz"]
    done = subprocess.run(
        [sys.executable, "-m", "inferwatch", "diagnose", *given],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode in {0, 1}, done.stdout, done.stderr) == (True, "", "")
    return folder / "report.html"


Report = Callable[[str], Path]


@pytest.fixture(scope="module")
def report_of(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report of a recording, written when it is first asked for."""

    @cache
    def write(name: str) -> Path:
        recording = load(name)
        # From beside the files, as a reader would: the page names them as they are given.
        with chdir(recording.folder):
            collected = collect(Request([recording.log_path.name], [recording.metrics_path.name]))
        assert collected.evidence is not None
        page = tmp_path_factory.mktemp(name) / "report.html"
        page.write_text(render_html(diagnose(collected.evidence, collected.inputs), collected.evidence), "utf-8")
        return page

    return write


@pytest.mark.parametrize("name", bundled())
def test_every_recording_is_drawn_without_a_complaint_or_a_request(
    chromium: Browser, report_of: Report, name: str
) -> None:
    page = report_of(name)
    chromium.errors(), chromium.requested()
    chromium.open(page)
    panels = chromium.run(DRAWN)
    assert chromium.errors() == []
    assert [url for url in chromium.requested() if not url.startswith("data:")] == [page.as_uri()]
    assert bool(panels) == (name != "c_port_in_use")
    assert [panel["title"] for panel in panels if panel["drawn"] != "true" or not panel["marks"]] == []
    assert [panel["title"] for panel in panels if panel["overflows"]] == []
    assert not chromium.run(WIDER)


@pytest.mark.parametrize("name", PICTURES)
def test_the_moment_is_marked_in_every_chart(chromium: Browser, report_of: Report, name: str) -> None:
    chromium.open(report_of(name))
    assert all(panel["shapes"] for panel in chromium.run(DRAWN))
    if IMAGES:
        chromium.screenshot(Path(IMAGES) / f"report-{name}.png", height=PICTURES[name])


def test_the_policy_stops_what_would_reach_the_network(chromium: Browser, report_of: Report) -> None:
    """The check above can fail: what a page tries is seen, and refused."""
    chromium.open(report_of("kv_preemption"))
    chromium.errors()
    chromium.run("document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/x.png'}))")
    chromium.run("document.body.style.background = 'url(http://127.0.0.1:9/y.png)'")
    tried = chromium.run("return fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')")
    assert tried == "refused"
    complaints = chromium.errors()
    assert len(complaints) >= 2
    assert all("Content Security Policy" in error for error in complaints)


def test_a_line_of_a_log_with_a_script_is_shown_as_text(chromium: Browser, tmp_path: Path) -> None:
    recording = load("oom_no_kv_blocks")
    error = b"ValueError: No available memory for the cache blocks."
    hostile = read_log(recording).replace(error, error + STRUCK.encode() + b"</pre></section>-->\xe2\x80\xaegnp.\x00")
    chromium.open(written(tmp_path, hostile, recording.metrics_path))
    chromium.errors()
    lines: list[str] = chromium.run("return [...document.querySelectorAll('.lines pre')].map((line) => line.innerText)")
    assert [line for line in lines if f"{STRUCK}</pre></section>-->gnp." in line]
    assert chromium.run("return window.struck === undefined")
    assert chromium.run("return document.querySelectorAll('img').length") == 0
    assert chromium.run("return document.querySelectorAll('main > section').length") >= 4
    assert chromium.errors() == []


def test_the_text_follows_the_readers_choice_of_colours(chromium: Browser, report_of: Report) -> None:
    colours = "return [document.body, document.querySelector('.banner')].map((one) => getComputedStyle(one).%s)"
    found = {}
    for scheme in ("light", "dark"):
        chromium.colour_scheme(scheme)
        chromium.open(report_of("stuck_engine"))
        found[scheme] = [*chromium.run(colours % "backgroundColor"), *chromium.run(colours % "color")]
    chromium.colour_scheme("light")
    assert all(light != dark for light, dark in zip(found["light"], found["dark"], strict=True))


CONTRAST = """
const channels = (colour) => colour.match(/[0-9.]+/g).map(Number);
const linear = (part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
const light = ([r, g, b]) => [r, g, b].map((part) => linear(part / 255))
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const behind = (node) => {
  for (; node; node = node.parentElement) {
    const colour = channels(getComputedStyle(node).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour;
  }
  return [255, 255, 255];
};
const poor = [];
for (const node of document.querySelectorAll("header *, article.finding *, nav a, .story *, table *, footer")) {
  if (![...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim())) continue;
  const [a, b] = [light(channels(getComputedStyle(node).color)), light(behind(node))].sort((x, y) => y - x);
  const ratio = (a + 0.05) / (b + 0.05);
  if (ratio < 4.5) poor.push(`${node.className || node.tagName}: ${node.textContent.slice(0, 30)} ${ratio.toFixed(2)}`);
}
return poor;
"""


@pytest.mark.parametrize("name", ["kv_preemption", "ttft_long_prefill", "healthy_steady", "stuck_engine"])
def test_all_text_is_readable_as_wcag_asks(chromium: Browser, report_of: Report, name: str) -> None:
    poor = {}
    chromium.open(report_of(name))
    for scheme in ("dark", "light"):
        chromium.colour_scheme(scheme)
        poor[scheme] = chromium.run(CONTRAST)
    assert poor == {"dark": [], "light": []}


def test_headings_have_an_order_and_every_chart_has_words(chromium: Browser, report_of: Report) -> None:
    chromium.open(report_of("kv_preemption"))
    levels: list[int] = chromium.run(
        "return [...document.querySelectorAll('h1, h2, h3, h4, h5')].map((one) => Number(one.tagName[1]))"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(next_one <= one + 1 for one, next_one in pairwise(levels))
    told: list[str] = chromium.run("return [...document.querySelectorAll('.chart')].map((one) => one.ariaLabel)")
    assert len(told) >= 8
    assert all("lowest" in words for words in told)


@pytest.mark.parametrize("width", [360, 700, 1600])
def test_no_width_makes_the_page_wider_than_its_window(chromium: Browser, report_of: Report, width: int) -> None:
    chromium.resize(width, 900)
    try:
        for name in ("kv_preemption", "triton_queue_reject"):
            chromium.open(report_of(name))
            assert not chromium.run(WIDER)
            lefts = chromium.run(
                "return [...document.querySelectorAll('.of-timeseries')].slice(0, 2).map((one) => one.offsetLeft)"
            )
            assert len(set(lefts)) == (1 if width < 900 else 2)
    finally:
        chromium.resize(1240, 900)


def test_on_paper_everything_is_there_in_light_colours(chromium: Browser, report_of: Report) -> None:
    chromium.colour_scheme("dark")
    chromium.open(report_of("kv_preemption"))
    chromium.colour_scheme("dark", media="print")
    try:
        shown = chromium.run(
            "return ['nav', '.finding', '.chart'].map((one) => document.querySelector(one))"
            ".map((one) => one.getClientRects().length > 0)"
        )
        paper = chromium.run("return getComputedStyle(document.body).backgroundColor")
        printed = chromium.devtools("Page.printToPDF", {"preferCSSPageSize": True, "printBackground": False})
    finally:
        chromium.colour_scheme("light")
    assert shown == [False, True, True]
    assert paper == "rgb(255, 255, 255)"
    assert_printed(base64.b64decode(printed["data"]))


def assert_printed(pdf: bytes) -> None:
    """A few pages of A4, upright."""
    assert pdf.startswith(b"%PDF")
    pages = pdf.count(b"/Type /Page\n") or pdf.count(b"/Type /Page ")
    assert 3 <= pages <= 10
    assert pdf.count(b"/MediaBox [0 0 594.95996 841.91998]") or pdf.count(b"/MediaBox [0 0 595")


ON_PAPER = """
const box = (one) => one.getBoundingClientRect();
const panels = [...document.querySelectorAll(".of-timeseries")];
return panels.map((panel, number) => ({
  cut: [...panel.querySelectorAll(".series, .note, svg.main-svg")]
    .filter((one) => box(one).bottom > box(panel).bottom + 1 || box(one).right > box(panel).right + 1).length,
  covered: box(panel.querySelector(".chart")).bottom > box(panel.querySelector(".series")).top + 1,
  gap: number < 2 ? 0 : box(panel).top - box(panels[number - 2]).bottom,
}));
"""


def test_charts_on_paper_are_whole_and_close_together(chromium: Browser, report_of: Report) -> None:
    chromium.open(report_of("kv_preemption"))
    chromium.colour_scheme("light", media="print")
    chromium.resize(700, 900)
    try:
        panels = chromium.run(ON_PAPER)
    finally:
        chromium.colour_scheme("light")
        chromium.resize(1240, 900)
    assert len(panels) >= 8
    assert [panel for panel in panels if panel["cut"] or panel["covered"] or panel["gap"] > 40] == []
