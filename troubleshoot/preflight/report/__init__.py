"""Prints a preflight: as text for people, JSON for scripts, SARIF for code hosts, Markdown for reviews."""

from __future__ import annotations

from typing import Literal, TextIO, get_args

from troubleshoot.preflight.result import Result

Format = Literal["text", "json", "sarif", "markdown"]
FORMATS: tuple[Format, ...] = get_args(Format)


def render(result: Result, report: Format, *, stream: TextIO, version: str) -> None:
    """Write the result to `stream` in one of `FORMATS`; `version` is that of the tool."""
    from troubleshoot.report.output import write
    from troubleshoot.report.safe import safe_data

    result = safe_data(result)
    if report == "text":
        from troubleshoot.preflight.report.text import print_text

        print_text(result, stream)
    elif report == "json":
        from troubleshoot.preflight.report.json import render_json

        stream.write(render_json(result))
    elif report == "sarif":
        from troubleshoot.preflight.report.sarif import render_sarif

        stream.write(render_sarif(result, version))
    else:
        from troubleshoot.preflight.report.markdown import render_markdown

        write(render_markdown(result), stream)
