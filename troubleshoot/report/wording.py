"""The words and numbers that the text and the markdown report share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from troubleshoot.findings import (
    Change,
    Diagnosis,
    Fix,
    InputSummary,
    LogEvidence,
    MetricEvidence,
    NotEvaluated,
    SettingValue,
    StatusEvidence,
)

_ENGINE_TITLES = {
    "vllm": "vLLM",
    "tgi": "Text Generation Inference",
    "triton": "Triton",
    "tensorrt_llm": "TensorRT-LLM",
    "sglang": "SGLang",
    "llamacpp": "llama.cpp",
    "kserve": "KServe",
    "dynamo": "NVIDIA Dynamo",
}
_SHORT_UNITS = {"seconds": " s", "ratio": "", "per_second": "/s", "": ""}
_CAUSES_NAMED = 3
_FEW_RULED_OUT = 6
_MOST_RULED_OUT = 10
INTERRUPTED = "interrupted: this covers only what was read until then"


def number(value: float) -> str:
    """A number to read: four significant digits, thousands apart ("14 400"), words for what is no number."""
    if isinstance(value, float) and not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinite"
    if value == int(value) or abs(value) >= 10_000:
        whole = round(value)
        return f"{whole:,}".replace(",", " ") if abs(whole) >= 10_000 else str(whole)
    return f"{value:.4g}"


def size(size_bytes: int) -> str:
    """A size in decimal units: "14 MB"."""
    value, unit = float(size_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.2g} {unit}"


def span(seconds: float) -> str:
    """A length of time: "15 s", "12 min", "3.5 h"."""
    if not math.isfinite(seconds):
        return "unknown time"
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"


def setting_value(value: SettingValue) -> str:
    """A setting's value as one would type it, without gaps; flags that take no value are "on" or "off"."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return "" if value is None else str(value)


def header_parts(diagnosis: Diagnosis) -> list[str]:
    """What was diagnosed: engine and version, model, hardware, then the inputs with sizes and spans."""
    engine = diagnosis.engine
    title = _ENGINE_TITLES.get(engine.name, engine.name) or "unknown engine"
    parts = [f"{title} {engine.version}".strip(), engine.model, diagnosis.hardware]
    inputs = [_inputs_of(kind, diagnosis.inputs) for kind in ("log", "metrics")]
    return [part for part in [*parts, ", ".join(filter(None, inputs))] if part]


def _inputs_of(kind: str, inputs: Iterable[InputSummary]) -> str:
    mine = [item for item in inputs if item.kind == kind]
    if not mine:
        return ""
    words = [kind if len(mine) == 1 else f"{len(mine)} {kind if kind == 'metrics' else 'logs'}"]
    spans = [item.span_seconds for item in mine if item.span_seconds is not None]
    if kind == "log" or not spans:
        words.append(size(sum(item.size_bytes for item in mine)))
    if spans:
        words.append(span(max(spans)) if kind == "metrics" else f"over {span(max(spans))}")
    return " ".join(words)


def fix_change(fix: Fix) -> str:
    """The change in a few words: "--max-num-seqs 128 -> 22"; without a new value, the setting as it is."""
    before, after = setting_value(fix.from_value), setting_value(fix.to_value)
    if after:
        return " ".join(part for part in (fix.setting, before, "->", after) if part)
    return f"{fix.setting} (now {before})" if before else fix.setting


def fix_reason(fix: Fix) -> str:
    """Why this value, and what it brings."""
    return "; ".join(part for part in (fix.why, fix.effect and f"effect: {fix.effect}") if part)


def value(item: MetricEvidence) -> str:
    """A measured value with its unit: "11 s"."""
    return f"{number(item.value)}{_SHORT_UNITS.get(item.unit, f' {item.unit}')}"


def metric(item: MetricEvidence) -> str:
    """One measured value: "vllm:num_preemptions_total 134 in 15 s"."""
    words = f"{item.series} {value(item)}"
    if item.window is not None and item.window[1] > item.window[0]:
        words += f" in {span(item.window[1] - item.window[0])}"
    return f"{words} ({item.note})" if item.note else words


def place(item: LogEvidence | StatusEvidence) -> str:
    """Where it stands: "engine.log:12", "event llm/pod-0"."""
    if isinstance(item, StatusEvidence):
        return f"{item.origin} {item.subject}".strip()
    return f"{item.file}:{item.line}" if item.line > 0 else item.file


def confidence(value: float) -> str:
    """A confidence in percent."""
    return f"{value * 100:.0f} %" if math.isfinite(value) else "confidence unknown"


def ruled_out(diagnosis: Diagnosis) -> list[str]:
    """What the evidence contradicts. By name what a reader would have suspected next, the rest as a number.

    That is a cause of the root's own kind (being slow and being late count as one), with a reason of its own.
    """
    slow = ("throughput", "ttft", "hang")
    root = diagnosis.findings[0].family if diagnosis.findings and diagnosis.verdict == "incident" else "throughput"
    suspects = slow if root in slow else (root,)
    prefixes = {"throughput": "thr", "ttft": "ttft", "hang": "hang", "oom": "oom", "crash": "crash"}
    starts = tuple(f"{prefixes[family]}_" for family in suspects if family in prefixes)
    shared = Counter(item.because for item in diagnosis.ruled_out)
    named = [
        f"{item.cause} ({item.because})"
        for item in diagnosis.ruled_out
        if (item.cause.startswith(starts) and shared[item.because] <= 2) or len(diagnosis.ruled_out) <= _FEW_RULED_OUT
    ][:_MOST_RULED_OUT]
    rest = len(diagnosis.ruled_out) - len(named)
    return [*named, f"{rest} others"] if rest else named


def not_checked(items: Iterable[NotEvaluated]) -> list[str]:
    """What could not be judged, one entry a set of missing evidence: causes by name, or their count."""
    by_need: dict[tuple[str, ...], list[str]] = {}
    for item in items:
        by_need.setdefault(item.needs, []).append(item.cause)
    entries = []
    for needs, causes in by_need.items():
        who = ", ".join(causes) if len(causes) <= _CAUSES_NAMED else f"{len(causes)} causes"
        entries.append(f"{who} (needs {'; '.join(needs)})" if needs else who)
    return entries


def notes(diagnosis: Diagnosis) -> list[str]:
    """What was wrong with the inputs, and whether the run was stopped early."""
    wrong = [f"{item.name}: {item.note}" for item in diagnosis.inputs if item.note]
    return [*wrong, INTERRUPTED] if diagnosis.interrupted else wrong


def moment(unix_seconds: float) -> str:
    """A time to read: "2026-11-22 02:03:10 UTC"."""
    try:
        return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return "unknown time"


def change(item: Change) -> str:
    """What is not as it was: "requests waiting 0 -> 43 at 02:03:10", or "against 1 day before"."""
    unit = _SHORT_UNITS.get(item.unit, f" {item.unit}")
    before, after = (_level(value, unit) for value in (item.before, item.after))
    if item.since is None:
        return f"{item.what} {before} -> {after} against {item.against}"
    return f"{item.what} {before} -> {after} at {moment(item.since)[11:19]}"


def _level(value: float | str | None, unit: str) -> str:
    if value is None:
        return "nothing"
    return value if isinstance(value, str) else f"{number(float(f'{value:.3g}'))}{unit}"


def dated_changes(diagnosis: Diagnosis) -> list[str]:
    """What changed within the time that was looked at, the earliest first."""
    return [change(item) for item in diagnosis.changes if item.since is not None]


def earlier_changes(diagnosis: Diagnosis) -> list[str]:
    """What differs from a day and a week before."""
    return [change(item) for item in diagnosis.changes if item.since is None]


_MEASURES = {
    "requests_waiting": ("waiting", ""),
    "kv_cache_usage_ratio": ("KV use", ""),
    "ttft_mean_seconds": ("TTFT mean", " s"),
    "tokens_per_second_per_sequence": ("tokens/s a sequence", ""),
}


def fleet(diagnosis: Diagnosis) -> list[str]:
    """The replicas in a line each: how many there are and their medians, then those that were looked at."""
    found = diagnosis.fleet
    if found is None:
        return []
    down = f", {found.down} down" if found.down else ""
    lines = [f"{found.total} replicas{down}; median {_measures(found.medians)}"]
    for replica in found.replicas:
        said = replica.cause or replica.verdict
        told = [said, _measures(replica.measures), *replica.differs]
        lines.append(f"{replica.name} ({replica.role}): {'; '.join(filter(None, told))}")
    return [line.removesuffix("; median ") for line in lines]


def _measures(measures: Mapping[str, float]) -> str:
    return ", ".join(
        f"{title} {_level(measures[name], unit)}" for name, (title, unit) in _MEASURES.items() if name in measures
    )


def next_step(cause: str, runbook: str) -> str:
    """Where to read on."""
    return f"inferwatch explain {cause}" + (f" · {runbook}" if runbook else "")
