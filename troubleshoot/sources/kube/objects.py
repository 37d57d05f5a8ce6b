"""Objects of the Kubernetes API -> facts. Whatever is absent or of the wrong shape counts as unknown."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from troubleshoot.pod_facts import Ended, NodeFacts, PodEvent, PodFacts
from troubleshoot.redact import MASK, is_secret_name

Object = Mapping[str, Any]

GPU_RESOURCE: Final = re.compile(r"(?:nvidia\.com/(?:gpu|mig-.+)|amd\.com/gpu|gpu\.intel\.com/.+|habana\.ai/gaudi)")
_DEFAULT_CONTAINER: Final = "kubectl.kubernetes.io/default-container"
_ENGINE_CONTAINERS: Final = re.compile(
    r"kserve-container|vllm|sglang|tgi|text-generation|triton|tensorrt|trtllm|llama|dynamo|engine|inference|server|main",
    re.IGNORECASE,
)
_MOST_ARGUMENTS: Final = 400
_LONGEST_TEXT: Final = 4096
_UNITS: Final = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BAD_WHEN_TRUE: Final = re.compile(r".*(?:Pressure|Unavailable|Problem|Deadlock|Unhealthy|Error|Xid).*", re.IGNORECASE)


def child(value: object, *path: str) -> Object:
    """The mapping at a path; an empty one where there is none."""
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def children(value: object, key: str) -> list[Object]:
    """The mappings of the list at a key."""
    found = value.get(key) if isinstance(value, Mapping) else None
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def text_of(value: object, key: str) -> str:
    """The text at a key; "" where there is none."""
    found = value.get(key) if isinstance(value, Mapping) else None
    return found[:_LONGEST_TEXT] if isinstance(found, str) else ""


def number_of(value: object, key: str) -> int:
    """The whole number at a key; 0 where there is none."""
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, int) and not isinstance(found, bool) else 0


def pod_name(pod: Object) -> str:
    """Its name without the namespace."""
    return text_of(child(pod, "metadata"), "name")


def engine_container(pod: Object) -> Object:
    """The container that serves: the annotated, the one with a GPU, the one named like an engine, else the first."""
    containers = children(child(pod, "spec"), "containers")
    named = text_of(child(pod, "metadata", "annotations"), _DEFAULT_CONTAINER)
    for found in (
        [c for c in containers if text_of(c, "name") == named and named],
        [c for c in containers if _gpus(c)],
        [c for c in containers if _ENGINE_CONTAINERS.search(text_of(c, "name"))],
        containers,
    ):
        if found:
            return found[0]
    return {}


def container_of(pod: Object, name: str) -> Object:
    """The container of that name; of no name, the engine's."""
    if not name:
        return engine_container(pod)
    found = (c for c in children(child(pod, "spec"), "containers") if text_of(c, "name") == name)
    return next(found, {})


def pod_facts(pod: Object, container: Object, *, now: float = 0.0) -> PodFacts:
    """Everything that the pod's object says of a replica; `now` (unix seconds) tells how long ago its ends were."""
    metadata, status = child(pod, "metadata"), child(pod, "status")
    name = text_of(container, "name")
    state = next((s for s in children(status, "containerStatuses") if text_of(s, "name") == name), {})
    waiting = child(state, "state", "waiting")
    limits = child(container, "resources", "limits")
    labels = {key: value for key, value in child(metadata, "labels").items() if isinstance(value, str)}
    return PodFacts(
        name=f"{text_of(metadata, 'namespace')}/{text_of(metadata, 'name')}",
        container=name,
        phase=text_of(status, "phase"),
        reason=text_of(status, "reason"),
        message=text_of(status, "message"),
        waiting_reason=text_of(waiting, "reason"),
        waiting_message=text_of(waiting, "message"),
        is_running=bool(child(state, "state").get("running") is not None),
        is_ready=state.get("ready") is True,
        is_going="deletionTimestamp" in metadata,
        restarts=number_of(state, "restartCount"),
        ended=tuple(_ends(state, now)),
        image=text_of(container, "image"),
        arguments=arguments_of(container),
        memory_limit_bytes=quantity(limits.get("memory")),
        gpus_requested=_gpus(container),
        revision=labels.get("pod-template-hash") or labels.get("controller-revision-hash", ""),
        unscheduled=_unscheduled(status),
        has_startup_probe=bool(child(container, "startupProbe")),
        init_failure=_init_failure(status),
        labels=labels,
    )


def _ends(state: Object, now: float) -> Iterator[Ended]:
    """The last end, then the present one, where there are such."""
    for key, is_current in (("lastState", False), ("state", True)):
        ended = child(state, key, "terminated")
        if ended:
            finished, signal = _time(ended.get("finishedAt")), number_of(ended, "signal")
            yield Ended(
                reason=text_of(ended, "reason"),
                exit_code=number_of(ended, "exitCode") or (128 + signal if signal else 0),
                message=text_of(ended, "message"),
                started=_time(ended.get("startedAt")),
                finished=finished,
                is_current=is_current,
                ago_seconds=now - finished if finished is not None and now else None,
            )


def _init_failure(status: Object) -> str:
    """What became of the container that goes first and failed (KServe's storage-initializer fetches the model)."""
    for state in children(status, "initContainerStatuses"):
        name = text_of(state, "name")
        waiting = child(state, "state", "waiting")
        ended = child(state, "state", "terminated") or child(state, "lastState", "terminated")
        if number_of(ended, "exitCode"):
            said = " ".join(filter(None, (text_of(ended, "reason"), text_of(ended, "message"))))
            return f"{name} ended with exit code {number_of(ended, 'exitCode')} {said}".strip()
        if text_of(waiting, "reason") not in ("", "PodInitializing", "ContainerCreating"):
            return f"{name} waits: {text_of(waiting, 'reason')} {text_of(waiting, 'message')}".strip()
    return ""


def events_of(events: Sequence[Object]) -> tuple[PodEvent, ...]:
    """Events as facts, the newest last."""
    return tuple(sorted(map(_event, events), key=lambda event: event.last_seen or 0.0))


def _event(event: Object) -> PodEvent:
    series = child(event, "series")
    last = (event.get(key) for key in ("lastTimestamp", "eventTime", "firstTimestamp"))
    times = (
        _time(series.get("lastObservedTime")),
        *map(_time, last),
        _time(child(event, "metadata").get("creationTimestamp")),
    )
    return PodEvent(
        reason=text_of(event, "reason"),
        message=text_of(event, "message"),
        count=number_of(series, "count") or number_of(event, "count") or 1,
        is_warning=event.get("type") != "Normal",
        last_seen=next((time for time in times if time is not None), None),
    )


def _unscheduled(status: Object) -> str:
    scheduled = (
        c for c in children(status, "conditions") if c.get("type") == "PodScheduled" and c.get("status") == "False"
    )
    condition = next(scheduled, None)
    return f"{text_of(condition, 'reason')}: {text_of(condition, 'message')}" if condition else ""


def node_facts(node: Object) -> NodeFacts:
    """Conditions that are no good news, GPUs that pods may have, the GPU's name by NVIDIA's feature discovery."""
    metadata = child(node, "metadata")
    bad = []
    for condition in children(child(node, "status"), "conditions"):
        kind, holds = text_of(condition, "type"), condition.get("status")
        if kind == "Ready" and holds != "True":
            bad.append(f"not Ready: {text_of(condition, 'message')}")
        elif holds == "True" and _BAD_WHEN_TRUE.fullmatch(kind):
            bad.append(f"{kind}: {text_of(condition, 'message')}")
    allocatable = child(node, "status", "allocatable")
    gpus = [quantity(value) for key, value in allocatable.items() if GPU_RESOURCE.fullmatch(str(key))]
    return NodeFacts(
        name=text_of(metadata, "name"),
        conditions=tuple(bad),
        gpus_allocatable=sum(number for number in gpus if number is not None) if gpus else None,
        gpu_product=text_of(child(metadata, "labels"), "nvidia.com/gpu.product"),
        is_cordoned=child(node, "spec").get("unschedulable") is True,
    )


def arguments_of(container: Object) -> str:
    """The container's command, arguments and plain environment as one command line; secrets by name are masked.

    What the environment takes from a Secret or a ConfigMap is not in the object, and is not asked for.
    """
    words = [word for key in ("command", "args") for word in _words(container.get(key))]
    variables = [
        f"{text_of(entry, 'name')}={MASK if is_secret_name(text_of(entry, 'name')) else text_of(entry, 'value')}"
        for entry in children(container, "env")
        if text_of(entry, "value")
    ]
    # What a shell is to run is a command line already.
    shown = [word if " --" in word else shlex.quote(word) for word in words]
    return " ".join([*variables, *shown])


def _words(value: object) -> list[str]:
    return [word for word in value[:_MOST_ARGUMENTS] if isinstance(word, str)] if isinstance(value, list) else []


def _gpus(container: Object) -> int:
    limits = child(container, "resources", "limits")
    return sum(quantity(value) or 0 for key, value in limits.items() if GPU_RESOURCE.fullmatch(str(key)))


def quantity(value: object) -> int | None:
    """A quantity of Kubernetes ("16Gi", "1", "500M") as a whole number; None where it is none."""
    match = re.fullmatch(r"(\d{1,18}(?:\.\d{1,9})?)(Ki|Mi|Gi|Ti|k|M|G|T)?", str(value)) if value is not None else None
    return int(float(match[1]) * _UNITS.get(match[2] or "", 1)) if match else None


def _time(value: object) -> float | None:
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
