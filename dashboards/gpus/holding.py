"""All GPUs at a glance, and who holds them."""

from __future__ import annotations

from catalog import boards
from catalog.gpu import THROTTLE_REASONS
from dashboards.board import Row
from dashboards.colours import BAD, WARN
from dashboards.gpus.series import SELECT, field, held_down
from dashboards.holders import holders_with_model
from dashboards.links import from_row
from dashboards.panels import BoardPanel, Column, Label, Stat, Table, steps_from
from dashboards.promql import Selector
from dashboards.query import line

__all__ = ["glance_row", "table_row"]

_GPUS = {
    "cluster": "Cluster",
    "Hostname": "Host",
    "gpu": "Number",
    "modelName": "Kind",
    "UUID": "GPU",
    "GPU_I_PROFILE": "MIG profile",
    "GPU_I_ID": "MIG instance",
}
_KEEP = ("Hostname", "gpu", "UUID", "model_name", "GPU_I_PROFILE", "GPU_I_ID")
_HOLDERS = {
    "cluster": "Cluster",
    "Hostname": "Host",
    "gpu": "Number",
    "model_name": "Kind",
    "UUID": "GPU",
    "GPU_I_PROFILE": "MIG profile",
    "GPU_I_ID": "MIG instance",
    "namespace": "Namespace",
    "pod": "Pod",
    "container": "Container",
    "engine": "Engine",
    "model": "Model",
}
_NODES = Selector(("cluster", "node"))


def glance_row() -> Row:
    """Return the numbers that a person looks at first."""
    return Row("At a glance", _numbers())


def table_row() -> Row:
    """Return a line a GPU, and a line for each pair of GPU and holder."""
    return Row("GPUs and who holds them", (_gpus(), _holders()))


def _numbers() -> tuple[BoardPanel, ...]:
    expected, visible = "inferwatch_exporter_gpus_expected", "inferwatch_exporter_gpus_visible"
    thermal = " or ".join(held_down(bit) for bit, reason in THROTTLE_REASONS.items() if "thermal" in reason.name)
    return (
        Stat(
            title="GPUs",
            what="GPUs that answer.",
            good="All that the nodes have.",
            act="Compare with missing.",
            targets=[
                line(f"count(count by (cluster, Hostname, gpu, UUID) ({SELECT.field('DCGM_FI_DEV_FB_USED')}))", "GPUs")
            ],
            unit="short",
        ),
        Stat(
            title="Missing",
            what="GPUs that the exporters saw before and that do not answer now.",
            good="0.",
            act="XIDs below tell why; drain the node.",
            targets=[line(f"sum({_NODES(expected)}) - sum({_NODES(visible)})", "missing")],
            unit="short",
            steps=steps_from((1, BAD)),
        ),
        Stat(
            title="Memory bandwidth used",
            what="HBM bandwidth used, the mean over the chosen GPUs.",
            good="Above a third under load.",
            act="Low under load: small batches; see below which GPU.",
            targets=[line(f"avg({field('DCGM_FI_PROF_DRAM_ACTIVE')})", "mean")],
            unit="percentunit",
        ),
        Stat(
            title="Hottest",
            what="The highest temperature.",
            good="Below 80 degrees.",
            act="See below which GPU; look after its cooling.",
            targets=[line(f"max({field('DCGM_FI_DEV_GPU_TEMP')})", "hottest")],
            unit="celsius",
            steps=steps_from((80, WARN), (87, BAD)),
        ),
        Stat(
            title="Slowed by heat",
            what="GPUs whose clocks heat holds down now.",
            good="0.",
            act="Cooling.",
            targets=[line(f"count({thermal}) or vector(0)", "slowed")],
            unit="short",
            steps=steps_from((1, BAD)),
        ),
        Stat(
            title="XIDs in the time shown",
            what="Errors that the driver reported in the time shown.",
            good="0.",
            act="See below for codes and GPUs.",
            targets=[line(f"sum(increase({SELECT('inferwatch_gpu_xid_errors_total')}[$__range]))", "XIDs")],
            unit="short",
            decimals=0,
            steps=steps_from((1, WARN)),
        ),
    )


def _gpus() -> BoardPanel:
    keep = tuple(_GPUS)
    used, free = field("DCGM_FI_DEV_FB_USED", keep), field("DCGM_FI_DEV_FB_FREE", keep)
    return Table(
        title="GPUs",
        what="Each GPU or MIG instance at the end of the time shown.",
        good="Like GPUs with like work have like figures.",
        act="Choose the one that differs in the variable at the top.",
        labels=tuple(Label(name, title) for name, title in _GPUS.items()),
        values=(
            Column(title="Bandwidth", expr=field("DCGM_FI_PROF_DRAM_ACTIVE", keep), unit="percentunit", bar=True),
            Column(title="Tensor", expr=field("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", keep), unit="percentunit", bar=True),
            Column(title="Memory", expr=f"{used} / ({used} + {free} > 0)", unit="percentunit", bar=True),
            Column(title="Power", expr=field("DCGM_FI_DEV_POWER_USAGE", keep), unit="watt"),
            Column(title="Temperature", expr=field("DCGM_FI_DEV_GPU_TEMP", keep), unit="celsius", steps=_HEAT),
            Column(title="SM clock", expr=field("DCGM_FI_DEV_SM_CLOCK", keep), unit="suffix:MHz"),
        ),
        sort="Temperature",
    )


def _holders() -> BoardPanel:
    titles = {name: _HOLDERS[name] for name in ("cluster", "namespace", "pod")}
    lead = from_row(boards.REPLICA, titles)
    model = from_row(boards.MODEL, {name: _HOLDERS[name] for name in ("cluster", "namespace", "engine", "model")})
    leads = {"pod": (lead,), "model": (model,)}
    labels = tuple(Label(name, title, leads.get(name, ())) for name, title in _HOLDERS.items())
    return Table(
        title="Who holds which GPU",
        what="Containers that hold a GPU or a MIG instance, and the model that they serve, if it is one alone.",
        good="One holder a GPU, unless it is shared on purpose.",
        act="A GPU without a line is free, or held by something outside Kubernetes.",
        labels=labels,
        values=(Column(title="Holds", expr=holders_with_model(SELECT, _KEEP), unit="bool_yes_no"),),
        no_value="none",
    )


_HEAT = steps_from((80, WARN), (87, BAD))
