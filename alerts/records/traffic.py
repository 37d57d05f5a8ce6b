"""How much is asked and answered, a model and a cluster."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Group, Record
from catalog.recorded.levels import CLUSTER, MODEL, REPLICA, by
from catalog.recorded.traffic import PROCESS

__all__ = ["group"]


def group(config: Config) -> Group:
    """Return the group of request and token rates."""
    rules = (
        Record(
            record="model:llm_requests:rate5m",
            expr=f"sum {by((*MODEL, 'reason'))} (rate(llm_requests_total[5m]))",
        ),
        Record(
            record="cluster:llm_requests:rate5m",
            expr=f"sum {by((*CLUSTER, 'reason'))} (model:llm_requests:rate5m)",
        ),
        *_tokens("prompt"),
        *_tokens("generation"),
        Record(
            record="replica:llm_generation_tokens:rate5m",
            expr=f"sum {by(REPLICA)} (rate(llm_generation_tokens_total[5m]))",
        ),
        Record(
            record="process:llm_requests_running:avg5m",
            expr=f"sum {by(PROCESS)} (avg_over_time(llm_requests_running[5m]))",
        ),
        Record(
            record="process:llm_generation_tokens:rate5m_per_running",
            expr=(
                f"sum {by(PROCESS)} (rate(llm_generation_tokens_total[5m]))\n"
                "  / (process:llm_requests_running:avg5m > 0)"
            ),
        ),
        Record(
            record="model:llm_requests_truncated:ratio_rate5m",
            # An engine that does not tell length from stop has no share, rather than one of 0.
            expr=(
                f'sum {by(MODEL)} (rate(llm_requests_total{{reason="length"}}[5m]))\n'
                f'  / (sum {by(MODEL)} (rate(llm_requests_total{{reason=~"stop|length"}}[5m])) > 0)'
            ),
        ),
        Record(
            record="model:llm_prefix_cache_hit:ratio_rate5m",
            expr=_share("llm_prefix_cache_hits_total", "llm_prefix_cache_queries_total"),
        ),
        Record(
            record="model:llm_spec_decode_acceptance:ratio_rate5m",
            expr=_share("llm_spec_decode_accepted_tokens_total", "llm_spec_decode_draft_tokens_total"),
        ),
    )
    return Group(name="inferwatch-records-traffic", interval=config.interval, rules=rules)


def _tokens(kind: str) -> tuple[Record, Record]:
    return (
        Record(
            record=f"model:llm_{kind}_tokens:rate5m",
            expr=f"sum {by(MODEL)} (rate(llm_{kind}_tokens_total[5m]))",
        ),
        Record(
            record=f"cluster:llm_{kind}_tokens:rate5m",
            expr=f"sum {by(CLUSTER)} (model:llm_{kind}_tokens:rate5m)",
        ),
    )


def _share(part: str, whole: str) -> str:
    """One counter's rate by another's, of models where the other moves."""
    return f"sum {by(MODEL)} (rate({part}[5m])) / (sum {by(MODEL)} (rate({whole}[5m])) > 0)"
