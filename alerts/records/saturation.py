"""How full the replicas of a model are."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Group, Record
from catalog.recorded.levels import MODEL, by

__all__ = ["group"]


def group(config: Config) -> Group:
    """Return the group of replicas, queues, KV cache and saturation."""
    named = {"model:llm_requests_running:sum": "running", "model:llm_requests_waiting:sum": "waiting"}
    rules = (
        Record(record="model:llm_replicas:count", expr=f"count {by(MODEL)} (llm_up)"),
        Record(record="model:llm_replicas_up:count", expr=f"sum {by(MODEL)} (llm_up)"),
        *(Record(record=name, expr=f"sum {by(MODEL)} (llm_requests_{state})") for name, state in named.items()),
        Record(
            record="model:llm_requests_waiting:per_replica",
            expr="model:llm_requests_waiting:sum / (model:llm_replicas_up:count > 0)",
        ),
        Record(record="model:llm_kv_cache_usage:avg", expr=f"avg {by(MODEL)} (llm_kv_cache_usage_ratio)"),
        Record(record="model:llm_kv_cache_usage:max", expr=f"max {by(MODEL)} (llm_kv_cache_usage_ratio)"),
        Record(record="model:llm_preemptions:rate5m", expr=f"sum {by(MODEL)} (rate(llm_preemptions_total[5m]))"),
        Record(record="model:llm_saturation:ratio", expr=_saturation()),
    )
    return Group(name="inferwatch-records-saturation", interval=config.interval, rules=rules)


def _saturation() -> str:
    """The larger of cache use and of running requests by their limit; engines that tell only one have that one."""
    batch = f"sum {by(MODEL)} (llm_requests_running) / (sum {by(MODEL)} (llm_requests_running_limit) > 0)"
    cache = "model:llm_kv_cache_usage:avg"
    return f"({cache} >= ({batch}))\n  or ({batch})\n  or {cache}"
