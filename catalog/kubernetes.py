"""The kube-state-metrics and cAdvisor series that rules and the diagnosis read.

Source: kube-state-metrics docs/metrics and cadvisor/metrics/prometheus.go. The kubelet adds `namespace`,
`pod` and `container` to cAdvisor's series.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Kind = Literal["gauge", "counter"]

_POD = ("namespace", "pod", "container")


@dataclass(frozen=True, slots=True)
class KubernetesSeries:
    """One series: who exposes it, what it means, and the labels that rules use."""

    name: str
    source: Literal["kube-state-metrics", "cadvisor"]
    kind: Kind
    unit: str
    meaning: str
    labels: tuple[str, ...] = _POD


def _state(name: str, kind: Kind, unit: str, meaning: str, *labels: str) -> KubernetesSeries:
    return KubernetesSeries(name, "kube-state-metrics", kind, unit, meaning, labels or _POD)


def _cadvisor(name: str, kind: Kind, unit: str, meaning: str) -> KubernetesSeries:
    return KubernetesSeries(name, "cadvisor", kind, unit, meaning)


CONTAINER_RESTARTS = _state(
    "kube_pod_container_status_restarts_total", "counter", "restarts", "Restarts of a container."
)
LAST_TERMINATED_REASON = _state(
    "kube_pod_container_status_last_terminated_reason",
    "gauge",
    "bool",
    "1 for why the container last ended (OOMKilled); stays until the next end: join it with restarts.",
    *_POD,
    "reason",
)
LAST_TERMINATED_EXIT_CODE = _state(
    "kube_pod_container_status_last_terminated_exitcode", "gauge", "code", "Its exit code; 137 is SIGKILL."
)
WAITING_REASON = _state(
    "kube_pod_container_status_waiting_reason",
    "gauge",
    "bool",
    "1 for why a container waits: CrashLoopBackOff, ImagePullBackOff.",
    *_POD,
    "reason",
)
CONTAINER_RUNNING = _state("kube_pod_container_status_running", "gauge", "bool", "1 while the container runs.")
CONTAINER_STARTED = _state(
    "kube_pod_container_state_started", "gauge", "unix seconds", "When the container that is there now started."
)
POD_PHASE = _state("kube_pod_status_phase", "gauge", "bool", "1 for the pod's phase.", "namespace", "pod", "phase")
POD_READY = _state("kube_pod_status_ready", "gauge", "bool", "1 for the readiness.", "namespace", "pod", "condition")
POD_UNSCHEDULABLE = _state(
    "kube_pod_status_unschedulable", "gauge", "bool", "1 when no node has room.", "namespace", "pod"
)
RESOURCE_LIMITS = _state(
    "kube_pod_container_resource_limits",
    "gauge",
    "as label unit says",
    "Limit of a container; GPUs are resource nvidia_com_gpu.",
    *_POD,
    "node",
    "resource",
    "unit",
)
RESOURCE_REQUESTS = _state(
    "kube_pod_container_resource_requests",
    "gauge",
    "as label unit says",
    "Request of a container; GPUs are resource nvidia_com_gpu.",
    *_POD,
    "node",
    "resource",
    "unit",
)
NODE_ALLOCATABLE = _state(
    "kube_node_status_allocatable",
    "gauge",
    "as label unit says",
    "What a node can give to pods; GPUs are resource nvidia_com_gpu.",
    "node",
    "resource",
    "unit",
)
SPOT_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "label_karpenter_sh_capacity_type": "spot",
        "label_eks_amazonaws_com_capacity_type": "SPOT",
        "label_cloud_google_com_gke_spot": "true",
        "label_kubernetes_azure_com_scalesetpriority": "spot",
    }
)
"""Node labels as kube-state-metrics spells them (capacityType becomes capacity_type), and their value for spot."""

NODE_LABELS = _state(
    "kube_node_labels",
    "gauge",
    "1",
    "A node's labels, as label_...: those that kube-state-metrics was given with --metric-labels-allowlist only.",
    "node",
    *SPOT_LABELS,
)
POD_INFO = _state("kube_pod_info", "gauge", "1", "Which node a pod runs on.", "namespace", "pod", "node")
POD_OWNER = _state(
    "kube_pod_owner",
    "gauge",
    "1",
    "What controls a pod; of a Deployment it is a ReplicaSet, named as the Deployment with a hash behind.",
    "namespace",
    "pod",
    "owner_kind",
    "owner_name",
    "owner_is_controller",
)
ROLE_LABELS: tuple[str, ...] = (
    "label_llm_d_ai_role",
    "label_nvidia_com_dynamo_sub_component_type",
    "label_role_name",
)
"""Pod labels that say prefill or decode, as kube-state-metrics spells them: llm-d's, Dynamo's, AIBrix's."""

POD_LABELS = _state(
    "kube_pod_labels",
    "gauge",
    "1",
    "Labels of a pod, those that kube-state-metrics was told to show (--metric-labels-allowlist).",
    "namespace",
    "pod",
    *ROLE_LABELS,
)
HPA_INFO = _state(
    "kube_horizontalpodautoscaler_info",
    "gauge",
    "1",
    "What an autoscaler scales.",
    "namespace",
    "horizontalpodautoscaler",
    "scaletargetref_kind",
    "scaletargetref_name",
)
HPA_CURRENT = _state(
    "kube_horizontalpodautoscaler_status_current_replicas",
    "gauge",
    "replicas",
    "Replicas now.",
    "namespace",
    "horizontalpodautoscaler",
)
HPA_DESIRED = _state(
    "kube_horizontalpodautoscaler_status_desired_replicas",
    "gauge",
    "replicas",
    "Replicas that the autoscaler asks for.",
    "namespace",
    "horizontalpodautoscaler",
)
HPA_MAX = _state(
    "kube_horizontalpodautoscaler_spec_max_replicas",
    "gauge",
    "replicas",
    "Most replicas that it may ask for.",
    "namespace",
    "horizontalpodautoscaler",
)
HPA_CONDITION = _state(
    "kube_horizontalpodautoscaler_status_condition",
    "gauge",
    "bool",
    "1 for a condition's status; ScalingActive false: its metric cannot be read.",
    "namespace",
    "horizontalpodautoscaler",
    "condition",
    "status",
)
MEMORY_WORKING_SET = _cadvisor(
    "container_memory_working_set_bytes", "gauge", "bytes", "Memory that the OOM killer and eviction look at."
)
MEMORY_RSS = _cadvisor("container_memory_rss", "gauge", "bytes", "Anonymous memory; no page cache.")
MEMORY_LIMIT = _cadvisor("container_spec_memory_limit_bytes", "gauge", "bytes", "Memory limit; 0 means none.")
OOM_EVENTS = _cadvisor(
    "container_oom_events_total",
    "counter",
    "events",
    "OOM kills; the series often vanishes with its container.",
)
CPU_USAGE = _cadvisor("container_cpu_usage_seconds_total", "counter", "seconds", "CPU time used.")
CPU_PERIODS = _cadvisor("container_cpu_cfs_periods_total", "counter", "periods", "Scheduling periods under a quota.")
CPU_THROTTLED_PERIODS = _cadvisor(
    "container_cpu_cfs_throttled_periods_total", "counter", "periods", "Periods cut short by the CPU limit."
)
START_TIME = _cadvisor("container_start_time_seconds", "gauge", "unix seconds", "Start of the container.")

GPU_RESOURCE = "nvidia_com_gpu"
"""Value of label `resource` for GPUs: kube-state-metrics turns `nvidia.com/gpu` into it. MIG slices are
`nvidia_com_mig_...`."""

GPU_RESOURCES = f"{GPU_RESOURCE}.*|nvidia_com_mig_.+"
"""A regular expression of all values of `resource` that are GPUs: whole, shared (`nvidia_com_gpu_shared`) or sliced."""

KUBERNETES: Mapping[str, KubernetesSeries] = MappingProxyType(
    {
        series.name: series
        for series in (
            CONTAINER_RESTARTS,
            LAST_TERMINATED_REASON,
            LAST_TERMINATED_EXIT_CODE,
            WAITING_REASON,
            CONTAINER_RUNNING,
            CONTAINER_STARTED,
            POD_PHASE,
            POD_READY,
            POD_UNSCHEDULABLE,
            POD_INFO,
            POD_OWNER,
            POD_LABELS,
            RESOURCE_LIMITS,
            RESOURCE_REQUESTS,
            NODE_ALLOCATABLE,
            NODE_LABELS,
            HPA_INFO,
            HPA_CURRENT,
            HPA_DESIRED,
            HPA_MAX,
            HPA_CONDITION,
            MEMORY_WORKING_SET,
            MEMORY_RSS,
            MEMORY_LIMIT,
            OOM_EVENTS,
            CPU_USAGE,
            CPU_PERIODS,
            CPU_THROTTLED_PERIODS,
            START_TIME,
        )
    }
)
"""Series by name."""
