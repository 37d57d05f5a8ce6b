"""Examples of autoscaling by what limits an engine: its queue, its KV cache, and the latency that users are promised.

They scale up at once, to twice as many replicas every 30 seconds, and down slowly, to half as many a minute, after five
minutes in which fewer would have done: a replica that is taken away too early takes minutes to load its model again.

What is no signal, and why:

- GPU utilisation: the share of time in which any kernel ran. One serial client keeps it at 100 %, and so does a full
  batch; it tells them from an idle engine, not from each other.
- CPU: the server's processes poll and tokenise; they are busy at any load, and idle behind a full KV cache.
- The queue of the whole fleet against a fixed number: 50 waiting are nothing for 64 replicas and an outage for one.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alerts.config import Config, Model
from catalog.recorded.slo import burn_rate
from catalog.yaml_text import document

__all__ = ["SIGNALS", "Signal", "autoscaling_files", "keda_query"]

_BANNER = "# Written by `inferwatch alerts generate`; change the configuration or the code in alerts/ instead.\n"
_EXAMPLE = Model(name="my-model", namespace="my-namespace")
_WIDTH = 110
_PROMETHEUS = "http://prometheus-operated.monitoring.svc:9090"

# The floor bears a cold start: while a new replica loads for minutes, what is there serves alone, and one of two may
# fail meanwhile. No replica at all would leave the first request waiting for the whole of it.
_MIN_REPLICAS, _MAX_REPLICAS = 2, 10

_BEHAVIOR: Mapping[str, Any] = {
    "scaleUp": {
        "stabilizationWindowSeconds": 0,
        "policies": [{"type": "Percent", "value": 100, "periodSeconds": 30}],
    },
    "scaleDown": {
        "stabilizationWindowSeconds": 300,
        "policies": [{"type": "Percent", "value": 50, "periodSeconds": 60}],
    },
}


@dataclass(frozen=True, slots=True)
class Signal:
    """One metric to scale by.

    `series` is what a model has of it, `of_pod` what a pod has, where that is the better question. `target` is the
    value to hold: for `per_replica`, of the amount by replicas; otherwise of the value itself. `api_name` is its name
    in Kubernetes' metrics APIs.
    """

    api_name: str
    series: str
    target: str
    why: str
    of_pod: str = ""
    per_replica: bool = False
    matchers: str = ""


SIGNALS: tuple[Signal, ...] = (
    Signal(
        api_name="llm_requests_waiting",
        series="model:llm_requests_waiting:sum",
        of_pod="llm_requests_waiting",
        target="10",
        per_replica=True,
        why="Waiting requests: ten for each replica is about what the next batch takes in.",
    ),
    Signal(
        api_name="llm_kv_cache_usage_ratio",
        series="model:llm_kv_cache_usage:avg",
        of_pod="llm_kv_cache_usage_ratio",
        target="0.8",
        why="KV cache in use: it holds busy replicas that have no queue, and leaves room for what they run to grow.",
    ),
    Signal(
        api_name="llm_ttft_burn_rate",
        series=burn_rate("5m"),
        matchers='slo="time_to_first_token"',
        target="2",
        why="Speed at which the budget of slow first tokens goes, over five minutes: an hour's is late by an hour.",
    ),
)


def autoscaling_files(config: Config) -> dict[str, str]:
    """Return the text of the examples by their path: for each model of the configuration, or for one to fill in."""
    models = config.models or (_EXAMPLE,)
    files = {"autoscaling/prometheus-adapter.yaml": _about(*_ADAPTER) + document(_adapter(models))}
    for model in models:
        name = "-".join(_slug(part) for part in (model.namespace, model.name) if part)
        files[f"autoscaling/hpa-{name}.yaml"] = _about(*_HPA) + document(_hpa(model))
        files[f"autoscaling/keda-{name}.yaml"] = _about(*_KEDA) + document(_scaled_object(model))
    return files


def keda_query(signal: Signal, model: Model) -> str:
    """Return the query of one number for a model: 0 of what it lacks, nothing when nothing is known of it at all.

    Without a number KEDA leaves the replicas as they are; a 0 would scale a fleet down because Prometheus failed.
    """
    return _query(signal, _matchers(model))


def _query(signal: Signal, of_model: str) -> str:
    matchers = f"{of_model}, {signal.matchers}" if signal.matchers else of_model
    there = f"max(model:llm_replicas:count{{{of_model}}}) * 0"
    return f"{_operation(signal)}({signal.series}{{{matchers}}}) or {there}"


def _operation(signal: Signal) -> str:
    """How several are one number: amounts are added up, of ratios the highest holds."""
    return "sum" if signal.per_replica else "max"


def _matchers(model: Model) -> str:
    wanted = {"namespace": model.namespace, "model": model.name}
    return ", ".join(f"{label}={json.dumps(value, ensure_ascii=False)}" for label, value in wanted.items() if value)


# prometheus-adapter

_ADAPTER = (
    "Configuration of prometheus-adapter: merge it with yours, or put `rules` under rules.custom and `externalRules` "
    "under rules.external of its Helm chart.",
)


def _adapter(models: tuple[Model, ...]) -> dict[str, Any]:
    return {
        "rules": [
            {
                "seriesQuery": f'{signal.of_pod}{{namespace!="", pod!=""}}',
                "resources": {"overrides": {"namespace": {"resource": "namespace"}, "pod": {"resource": "pod"}}},
                "name": {"as": signal.api_name},
                # Data-parallel ranks of a pod are one number.
                "metricsQuery": f"{_operation(signal)} by (<<.GroupBy>>) (<<.Series>>{{<<.LabelMatchers>>}})",
            }
            for signal in SIGNALS
            if signal.of_pod
        ],
        "externalRules": [
            {
                # Always there: a metric whose series come and go with the traffic would be unknown at times, and an
                # autoscaler that does not know a metric never scales down.
                "seriesQuery": 'model:llm_replicas:count{namespace!=""}',
                "resources": {"overrides": {"namespace": {"resource": "namespace"}}},
                "name": {"as": _external_name(signal, name)},
                "metricsQuery": _query(signal, f"<<.LabelMatchers>>, {_matchers(Model(name=name))}"),
            }
            for name in dict.fromkeys(model.name for model in models)
            for signal in SIGNALS
            if not signal.of_pod
        ],
    }


def _external_name(signal: Signal, model: str) -> str:
    """A name for each model: its own may hold what no label selector of Kubernetes takes ("/")."""
    return f"{signal.api_name}_{_slug(model).replace('-', '_')}"


# HorizontalPodAutoscaler

_HPA = (
    "Needs prometheus-adapter with the rules beside this file. Set the name of your Deployment. The largest of what "
    "its metrics ask for holds:",
    *(f"- {signal.api_name}, {signal.target}: {signal.why}" for signal in SIGNALS),
    "llm_requests_waiting stands where an autoscaler asked for vllm_queue_size, which no engine has, or for one "
    "engine's own queue.",
)


def _hpa(model: Model) -> dict[str, Any]:
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": _metadata(model),
        "spec": {
            "scaleTargetRef": _target(model),
            "minReplicas": _MIN_REPLICAS,
            "maxReplicas": _MAX_REPLICAS,
            "metrics": [_metric(signal, model) for signal in SIGNALS],
            "behavior": _BEHAVIOR,
        },
    }


def _metric(signal: Signal, model: Model) -> dict[str, Any]:
    """Of pods where there is a number for each: those that are still loading then count as none, not as full."""
    if signal.of_pod:
        wanted = {"type": "AverageValue", "averageValue": signal.target}
        return {"type": "Pods", "pods": {"metric": {"name": signal.api_name}, "target": wanted}}
    metric = {"name": _external_name(signal, model.name)}
    return {"type": "External", "external": {"metric": metric, "target": {"type": "Value", "value": signal.target}}}


# KEDA

_KEDA = (
    "Needs no adapter. Set the name of your Deployment and the address of Prometheus; it makes an autoscaler, so have "
    "no other one of the same Deployment. The largest of what its triggers ask for holds:",
    *(f"- {signal.api_name}, {signal.target}: {signal.why}" for signal in SIGNALS),
    "There is no `fallback`: a number of replicas for when Prometheus is down would scale a busy fleet down.",
)


def _scaled_object(model: Model) -> dict[str, Any]:
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": _metadata(model),
        "spec": {
            "scaleTargetRef": _target(model),
            "pollingInterval": 15,
            "minReplicaCount": _MIN_REPLICAS,
            "maxReplicaCount": _MAX_REPLICAS,
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _BEHAVIOR}},
            "triggers": [_trigger(signal, model) for signal in SIGNALS],
        },
    }


def _trigger(signal: Signal, model: Model) -> dict[str, Any]:
    return {
        "type": "prometheus",
        "metricType": "AverageValue" if signal.per_replica else "Value",
        "metadata": {
            "serverAddress": _PROMETHEUS,
            "query": keda_query(signal, model),
            "threshold": signal.target,
            "ignoreNullValues": "false",
        },
    }


# Both


def _about(*paragraphs: str) -> str:
    lines = (line for text in paragraphs for line in textwrap.wrap(text, _WIDTH, break_on_hyphens=False))
    return _BANNER + "".join(f"# {line}\n" for line in lines)


def _metadata(model: Model) -> dict[str, Any]:
    return {"name": _slug(model.name), **({"namespace": model.namespace} if model.namespace else {})}


def _target(model: Model) -> dict[str, str]:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "name": _slug(model.name)}


def _slug(name: str) -> str:
    """A model's name as Kubernetes takes it for an object: "meta-llama/Llama-3.1" is meta-llama-llama-3-1."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63] or "model"
