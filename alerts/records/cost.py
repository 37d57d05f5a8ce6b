"""What GPUs cost: by GPU, by the pods that hold them, by model, for each million tokens, and idle.

Prices are the configuration's. Whether a GPU is spot capacity is its node's label, which kube-state-metrics shows only
if it was given `--metric-labels-allowlist=nodes=[...]` with that label; without it every GPU counts as on demand. A
GPU without a price costs nothing anywhere.

Whom a GPU is charged to: the pods that hold it, in equal parts if they share it (time-slicing, MPS); of a MIG instance,
its compute slices by those of all instances that its GPU is cut into. Where nobody says which GPU a pod holds, what it
requested counts at the mean price of its node's GPUs. A pod's part goes to the model that it serves. GPUs of pods that
serve no engine themselves, such as the workers of a replica over several nodes, are no model's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from alerts.config import Config
from alerts.prices import Price
from alerts.rule import Group, Record
from catalog.gpu import GPU_FIELDS
from catalog.kubernetes import GPU_RESOURCE
from catalog.recorded.levels import MODEL, POD, by, labels

__all__ = ["group"]

_GPU = ("cluster", "UUID")
_NAMED_GPU = ("cluster", "node", "UUID", "model_name")
_INFO = "gpu:inferwatch_gpu:info"
_PRICE = "gpu:inferwatch_price:dollars_per_hour"
_INSTANCE_SLICES = "gpu:inferwatch_instance_slices:count"
_INSTANCE_SHARE = "gpu:inferwatch_instance_share:ratio"
_GPU_SHARE = "pod:inferwatch_gpu_share:ratio"
_HELD = "pod:inferwatch_gpus_held:count"
_POD_COST = "pod:inferwatch_cost:dollars_per_hour"
_MODEL_SHARE = "pod:llm_model_share:ratio"
_MODEL_COST = "model:llm_cost:dollars_per_hour"
_IDLE = "gpu:inferwatch_idle_cost:dollars_per_hour"
# A GPU instance's name begins with its compute slices: 3g.40gb has three.
_COMPUTE_SLICES = (1, 2, 3, 4, 7)


def group(config: Config) -> Group:
    """Return the group of prices and costs."""
    rules = (
        *_gpus(config),
        *([Record(record=_PRICE, expr=_prices(config.prices))] if config.prices else []),
        Record(record=_INSTANCE_SLICES, expr=_instance_slices()),
        Record(record=_INSTANCE_SHARE, expr=_instance_share()),
        Record(record=_GPU_SHARE, expr=_gpu_share()),
        Record(record=_HELD, expr=_held()),
        Record(record=_POD_COST, expr=_pod_cost()),
        Record(record=_MODEL_SHARE, expr=_model_share()),
        Record(record="model:llm_gpus_held:count", expr=_model_total(_HELD)),
        Record(record=_MODEL_COST, expr=_model_total(_POD_COST)),
        Record(record="model:llm_cost_dollars_per_million_tokens", expr=_per_million_tokens()),
        Record(record=_IDLE, expr=_idle(config.thresholds.efficiency.idle_activity_ratio)),
        Record(
            record="cluster:inferwatch_idle_cost:dollars_per_hour",
            expr=f"sum by (cluster) ({_IDLE})\n  or sum by (cluster) ({_PRICE}) * 0",
        ),
    )
    return Group(name="inferwatch-records-cost", interval=config.interval, rules=rules)


# GPUs and their prices


def _gpus(config: Config) -> Iterator[Record]:
    """All GPUs, as spot or on demand."""
    gpus = _known_gpus()
    spot = "\n    or ".join(f"kube_node_labels{{{label.label}={_quoted(label.value)}}}" for label in config.spot_labels)
    if not spot:
        yield Record(record=_INFO, expr=gpus, labels={"capacity": "on_demand"})
        return
    nodes = f"on (cluster, node) ({spot})"
    yield Record(record=_INFO, expr=f"({gpus})\n  and {nodes}", labels={"capacity": "spot"})
    yield Record(record=_INFO, expr=f"({gpus})\n  unless {nodes}", labels={"capacity": "on_demand"})


def _known_gpus() -> str:
    """The GPUs that the exporter knows, a lost one too, and those of a plain dcgm-exporter beyond them."""
    ours = _with_node('inferwatch_gpu_up{UUID!=""}')
    temperature = " or ".join(GPU_FIELDS["DCGM_FI_DEV_GPU_TEMP"].names)
    named = f'label_replace({temperature}, "model_name", "$1", "modelName", "(.+)")'
    return f"group {by(_NAMED_GPU)} ({ours})\n  or on ({labels(_GPU)}) group {by(_NAMED_GPU)} ({_with_node(named)})"


def _with_node(gpus: str) -> str:
    """The node as the scrape named it, or else as the exporters name their host."""
    joined = f'label_join({gpus}, "node", ";", "node", "Hostname", "hostname")'
    return f'label_replace({joined}, "node", "$1", "node", ";*([^;]+).*")'


def _prices(prices: tuple[Price, ...]) -> str:
    """A line a price and capacity, which leaves GPUs to the prices before it."""
    lines = []
    for number, price in enumerate(prices):
        earlier = "|".join(f"(?:{other.gpu})" for other in prices[:number])
        mine = f"model_name=~{_quoted(price.gpu)}" + (f", model_name!~{_quoted(earlier)}" if earlier else "")
        spot = price.spot_dollars_per_hour
        dollars = {
            "on_demand": price.on_demand_dollars_per_hour,
            "spot": price.on_demand_dollars_per_hour if spot is None else spot,
        }
        lines += [f'{_INFO}{{capacity="{kind}", {mine}}} * {value:.10g}' for kind, value in dollars.items()]
    return "\n  or ".join(lines)


# Who holds them


def _instance_slices() -> str:
    """A MIG device's compute slices as its profile tells them; of unknown profiles, one each.

    A GPU instance may be several devices (compute instances), which share its slices.
    """
    device, instance = (*_GPU, "GPU_I_ID", "instance_uuid"), (*_GPU, "GPU_I_ID")
    known = [
        f'group {by(device)} (inferwatch_gpu_instance_info{{GPU_I_PROFILE=~"{slices}g[.].+"}}) * {slices}'
        for slices in _COMPUTE_SLICES
    ]
    devices = f"group {by(device)} (inferwatch_gpu_instance_info)"
    slices = "\n  or ".join([*known, devices])
    return f"({slices})\n  / on ({labels(instance)}) group_left () (count {by(instance)} ({devices}) > 0)"


def _instance_share() -> str:
    """Each MIG device's slices by those of its GPU's devices; and the GPU itself, whole."""
    of_gpu = f"sum {by(_GPU)} ({_INSTANCE_SLICES})"
    return (
        f"sum {by((*_GPU, 'instance_uuid'))} (\n"
        f"  {_INSTANCE_SLICES} / on ({labels(_GPU)}) group_left () ({of_gpu} > 0))\n"
        f'  or label_replace(group {by(_GPU)} ({_INFO}), "instance_uuid", "$1", "UUID", "(.+)")'
    )


def _gpu_share() -> str:
    """The part of each GPU that a pod holds: of what it was given, by how many pods were given it.

    What a pod was given is named by UUID, be it a GPU or a MIG device.
    """
    device = ("cluster", "instance_uuid")
    given = (
        f"group {by((*POD, 'instance_uuid'))} (\n"
        '    label_replace(inferwatch_pod_gpu_info, "instance_uuid", "$1", "UUID", "(.+)"))'
    )
    share = f"max {by((*_GPU, 'instance_uuid'))} ({_INSTANCE_SHARE})"
    return (
        f"sum {by((*POD, 'UUID'))} (\n"
        f"  {given}\n"
        f"  / on ({labels(device)}) group_left () (count {by(device)} ({given}) > 0)\n"
        f"  * on ({labels(device)}) group_left (UUID) {share})"
    )


def _held() -> str:
    return f"sum {by(POD)} ({_GPU_SHARE})\n  or on ({labels(POD)}) sum {by(POD)} ({_requested_by_node()})"


def _pod_cost() -> str:
    known = f"{_GPU_SHARE}\n  * on ({labels(_GPU)}) group_left () max {by(_GPU)} ({_PRICE})"
    guess = f"{_requested_by_node()}\n    * on (cluster, node) group_left () avg by (cluster, node) ({_PRICE})"
    return f"sum {by(POD)} ({known})\n  or on ({labels(POD)}) sum {by(POD)} ({guess})"


def _requested_by_node() -> str:
    """GPUs that pods on a node requested; a time-sliced one counts as its part.

    A node offers each time-sliced GPU several times. Requests of pods that have ended stay to be seen.
    """
    on_node = (*POD, "node")
    gpus = f'resource="{GPU_RESOURCE}"'
    requests = f'sum {by(on_node)} (kube_pod_container_resource_requests{{{gpus}, node!=""}})'
    ended = 'kube_pod_status_phase{phase=~"Succeeded|Failed"} > 0'
    offered = f"max by (cluster, node) (kube_node_status_allocatable{{{gpus}}})"
    part = f"clamp_max(count by (cluster, node) ({_INFO}) / ({offered} > 0), 1)"
    return f"({requests}\n    unless on ({labels(POD)}) ({ended}))\n    * on (cluster, node) group_left () {part}"


# Models


def _model_share() -> str:
    """Equal parts of a pod for the models that it serves.

    `llm_up` names the model of a server with one. Of one with several, those that have made tokens are known.
    """
    level = (*MODEL, "pod")
    one = f'group {by(level)} (llm_up{{model!="", pod!=""}})'
    several = f'group {by(level)} (replica:llm_generation_tokens:rate5m{{model!="", pod!=""}})'
    nameless = f'group {by(level)} (llm_up{{pod!=""}})'
    served = f"\n    or on ({labels(POD)}) ".join((one, several, nameless))
    return f"({served})\n  / on ({labels(POD)}) group_left () (count {by(POD)} ({served}) > 0)"


def _model_total(of_pod: str) -> str:
    return f"sum {by(MODEL)} ({_MODEL_SHARE} * on ({labels(POD)}) group_left () {of_pod})"


def _per_million_tokens() -> str:
    """Dollars held by tokens made, over the last hour.

    Both are sums of samples a minute apart, so a minute in which a model held nothing or made nothing counts as that.
    Dollars an hour by tokens a second, times 1000000 / 3600.
    """
    tokens = "model:llm_generation_tokens:rate5m"
    return f"sum_over_time({_MODEL_COST}[1h:1m])\n  / (sum_over_time({tokens}[1h:1m]) > 0)\n  * 1e6 / 3600"


# Idle GPUs


def _idle(least: float) -> str:
    """Prices of GPUs that hardly worked for an hour; of a MIG GPU, none of whose instances did.

    GPUs before Hopper tell their activity through DCGM only, so there it is the coarser share of time with any kernel.
    """
    active = f"max {by(_GPU)} ({_hour_mean('DCGM_FI_PROF_GR_ENGINE_ACTIVE')})"
    resident = f"max {by(_GPU)} ({_hour_mean('DCGM_FI_DEV_GPU_UTIL')}) / 100"
    return f"max {by(_NAMED_GPU)} ({_PRICE})\n  and on ({labels(_GPU)}) ({active} or {resident}) < {least:g}"


def _hour_mean(field: str) -> str:
    return " or ".join(f"avg_over_time({name}[1h])" for name in GPU_FIELDS[field].names)


def _quoted(value: str) -> str:
    """A string as PromQL writes it: names and expressions come from a user's file."""
    return json.dumps(value, ensure_ascii=False)
