"""Probes that wait for as long as the model takes to load."""

from __future__ import annotations

import math
from collections.abc import Iterable

from troubleshoot.preflight.checks.base import Fix, Judgement, Severity, Subject, WorkloadCheck
from troubleshoot.preflight.objects import Field

FASTEST_BYTES_PER_SECOND = 3e9
"""A local NVMe disk."""
SLOW_BYTES_PER_SECOND = 125 * (1 << 20)
"""The throughput that a gp3 volume of AWS has unless more is paid for; a download is seldom faster."""
_FAST_START_SECONDS, _SLOW_START_SECONDS = 15.0, 60.0
"""Imports, profiling, compilation and CUDA graphs: on an H200, vLLM's own part took 9 s from a compile cache, 32 s without."""
_PERIOD = 10


class StartupTime(WorkloadCheck):
    """A liveness probe that gives up before the model is loaded restarts it, for ever."""

    id = "startup_time"
    severity = Severity.WARNING
    title = "The probes may give up before the model is loaded"
    needs = "the model's size, from a name that is known"

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class."""
        container, model, options = subject.container, subject.model, subject.options
        if container is None or subject.workload.role == "worker":
            return
        name, probe = next(
            (
                (key, container.field.at(key))
                for key in ("startupProbe", "livenessProbe")
                if container.field.at(key).exists
            ),
            ("", None),
        )
        if probe is None:
            if "probes" in subject.workload.supplied:
                yield self.not_checked(subject.title, "the serving runtime or preset that gives its probes")
            return
        if model is None:
            yield self.not_checked(subject.title)
            return
        patience = _patience_seconds(probe)
        rate = options.load_bytes_per_second
        slow = model.stored_bytes / (rate or SLOW_BYTES_PER_SECOND) + _SLOW_START_SECONDS
        fast = model.stored_bytes / (rate or FASTEST_BYTES_PER_SECOND) + _FAST_START_SECONDS
        if patience >= slow:
            return
        speed = (rate or SLOW_BYTES_PER_SECOND) / 1e6
        threshold = math.ceil(1.5 * slow / _PERIOD)
        yield self.finding(
            subject.title,
            probe,
            f"The {name} gives up after {patience:.0f} s; {model.stored_bytes / 1e9:.0f} GB of weights at {speed:.0f} MB/s and {_SLOW_START_SECONDS:.0f} s of start-up take {slow:.0f} s.",
            Fix(
                "startupProbe failureThreshold",
                None,
                threshold,
                f"with periodSeconds: {_PERIOD} it waits {threshold * _PERIOD} s, half as long again as a slow start",
            ),
            severity=Severity.CRITICAL if patience < fast else Severity.WARNING,
        )


def _patience_seconds(probe: Field) -> float:
    """How long after its start a container may fail this probe."""
    delay, period, threshold = (
        probe.at(key).integer for key in ("initialDelaySeconds", "periodSeconds", "failureThreshold")
    )
    return (delay or 0) + (period or 10) * (threshold or 3)
