"""Prints a diagnosis: as text for people, as JSON for scripts, as markdown for tickets."""

from __future__ import annotations

from typing import Literal, TextIO, get_args

from troubleshoot.findings import Diagnosis

Format = Literal["text", "json", "markdown"]
FORMATS: tuple[str, ...] = get_args(Format)


def render(diagnosis: Diagnosis, format: Format, *, stream: TextIO) -> None:  # noqa: A002 - the option's name
    """Writes the diagnosis to `stream` in one of `FORMATS`. Raises ValueError for any other."""
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
    else:
        raise ValueError(f"unknown report format {format!r}: use one of {', '.join(FORMATS)}")
