"""Durations as Prometheus writes them: 90s, 5m, 1h30m, 3d."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta

__all__ = ["Duration", "seconds"]

_UNITS_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_PATTERN = r"^(?=[1-9])([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"

Duration = Annotated[str, Meta(pattern=_PATTERN, description="a duration such as 90s, 5m, 1h30m or 3d")]


def seconds(duration: Duration) -> int:
    """Return a duration in seconds. Raises ValueError for what is no duration."""
    if not re.match(_PATTERN, duration):
        raise ValueError(f"{duration!r} is no duration such as 5m or 1h30m")
    return sum(int(number) * _UNITS_SECONDS[unit] for number, unit in re.findall(r"(\d+)([dhms])", duration))
