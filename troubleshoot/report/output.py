"""What the stream that a report goes to can show: its width, colours and characters."""

from __future__ import annotations

import os
from typing import TextIO

DEFAULT_WIDTH = 100


def wants_color(stream: TextIO) -> bool:
    """Whether the stream is a terminal, NO_COLOR is unset or empty (no-color.org), and TERM is not "dumb"."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def columns(stream: TextIO) -> int:
    """The width to write in: COLUMNS, else the terminal's, else 100."""
    wanted = os.environ.get("COLUMNS", "")
    if wanted.isascii() and wanted.isdigit() and int(wanted[:9]) > 0:
        return int(wanted[:9])
    if stream.isatty():
        try:
            return os.get_terminal_size(stream.fileno()).columns or DEFAULT_WIDTH
        except (OSError, ValueError):
            return DEFAULT_WIDTH
    return DEFAULT_WIDTH


def write(text: str, stream: TextIO) -> None:
    """Writes text whatever the stream's encoding: a character that it lacks becomes a backslash escape."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
