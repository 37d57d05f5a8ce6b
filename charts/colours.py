"""Colours that colour-blind readers can tell apart, and the check that a colour is nothing but a colour."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

__all__ = ["PALETTE", "checked", "or_palette"]

PALETTE: tuple[str, ...] = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#8A8A8A",
    "#9467BD",
)
"""Okabe and Ito's colours less black and yellow, which vanish on a dark or a light page; then grey and violet."""

_COLOUR = re.compile(r"#[0-9a-fA-F]{3,8}|[a-zA-Z]{3,30}|(?:rgb|hsl)a?\([0-9.,%/ ]{1,40}\)")


def checked(colour: str) -> str:
    """Return the colour, or "" for what is none: it stands in style attributes."""
    return colour if _COLOUR.fullmatch(colour) else ""


def or_palette(colours: Iterable[str]) -> Iterator[str]:
    """Fill each gap with the palette's next colour that nobody chose, in turn."""
    chosen = [checked(colour) for colour in colours]
    free = [colour for colour in PALETTE if colour not in chosen] or list(PALETTE)
    gaps = 0
    for colour in chosen:
        yield colour or free[gaps % len(free)]
        gaps += not colour
