"""The kubelet's pod-resources API: which container holds which device.

gRPC `v1.PodResourcesLister/List` on a Unix socket (generally available since Kubernetes 1.28). The kubelet
answers 100 calls a second (burst 10) to all clients together and ResourceExhausted beyond.
"""

from __future__ import annotations

from msgspec import Struct

LIST_METHOD = "/v1.PodResourcesLister/List"


class Assignment(Struct, frozen=True):
    """One device of one container.

    `device_id` is what the device plugin calls it. With `dynamic` the device was claimed by dynamic resource
    allocation: `resource` is then the driver's name and `device_id` the device's name in its pool.
    """

    namespace: str
    pod: str
    container: str
    resource: str
    device_id: str
    dynamic: bool = False


def list_assignments(socket_path: str, timeout_seconds: float) -> tuple[Assignment, ...]:
    """Ask the kubelet for every device of every container on the node, of any resource.

    Raises SourceError.
    """
    from exporter.pods.messages import decode
    from exporter.pods.unary_call import call

    answer = decode("ListPodResourcesResponse", call(socket_path, LIST_METHOD, b"", timeout_seconds))
    found: list[Assignment] = []
    for pod in answer.pod_resources:
        for container in pod.containers:
            where = (pod.namespace, pod.name, container.name)
            found += [
                Assignment(*where, devices.resource_name, device_id)
                for devices in container.devices
                for device_id in devices.device_ids
            ]
            found += [
                Assignment(*where, claimed.driver_name, claimed.device_name, dynamic=True)
                for dynamic in container.dynamic_resources
                for claimed in dynamic.claim_resources
            ]
    return tuple(found)
