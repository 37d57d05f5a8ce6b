"""What each colour means, on every board.

The eight colours of Okabe and Ito stay apart for people with any of the common colour vision deficiencies. A colour may
stand for several meanings, as long as these are never drawn in one panel.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["BAD", "FREE", "GOOD", "HEATMAP_SCHEME", "MEANINGS", "NEUTRAL", "WARN", "colours"]

_ORANGE, _SKY, _GREEN, _BLUE = "#E69F00", "#56B4E9", "#009E73", "#0072B2"
_VERMILLION, _PURPLE, _GREY = "#D55E00", "#CC79A7", "#999999"

GOOD, WARN, BAD, NEUTRAL, FREE = _GREEN, _ORANGE, _VERMILLION, _BLUE, _GREY

HEATMAP_SCHEME = "Cividis"
"""A scale of one growing brightness, made for colour-blind readers."""

MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "p50": _SKY,
        "p95": _ORANGE,
        "p99": _VERMILLION,
        "mean": _BLUE,
        "target": _GREY,
        "limit": _GREY,
        "prompt": _PURPLE,
        "generation": _BLUE,
        "running": _BLUE,
        "waiting": _ORANGE,
        "swapped": _PURPLE,
        "capacity": _VERMILLION,
        "deferred": _SKY,
        "queue": _ORANGE,
        "prefill": _PURPLE,
        "decode": _BLUE,
        "hit": _GREEN,
        "miss": _GREY,
        "stop": _GREEN,
        "length": _SKY,
        "abort": _ORANGE,
        "error": _VERMILLION,
        "other": _PURPLE,
        "rejected": _ORANGE,
        "failed": _VERMILLION,
        "2xx": _GREEN,
        "4xx": _ORANGE,
        "5xx": _VERMILLION,
        "fullest": _ORANGE,
        "used": _BLUE,
        "free": _GREEN,
        "reserved": _GREY,
        "sent": _PURPLE,
        "received": _BLUE,
        "availability": _BLUE,
        "time_to_first_token": _ORANGE,
        "time_per_output_token": _PURPLE,
    }
)
"""Colour by meaning: the first word of a legend."""


def colours(*meanings: str) -> dict[str, str]:
    """Return the colours of these meanings. Raises KeyError for one that has none."""
    return {meaning: MEANINGS[meaning] for meaning in meanings}
