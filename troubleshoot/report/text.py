"""The diagnosis as text: what the person on call reads in a terminal, or what a pipe gets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TextIO

from troubleshoot.findings import Diagnosis, Finding, Fix, MetricEvidence
from troubleshoot.report import wording
from troubleshoot.report.colour import SEVERITY_STYLES, painted
from troubleshoot.report.layout import Line, Span, cells, paragraph, plain
from troubleshoot.report.output import DEFAULT_WIDTH, columns, wants_color, write
from troubleshoot.report.safe import safe

_NARROWEST = 40
_INDENT = 9  # the column where the text after "  why", "  fix", "  proof", "  next" starts
_FOOTER_INDENT = 12  # the same for "ruled out", "not checked", "measured", "note"
_FIX_COLUMN = 40  # a change longer than this gets its reason on the next line
_VERDICT_STYLES = {"healthy": "bold green", "incident": "bold red", "inconclusive": "bold yellow"}
_LABEL, _CHANGE, _PLACE, _QUIET = "dim", "bold cyan", "cyan", "dim"


def render_text(diagnosis: Diagnosis, *, width: int = DEFAULT_WIDTH, color: bool = False) -> str:
    """The report as text of at most `width` columns (a word that is longer is never cut).

    Without `color` there is nothing in it but printable characters and line ends, and rich is not imported.
    """
    lines = list(_report(safe(diagnosis), max(width, _NARROWEST)))
    return painted(lines) if color else plain(lines)


def print_text(diagnosis: Diagnosis, stream: TextIO) -> None:
    """Writes the report to `stream`: coloured on a terminal that wants colours, else plain.

    The width is COLUMNS, else the terminal's, else 100. A character that the stream's encoding lacks becomes
    a backslash escape.
    """
    text = render_text(diagnosis, width=columns(stream), color=wants_color(stream))
    write(text, stream)


def _report(diagnosis: Diagnosis, width: int) -> Iterator[Line]:
    yield from paragraph((), " · ".join(wording.header_parts(diagnosis)), width=width, hang=2, style="bold")
    if not diagnosis.findings or diagnosis.verdict != "incident":
        yield ()
        word = Span(diagnosis.verdict.upper(), _VERDICT_STYLES[diagnosis.verdict])
        yield from paragraph((word, Span("  ")), diagnosis.summary, width=width)
    for finding in diagnosis.findings:
        yield ()
        yield from _finding(finding, width)
    footer = list(_footer(diagnosis, width))
    if footer:
        yield ()
        yield from footer


def _finding(finding: Finding, width: int) -> Iterator[Line]:
    word = Span(finding.severity.name, SEVERITY_STYLES[finding.severity])
    titled = paragraph((word, Span("  ")), finding.title, width=width, style="bold")
    judged = f"{finding.cause}  {wording.confidence(finding.confidence)}"
    last = sum(cells(part.text) for part in titled[-1])
    if last + 3 + cells(judged) <= width:
        gap = width - last - cells(judged)
        yield from titled[:-1]
        yield (*titled[-1], Span(" " * gap), Span(judged, _QUIET))
    else:
        yield from titled
        yield (Span(" " * (cells(word.text) + 2)), Span(judged, _QUIET))
    if finding.explanation:
        yield from paragraph(_label("why"), finding.explanation, width=width)
    if finding.explained_by:
        text = f"{finding.explained_by}, above: what mends it mends this"
        yield from paragraph(_label("from"), text, width=width)
        return
    yield from _fixes(finding.fixes, width)
    yield from _proof(finding, width)
    yield from paragraph(_label("next"), wording.next_step(finding.cause, finding.runbook), width=width)


def _label(word: str, width: int = _INDENT) -> tuple[Span]:
    margin = "  " if width == _INDENT else ""
    return (Span(f"{margin}{word}".ljust(width), _LABEL),)


def _fixes(fixes: tuple[Fix, ...], width: int) -> Iterator[Line]:
    """One change a line, "or" before the second and later; reasons stand in a column where there is room."""
    changes = [("or " if index else "", wording.fix_change(fix)) for index, fix in enumerate(fixes)]
    lengths = [cells(lead + change) for lead, change in changes]
    column = _INDENT + max((length for length in lengths if length <= _FIX_COLUMN), default=0) + 3
    for fix, (lead, change), length in zip(fixes, changes, lengths, strict=True):
        head = (*_label("" if lead else "fix"), Span(lead, _LABEL))
        reason = wording.fix_reason(fix)
        if _INDENT + length + 3 <= column <= width - 30:
            gap = Span(" " * (column - _INDENT - length))
            yield from paragraph((*head, Span(change, _CHANGE), gap), reason, width=width)
        else:
            yield from paragraph(head, change, width=width, style=_CHANGE)
            if reason:
                yield from paragraph((Span(" " * (_INDENT + 4)),), reason, width=width)


def _proof(finding: Finding, width: int) -> Iterator[Line]:
    """The measured values in one paragraph, then each line of a log on its own."""
    label = _label("proof")
    measured = [item for item in finding.evidence if isinstance(item, MetricEvidence)]
    if measured:
        yield from paragraph(label, " · ".join(wording.metric(item) for item in measured), width=width)
        label = _label("")
    for item in finding.evidence:
        if not isinstance(item, MetricEvidence):
            place = Span(f"{wording.place(item)}  ", _PLACE)
            yield from paragraph((*label, place), item.text, width=width, hang=_INDENT + 2)
            label = _label("")


def _footer(diagnosis: Diagnosis, width: int) -> Iterator[Line]:
    since = [wording.moment(diagnosis.since)] if diagnosis.since is not None else []
    entries = (
        ("since", since),
        ("changed", wording.dated_changes(diagnosis)),
        ("unlike", wording.earlier_changes(diagnosis)),
        ("measured", [] if diagnosis.findings else _numbers(diagnosis)),
        ("ruled out", wording.ruled_out(diagnosis)),
        ("not checked", wording.not_checked(diagnosis.not_evaluated)),
    )
    for label, items in entries:
        if items:
            yield from paragraph(_label(label, _FOOTER_INDENT), " · ".join(items), width=width)
    for index, line in enumerate(wording.fleet(diagnosis)):
        yield from paragraph(_label("" if index else "replicas", _FOOTER_INDENT), line, width=width)
    for note in wording.notes(diagnosis):
        yield from paragraph(_label("note", _FOOTER_INDENT), note, width=width)


def _numbers(diagnosis: Diagnosis) -> list[str]:
    return [
        f"{name} {value if isinstance(value, str) else wording.number(value)}"
        for name, value in sorted(diagnosis.numbers.items())
    ]
