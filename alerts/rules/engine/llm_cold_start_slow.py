"""LLMColdStartSlow."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.engine.containers import CONTAINER, GPU_REQUESTS, KUBE_STATE_METRICS, on_container
from catalog.boards import REPLICA as REPLICA_BOARD
from catalog.recorded.levels import POD, by, labels

__all__ = ["alerts"]

_KUBERNETES = (
    "kube_pod_container_state_started",
    "kube_pod_container_status_running",
    "kube_pod_container_resource_requests",
    "kube_pod_status_ready",
)


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return an alert on pods with a GPU that run for longer than a model takes to load, and have never been ready."""
    return (
        Alert(
            name="LLMColdStartSlow",
            expr="\nor\n".join(_slow(config, matcher, seconds) for matcher, seconds in _limits(config)),
            pending=config.thresholds.engine.counted_for,
            severity="warning",
            summary="{{ $labels.namespace }}/{{ $labels.pod }}: still loading its model",
            description=(
                "Container {{ $labels.container }} of {{ $labels.namespace }}/{{ $labels.pod }} has been running for "
                "{{ $value | humanizeDuration }} without its pod becoming ready. Its GPUs are held and serve nothing."
            ),
            why=(
                "A slow start is the time that a scale-up or a recovery takes. Past what the model needs, a download "
                "hangs, a compilation cache is missing, or ranks wait for each other."
            ),
            board=REPLICA_BOARD,
            requires=dict.fromkeys(_KUBERNETES, KUBE_STATE_METRICS),
        ),
    )


def _slow(config: Config, matcher: str, seconds: float) -> str:
    answered = config.thresholds.availability.answered_window
    return (
        f"max {by(CONTAINER)} (\n"
        f"  (time() - kube_pod_container_state_started{matcher}) > {seconds:g}\n"
        f"  and {on_container} kube_pod_container_status_running > 0\n"
        f"  and {on_container} {GPU_REQUESTS}\n"
        f'  and on ({labels(POD)}) max_over_time(kube_pod_status_ready{{condition="true"}}[{seconds:.0f}s]) < 1\n'
        "  # An engine that has answered is loaded: what keeps it from being ready is another matter.\n"
        f"  unless {on_container} max_over_time(llm_up[{answered}]) > 0\n"
        ")"
    )


def _limits(config: Config) -> Iterator[tuple[str, float]]:
    """Yield a matcher and the seconds that its pods may take.

    Nothing tells which model a pod loads before it answers, so a limit holds for the namespace of its model: the
    longest of those in it, for models without a namespace the longest everywhere.
    """
    usual = config.thresholds.engine.cold_start_seconds
    times = [(model.namespace, model.cold_start_seconds or usual) for model in config.models]
    anywhere = max([usual, *(seconds for namespace, seconds in times if not namespace)])
    named = {
        namespace: max(
            [seconds for other, seconds in times if other == namespace]
            + [seconds for other, seconds in times if not other]
        )
        for namespace, _ in times
        if namespace
    }
    own = {namespace: seconds for namespace, seconds in sorted(named.items()) if seconds != anywhere}
    for namespace, seconds in own.items():
        yield f"{{namespace={json.dumps(namespace)}}}", seconds
    if len(own) == 1:
        yield f"{{namespace!={json.dumps(next(iter(own)))}}}", anywhere
    else:
        others = json.dumps("|".join(map(re.escape, own)))
        yield f"{{namespace!~{others}}}" if own else "", anywhere
