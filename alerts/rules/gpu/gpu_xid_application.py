"""GPUXidApplication."""

from __future__ import annotations

from textwrap import indent

from alerts.config import Config
from alerts.durations import Duration
from alerts.rule import Alert
from alerts.rules.gpu.identity import HELD_BY, WHERE
from alerts.rules.gpu.xids_seen import GIVEN_BY, xids_seen
from catalog.boards import GPU

__all__ = ["alerts"]

# How long after an XID the pod that holds the GPU is taken for the one that had it. Longer than an event takes to be
# scraped, shorter than the next pod takes to get the GPU.
_HELD_WITHIN: Duration = "3m"

_HOLDERS = """\
group by (cluster, namespace, pod, UUID) (
  inferwatch_pod_gpu_info or on (cluster, namespace, pod, UUID) DCGM_EXP_XID_ERRORS_COUNT{pod!=""}
)"""

_WHY = (
    "An illegal access in a kernel ends an engine, and its XID tells it from a broken GPU: the same program on other "
    "GPUs fails too. Nobody is woken: availability has its own alert."
)


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return two alerts: one a pod and code; and one a GPU and code where no pod, or more than one, held the GPU."""
    window = config.thresholds.gpu.xid_window
    seen = xids_seen("application", _HELD_WITHIN)
    sole = f"({_HOLDERS} and on (cluster, UUID) count by (cluster, UUID) ({_HOLDERS}) < 2)"
    of_pod = _during(window, f"{seen}\n* on (cluster, UUID) group_left (namespace, pod)\n{sole}")
    of_gpu = _during(window, f"{seen}\nunless on (cluster, UUID)\n{sole}")
    return (
        Alert(
            name="GPUXidApplication",
            expr=f"count by (cluster, node, namespace, pod, xid) ({of_pod})",
            pending="0m",
            severity="info",
            labels={"scope": "pod"},
            summary=(
                "{{ $labels.namespace }}/{{ $labels.pod }}: XID {{ $labels.xid }}, most often a fault of the program"
            ),
            description=(
                "Pod {{ $labels.namespace }}/{{ $labels.pod }} had XID {{ $labels.xid }} on {{ $value }} of the GPUs "
                "of {{ $labels.node }} that it holds alone."
            ),
            why=_WHY,
            board=GPU,
            requires=GIVEN_BY,
        ),
        Alert(
            name="GPUXidApplication",
            expr=of_gpu,
            pending="0m",
            severity="info",
            labels={"scope": "gpu"},
            summary=(
                "{{ $labels.node }} GPU {{ $labels.gpu }}: XID {{ $labels.xid }}, most often a fault of the program"
            ),
            description=(
                f"{WHERE} reported XID {{{{ $labels.xid }}}}, last at {{{{ $value | humanizeTimestamp }}}}{HELD_BY}."
            ),
            why=_WHY,
            board=GPU,
            requires=GIVEN_BY,
        ),
    )


def _during(window: Duration, vector: str) -> str:
    """What held at any minute of the window: the pod that holds the GPU now may be another one."""
    return f"last_over_time((\n{indent(vector, '  ')}\n)[{window}:1m])"
