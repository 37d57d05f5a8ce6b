"""Objects of the Kubernetes API as it shows them: pods, ends of containers, events, nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Object = dict[str, Any]


def pod(
    name: str = "vllm-0",
    *,
    namespace: str = "llm",
    container: str = "vllm",
    args: Sequence[str] = ("--model", "meta-llama/Llama-2-7b-hf"),
    state: Object | None = None,
    last: Object | None = None,
    restarts: int = 0,
    ready: bool = True,
    phase: str = "Running",
    **changes: Any,
) -> Object:
    """A pod with one container on node `gpu-1`. `changes`: labels, env, ports, image, limits, node, status, spec."""
    started = state if state is not None else {"running": {"startedAt": "2026-11-22T01:00:00Z"}}
    status = {
        "name": container,
        "ready": ready,
        "restartCount": restarts,
        "state": started,
        "lastState": {"terminated": last} if last else {},
    }
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{name}",
            "labels": changes.get("labels", {"app": "vllm"}),
            "annotations": changes.get("annotations", {}),
        },
        "spec": {
            "nodeName": changes.get("node", "gpu-1"),
            "containers": [
                {
                    "name": container,
                    "image": changes.get("image", "vllm/vllm-openai:v0.24.0"),
                    "args": list(args),
                    "env": changes.get("env", []),
                    "ports": changes.get("ports", [{"name": "http", "containerPort": 8000}]),
                    "resources": {"limits": changes.get("limits", {"nvidia.com/gpu": "1", "memory": "64Gi"})},
                },
                *changes.get("more_containers", []),
            ],
            **changes.get("spec", {}),
        },
        "status": {"phase": phase, "containerStatuses": [status], **changes.get("status", {})},
    }


def ended(code: int, reason: str = "Error", finished: str = "2026-11-22T02:00:00Z", **more: Any) -> Object:
    """A terminated state, half an hour long."""
    return {"exitCode": code, "reason": reason, "startedAt": "2026-11-22T01:30:00Z", "finishedAt": finished, **more}


def event(reason: str, message: str, *, pod: str = "vllm-0", kind: str = "Warning", count: int = 1) -> Object:
    """An event about a pod."""
    return {
        "kind": "Event",
        "metadata": {"name": f"{pod}.1", "namespace": "llm"},
        "involvedObject": {"kind": "Pod", "name": pod, "namespace": "llm", "uid": f"uid-{pod}"},
        "reason": reason,
        "message": message,
        "type": kind,
        "count": count,
        "lastTimestamp": "2026-11-22T02:00:00Z",
    }


def node(name: str = "gpu-1", *, gpus: str = "8", ready: str = "True", **conditions: str) -> Object:
    """A node. `conditions` by type, for example MemoryPressure="True"."""
    shown = [{"type": "Ready", "status": ready, "message": "kubelet"}]
    shown += [{"type": kind, "status": status, "message": f"kubelet has {kind}"} for kind, status in conditions.items()]
    return {
        "kind": "Node",
        "metadata": {"name": name, "labels": {"nvidia.com/gpu.product": "NVIDIA-H200"}},
        "spec": {},
        "status": {"conditions": shown, "allocatable": {"nvidia.com/gpu": gpus, "memory": "2000Gi"}},
    }
