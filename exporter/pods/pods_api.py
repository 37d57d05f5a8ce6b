"""The node's pods from the kubelet's own Pods API (KEP-4188), which needs no rights in the cluster.

gRPC `ListPods` on a Unix socket that belongs to root. The package is `v1alpha1` in alpha (1.35, 1.36) and in
beta (1.37, on by default) alike, each pod a serialised core/v1 Pod. Where an alpha kubelet serves it at
/var/lib/kubelet/pods/kubelet.sock, that path can be configured, but it is never tried unasked: its directory
holds the volumes of all pods, secrets included, and must not be mounted into an exporter lightly.
"""

from __future__ import annotations

from typing import Any

from exporter.pods.pod import Container, ContainerPort, Pod, is_name, metrics_annotations

LIST_METHOD = "/v1alpha1.Pods/ListPods"


def list_pods(socket_path: str, timeout_seconds: float) -> tuple[Pod, ...]:
    """Ask the kubelet for the node's pods.

    Raises SourceError; its reason is "unimplemented" where the kubelet serves another version, or none.
    """
    from exporter.pods.messages import decode
    from exporter.pods.unary_call import call

    answer = decode("ListPodsResponse", call(socket_path, LIST_METHOD, b"", timeout_seconds))
    pods = (_pod(decode("Pod", data)) for data in answer.pods)
    return tuple(pod for pod in pods if is_name(pod.namespace) and is_name(pod.name))


def _pod(message: Any) -> Pod:
    ready = {status.name for status in message.status.containerStatuses if status.ready}
    return Pod(
        namespace=message.metadata.namespace,
        name=message.metadata.name,
        uid=message.metadata.uid,
        ip=message.status.podIP or next((entry.ip for entry in message.status.podIPs), ""),
        phase=message.status.phase,
        annotations=metrics_annotations(message.metadata.annotations),
        labels=dict(message.metadata.labels),
        containers=tuple(
            Container(
                container.name,
                tuple(ContainerPort(port.name, port.containerPort) for port in container.ports),
                container.name in ready,
            )
            for container in message.spec.containers
        ),
    )
