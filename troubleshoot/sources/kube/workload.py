"""From what `--kube` names to the pods behind it."""

from __future__ import annotations

from typing import Final

from troubleshoot.redact import quote
from troubleshoot.sources.errors import InputError
from troubleshoot.sources.kube.calls import (
    GET_DEPLOYMENT,
    GET_INFERENCE_SERVICE,
    GET_POD,
    GET_STATEFUL_SET,
    LIST_PODS,
)
from troubleshoot.sources.kube.cluster import Cluster
from troubleshoot.sources.kube.objects import Object, child, children, number_of, pod_name, text_of
from troubleshoot.sources.kube.problems import ClusterError
from troubleshoot.sources.kube.target import Target

MOST_REPLICAS: Final = 32
"""Of more, those in trouble come first. Fleets are asked by way of Prometheus."""

_OF_A_SERVICE: Final = "serving.kserve.io/inferenceservice"
_OPERATORS: Final = {"In": "in", "NotIn": "notin"}


class Pods:
    """The pods to look at. `problems` says what could not be read, `note` how many there are beyond these."""

    def __init__(self, pods: list[Object], note: str = "", problems: tuple[InputError, ...] = ()) -> None:
        self.pods = pods
        self.note = note
        self.problems = problems


def pods_of(cluster: Cluster, target: Target, namespace: str) -> Pods:
    """The pods of the target; raise `InputError` where there are none, or none can be known.

    Without the right to read a pod, one that is named is still looked at: its log and its metrics need other rights.
    """
    if target.kind == "pod":
        return _one(cluster, target, namespace)
    selector, problems = _selector(cluster, target, namespace)
    found: list[Object] = [*cluster.all(LIST_PODS, {"labelSelector": selector}, namespace=namespace)]
    if not found:
        raise InputError(str(target), f"has no pods{_why_none(problems)}", "check name, namespace and context")
    found.sort(key=lambda pod: (-_trouble(pod), pod_name(pod)))
    kept = sorted(found[:MOST_REPLICAS], key=pod_name)
    left = len(found) - len(kept)
    note = f"{left} more pods were not looked at; ask Prometheus about fleets (--prometheus)" if left else ""
    return Pods(kept, note, tuple(problems))


def _one(cluster: Cluster, target: Target, namespace: str) -> Pods:
    try:
        return Pods([cluster.one(GET_POD, namespace=namespace, name=target.name)])
    except ClusterError as error:
        if not error.is_forbidden:
            raise
        return Pods([{"metadata": {"name": target.name, "namespace": namespace}}], problems=(error,))


def _selector(cluster: Cluster, target: Target, namespace: str) -> tuple[str, list[InputError]]:
    if target.kind == "selector":
        return target.name, []
    if target.kind == "inferenceservice":
        return f"{_OF_A_SERVICE}={target.name}", _state_of_service(cluster, target, namespace)
    call = GET_DEPLOYMENT if target.kind == "deployment" else GET_STATEFUL_SET
    workload = cluster.one(call, namespace=namespace, name=target.name)
    selector = child(workload, "spec", "selector")
    terms = [f"{key}={value}" for key, value in child(selector, "matchLabels").items()]
    terms += [_expression(expression) for expression in children(selector, "matchExpressions")]
    if not terms:
        raise InputError(str(target), "selects no pods", "name a pod")
    return ",".join(terms), []


def _expression(expression: Object) -> str:
    """A requirement of a selector in the form of the list's parameter."""
    key, operator = text_of(expression, "key"), text_of(expression, "operator")
    if operator in _OPERATORS:
        values = expression.get("values")
        return f"{key} {_OPERATORS[operator]} ({','.join(map(str, values if isinstance(values, list) else ()))})"
    return key if operator == "Exists" else f"!{key}"


def _state_of_service(cluster: Cluster, target: Target, namespace: str) -> list[InputError]:
    """What the service itself says is wrong. Its pods are known by their label, without it."""
    try:
        service = cluster.one(GET_INFERENCE_SERVICE, namespace=namespace, name=target.name)
    except ClusterError as error:
        if error.is_forbidden:
            return [error]
        raise
    for condition in children(child(service, "status"), "conditions"):
        if condition.get("status") == "False" and text_of(condition, "message"):
            said = f"{text_of(condition, 'type')} is False: {quote(text_of(condition, 'message'), 240)}"
            return [InputError(str(target), said)]
    return []


def _why_none(problems: list[InputError]) -> str:
    return f" ({problems[0].problem})" if problems else ""


def _trouble(pod: Object) -> int:
    """How much there is to see in a pod: not ready, restarted."""
    states = children(child(pod, "status"), "containerStatuses")
    restarts = sum(number_of(state, "restartCount") for state in states)
    return 1000 * (not states or any(state.get("ready") is not True for state in states)) + min(restarts, 999)
