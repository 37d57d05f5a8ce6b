"""Moments and lengths of time as a person gives them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

__all__ = ["moment_of", "seconds_of"]

_LENGTH = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|[smhdw]))+")
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|[smhdw])")
_UNITS: Mapping[str, float] = MappingProxyType({"ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800})
_LONGEST_SECONDS = 366 * 86400
_LATEST_SECONDS = 4e9


def seconds_of(written: str) -> float:
    """Return a length such as `1h`, `90s` or `1h30m`. Raises ValueError that says what is wrong."""
    if not _LENGTH.fullmatch(written):
        raise ValueError(f"{written!r} is no length of time; write it like 30m, 6h or 1h30m")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(written))
    if not 1 <= seconds <= _LONGEST_SECONDS:
        raise ValueError(f"{written!r} is not between a second and a year")
    return seconds


def moment_of(written: str, now: float) -> float:
    """Return unix seconds of `now`, `now-2h`, unix seconds, or ISO 8601 (UTC without a zone). Raises ValueError."""
    if written == "now":
        return now
    if written.startswith("now-"):
        return now - seconds_of(written.removeprefix("now-"))
    try:
        seconds = float(written) if re.fullmatch(r"[0-9]+(\.[0-9]+)?", written) else _iso(written)
    except ValueError:
        hint = "write it like now-2h, 2026-01-31T14:00:00Z or unix seconds"
        raise ValueError(f"{written!r} is no moment; {hint}") from None
    if not 0 < seconds < _LATEST_SECONDS:
        raise ValueError(f"{written!r} is no moment that a Prometheus knows; unix seconds, not milliseconds")
    return seconds


def _iso(written: str) -> float:
    moment = datetime.fromisoformat(written)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
