"""LLMMetricsMissing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from alerts.config import Config
from alerts.rule import Alert
from catalog.boards import REPLICA as REPLICA_BOARD
from catalog.recorded.levels import REPLICA, by, labels

__all__ = ["ESSENTIAL", "alerts"]

_RUNNING, _WAITING = "llm_requests_running", "llm_requests_waiting"
_KV, _TOKENS, _FINISHED = "llm_kv_cache_usage_ratio", "llm_generation_tokens_total", "llm_requests_total"

ESSENTIAL: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "vllm": (_RUNNING, _WAITING, _KV, _TOKENS),
        "sglang": (_RUNNING, _WAITING, _KV, _TOKENS),
        "lmdeploy": (_RUNNING, _WAITING, _KV, _TOKENS),
        "tgi": (_RUNNING, _WAITING, _TOKENS),
        "llamacpp": (_RUNNING, _WAITING, _TOKENS),
        "dynamo": (_RUNNING, _TOKENS),
        "triton": (_FINISHED,),
        "tensorrt_llm": (_FINISHED,),
    }
)
"""Engine -> the series that each of its releases shows once it has served a request, without a flag beyond those that
switch its metrics on. Absent here: routers and KServe, which have none of them; the KV cache of TGI, llama.cpp and
Triton, which these never or no longer show; tokens of Triton, which its backends must be asked for."""

_PLACE = ("cluster", "namespace", "node", "pod", "container")
# What shows that an engine has served a request; the series that is missed is left out of them.
_SERVED = ('llm_requests_total{reason=~"stop|length"}', _TOKENS, "llm_engine_steps_total", f"{_RUNNING} > 0")


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return an alert on engines that answer and serve, but lack series that rules and boards live on."""
    pending = config.thresholds.engine.metrics_missing_for
    return (
        Alert(
            name="LLMMetricsMissing",
            expr="\nor\n".join(_missing(series, engines) for series, engines in _engines_by_series().items()),
            pending=pending,
            severity="warning",
            summary="{{ or $labels.model $labels.engine }}: a replica does not show {{ $labels.series }}",
            description=(
                "{{ $labels.namespace }}/{{ $labels.pod }} ({{ $labels.engine }}, node {{ $labels.node }}) has "
                f"answered and served for {pending} without {{{{ $labels.series }}}}: alerts and panels that read it "
                "are blind."
            ),
            why=(
                "Engines rename series between releases and hide them behind flags. An alert over a series that is "
                "gone never fires, and nobody notices."
            ),
            board=REPLICA_BOARD,
        ),
    )


def _engines_by_series() -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for engine, series in ESSENTIAL.items():
        for name in series:
            found.setdefault(name, []).append(engine)
    return found


def _missing(series: str, engines: list[str]) -> str:
    on_place = f"on ({labels(_PLACE)})"
    served = "\n    or ".join(sign for sign in _SERVED if not sign.startswith(series))
    return (
        f"label_replace(max {by(REPLICA)} (\n"
        f'  llm_up{{engine=~"{"|".join(engines)}"}} > 0\n'
        "  # Many series come with the first request.\n"
        f"  and {on_place} (\n    {served}\n  )\n"
        f"  unless {on_place} {series}\n"
        f'), "series", "{series}", "", "")'
    )
