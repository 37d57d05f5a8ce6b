"""How full the replicas of a model are, how busy the GPUs of a pod; and what else is known of an engine's pod."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Group, Record
from catalog.kubernetes import ROLE_LABELS
from catalog.recorded.levels import MODEL, POD, by, labels

__all__ = ["group"]

_ROLE = (*MODEL, "role")
_DEVICE = (*POD, "container", "UUID")
# Every engine has this one, however it is scraped.
_ENGINE_PODS = "llm_requests_running"


def group(config: Config) -> Group:
    """Return the group of replicas, queues, KV cache and saturation."""
    named = {"model:llm_requests_running:sum": "running", "model:llm_requests_waiting:sum": "waiting"}
    rules = (
        Record(record="model:llm_replicas:count", expr=f"count {by(MODEL)} (llm_up)"),
        Record(record="model:llm_replicas_up:count", expr=f"sum {by(MODEL)} (llm_up)"),
        *(Record(record=name, expr=f"sum {by(MODEL)} (llm_requests_{state})") for name, state in named.items()),
        Record(
            record="model:llm_requests_waiting:per_replica",
            expr="model:llm_requests_waiting:sum / (model:llm_replicas_up:count > 0)",
        ),
        Record(record="model:llm_kv_cache_usage:avg", expr=f"avg {by(MODEL)} (llm_kv_cache_usage_ratio)"),
        Record(record="model:llm_kv_cache_usage:max", expr=f"max {by(MODEL)} (llm_kv_cache_usage_ratio)"),
        Record(record="model:llm_preemptions:rate5m", expr=f"sum {by(MODEL)} (rate(llm_preemptions_total[5m]))"),
        Record(record="model:llm_saturation:ratio", expr=_saturation()),
        Record(record="pod:llm_role:info", expr=_roles()),
        Record(record="pod:inferwatch_workload:info", expr=_workloads()),
        Record(record="role:llm_requests_waiting:sum", expr=_of_role("waiting")),
        Record(
            record="role:llm_requests_waiting:per_running",
            expr=(
                f"role:llm_requests_waiting:sum\n  / ({_of_role('running')} > 0)\n"
                "  # A role that runs nothing counts as running one.\n"
                "  or role:llm_requests_waiting:sum"
            ),
        ),
        Record(record="pod:inferwatch_gpu_activity:ratio_avg5m", expr=_activity()),
    )
    return Group(name="inferwatch-records-saturation", interval=config.interval, rules=rules)


def _saturation() -> str:
    """The larger of cache use and of running requests by their limit; engines that tell only one have that one."""
    batch = f"sum {by(MODEL)} (llm_requests_running) / (sum {by(MODEL)} (llm_requests_running_limit) > 0)"
    cache = "model:llm_kv_cache_usage:avg"
    return f"({cache} >= ({batch}))\n  or ({batch})\n  or {cache}"


def _roles() -> str:
    """The role that a pod's labels name, the first label that names one; "all" of an engine's pod that has none."""
    named = (
        f"group {by((*POD, 'role'))} (label_replace(\n"
        # A failed scrape of kube-state-metrics must not make all roles one.
        f'  last_over_time(kube_pod_labels{{{label}=~"prefill|decode"}}[10m]), "role", "$1", "{label}", "(.+)"))\n'
        for label in ROLE_LABELS
    )
    unnamed = f'label_replace(group {by(POD)} ({_ENGINE_PODS}), "role", "all", "", "")'
    return f"or on ({labels(POD)}) ".join((*named, unnamed))


def _workloads() -> str:
    """The controller of each engine's pod; of a ReplicaSet, the Deployment that its name begins with."""
    owner = 'kube_pod_owner{owner_is_controller="true", owner_kind'
    return (
        f"group {by((*POD, 'workload'))} (\n"
        f'  label_replace({owner}="ReplicaSet"}}, "workload", "$1", "owner_name", "(.+)-[^-]+")\n'
        f'  or label_replace({owner}!="ReplicaSet"}}, "workload", "$1", "owner_name", "(.+)")\n'
        f")\nand on ({labels(POD)}) {_ENGINE_PODS}"
    )


def _of_role(state: str) -> str:
    """Requests of a model by role, where pods have one."""
    role = 'pod:llm_role:info{role=~"prefill|decode"}'
    return f"sum {by(_ROLE)} (llm_requests_{state} * on ({labels(POD)}) group_left (role) {role})"


def _activity() -> str:
    """Activity of GPUs by holder. Where there is no profiling, the share of time in which any kernel was resident."""
    profiled = "DCGM_FI_PROF_GR_ENGINE_ACTIVE", "DCGM_FI_PROF_GR_ENGINE_UTIL_RATIO"
    resident = "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_GPU_UTIL_RATIO"

    def mean(names: tuple[str, str], only: str) -> str:
        return " or ".join(f"avg_over_time({name}{{{only}}}[5m])" for name in names)

    def either(level: tuple[str, ...], only: str) -> str:
        return f"max {by(level)} ({mean(profiled, only)})\nor max {by(level)} ({mean(resident, only)}) / 100"

    holders = f"group {by(_DEVICE)} (inferwatch_pod_gpu_info)"
    shared = either(("cluster", "UUID"), 'pod="", GPU_I_ID=""')
    return (
        either(_DEVICE, 'pod!=""') + "\n"
        "# Series of a shared GPU name no pod: its holders are joined to it.\n"
        f"or {holders}\n"
        f"  * on (cluster, UUID) group_left () (\n{shared})"
    )
