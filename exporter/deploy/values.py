"""What may be chosen when the exporter is deployed: the Helm chart's values, and what the kustomize base has.

The chart's `values.yaml` and `values.schema.json` are written from here (`exporter.deploy.generate`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, field

from exporter.config import Config

__all__ = [
    "Image",
    "Kubelet",
    "Mig",
    "NetworkPolicy",
    "Object",
    "PodMonitor",
    "Resources",
    "Values",
    "WebConfig",
    "json_schema",
]

_DURATION = r"^([0-9]+(ms|[smhdwy]))+$"
_QUANTITY = r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi)?$"

Object = dict[str, Any]
Duration = Annotated[str, Meta(pattern=_DURATION)]
Quantity = Annotated[str, Meta(pattern=_QUANTITY)]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A mapping of values in which an unknown key is an error."""


class Image(_Part, frozen=True, kw_only=True):
    """Where the container image is."""

    repository: Annotated[
        str, Meta(min_length=1, description="No image is published: build one (README) and name it here.")
    ] = "inferwatch"
    tag: Annotated[str, Meta(description="Empty for the chart's appVersion.")] = ""
    digest: Annotated[str, Meta(pattern="^(sha256:[0-9a-f]{64})?$", description="sha256:...; wins over the tag.")] = ""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    pull_secrets: Annotated[tuple[Object, ...], Meta(description="Secrets for a private registry: [{name: ...}].")] = ()


class Mig(_Part, frozen=True, kw_only=True):
    """GPUs cut into MIG instances."""

    monitor: Annotated[
        bool,
        Meta(
            description="Read all MIG instances of the node. NVIDIA's container toolkit gives the devices for that "
            "to containers with CAP_SYS_ADMIN only, so this adds it."
        ),
    ] = False


class Kubelet(_Part, frozen=True, kw_only=True):
    """The kubelet's sockets."""

    root_directory: Annotated[
        str, Meta(pattern="^/.*[^/]$", description="The kubelet's --root-dir; k0s and MicroK8s have another.")
    ] = "/var/lib/kubelet"
    pod_resources: Annotated[
        bool,
        Meta(description="Mount the pod-resources socket: which container holds which GPU. Its owner is root."),
    ] = True


class WebConfig(_Part, frozen=True, kw_only=True):
    """TLS and basic authentication."""

    secret_name: Annotated[
        str,
        Meta(
            description="A Secret with a key web-config.yml, in the format of Prometheus's exporters, and the files "
            "that it names. Probes then only connect, for they have no password."
        ),
    ] = ""


class PodMonitor(_Part, frozen=True, kw_only=True):
    """Scraping by the Prometheus operator."""

    enabled: Annotated[bool, Meta(description="Needs the operator's PodMonitor definition in the cluster.")] = True
    interval: Duration = "15s"
    scrape_timeout: Duration = "10s"
    labels: Annotated[
        dict[str, str], Meta(description="What your Prometheus selects PodMonitors by, such as release: prometheus.")
    ] = {}
    scheme: Literal["http", "https"] = "http"
    tls_config: Annotated[Object, Meta(description="The endpoint's tlsConfig, with scheme https.")] = {}
    basic_auth: Annotated[Object, Meta(description="The endpoint's basicAuth.")] = {}


class NetworkPolicy(_Part, frozen=True, kw_only=True):
    """Who may connect to the exporter, and to what it may connect."""

    enabled: bool = True
    ingress_from: Annotated[
        tuple[Object, ...], Meta(description="Peers that may scrape. By default, all pods of namespace monitoring.")
    ] = ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}},)
    extra_egress: Annotated[
        tuple[Object, ...],
        Meta(description="More egress rules: an OTLP receiver or engines outside the cluster, a DNS cache on nodes."),
    ] = ()


class Resources(_Part, frozen=True, kw_only=True):
    """Requests and limits. Without a CPU limit, for throttling makes collections late."""

    requests: dict[str, Quantity] = field(default_factory=lambda: {"cpu": "25m", "memory": "96Mi"})
    limits: dict[str, Quantity] = field(default_factory=lambda: {"memory": "256Mi"})


class Values(_Part, frozen=True, kw_only=True):
    """All values. Lists and mappings without a description go into the DaemonSet as they are."""

    image: Image = Image()
    port: Annotated[int, Meta(ge=1024, le=65535, description="Where /metrics is served.")] = 9400
    config: Annotated[
        Object,
        Meta(
            description="The exporter's configuration file, any of its keys but listen. kubernetes.discovery decides "
            "on the rights in the cluster: pods_api none, api_server and auto a ClusterRole that lists pods. "
            "gpu.processes needs the node's process ids, so it sets hostPID."
        ),
    ] = field(
        default_factory=lambda: {
            "interval_seconds": 5,
            "gpu": {"processes": False},
            "kubernetes": {"discovery": "pods_api"},
        }
    )
    kubelet: Kubelet = Kubelet()
    mig: Mig = Mig()
    web_config: WebConfig = WebConfig()
    pod_monitor: PodMonitor = PodMonitor()
    network_policy: NetworkPolicy = NetworkPolicy()
    runtime_class_name: Annotated[
        str,
        Meta(description="The runtime class of NVIDIA's container toolkit; empty where it is the nodes' default."),
    ] = "nvidia"
    priority_class_name: str = "system-node-critical"
    resources: Annotated[
        Resources,
        Meta(
            description="Measured (docs/performance.md): 46 MiB with 8 stub GPUs and 8 engines, 57 MiB with NVIDIA's "
            "driver library and one H200, 97 MiB with 64 engines; about 15 ms of CPU a collection for 8 engines, and "
            "6 to 10 ms inside the driver for each GPU."
        ),
    ] = Resources()
    node_selector: dict[str, str] = field(default_factory=lambda: {"nvidia.com/gpu.present": "true"})
    affinity: Object = {}
    tolerations: tuple[Object, ...] = ({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},)
    max_unavailable: Annotated[str, Meta(pattern="^[0-9]+%?$", description="How many nodes are updated at a time.")] = (
        "10%"
    )
    se_linux_options: Annotated[Object, Meta(description="With SELinux the kubelet's sockets want {type: spc_t}.")] = {}
    pod_annotations: dict[str, str] = {}
    pod_labels: dict[str, str] = {}
    extra_env: tuple[Object, ...] = ()
    extra_volumes: tuple[Object, ...] = ()
    extra_volume_mounts: tuple[Object, ...] = ()


def json_schema() -> Object:
    """Return the JSON Schema of the values. `config` has the schema of the exporter's own configuration."""
    schema: Object = msgspec.json.schema(Values)
    config: Object = msgspec.json.schema(Config)
    definitions = {**config["$defs"], **schema["$defs"]}
    own = {key: value for key, value in definitions["Config"]["properties"].items() if key != "listen"}
    definitions["Config"] = {**definitions["Config"], "properties": own}
    # Helm puts `global` into the values of every chart.
    values = {**schema["$defs"]["Values"]["properties"], "global": {"type": "object"}}
    values["config"] = {"$ref": "#/$defs/Config", "description": values["config"]["description"]}
    definitions["Values"] = {**schema["$defs"]["Values"], "properties": values}
    return {"$schema": "http://json-schema.org/draft-07/schema#", **definitions.pop("Values"), "$defs": definitions}
