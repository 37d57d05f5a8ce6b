"""LLMSLOBoundMissing."""

from __future__ import annotations

from collections.abc import Iterator

from alerts.config import Config
from alerts.objectives import bound, matchers, narrower, selector
from alerts.rule import Alert
from alerts.slo import SLO_SIGNALS
from catalog.boards import REPLICA as REPLICA_BOARD
from catalog.recorded.levels import MODEL, REPLICA, by, labels

__all__ = ["alerts"]


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return an alert on replicas that a latency SLO does not see; none if no latency is aimed at."""
    found = tuple(_without_bound(config))
    if not found:
        return ()
    pending = config.thresholds.availability.slo_bound_missing_for
    return (
        Alert(
            name="LLMSLOBoundMissing",
            expr="\nor\n".join(found),
            pending=pending,
            severity="warning",
            summary="{{ or $labels.model $labels.engine }}: the {{ $labels.slo }} SLO does not see a replica",
            description=(
                "{{ $labels.namespace }}/{{ $labels.pod }} ({{ $labels.engine }}, rank {{ $labels.rank }}) has no "
                "bucket at {{ $value }} s in its {{ $labels.slo }} histogram, so its requests are in no error budget."
            ),
            why=(
                "An SLO on latency counts at a bucket bound. A replica without it is left out, rather than counted as "
                "good, and its budget alert stays silent for ever."
            ),
            board=REPLICA_BOARD,
        ),
    )


def _without_bound(config: Config) -> Iterator[str]:
    every = (*config.slos.objectives, *config.slos.default)
    for objective in every:
        if objective.seconds is None:
            continue
        histogram, mine = SLO_SIGNALS[objective.slo], matchers(objective)
        whole, at_bound = (selector(f"{histogram}_bucket", le, *mine) for le in ('le="+Inf"', bound(objective.seconds)))
        parts = [
            f"group {by(REPLICA)} ({whole}) * {objective.seconds:g}",
            f"unless on ({labels(REPLICA)}) {at_bound}",
        ]
        parts += [
            f"unless on ({labels(MODEL)}) {selector(f'{histogram}_count', *matchers(other))}"
            for other in narrower(objective, every)
        ]
        unseen = "\n  ".join(parts)
        yield f'label_replace(\n  {unseen},\n  "slo", "{objective.slo}", "", ""\n)'
