"""The page: one file that asks for nothing, on which text from data stays text."""

from __future__ import annotations

import builtins
import gzip
import json
import re
from base64 import b64decode
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest

from charts import library
from charts.blocks import Block, Cell, Moment, Notice, Panel, Section, Text, TimeSeries
from charts.library import ChartsUnavailableError, integrity, plotly_script
from charts.markup import _commonmark, json_for_html, markdown, markup
from charts.page import page
from tests.charts.blocks import HOSTILE, one_of_each

_VOID = {"meta", "link", "img", "br", "hr", "input"}
KINDS = sorted(one_of_each(""))


class _Read(HTMLParser):
    """The elements of a page, and what stands in its scripts."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._open: list[str] = []
        self.unbalanced: list[str] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            self.scripts[-1] += data


def sections(name: str) -> list[Section]:
    cells = tuple(Cell(Panel(block, name, name, (name,)), 12, 8) for block in one_of_each(name).values())
    return [
        Section(name, lead=name, moments=(Moment(115.0, name),), opens_chapter=True),
        Section("Row", cells),
        Section("Second", opens_chapter=True),
    ]


@pytest.fixture(scope="module")
def hostile() -> _Read:
    return _Read(page(HOSTILE, sections(HOSTILE), lead=HOSTILE, facts=((HOSTILE, HOSTILE),), footer=HOSTILE))


def test_the_page_is_well_formed(hostile: _Read) -> None:
    assert hostile.unbalanced == []
    assert {"main", "header", "nav", "section", "article"} <= {tag for tag, _ in hostile.elements}


def test_hostile_text_makes_no_element_and_no_attribute(hostile: _Read) -> None:
    calm = _Read(page("calm", sections("calm"), lead="calm", facts=(("calm", "calm"),), footer="calm"))
    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in calm.elements]
    assert [sorted(attributes) for _, attributes in hostile.elements] == [
        sorted(attributes) for _, attributes in calm.elements
    ]


def test_nothing_on_the_page_is_fetched(hostile: _Read) -> None:
    sources = [
        value
        for _, attributes in hostile.elements
        for name, value in attributes.items()
        if name in {"src", "srcset", "href", "action", "data", "poster", "xlink:href"}
    ]
    assert [source for source in sources if source and not source.startswith(("#", "data:"))] == []


def test_the_policy_allows_the_pages_two_scripts_and_no_other(hostile: _Read) -> None:
    (policy,) = [
        attributes["content"] for tag, attributes in hostile.elements if tag == "meta" and "http-equiv" in attributes
    ]
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"].split() == [integrity(hostile.scripts[-1]), integrity(plotly_script())]
    assert "connect-src" not in rules
    assert rules["img-src"] == "data:"


def test_the_library_on_the_page_is_the_packages_own(hostile: _Read) -> None:
    packed = [
        script
        for script, attributes in zip(
            hostile.scripts, (attributes for tag, attributes in hostile.elements if tag == "script"), strict=True
        )
        if attributes.get("id") == "library"
    ]
    assert [gzip.decompress(b64decode(text)).decode() for text in packed] == [plotly_script()]


def test_figures_come_through_as_they_are(hostile: _Read) -> None:
    figures = [json.loads(script) for script in hostile.scripts if script.startswith('{"times"')]
    assert len(figures) == 2
    assert figures[0]["traces"][0]["y"] == [100, 200, None, 400]


def test_json_never_ends_its_script() -> None:
    value = {"<!--": "</script>", "amp": "&amp;", "separator": "\u2028", "lone": "\ud800"}
    written = json_for_html(value)
    assert not set("<>&") & set(written)
    assert written.isascii()
    assert json.loads(written) == value


@pytest.mark.parametrize("kind", KINDS)
def test_every_block_shows_its_text(kind: str) -> None:
    shown = unescape(re.sub(r"<[^>]*>", "", markup(one_of_each("plain words")[kind], "title", "1")))
    assert "plain words" in shown or kind == "heatmap"


def test_a_page_without_plots_needs_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "plotly")
    document = page("Small", [Section("", (Cell(Panel(Text("words"))),))])
    assert len(document) < 20_000
    assert 'id="library"' not in document


def test_a_plot_without_the_library_is_a_line_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "plotly")
    plot = one_of_each("a")["time series"]
    assert isinstance(plot, TimeSeries)
    with pytest.raises(ChartsUnavailableError, match=r"pip install 'inferwatch\[preview\]'$"):
        page("Plots", [Section("", (Cell(Panel(plot)),))])


def test_words_without_their_reader_are_a_line_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "markdown_it")
    with pytest.raises(ChartsUnavailableError, match=r"pip install 'inferwatch\[preview\]'$"):
        page("Words", [Section("", (Cell(Panel(Text("words", "markdown"))),))])


def test_what_is_missing_is_said_before_anything_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    assert library.missing() == ""
    without(monkeypatch, "plotly")
    assert library.missing() == "plots need plotly: pip install 'inferwatch[preview]'"


def without(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """As if a package were not installed."""
    own_import = builtins.__import__

    def refusing(name: str, *rest: Any, **named: Any) -> Any:
        if name.startswith(package):
            raise ImportError(name)
        return own_import(name, *rest, **named)

    library.plotly_script.cache_clear()
    library.packed_library.cache_clear()
    _commonmark.cache_clear()
    monkeypatch.setattr(builtins, "__import__", refusing)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>"),
        ("![x](https://elsewhere/x.png)", '<p>!<a href="https://elsewhere/x.png">x</a></p>'),
        ("<b>x</b>", "<p>&lt;b&gt;x&lt;/b&gt;</p>"),
        ("**x** `y`", "<p><strong>x</strong> <code>y</code></p>"),
    ],
)
def test_markdown_is_words_and_links(written: str, expected: str) -> None:
    assert markdown(written).strip() == expected


def test_a_panel_stands_where_its_cell_says() -> None:
    cells = (
        Cell(Panel(Notice("a"), "A"), width=8, height=4, column=16, row=3),
        Cell(Panel(Notice("b"), "B"), width=6),
        Cell(Panel(Notice("c"), "C"), width=99, height=2),
    )
    styles = [
        attributes["style"] for tag, attributes in _Read(page("P", [Section("", cells)])).elements if tag == "article"
    ]
    assert styles == [
        "grid-column:17 / span 8;grid-row:4 / span 4;--height:4",
        "grid-column:span 6;grid-row:span 1",
        "grid-column:span 24;grid-row:span 2;--height:2",
    ]


@pytest.mark.parametrize("colour", ["red;background:url(https://x)", '"><script>', "expression(1)", "#12"])
def test_a_colour_is_nothing_but_a_colour(colour: str) -> None:
    from charts.blocks import Stat, Value

    block: Block = Stat((Value(1.0, colour=colour),))
    assert "style" not in markup(block, "t", "1")


def test_every_plot_has_its_meaning_in_words(hostile: _Read) -> None:
    labels = [attributes.get("aria-label") for _, attributes in hostile.elements if attributes.get("class") == "chart"]
    assert len(labels) == 2
    assert all(label and "1970-01-01 00:01:40 UTC" in label for label in labels)


def test_text_that_no_file_can_hold_is_replaced() -> None:
    assert "a?b" in page("a\ud800b", [])


def test_two_pages_of_the_same_are_the_same() -> None:
    assert page("T", sections("a")) == page("T", sections("a"))
