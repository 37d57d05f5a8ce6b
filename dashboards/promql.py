"""PromQL as text: selectors over a board's variables, and the few shapes that its queries have.

Rates take `$__rate_interval`, which Grafana makes at least four scrapes long. A division drops series whose divisor is
zero, so that idle times are gaps and no NaN. Buckets are added up only over replicas that have the same bounds.
"""

from __future__ import annotations

from dataclasses import dataclass

from catalog.gpu import GPU_FIELDS
from catalog.recorded.levels import MODEL, by, labels
from dashboards.variables import matchers

__all__ = [
    "PROCESS",
    "Selector",
    "increase",
    "mean",
    "quantile",
    "rate",
    "ratio",
    "shared_buckets",
    "spread",
    "sum_rate",
]

PROCESS: tuple[str, ...] = ("cluster", "namespace", "pod", "container", "rank")
"""What tells an engine's process: series of the process itself (CPU, HTTP, cache size) carry no model."""

_INTERVAL = "$__rate_interval"


@dataclass(frozen=True, slots=True)
class Selector:
    """Chooses series by the board's variables."""

    variables: tuple[str, ...]

    def __call__(self, name: str, *fixed: str, without: tuple[str, ...] = ()) -> str:
        """Return the selector of a series, with `fixed` matchers; `without` names variables whose label it lacks."""
        chosen = matchers(one for one in self.variables if one not in without)
        return f"{name}{{{', '.join((*chosen, *fixed))}}}" if chosen or fixed else name

    def field(self, name: str, *fixed: str) -> str:
        """Return a GPU field in every spelling that an exporter may give it."""
        spellings = [self(one, *fixed) for one in GPU_FIELDS[name].names]
        return spellings[0] if len(spellings) == 1 else f"({' or '.join(spellings)})"


def rate(series: str) -> str:
    """Return the rate a second of a counter."""
    return f"rate({series}[{_INTERVAL}])"


def increase(series: str) -> str:
    """Return how much a counter rose within the interval of a point."""
    return f"increase({series}[{_INTERVAL}])"


def sum_rate(series: str, level: tuple[str, ...]) -> str:
    """Return the summed rate of a counter, by these labels."""
    return f"sum {by(level)} ({rate(series)})"


def ratio(part: str, whole: str) -> str:
    """Return part / whole where whole is above zero."""
    return f"{part} / ({whole} > 0)"


def shared_buckets(series: str, infinite: str, level: tuple[str, ...]) -> str:
    """Return summed bucket rates, of bounds that all replicas below a level have.

    `series` selects the buckets and `infinite` those of `+Inf`. Releases and engines differ in their bounds: a bound
    that half of the replicas have would count half of the requests.
    """
    whole = f"on ({labels(level)}) group_left () count {by(level)} ({infinite})"
    return f"sum {by((*level, 'le'))} ({rate(series)}) and count {by((*level, 'le'))} ({series}) == {whole}"


def quantile(q: str, select: Selector, histogram: str, level: tuple[str, ...]) -> str:
    """Return a quantile of a histogram by these labels: q is "0.95". A time without a request is a gap."""
    return f"histogram_quantile({q}, {spread(select, histogram, level)}) >= 0"


def spread(select: Selector, histogram: str, level: tuple[str, ...]) -> str:
    """Return bucket rates by these labels and `le`; several replicas share a level only down to a model."""
    series = select(f"{histogram}_bucket")
    if set(level) > set(MODEL):
        return f"sum {by((*level, 'le'))} ({rate(series)})"
    return shared_buckets(series, select(f"{histogram}_bucket", 'le="+Inf"'), level)


def mean(select: Selector, histogram: str, level: tuple[str, ...]) -> str:
    """Return the mean of what a histogram observed."""
    return ratio(sum_rate(select(f"{histogram}_sum"), level), sum_rate(select(f"{histogram}_count"), level))
