"""Moments as a person on call writes them: a clock's time, a date and a time, unix seconds, or so long ago."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from inferwatch.commands.diagnose_arguments import seconds_of

_LONGEST_AGO_SECONDS = 365 * 86_400.0
_CLOCKS = ("%H:%M", "%H:%M:%S")


def unix_seconds(text: str, now: datetime) -> float:
    """`02:15` (the last time that it was so), `2026-11-22T02:15:00Z`, `1795293850` or `-20m` -> unix seconds.

    A time without a zone is in `now`'s. ValueError says what is wrong, also of a moment that is still to come.
    """
    found = _moment(text.strip(), now)
    if found is None:
        raise ValueError(f"{text!r} is no time; write 02:15, 2026-11-22T02:15:00Z, -20m or unix seconds")
    if found > now.timestamp() + 60:
        raise ValueError(f"{text!r} is still to come")
    return found


def _moment(text: str, now: datetime) -> float | None:
    if text.startswith("-"):
        try:
            return now.timestamp() - seconds_of(text[1:], _LONGEST_AGO_SECONDS)
        except ValueError:
            return None
    for form in _CLOCKS:
        try:
            clock = datetime.strptime(text, form).time()
        except ValueError:
            continue
        today = now.replace(hour=clock.hour, minute=clock.minute, second=clock.second, microsecond=0)
        return (today if today <= now else today - timedelta(days=1)).timestamp()
    try:
        given = datetime.fromisoformat(text)
        return (given if given.tzinfo else given.replace(tzinfo=now.tzinfo)).timestamp()
    except (ValueError, OverflowError):
        pass
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds > 1e8 else None
