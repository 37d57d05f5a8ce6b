"""What an engine process is: its settings, its start, its state, how it is read."""

from __future__ import annotations

from catalog.recorded.levels import POD, by, labels
from dashboards.board import Row
from dashboards.colours import BAD, FREE, GOOD, NEUTRAL, WARN, colours
from dashboards.panels import BoardPanel, Column, Label, Stat, StateTimeline, Table, TimeSeries, steps_from
from dashboards.promql import PROCESS, rate
from dashboards.query import line, now
from dashboards.scope import Scope

__all__ = ["process_row"]

_LEGEND = "{{cluster}} {{pod}} {{rank}}"
_START = "llm_process_start_time_seconds"
_RECENT_SECONDS = 21_600


def process_row(scope: Scope) -> Row:
    """Return settings and state, then the process itself and how the exporter reads it."""
    state = (_up(scope), *_numbers(scope), _version(scope), _settings(scope), _sleep(scope))
    return Row("Engine process", (*state, _cpu(scope), _memory(scope), _reading(scope)))


def _up(scope: Scope) -> BoardPanel:
    return StateTimeline(
        title="Engine answers",
        what="Whether the engine's metrics endpoint answered.",
        good="up throughout.",
        act="Down: `inferwatch diagnose --log` on the log below names the cause.",
        targets=[line(f"max {by(PROCESS)} ({scope.select('llm_up')})", _LEGEND)],
        unit="bool_yes_no",
        words={"1": ("up", GOOD), "0": ("down", BAD)},
        columns=12,
        lines=4,
    )


def _numbers(scope: Scope) -> tuple[BoardPanel, ...]:
    start = f"max {by(PROCESS)} ({scope.serving(scope.process(_START))})"
    answered = f"max {by(PROCESS)} ({scope.select('llm_up')}) == 1"
    age = f"time() - {start}"
    first = f"min_over_time(({age} and on ({labels(PROCESS)}) {answered})[{_RECENT_SECONDS // 3600}h:30s])"
    return (
        Stat(
            title="Running since",
            what="Age of the engine's process.",
            good="As long ago as the last deployment.",
            act="Younger than its pod: it was restarted; see restarts below and the log's last lines before it.",
            targets=[line(age, _LEGEND)],
            unit="s",
            plain=True,
        ),
        Stat(
            title="Start-up time",
            what="From the process's start to its first answer; the fastest of the last six hours, empty when it runs longer.",
            good="Minutes at most, and the same each time.",
            act="Longer: weights come from a slow disk or the network, or graphs are captured anew; keep both in a cache.",
            targets=[now(f"{first} and on ({labels(PROCESS)}) ({age} < {_RECENT_SECONDS})", _LEGEND)],
            unit="s",
            plain=True,
            no_value="older than 6 h",
        ),
        Stat(
            title="Most running requests",
            what="The most requests that the engine runs at once, where it exposes its own limit.",
            good="More than run at peak.",
            act="Reached with a free KV cache: raise it.",
            targets=[line(f"max {by(PROCESS)} ({scope.select('llm_requests_running_limit')})", _LEGEND)],
            unit="short",
            plain=True,
            no_value="not exposed",
        ),
    )


def _version(scope: Scope) -> BoardPanel:
    info = scope.serving(scope.process("llm_engine_info"))
    return Stat(
        title="Engine and version",
        what="Which engine and version this is, where the engine tells it.",
        good="The same version on all replicas.",
        act="Different versions at rest: a rollout got stuck.",
        targets=[line(f"max by (engine, version) ({info})", "{{engine}} {{version}}")],
        unit="short",
        text="name",
        plain=True,
        no_value="not exposed",
    )


def _settings(scope: Scope) -> BoardPanel:
    keep = by(POD)
    capacity = scope.serving(scope.process("llm_kv_cache_capacity_tokens"))
    values = (
        Column(title="KV cache", expr=f"sum {keep} ({capacity})", unit="count:tok"),
        Column(title="Most running", expr=f"sum {keep} ({scope.select('llm_requests_running_limit')})", unit="short"),
        Column(title="GPUs", expr=f"sum {keep} ({scope.pod('pod:inferwatch_gpus_held:count')})", unit="short"),
        Column(
            title="Dollars an hour",
            expr=f"sum {keep} ({scope.pod('pod:inferwatch_cost:dollars_per_hour')})",
            unit="currencyUSD",
            decimals=2,
        ),
        Column(title="CPUs", expr=f"sum {keep} ({scope.limit('cpu')})", unit="short"),
        Column(title="Memory", expr=f"sum {keep} ({scope.limit('memory')})", unit="bytes"),
    )
    return Table(
        title="What the replica was given",
        what="Size of the KV cache, most running requests, GPUs and limits of the pod.",
        good="The same for all replicas of a model.",
        act="Different caches at like settings: another GPU, or something else on it that took memory first.",
        labels=(Label("cluster", "Cluster"), Label("namespace", "Namespace"), Label("pod", "Pod")),
        values=values,
        columns=16,
        lines=6,
    )


def _sleep(scope: Scope) -> BoardPanel:
    state = scope.select("llm_engine_sleep_state")
    return StateTimeline(
        title="Sleep state",
        what="awake, or asleep with weights offloaded or discarded; asleep it serves nothing.",
        good="awake.",
        act="Asleep with requests waiting: wake it up by the engine's own endpoint.",
        targets=[line(f"max {by((*PROCESS, 'state'))} ({state})", f"{_LEGEND} {{{{state}}}}")],
        unit="bool_yes_no",
        words={"1": ("yes", NEUTRAL), "0": ("no", FREE)},
        lines=6,
    )


def _cpu(scope: Scope) -> BoardPanel:
    used = scope.serving(rate(scope.process("llm_process_cpu_seconds_total")))
    return TimeSeries(
        title="CPU of the API server",
        what="CPU time of the API server's process, in cores.",
        good="Well below one core: tokenising and answering go through one thread.",
        act="Near one: answers are late though the GPU is not; run more API servers.",
        targets=[line(f"sum {by(PROCESS)} ({used})", _LEGEND)],
        unit="suffix:cores",
        minimum=0,
        steps=steps_from((0.9, WARN)),
    )


def _memory(scope: Scope) -> BoardPanel:
    resident = scope.serving(scope.process("llm_process_resident_memory_bytes"))
    return TimeSeries(
        title="Memory of the API server",
        what="Resident memory of the API server's process.",
        good="Level after the first hour.",
        act="Rising all the time: a leak; compare with the pod's limit below.",
        targets=[line(f"sum {by(PROCESS)} ({resident})", _LEGEND)],
        unit="bytes",
        minimum=0,
    )


def _reading(scope: Scope) -> BoardPanel:
    level = ("cluster", "namespace", "pod", "container")
    took = scope.pod("inferwatch_exporter_engine_scrape_duration_seconds")
    failed = rate(scope.pod("inferwatch_exporter_engine_scrape_errors_total"))
    return TimeSeries(
        title="Reading the engine's metrics",
        what="How long the exporter's last scrape of the engine took, and how many a second fail.",
        good="Some milliseconds, no failures.",
        act="Slow or failing while requests are served: the engine's event loop is busy; its own figures are late too.",
        targets=[
            line(f"max {by(level)} ({took})", "{{cluster}} {{pod}}"),
            line(f"sum {by((*level, 'reason'))} ({failed})", "failed {{cluster}} {{pod}} {{reason}}"),
        ],
        unit="s",
        minimum=0,
        colours=colours("failed"),
        units={"failed": "ops"},
    )
