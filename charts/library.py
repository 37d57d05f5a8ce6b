"""The chart library as a page carries it: plotly's own JavaScript, packed, and the script that unpacks and calls it."""

from __future__ import annotations

import base64
import gzip
import hashlib
from functools import cache
from importlib.resources import files

__all__ = ["ChartsUnavailableError", "draw_script", "integrity", "missing", "packed_library", "plotly_script", "style"]


class ChartsUnavailableError(Exception):
    """The chart library is not installed; the message is one line that says how to install it."""


@cache
def plotly_script() -> str:
    """Return plotly's JavaScript as its Python package ships it. Raises ChartsUnavailableError."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise ChartsUnavailableError("plots need plotly: pip install 'inferwatch[preview]'") from error
    return str(get_plotlyjs())


def missing() -> str:
    """Return why plots cannot be drawn, with what to install; "" where they can."""
    try:
        plotly_script()
    except ChartsUnavailableError as error:
        return str(error)
    return ""


@cache
def packed_library() -> str:
    """Return plotly's JavaScript as base64 of gzip: 2 MB instead of 5. Raises ChartsUnavailableError."""
    return base64.b64encode(gzip.compress(plotly_script().encode(), compresslevel=9, mtime=0)).decode()


@cache
def draw_script() -> str:
    """Return the page's own script."""
    return (files(__package__) / "draw.js").read_text("utf-8")


@cache
def style() -> str:
    """Return the page's style sheet."""
    return (files(__package__) / "page.css").read_text("utf-8")


def integrity(script: str) -> str:
    """Return the source expression by which a Content-Security-Policy allows exactly this script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
