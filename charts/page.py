"""One self-contained HTML page: no request leaves it, no script but its own two runs in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from charts.blocks import Cell, Moment, Section
from charts.colours import checked
from charts.library import draw_script, integrity, packed_library, plotly_script, style
from charts.markup import is_plot, markdown, markup
from charts.words import clock

__all__ = ["document", "page", "section_markup"]

_COLUMNS = 24


def page(
    title: str,
    sections: Sequence[Section],
    *,
    lead: str = "",
    facts: Sequence[tuple[str, str]] = (),
    footer: str = "",
) -> str:
    """Return the whole document.

    `lead` and `footer` are CommonMark; `facts` are names and values that stand below the title. Pages with a plot
    carry the chart library. Raises ChartsUnavailableError when that is not installed.
    """
    body = "".join(section_markup(section, str(number)) for number, section in enumerate(sections, 1))
    told = "".join(f"<div><dt>{escape(name)}</dt><dd><bdi>{escape(value)}</bdi></dd></div>" for name, value in facts)
    header = "".join(
        (
            f"<h1>{escape(title)}</h1>",
            f'<div class="prose lead">{markdown(lead)}</div>' if lead else "",
            f'<dl class="facts">{told}</dl>' if told else "",
        )
    )
    has_plots = any(is_plot(cell.panel.block) for section in sections for cell in section.cells)
    return document(
        title,
        header,
        _contents(sections),
        body,
        footer=f'<footer class="prose">{markdown(footer)}</footer>' if footer else "",
        has_plots=has_plots,
    )


def document(
    title: str, header: str, contents: str, body: str, *, footer: str = "", more_style: str = "", has_plots: bool
) -> str:
    """Return a document around HTML that the caller wrote: whatever in it comes from data is escaped already.

    `more_style` is a style sheet behind the page's own. No request can leave the document, whatever is in it: its
    policy allows its own scripts alone. Raises ChartsUnavailableError when it has plots and cannot draw them.
    """
    whole = "".join(
        (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{escape(_policy(has_plots))}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer"><meta name="color-scheme" content="light dark">',
            f'<link rel="icon" href="data:,"><title>{escape(title)}</title>',
            f"<style>{style()}{more_style}</style></head>\n",
            f'<body><a class="skip" href="#content">To the content</a><header>{header}',
            "<noscript><p class='notice problem'>Plots need JavaScript; numbers and tables do not.</p></noscript>"
            if has_plots
            else "",
            f'</header>{contents}<main id="content">{body}</main>{footer}',
            f'<script type="text/plain" id="library">{packed_library()}</script>' if has_plots else "",
            f"<script>{draw_script()}</script>",
            "</body></html>\n",
        )
    )
    # Text from elsewhere may hold halves of surrogate pairs, which no file can.
    return whole.encode("utf-8", "replace").decode("utf-8")


def _policy(has_plots: bool) -> str:
    scripts = [integrity(draw_script()), *([integrity(plotly_script())] if has_plots else [])]
    return (
        f"default-src 'none'; script-src {' '.join(scripts)}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _contents(sections: Sequence[Section]) -> str:
    links = [
        f'<li><a href="#section-{number}">{escape(section.title)}</a></li>'
        for number, section in enumerate(sections, 1)
        if section.opens_chapter
    ]
    return f'<nav aria-label="Contents"><ul>{"".join(links)}</ul></nav>' if len(links) > 1 else ""


def section_markup(section: Section, key: str) -> str:
    """Return a section as HTML; `key` makes its ids its own on the page."""
    level = 2 if section.opens_chapter else 3
    heading = f"<h{level}>{escape(section.title)}</h{level}>" if section.title else ""
    lead = f'<div class="prose">{markdown(section.lead)}</div>' if section.lead else ""
    cells = "".join(_cell(cell, f"{key}-{i}", level + 1) for i, cell in enumerate(section.cells, 1))
    grid = f'<div class="grid">{cells}</div>' if cells else ""
    label = f' aria-label="{escape(section.title)}"' if section.title else ""
    return f'<section id="section-{key}"{label}>{heading}{lead}{_moments(section.moments)}{grid}</section>'


def _moments(moments: Iterable[Moment]) -> str:
    told = [
        f'<li><i class="key" style="background:{checked(moment.colour) or "#999999"}"></i>'
        f"<time>{clock(moment.time)}</time> <bdi>{escape(moment.text)}</bdi></li>"
        for moment in sorted(moments, key=lambda moment: moment.time)
    ]
    count = f"{len(told)} marked moment{'s' if len(told) > 1 else ''}"
    return f'<details class="moments"><summary>{count}</summary><ul>{"".join(told)}</ul></details>' if told else ""


def _cell(cell: Cell, key: str, level: int) -> str:
    panel = cell.panel
    about = (
        f'<details class="about"><summary aria-label="About {escape(panel.title)}">i</summary>'
        f'<div class="prose">{markdown(panel.about)}</div></details>'
        if panel.about
        else ""
    )
    heading = f'<h{level} id="title-{key}">{escape(panel.title)}</h{level}>' if panel.title else ""
    head = f'<div class="head">{heading}{about}</div>' if heading or about else ""
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in panel.notes)
    label = f' aria-labelledby="title-{key}"' if heading else ""
    kind = f"of-{type(panel.block).__name__.lower()}{' right' if (cell.column or 0) >= _COLUMNS // 2 else ''}"
    return (
        f'<article class="panel {kind}" id="panel-{key}"{label} style="{_place(cell)}">{head}'
        f'<div class="body">{markup(panel.block, panel.title, key)}</div>{notes}</article>'
    )


def _place(cell: Cell) -> str:
    width = min(max(cell.width, 1), _COLUMNS)
    column = f"{cell.column + 1} / span {width}" if cell.column is not None else f"span {width}"
    height = cell.height or 1
    row = f"{cell.row + 1} / span {height}" if cell.row is not None else f"span {height}"
    least = f";--height:{height}" if cell.height else ""
    return f"grid-column:{column};grid-row:{row}{least}"
