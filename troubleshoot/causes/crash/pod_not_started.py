"""`crash_pod_not_started`: Kubernetes cannot start the container, so that the engine never runs."""

from __future__ import annotations

import re
from typing import NamedTuple

from troubleshoot.causes.base import Cause, Judgement
from troubleshoot.evidence import Evidence
from troubleshoot.findings import EvidenceItem, Fix, Severity
from troubleshoot.pod_facts import PodFacts

_GPU = re.compile(r"Insufficient (?:nvidia\.com/|amd\.com/|gpu\.intel\.com/|habana\.ai/)")
_IMAGE = frozenset({"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"})
_CONFIG = frozenset({"CreateContainerConfigError"})
_RUNTIME = frozenset({"CreateContainerError", "RunContainerError", "ContainerCannotRun", "StartError"})
_VOLUME = ("FailedMount", "FailedAttachVolume", "FailedMapVolume", "ProvisioningFailed")


class _Obstacle(NamedTuple):
    title: str
    explanation: str
    fixes: tuple[Fix, ...]


_NO_GPU = _Obstacle(
    "No node has the GPUs free that the pod asks for",
    "The scheduler finds no node with enough allocatable GPUs: the pod stays Pending and no engine starts.",
    (
        Fix(
            "GPU nodes",
            None,
            "more, or free their GPUs (kubectl describe node shows who holds them)",
            "none has enough left",
        ),
        Fix("resources.limits GPU", None, "fewer, with --tensor-parallel-size to match", "if the model fits on fewer"),
    ),
)
_NO_NODE = _Obstacle(
    "No node suits the pod",
    "The scheduler finds no node for the pod: it stays Pending and no engine starts.",
    (
        Fix(
            "nodeSelector, affinity, tolerations, requests",
            None,
            "such as a node satisfies",
            "the event says which of them no node meets",
        ),
    ),
)
_NO_IMAGE = _Obstacle(
    "The container's image cannot be pulled",
    "The image cannot be pulled, so that the container is never created.",
    (
        Fix("image", None, "a name and tag that the registry has", "the message tells not found from unauthorised"),
        Fix(
            "imagePullSecrets",
            None,
            "credentials of the registry, in this namespace",
            "if it is private or limits pulls",
        ),
    ),
)
_NO_CONFIG = _Obstacle(
    "A Secret or ConfigMap that the container needs does not exist",
    "The container refers to a Secret or ConfigMap that is not there, so that it is never created.",
    (
        Fix(
            "Secret or ConfigMap",
            None,
            "created in this namespace, with the key that is named",
            "often the Hugging Face token",
        ),
    ),
)
_NO_VOLUME = _Obstacle(
    "A volume of the pod cannot be mounted",
    "A volume cannot be attached or mounted, so that the container (and with it the model's files) is never there.",
    (
        Fix(
            "volume",
            None,
            "present, in the node's zone and not held by another node",
            "ReadWriteOnce volumes attach to one node",
        ),
        Fix(
            "Secret, ConfigMap or CSI driver of the volume",
            None,
            "present on the node",
            "the event names what is missing",
        ),
    ),
)
_NO_RUNTIME = _Obstacle(
    "The container runtime cannot start the container",
    "The runtime refuses to start the container: a command that the image lacks, a device or a GPU runtime that the node lacks.",
    (
        Fix(
            "command, runtimeClassName, GPU driver of the node",
            None,
            "as the message says",
            "the runtime's message names it",
        ),
    ),
)
_NO_INIT = _Obstacle(
    "A container that goes before the engine fails",
    "An init container fails, so that the engine's container is never started. Under KServe it fetches the model.",
    (
        Fix(
            "init container",
            None,
            "read its log: kubectl logs POD -c NAME --previous",
            "storage URI, credentials or disk space are the usual reasons",
        ),
    ),
)


class PodNotStarted(Cause):
    """The pod is not scheduled, or its container not created."""

    id = "crash_pod_not_started"
    family = "crash"
    title = "Kubernetes cannot start the engine's container"
    needs = ("kubernetes: the pod's status and events",)
    consequences = frozenset({"crash_engine_dead_killed", "crash_unrecognised_exception"})

    def judge(self, evidence: Evidence) -> Judgement:
        """By the pod's own status; events alone may be of a trouble that is over."""
        pod = evidence.pod
        if pod is None or not pod.phase:
            if evidence.log is not None or (evidence.metrics is not None and evidence.metrics.engine):
                return self.ruled_out("the engine was started: it wrote a log or answers")
            return self.not_evaluated()
        if pod.is_running:
            return self.ruled_out("the container runs")
        found = _obstacle(pod)
        if found is None:
            return self.ruled_out("the container was started")
        obstacle, proof = found
        return self.finding(Severity.CRITICAL, 0.95, obstacle.explanation, proof, obstacle.fixes, title=obstacle.title)


def _obstacle(pod: PodFacts) -> tuple[_Obstacle, list[EvidenceItem]] | None:
    if pod.unscheduled:
        events: list[EvidenceItem] = [pod.event_proof(e) for e in pod.events_of("FailedScheduling")[-1:]]
        texts = " ".join((pod.unscheduled, *(e.message for e in pod.events_of("FailedScheduling"))))
        return (_NO_GPU if _GPU.search(texts) else _NO_NODE), [pod.pod_proof(pod.unscheduled), *events]
    for reasons, obstacle, told in (
        (_IMAGE, _NO_IMAGE, ("Failed", "ErrImagePull")),
        (_CONFIG, _NO_CONFIG, ("Failed",)),
        (_RUNTIME, _NO_RUNTIME, ("Failed",)),
    ):
        if pod.waiting_reason in reasons:
            return obstacle, [pod.waiting_proof(), *(pod.event_proof(e) for e in pod.events_of(*told)[-1:])]
    refused = [end for end in pod.ended if end.reason in _RUNTIME]
    if refused:
        return _NO_RUNTIME, [pod.end_proof(refused[-1])]
    if pod.init_failure:
        return _NO_INIT, [pod.pod_proof(f"init container {pod.init_failure}")]
    unmounted = pod.events_of(*_VOLUME)
    if unmounted and not pod.ended and pod.phase == "Pending":
        return _NO_VOLUME, [pod.event_proof(event) for event in unmounted[-2:]]
    return None
