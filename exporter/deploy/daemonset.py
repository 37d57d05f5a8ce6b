"""The DaemonSet: one pod a GPU node, with no more rights than what it is asked to read needs."""

from __future__ import annotations

from exporter.deploy.release import (
    Release,
    asks_api_server,
    asks_pods_api,
    metadata,
    reads_processes,
    selector,
)
from exporter.deploy.values import Object, Values

__all__ = ["daemon_set"]

_CONFIG_FOLDER = "/etc/inferwatch"
_WEB_FOLDER = "/etc/inferwatch-web"
_POD_RESOURCES = "pod-resources"
_PODS_API = "pods-api"
# Where the exporter looks for the sockets, wherever the kubelet's own directory is.
_SOCKETS_FOLDER = "/var/lib/kubelet"
_NOBODY = 65532


def daemon_set(values: Values, release: Release) -> Object:
    """Return the DaemonSet."""
    annotations = {"inferwatch.dev/scrape": "false", **values.pod_annotations}
    labels = {**metadata(release)["labels"], **values.pod_labels}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": metadata(release),
        "spec": {
            "selector": {"matchLabels": selector(release)},
            "updateStrategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": _count_or_share(values.max_unavailable)},
            },
            "template": {"metadata": {"labels": labels, "annotations": annotations}, "spec": _pod(values, release)},
        },
    }


def _count_or_share(text: str) -> int | str:
    return text if text.endswith("%") else int(text)


def _pod(values: Values, release: Release) -> Object:
    pod: Object = {
        "serviceAccountName": release.name,
        "automountServiceAccountToken": asks_api_server(values),
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 15,
    }
    optional: Object = {
        "hostPID": reads_processes(values),
        "runtimeClassName": values.runtime_class_name,
        "priorityClassName": values.priority_class_name,
        "imagePullSecrets": list(values.image.pull_secrets),
        "nodeSelector": values.node_selector,
        "affinity": values.affinity,
        "tolerations": list(values.tolerations),
    }
    pod |= {key: value for key, value in optional.items() if value}
    security: Object = {"seccompProfile": {"type": "RuntimeDefault"}}
    if values.se_linux_options:
        security["seLinuxOptions"] = values.se_linux_options
    return {
        **pod,
        "securityContext": security,
        "containers": [_container(values, release)],
        "volumes": _volumes(values, release),
    }


def _container(values: Values, release: Release) -> Object:
    arguments = [f"--config={_CONFIG_FOLDER}/config.yaml", f"--listen=:{values.port}"]
    if values.web_config.secret_name:
        arguments.append(f"--web.config.file={_WEB_FOLDER}/web-config.yml")
    environment: list[Object] = [
        {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"},
        {"name": "NVIDIA_DRIVER_CAPABILITIES", "value": "utility"},
        {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ]
    if values.mig.monitor:
        environment.append({"name": "NVIDIA_MIG_MONITOR_DEVICES", "value": "all"})
    return {
        "name": "exporter",
        "image": _image(values, release),
        "imagePullPolicy": values.image.pull_policy,
        "args": arguments,
        "env": [*environment, *values.extra_env],
        "ports": [{"name": "metrics", "containerPort": values.port, "protocol": "TCP"}],
        "livenessProbe": {
            **_probe(values, "/healthz"),
            "initialDelaySeconds": 10,
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 6,
        },
        "readinessProbe": {**_probe(values, "/readyz"), "periodSeconds": 5, "timeoutSeconds": 5},
        "resources": {"requests": values.resources.requests, "limits": values.resources.limits},
        "securityContext": _security(values),
        "volumeMounts": _mounts(values),
    }


def _image(values: Values, release: Release) -> str:
    image = values.image
    if image.digest:
        return f"{image.repository}@{image.digest}"
    return f"{image.repository}:{image.tag or release.version}"


def _probe(values: Values, path: str) -> Object:
    if values.web_config.secret_name:
        return {"tcpSocket": {"port": "metrics"}}
    return {"httpGet": {"path": path, "port": "metrics"}}


def _security(values: Values) -> Object:
    capabilities: Object = {"drop": ["ALL"]}
    if values.mig.monitor:
        capabilities["add"] = ["SYS_ADMIN"]
    needs_root = values.kubelet.pod_resources or asks_pods_api(values) or values.mig.monitor
    user = 0 if needs_root else _NOBODY
    return {
        "runAsUser": user,
        "runAsGroup": user,
        "runAsNonRoot": not needs_root,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": capabilities,
    }


def _socket_directories(values: Values) -> list[str]:
    asked = {_POD_RESOURCES: values.kubelet.pod_resources, _PODS_API: asks_pods_api(values)}
    return [name for name, wanted in asked.items() if wanted]


def _mounts(values: Values) -> list[Object]:
    mounts: list[Object] = [{"name": "config", "mountPath": _CONFIG_FOLDER, "readOnly": True}]
    mounts += [
        {"name": name, "mountPath": f"{_SOCKETS_FOLDER}/{name}", "readOnly": True}
        for name in _socket_directories(values)
    ]
    if values.web_config.secret_name:
        mounts.append({"name": "web-config", "mountPath": _WEB_FOLDER, "readOnly": True})
    return [*mounts, *values.extra_volume_mounts]


def _volumes(values: Values, release: Release) -> list[Object]:
    volumes: list[Object] = [{"name": "config", "configMap": {"name": release.name}}]
    # A wrong root directory is to fail at the start. But a kubelet without the Pods API has no directory for it: an
    # empty one lets the pod start and say so.
    kinds = {_POD_RESOURCES: "Directory", _PODS_API: "DirectoryOrCreate"}
    volumes += [
        {"name": name, "hostPath": {"path": f"{values.kubelet.root_directory}/{name}", "type": kinds[name]}}
        for name in _socket_directories(values)
    ]
    if values.web_config.secret_name:
        volumes.append({"name": "web-config", "secret": {"secretName": values.web_config.secret_name}})
    return [*volumes, *values.extra_volumes]
