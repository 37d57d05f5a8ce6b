"""How fast this machine is while something else is measured, by how long prometheus_client's parser takes.

A virtual machine that shares its processor runs at changing speed, second by second by a factor of up to two. So the
measure is taken in the same seconds as what it is held beside, and as a mean like that: the best of a few rounds just
before would set the machine's best moment against the other's average.
"""

from __future__ import annotations

import time
from statistics import fmean

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.engine_servers import bodies

__all__ = ["SAMPLES", "during"]

SAMPLES = 9804
"""For so many samples the measure is given: the text over which the exporter's budget was set."""

_PERIOD_SECONDS = 1.0


def during(seconds: float) -> float:
    """Let this time pass; return what the parser took for SAMPLES samples on average, in ms of CPU.

    Once a second it parses twice, and the second time counts: with warm caches, as over one text again and again.
    """
    text = bodies()[-1].decode()
    found: list[float] = []
    due = time.monotonic()
    until = due + seconds
    while due < until:
        _parsed_seconds(text)
        found.append(_parsed_seconds(text))
        due += _PERIOD_SECONDS
        time.sleep(max(0.0, min(due, until) - time.monotonic()))
    return 1e3 * fmean(found)


def _parsed_seconds(text: str) -> float:
    """The CPU time to parse the text, scaled to SAMPLES samples."""
    begun = time.thread_time()
    samples = sum(len(family.samples) for family in text_string_to_metric_families(text))
    return (time.thread_time() - begun) / samples * SAMPLES
