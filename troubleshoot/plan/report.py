"""Prints a plan: as text for people, as JSON for scripts, as Markdown for tickets."""

from __future__ import annotations

from io import StringIO
from typing import TextIO

from troubleshoot.plan.answer import Found, Planned
from troubleshoot.plan.json_report import render_json
from troubleshoot.plan.sections import Lines, Report, Table, found_report, planned_report
from troubleshoot.report.markdown import escape, fenced
from troubleshoot.report.output import columns, wants_color, write
from troubleshoot.sources.errors import visible

FORMATS = ("text", "json", "markdown")
_STYLES = {"fits": "bold green", "found": "bold green", "does not fit": "bold red", "not found": "bold red"}


def render(answer: Planned | Found, form: str, stream: TextIO) -> None:
    """Write the answer in one of `FORMATS`."""
    report = found_report(answer) if isinstance(answer, Found) else planned_report(answer)
    if form == "json":
        write(render_json(answer, report), stream)
    elif form == "markdown":
        write(render_markdown(report), stream)
    else:
        write(render_text(report, columns(stream), wants_color(stream)), stream)


def render_text(report: Report, width: int, color: bool = False) -> str:
    """The report as text; a table wider than `width` wraps its cells, a command is never wrapped."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

    out = StringIO()
    console = Console(
        file=out,
        width=max(width, 60),
        force_terminal=color,
        no_color=not color,
        color_system="standard" if color else None,
        legacy_windows=False,
    )
    console.print(Text(visible(report.heading), style="bold"))
    console.print(Text.assemble((report.verdict.upper(), _STYLES[report.verdict]), "  ", visible(report.summary)))
    for section in report.sections:
        if isinstance(section, Table):
            grid = Grid(
                box=SIMPLE if any(section.columns) else None,
                title=section.title,
                title_justify="left",
                title_style="bold",
                pad_edge=False,
                show_header=any(section.columns),
            )
            for number, head in enumerate(section.columns):
                is_text = number == 0 or head in {"note", "why"}
                # A name that wraps is hard to find; figures may stand under narrow heads.
                grid.add_column(head, justify="left" if is_text else "right", overflow="fold", no_wrap=head == "GPU")
            for row in section.rows:
                grid.add_row(*(Text(visible(cell)) for cell in row))
            console.print(grid)
            if not any(section.columns):
                console.print()
            continue
        console.print(Text(section.title, style="bold"))
        for line in section.lines:
            if section.code:
                console.print(Text("  " + visible(line), style="cyan"), soft_wrap=True)
            else:
                entry = Grid.grid(padding=(0, 1, 0, 0))
                entry.add_row("  -", Text(visible(line)))
                console.print(entry)
        console.print()
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()).rstrip("\n") + "\n"


def render_markdown(report: Report) -> str:
    """The report as GitHub-flavoured Markdown; nothing quoted leaves its cell or block."""
    lines = [f"# {escape(visible(report.heading))}", "", f"**{report.verdict}**: {escape(visible(report.summary))}", ""]
    for section in report.sections:
        lines += [f"## {escape(section.title)}", ""]
        if isinstance(section, Lines):
            quoted = [visible(line) for line in section.lines]
            lines += fenced(quoted) if section.code else [f"- {escape(line)}" for line in quoted]
        else:
            lines += [_row(section.columns), _row(["---", *["---:"] * (len(section.columns) - 1)])]
            lines += [_row([_cell(cell) for cell in row]) for row in section.rows]
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def _cell(text: str) -> str:
    """A cell never stands at a line's start, where a number with a point would be a list."""
    return escape("x" + visible(text)).removeprefix("x")


def _row(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cells)} |"
