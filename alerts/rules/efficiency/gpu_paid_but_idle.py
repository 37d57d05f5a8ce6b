"""GPUPaidButIdle."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.efficiency.baseline import STEP, steps
from catalog.boards import COST
from catalog.recorded.levels import POD, by, labels

__all__ = ["alerts"]

_ACTIVITY = "pod:inferwatch_gpu_activity:ratio_avg5m"
_COST = "pod:inferwatch_cost:dollars_per_hour"
_TOKENS = "replica:llm_generation_tokens:rate5m"
# Of the samples of the window, some may be lost to failed scrapes.
_PRESENT = 0.9


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return the alert."""
    limits = config.thresholds.efficiency
    window, least = limits.idle_window, limits.idle_activity_ratio
    held, needed = f"count {by(POD)} ({_ACTIVITY})", int(steps(window) * _PRESENT)
    return (
        Alert(
            name="GPUPaidButIdle",
            expr=(
                # Dollars an hour for each GPU of the pod, or 0 where no price is known, times its idle ones.
                f"({_COST} / on ({labels(POD)}) {held} or {held} * 0)\n"
                f"* on ({labels(POD)}) count {by(POD)} (\n"
                f"  avg_over_time({_ACTIVITY}[{window}:{STEP}]) < {least:g}\n"
                f"  and count_over_time({_ACTIVITY}[{window}:{STEP}]) >= {needed}\n"
                ")\n"
                f"unless on ({labels(POD)}) max_over_time({_TOKENS}[{window}:{STEP}]) > 0"
            ),
            pending=STEP,
            severity="info",
            summary="{{ $labels.pod }}: holds GPUs that do nothing",
            description=(
                "{{ $labels.pod }} in namespace {{ $labels.namespace }} holds GPUs that were busy for less than "
                f"{least * 100:g} % of the last {window} and generated no token. "
                '{{ if gt $value 0.0 }}They cost {{ printf "%.2f" $value }} dollars an hour'
                "{{ else }}No price is known for them{{ end }}."
            ),
            why=(
                "A GPU is paid for while a pod holds it. Low utilisation alone is no fault of a server that has few "
                "users; hours without a token are money for nothing."
            ),
            board=COST,
            requires={
                _ACTIVITY: (
                    "DCGM_FI_PROF_GR_ENGINE_ACTIVE or DCGM_FI_DEV_GPU_UTIL with the labels namespace and pod: this "
                    "exporter gives them by default, dcgm-exporter with DCGM_EXPORTER_KUBERNETES=true"
                ),
            },
        ),
    )
