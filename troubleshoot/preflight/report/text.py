"""A preflight as text: for a terminal or a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TextIO

from troubleshoot.findings import Fix
from troubleshoot.preflight.report import words
from troubleshoot.preflight.result import Finding, Result
from troubleshoot.report import wording
from troubleshoot.report.colour import SEVERITY_STYLES, painted
from troubleshoot.report.layout import Line, Span, cells, paragraph, plain
from troubleshoot.report.output import DEFAULT_WIDTH, columns, wants_color, write

_NARROWEST = 40
_INDENT = 9
_FOOTER_INDENT = 13
_LABEL, _CHANGE, _PLACE, _QUIET = "dim", "bold cyan", "cyan", "dim"
_VERDICT_STYLES = {"passed": "bold green", "nothing checked": "bold yellow"}


def render_text(result: Result, *, width: int = DEFAULT_WIDTH, color: bool = False) -> str:
    """The report as text of at most `width` columns; a word that is longer is never cut."""
    lines = list(_report(result, max(width, _NARROWEST)))
    return painted(lines) if color else plain(lines)


def print_text(result: Result, stream: TextIO) -> None:
    """Write the report to `stream`, coloured on a terminal that wants colours."""
    write(render_text(result, width=columns(stream), color=wants_color(stream)), stream)


def _report(result: Result, width: int) -> Iterator[Line]:
    yield from paragraph((), " · ".join(words.header(result)), width=width, hang=2, style="bold")
    for finding in result.findings:
        yield ()
        yield from _finding(finding, width)
    yield ()
    if result.verdict in _VERDICT_STYLES:
        word = Span(result.verdict.upper(), _VERDICT_STYLES[result.verdict])
        yield from paragraph((word, Span("  ")), words.summary(result), width=width)
    else:
        yield from paragraph((), words.summary(result), width=width, style="bold")
    for entry in words.not_checked(result.not_checked):
        yield from paragraph(_label("not checked", _FOOTER_INDENT), entry, width=width)
    for note in result.notes:
        yield from paragraph(_label("note", _FOOTER_INDENT), note, width=width)


def _finding(finding: Finding, width: int) -> Iterator[Line]:
    word = Span(finding.severity.name, SEVERITY_STYLES[finding.severity])
    titled = paragraph((word, Span("  ")), finding.title, width=width, style="bold")
    last = sum(cells(part.text) for part in titled[-1])
    yield from titled[:-1]
    if last + 3 + cells(finding.check) <= width:
        gap = width - last - cells(finding.check)
        yield (*titled[-1], Span(" " * gap), Span(finding.check, _QUIET))
    else:
        yield titled[-1]
        yield (Span(" " * (cells(word.text) + 2)), Span(finding.check, _QUIET))
    place = " · ".join(part for part in (*words.places(finding), finding.place.path) if part)
    yield from paragraph(_label("where"), place, width=width, style=_PLACE)
    yield from paragraph(_label("why"), finding.message, width=width)
    for number, fix in enumerate(finding.fixes):
        yield from _fix(fix, width, first=number == 0)


def _fix(fix: Fix, width: int, *, first: bool) -> Iterator[Line]:
    yield from paragraph(_label("fix" if first else ""), wording.fix_change(fix), width=width, style=_CHANGE)
    reason = wording.fix_reason(fix)
    if reason:
        yield from paragraph((Span(" " * (_INDENT + 4)),), reason, width=width)


def _label(word: str, width: int = _INDENT) -> tuple[Span]:
    margin = "  " if width == _INDENT else ""
    return (Span(f"{margin}{word}".ljust(width), _LABEL),)
