"""Is there a metric of this name? Names held against the catalogue: engines' series, the schema, rules, GPU fields."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType

from catalog import kubernetes
from catalog.engines import ENGINES
from catalog.engines.base import SeriesMapping, parse_version
from catalog.exporter_signals import EXPORTER_SIGNALS
from catalog.gpu import find_field
from catalog.recorded import RECORDED
from catalog.signals import SIGNALS

_PREFIXES: Mapping[str, str] = MappingProxyType(
    {
        "vllm_": "vllm",
        "sglang_": "sglang",
        "tgi_": "tgi",
        "nv_": "triton",
        "trtllm_": "tensorrt_llm",
        "llamacpp_": "llamacpp",
        "lmdeploy_": "lmdeploy",
        "llm_": "",
    }
)
"""How names begin that only an engine, or this schema (""), can give."""
_PARTS = ("_bucket", "_sum", "_count", "_total", "_created")
_WAITING = ("queue_size", "queue_length", "queue_depth", "pending", "waiting")

_STRINGS = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|`[^`]*`")
_LABELS = re.compile(r"\{[^{}]*\}|\[[^\[\]]*\]|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)")
_IDENTIFIER = re.compile(r"(?<![\w:.$])[A-Za-z_:][\w:]*(?!\s*\(|[\w:])")
_KEYWORDS = frozenset(
    {"and", "or", "unless", "bool", "offset", "inf", "nan", "by", "without", "on", "ignoring", "atan2"}
)
_LONGEST_QUERY = 20_000


def known(name: str, *, adapted: bool = False) -> bool | None:
    """Whether a metric of this name exists; None for a name that others than engines may give.

    `adapted` takes a colon for an underscore and ignores `_total`, as adapters for autoscalers rename series.
    """
    spellings = _spellings(adapted)
    wanted = _adapted(name) if adapted else name
    if wanted in spellings or find_field(name) is not None or name in RECORDED:
        return True
    engine = engine_of_name(name)
    if engine is None:
        return None
    bare = next((name.removesuffix(part) for part in _PARTS if name.endswith(part)), name)
    ignored = ENGINES[engine].ignored if engine else ()
    return any(re.fullmatch(each.pattern, spelled) for each in ignored for spelled in (name, bare))


def engine_of_name(name: str) -> str | None:
    """The engine that alone could give a metric of this name, "" for this project's schema; None for any other."""
    lowered = name.replace(":", "_", 1).lower()
    return next((engine for prefix, engine in _PREFIXES.items() if lowered.startswith(prefix)), None)


def gone(name: str, engine: str, version: str) -> SeriesMapping | None:
    """The mapping of a series that this version of the engine does not expose; None where it does, or nobody knows."""
    release = parse_version(version)
    if engine not in ENGINES or not release:
        return None
    wanted = _adapted(name)
    found = [each for each in ENGINES[engine].mappings if wanted in {_adapted(text) for text in _written(each)}]
    return found[0] if found and not any(each.holds_for(release) for each in found) else None


def suggestion(name: str, version: str = "") -> str:
    """The series that was probably meant; "" where none is near."""
    engine = engine_of_name(name)
    if not engine:
        return ""
    rest = _adapted(name).partition("_")[2]
    part = next((part for part in ("_bucket", "_sum", "_count") if name.endswith(part)), "")
    rest = rest.removesuffix(part)
    release = parse_version(version)
    candidates: dict[str, str] = {}
    for each in ENGINES[engine].mappings:
        if each.holds_for(release) and (each.until is None or release) and each.kind != "info":
            candidates.setdefault(_adapted(each.signal).partition("_")[2], each.series)
            candidates.setdefault(_adapted(each.series).partition("_")[2], each.series)
    if any(word in rest for word in _WAITING) and "requests_waiting" in candidates:
        return candidates["requests_waiting"]
    near = get_close_matches(rest, candidates, n=1, cutoff=0.6)
    return candidates[near[0]] + part if near else ""


def names_in(query: str) -> Iterator[str]:
    """The metric names in a PromQL expression, each once; one too long to read gives none."""
    if len(query) > _LONGEST_QUERY:
        return
    plain = _STRINGS.sub('""', query)
    text = _LABELS.sub(" ", _LABELS.sub(" ", plain))
    for found in dict.fromkeys(_IDENTIFIER.findall(text)):
        if found.lower() not in _KEYWORDS and not re.fullmatch(r"[:_]*|\d.*", found):
            yield found


def _adapted(name: str) -> str:
    return name.replace(":", "_").removesuffix("_total").lower()


def _written(mapping: SeriesMapping) -> tuple[str, ...]:
    """How a series is written in an exposition."""
    parts = ("_bucket", "_sum", "_count") if mapping.kind in {"histogram", "summary"} else ()
    return (mapping.series, *(mapping.series + part for part in parts))


@cache
def _spellings(adapted: bool) -> frozenset[str]:
    raw = {text for engine in ENGINES.values() for each in engine.mappings for text in _written(each)}
    for signal in SIGNALS.values():
        raw.add(signal.name)
        if signal.kind == "histogram":
            raw |= {f"{signal.name}{part}" for part in ("_bucket", "_sum", "_count")}
    raw |= set(EXPORTER_SIGNALS) | _kubernetes_names()
    return frozenset(map(_adapted, raw)) if adapted else frozenset(raw)


def _kubernetes_names() -> set[str]:
    return {each.name for each in vars(kubernetes).values() if isinstance(each, kubernetes.KubernetesSeries)}
