"""Prints a diagnosis: as text for people, as JSON for scripts, as markdown for tickets, as a page for everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TextIO, get_args

from troubleshoot.findings import Diagnosis

if TYPE_CHECKING:
    from troubleshoot.evidence import Evidence

Format = Literal["text", "json", "markdown", "html"]
FORMATS: tuple[str, ...] = get_args(Format)


def render(
    diagnosis: Diagnosis,
    format: Format,  # noqa: A002 - the option's name
    *,
    stream: TextIO,
    evidence: Evidence | None = None,
) -> None:
    """Writes the diagnosis to `stream` in one of `FORMATS`. Raises ValueError for any other.

    `evidence` is what it was made from: the page draws its charts from it, the others do not look at it.
    """
    if format == "text":
        from troubleshoot.report.text import print_text

        print_text(diagnosis, stream)
    elif format == "json":
        from troubleshoot.report.json import render_json

        stream.write(render_json(diagnosis))
    elif format == "markdown":
        from troubleshoot.report.markdown import render_markdown
        from troubleshoot.report.output import write

        write(render_markdown(diagnosis), stream)
    elif format == "html":
        from troubleshoot.report.html import render_html
        from troubleshoot.report.output import write

        write(render_html(diagnosis, evidence), stream)
    else:
        raise ValueError(f"unknown report format {format!r}: use one of {', '.join(FORMATS)}")
