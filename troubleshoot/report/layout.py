"""Lines of styled text, wrapped to a width. Nothing is ever cut: a word that is too long has its own line."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a line; `style` is a rich style ("bold red") or empty."""

    text: str
    style: str = ""


Line = tuple[Span, ...]


def cells(text: str) -> int:
    """How many columns the text takes: two for a wide East Asian character, none for a combining one."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def wrap(text: str, first_width: int, width: int) -> list[str]:
    """The text in lines broken at spaces: the first at most `first_width` columns, the others `width`.

    Spaces inside a line stay as they are. A word wider than a line is not broken.
    """
    lines: list[str] = []
    line: list[str] = []
    used, room = 0, first_width
    for word in re.findall(r" *[^ ]+", text.rstrip(" ")):
        if line and used + cells(word) > room:
            lines.append("".join(line))
            line, used, room = [], 0, width
        piece = word if line else word.lstrip(" ")
        line.append(piece)
        used += cells(piece)
    return [*lines, "".join(line)]


def paragraph(prefix: Iterable[Span], text: str, *, width: int, hang: int | None = None, style: str = "") -> list[Line]:
    """`prefix`, then `text` wrapped so that no line passes `width` columns.

    Lines after the first are indented by `hang` columns: by default by the width of the prefix.
    """
    head = tuple(prefix)
    taken = sum(cells(part.text) for part in head)
    indent = taken if hang is None else hang
    first, *rest = wrap(text, max(1, width - taken), max(1, width - indent))
    return [(*head, Span(first, style)), *((Span(" " * indent), Span(line, style)) for line in rest)]


def plain(lines: Iterable[Line]) -> str:
    """The lines without their styles, each with a line end and without spaces before it."""
    return "".join("".join(part.text for part in line).rstrip() + "\n" for line in lines)
