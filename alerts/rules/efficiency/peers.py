"""Which replicas compare with which: those of one model that do the same part of a request."""

from __future__ import annotations

from catalog.recorded.levels import MODEL, POD, by, labels

__all__ = ["PEERS", "among_peers", "peers"]

PEERS: tuple[str, ...] = (*MODEL, "role")


def among_peers(series: str) -> str:
    """Return a series of replicas with the role of their pod: prefill and decode are never compared."""
    return f"{series} * on ({labels(POD)}) group_left (role) pod:llm_role:info"


def peers(aggregation: str, series: str) -> str:
    """Return an aggregation over the peers of one model and role; "quantile(0.5)" takes its parameter along."""
    name, _, parameter = aggregation.rstrip(")").partition("(")
    return f"{name} {by(PEERS)} ({parameter}{', ' if parameter else ''}{among_peers(series)})"
