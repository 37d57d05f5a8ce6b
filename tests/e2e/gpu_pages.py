"""What the exporter, as a process on a stub of NVML, says of GPUs, spread over a longer time.

A few collections are taken while the stub's state changes. Between two of them counters rise evenly and gauges have
the value of the nearer one: the exporter is not asked for longer than it takes to see each state.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from catalog.exposition import Sample, parse
from catalog.gpu import GPU_FIELDS
from exporter.gpus.fields import CallRead, GpmRead, LinkRate, ValueRead, read_of
from recordings.reader import load
from recordings.replay import ReplayServer
from tests.alerts.promql_tree import counters
from tests.e2e.prometheus import eventually, exporter, free_port, get
from tests.exporter.gpus.stub import STATE_VARIABLE, Mig, Process, Rule, StubState, XidEvent, build, gives
from tests.exporter.pods.conftest import LIST_PODS, POD_RESOURCES, Kubelet, gpu_pod, pods_answer, resources_answer

STATES = 5
MIG_UUIDS = ("MIG-00000000-0000-0000-0000-000000000001", "MIG-00000000-0000-0000-0000-000000000002")
_XIDS = (31, 94)
# Thermal and power limits, one after the other: bits of the clock event reasons.
_REASONS = (0x1, 0x4, 0x8 | 0x40, 0x20, 0x80)
_GAUGES = {
    "DCGM_FI_DEV_POWER_USAGE": (300_000.0, 690_000.0),
    "DCGM_FI_DEV_GPU_TEMP": (55.0, 78.0),
    "DCGM_FI_DEV_MEMORY_TEMP": (60.0, 82.0),
    "DCGM_FI_DEV_GPU_UTIL": (60.0, 100.0),
    "DCGM_FI_DEV_MEM_COPY_UTIL": (20.0, 70.0),
    "DCGM_FI_DEV_FB_USED": (110e9, 130e9),
    "DCGM_FI_DEV_SM_CLOCK": (1200.0, 1980.0),
}
_RISES = {
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": 300e6,
    # Nanoseconds in a quarter of the time.
    "DCGM_FI_DEV_POWER_VIOLATION": 30e9,
    "DCGM_FI_DEV_THERMAL_VIOLATION": 5e9,
    "DCGM_FI_DEV_BOARD_LIMIT_VIOLATION": 1e9,
    "DCGM_FI_DEV_RELIABILITY_VIOLATION": 1e9,
}
_PROFILED = (20.0, 80.0)
_NVLINK_BYTES = 9e11
_LATER = 0.5


@contextmanager
def _kubelet(holders: Mapping[str, tuple[str, str, str]]) -> Iterator[Kubelet]:
    """A kubelet that says which pods hold which GPUs. Its socket's path is short enough for one."""
    folder = Path(tempfile.mkdtemp(prefix="kubelet-"))
    kubelet = Kubelet(folder / "kubelet.sock")
    kubelet.start()
    kubelet.answers[LIST_PODS] = pods_answer()
    kubelet.answers[POD_RESOURCES] = resources_answer(*(gpu_pod(*pod, uuid) for uuid, pod in holders.items()))
    try:
        yield kubelet
    finally:
        kubelet.stop()
        shutil.rmtree(folder)


def states(gpus: int, fields: tuple[str, ...]) -> Iterator[StubState]:
    """The node's states: GPUs at work, one that is cut in two, and one that does nothing."""
    idle, cut = gpus - 1, gpus - 2
    busy = range(gpus - 1)
    migs = tuple(Mig(cut, number + 1, "3g.71gb", uuid, 70_000_000_000) for number, uuid in enumerate(MIG_UUIDS))
    processes = tuple(Process(gpu, 1000 + gpu, 100_000_000_000, "VLLM::EngineCore") for gpu in busy if gpu != cut)
    for number in range(STATES):
        share = number / (STATES - 1)
        rules = [rule for name in fields for rule in _rules(name, share, number)]
        rules += [
            gives("mig.used", 40e9 + 20e9 * share),
            gives("rows.pending", 1.0, 0),
            gives("memory.used", 1e6, idle),
        ]
        quiet = [gives(rule.call, 0.0, idle) for rule in rules if rule.call.startswith("gpm:")]
        sliced = [
            Rule(cut, f"{rule.call}:{mig.instance}", rule.kind, rule.what)
            for rule in rules
            if rule.call.startswith("gpm:")
            for mig in migs
        ]
        xids = tuple(XidEvent(event + 1, 0, _XIDS[event % 2]) for event in range(number))
        yield StubState(gpus, rules=(*quiet, *sliced, *rules), mig=migs, xids=xids, processes=processes)


def _rules(name: str, share: float, number: int) -> Iterator[Rule]:
    """What the stub is to answer so that a field has a plausible value."""
    field = GPU_FIELDS[name]
    read = read_of(field)
    if name == "DCGM_FI_DEV_CLOCKS_EVENT_REASONS":
        yield gives("nvmlDeviceGetCurrentClocksEventReasons", _REASONS[number])
    elif isinstance(read, GpmRead):
        low, high = _PROFILED
        # Traffic is in MiB a second, activity in percent.
        yield gives(f"gpm:{read.metric_id}", low + (high - low) * share)
    elif isinstance(read, LinkRate):
        yield from (gives(f"field:{one}:{0xFFFFFFFF}", 1e9 + _NVLINK_BYTES * share / 1024) for one in (138, 139))
    elif isinstance(read, ValueRead | CallRead):
        call = f"field:{read.field_id}" if isinstance(read, ValueRead) else _STUB_CALLS.get(name, read.function)
        if field.kind == "counter":
            yield gives(call, float(round(1e6 + _RISES.get(name, 4.0) * 4 * share)))
        elif name in _GAUGES:
            low, high = _GAUGES[name]
            yield gives(call, low + (high - low) * share)


_STUB_CALLS = {
    "DCGM_FI_DEV_FB_USED": "memory.used",
    "DCGM_FI_DEV_GPU_UTIL": "utilization.gpu",
    "DCGM_FI_DEV_MEM_COPY_UTIL": "utilization.memory",
    "DCGM_FI_DEV_SM_CLOCK": "sm_clock",
    "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS": "rows.corrected",
    "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS": "rows.uncorrected",
}


def pages(folder: Path, holders: Mapping[str, tuple[str, str, str]], gpus: int, fields: tuple[str, ...]) -> list[bytes]:
    """The exporter's page in each state; `holders` are (namespace, pod, container) by UUID."""
    build(folder)
    found = []
    states_to_come = list(states(gpus, fields))
    states_to_come[0].write(folder / "state")
    listed = ", ".join(fields)
    with _kubelet(holders) as kubelet, ReplayServer(load("healthy_steady"), start="ready", repeat=True) as engine:
        config = folder / "exporter.yaml"
        config.write_text(
            f"interval_seconds: 0.25\nnode: node-a\ngpu: {{processes: true, fields: {{include: [{listed}]}}}}\n"
            f"kubernetes:\n  discovery: pods_api\n  refresh_seconds: 0.2\n  pods_api_socket: {kubelet.path}\n"
            f"  pod_resources_socket: {kubelet.path}\nengines:\n  targets:\n"
            f"    - {{url: '{engine.url}', namespace: vllm, pod: vllm-0, container: engine}}\n"
            f"    - {{url: 'http://127.0.0.1:{free_port()}', namespace: sglang, pod: sglang-0, engine: sglang}}\n"
        )
        stub = {"LD_LIBRARY_PATH": str(folder), STATE_VARIABLE: str(folder / "state")}
        with exporter(folder, "--config", str(config), environment=stub) as (_, port):
            for number, state in enumerate(states_to_come):
                state.write(folder / "state")
                found.append(eventually(_seen(port, number), f"the exporter sees state {number}"))
    return found


def _seen(port: int, number: int) -> Callable[[], bytes | None]:
    """What gives a page two collections younger than the first it saw, with this many XIDs and the GPUs' holders."""
    first: list[float] = []

    def condition() -> bytes | None:
        _, body = get(port, "/metrics")
        samples = parse(body).samples
        (done,) = [sample.value for sample in samples if sample.name == "inferwatch_exporter_collections_total"]
        first.append(done)
        xids = sum(sample.value for sample in samples if sample.name == "inferwatch_gpu_xid_errors_total")
        held = any(sample.name == "inferwatch_pod_gpu_info" for sample in samples)
        return body if done >= first[0] + 2 and xids == number and held else None

    return condition


def spread(found: list[bytes], times: list[float]) -> Iterator[tuple[float, Sample]]:
    """The pages' GPU series and the exporter's own at these times: counters rise evenly between two pages."""
    read = [{_key(sample): sample for sample in _ours(page)} for page in found]
    for number, at in enumerate(times):
        place = number / (len(times) - 1) * (len(read) - 1)
        before = min(int(place), len(read) - 2)
        for key, sample in read[before].items():
            later = read[before + 1].get(key)
            value = sample.value
            if sample.name in counters() and later is not None:
                value += (later.value - value) * (place - before)
            elif place - before >= _LATER:
                value = sample.value if later is None else later.value
            yield at, Sample(sample.name, sample.labels, value, None)


def _ours(page: bytes) -> Iterator[Sample]:
    for sample in parse(page).samples:
        if sample.name.startswith(("DCGM_", "inferwatch_")):
            yield sample


def _key(sample: Sample) -> tuple[str, tuple[tuple[str, str], ...]]:
    return sample.name, tuple(sorted(sample.labels.items()))
