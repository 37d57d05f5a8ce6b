"""Every metric in a runbook is in the catalogue, and PromQL uses functions and labels that exist."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from catalog.engines import ENGINES
from catalog.gpu import GPU_LABELS, find_field
from catalog.kubernetes import KUBERNETES
from catalog.signals import COMMON_LABELS, SIGNALS
from runbooks import PAGES, page

OWNERS = {"vllm:": "vllm", "sglang:": "sglang", "llamacpp:": "llamacpp", "tgi_": "tgi", "nv_": "triton"}
"""Prefix of a raw series -> the engine whose catalogue must hold it."""

_PROMQL = re.compile(r"^```promql\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_START = re.compile(
    r"\b(?:(?:vllm|sglang|llamacpp|lmdeploy):|(?:tgi|nv|llm|inferwatch_gpu|inferwatch_pod|container|kube"
    r"|DCGM_FI|DCGM_EXP)_)"
)
_PIECE = re.compile(r"[A-Za-z0-9_]+|\(|\)|\|")
_PARTS = ("_bucket", "_count", "_sum")
_FUNCTIONS = {
    "avg_over_time",
    "histogram_quantile",
    "increase",
    "max",
    "max_over_time",
    "min_over_time",
    "rate",
    "sum",
}
_GROUPING = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")
_MATCHER = re.compile(r"([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)\s*\"")


def expand(pattern: str) -> list[str]:
    """All names that a grep pattern such as `vllm:num_requests_(running|waiting)` stands for."""
    opening = pattern.find("(")
    if opening < 0:
        return [pattern]
    depth, start, choices = 0, opening + 1, []
    for position in range(opening, len(pattern)):
        mark = pattern[position]
        depth += (mark == "(") - (mark == ")")
        if (mark == "|" and depth == 1) or depth == 0:
            choices.append(pattern[start:position])
            start = position + 1
        if depth == 0:
            rest = pattern[position + 1 :]
            return [name for choice in choices for name in expand(pattern[:opening] + choice + rest)]
    return [pattern[:opening]]


def metric_names(text: str) -> Iterator[str]:
    for match in _START.finditer(text):
        end, depth = match.end(), 0
        while piece := _PIECE.match(text, end):
            if piece[0] == "(" and not _alternatives_follow(text, end):
                break
            if piece[0] in ")|" and depth == 0:
                break
            depth += (piece[0] == "(") - (piece[0] == ")")
            end = piece.end()
        yield from expand(text[match.start() : end])


def _alternatives_follow(text: str, opening: int) -> bool:
    closing = text.find(")", opening)
    return "|" in text[opening:closing]


def is_known(name: str) -> bool:
    names = {name, *(name.removesuffix(part) for part in _PARTS if name.endswith(part))}
    if names & (SIGNALS.keys() | KUBERNETES.keys()):
        return True
    if any(find_field(one) or one.startswith("DCGM_EXP_") for one in names):
        return True
    for engine in (ENGINES[engine] for prefix, engine in OWNERS.items() if name.startswith(prefix)):
        if names & {mapping.series for mapping in engine.mappings}:
            return True
        if any(re.fullmatch(ignored.pattern, one) for ignored in engine.ignored for one in names):
            return True
    return False


@pytest.mark.parametrize("cause", PAGES)
def test_every_metric_is_in_the_catalogue(cause: str) -> None:
    assert [name for name in metric_names(page(cause)) if not is_known(name)] == []


@pytest.mark.parametrize("cause", PAGES)
def test_promql_groups_and_selects_by_labels_that_the_series_carry(cause: str) -> None:
    own = {label for signal in SIGNALS.values() for label in signal.labels}
    kubernetes = {label for series in KUBERNETES.values() for label in series.labels}
    labels = {"le", "reason", *COMMON_LABELS, *GPU_LABELS, *own, *kubernetes}
    for query in _PROMQL.findall(page(cause)):
        used = {label.strip() for group in _GROUPING.findall(query) for label in group.split(",")}
        used |= set(_MATCHER.findall(query))
        assert used - labels == set()


@pytest.mark.parametrize("cause", PAGES)
def test_promql_calls_functions_that_exist_and_closes_its_brackets(cause: str) -> None:
    for query in _PROMQL.findall(page(cause)):
        called = set(re.findall(r"\b([a-z_]+)\s*\(", query)) - {"by", "on", "and", "or"}
        assert called <= _FUNCTIONS
        assert all(query.count(left) == query.count(right) for left, right in ("()", "[]", "{}"))


@pytest.mark.parametrize("cause", PAGES)
def test_counters_and_histograms_are_read_as_rates(cause: str) -> None:
    for query in _PROMQL.findall(page(cause)):
        for match in re.finditer(r"(\w*)\(?\b(llm_\w+)", query):
            signal = SIGNALS.get(re.sub(r"_(bucket|count|sum)$", "", match[2]), SIGNALS.get(match[2]))
            if signal is not None and signal.kind in {"counter", "histogram"}:
                assert match[1] in {"rate", "increase"}, match[0]


def test_prometheus_accepts_every_query(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    queries = [query for cause in PAGES for query in _PROMQL.findall(page(cause))]
    rules = [{"record": f"runbook:query:{number}", "expr": query} for number, query in enumerate(queries)]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "runbooks", "rules": rules}]}), encoding="utf-8")
    done = subprocess.run([promtool, "check", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_grep_patterns_are_expanded() -> None:
    assert expand("vllm:request_(queue|prefill)_time_(sum|count)") == [
        "vllm:request_queue_time_sum",
        "vllm:request_queue_time_count",
        "vllm:request_prefill_time_sum",
        "vllm:request_prefill_time_count",
    ]
    assert list(metric_names('grep -E "vllm:(a|num_(b|c))|vllm:d"')) == [
        "vllm:a",
        "vllm:num_b",
        "vllm:num_c",
        "vllm:d",
    ]
    assert list(metric_names("sum(rate(llm_requests_total[5m]))")) == ["llm_requests_total"]


def test_a_metric_that_does_not_exist_is_not_known() -> None:
    assert not is_known("vllm:request_queue_size")
    assert not is_known("llm_magic_total")
