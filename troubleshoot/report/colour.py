"""Styles of a text report, and lines in these styles as a terminal shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from io import StringIO
from types import MappingProxyType

from troubleshoot.findings import Severity
from troubleshoot.report.layout import Line

# Colours repeat what the words say, in the terminal's own palette, and are told apart by brightness too.
SEVERITY_STYLES: Mapping[Severity, str] = MappingProxyType(
    {Severity.CRITICAL: "bold red", Severity.WARNING: "bold yellow", Severity.INFO: "bold blue"}
)


def painted(lines: Iterable[Line]) -> str:
    """The lines with the escape sequences of their styles. Rich sees text objects, never markup."""
    from rich.console import Console
    from rich.text import Text

    out = StringIO()
    console = Console(file=out, force_terminal=True, color_system="standard", no_color=False, legacy_windows=False)
    for line in lines:
        text = Text(end="\n")
        for part in line:
            text.append(part.text, part.style)
        text.rstrip()
        console.print(text, soft_wrap=True, highlight=False, markup=False, emoji=False)
    return out.getvalue()
