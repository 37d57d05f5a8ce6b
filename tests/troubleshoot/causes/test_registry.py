"""Every cause as an entry of one table: ids, families, needs, consequences."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from troubleshoot.causes import CAUSES
from troubleshoot.causes.base import Cause
from troubleshoot.evidence import Evidence
from troubleshoot.findings import NotEvaluated

REFERENCE = Path(__file__).resolve().parents[3] / ".." / "shared" / "reference" / "causes.yaml"
PREFIXES = {"oom": "oom", "thr": "throughput", "ttft": "ttft", "crash": "crash", "hang": "hang"}
FALLBACK = "crash_unrecognised_exception"


@pytest.fixture(scope="module")
def reference() -> Mapping[str, Mapping[str, str]]:
    if not REFERENCE.is_file():
        pytest.skip("the reference of causes lies in ../shared, which is absent")
    return {entry["id"]: entry for entry in yaml.safe_load(REFERENCE.read_text(encoding="utf-8"))}


def test_every_cause_of_the_reference_can_be_named(reference: Mapping[str, Mapping[str, str]]) -> None:
    assert set(reference) <= set(CAUSES)


def test_the_causes_of_our_own_are_the_exception_that_nobody_knows_and_the_pod_that_never_starts(
    reference: Mapping[str, Mapping[str, str]],
) -> None:
    assert set(CAUSES) - set(reference) == {FALLBACK, "crash_pod_not_started"}


def test_families_are_those_of_the_reference(reference: Mapping[str, Mapping[str, str]]) -> None:
    assert {name: CAUSES[name].family for name in reference} == {name: e["family"] for name, e in reference.items()}


@pytest.mark.parametrize("cause", CAUSES.values(), ids=CAUSES)
def test_a_cause_says_what_it_is_and_what_it_needs(cause: Cause) -> None:
    assert CAUSES[cause.id] is cause
    assert cause.family == PREFIXES[cause.id.split("_")[0]]
    assert cause.title
    assert not cause.title.endswith(".")
    assert cause.needs
    assert all(need.startswith(("log: ", "metrics: ", "kubernetes: ")) for need in cause.needs)


@pytest.mark.parametrize("cause", CAUSES.values(), ids=CAUSES)
def test_a_cause_is_found_by_its_name_in_the_file_tree(cause: Cause) -> None:
    prefix, _, name = cause.id.partition("_")
    assert type(cause).__module__ == f"troubleshoot.causes.{PREFIXES[prefix]}.{name}"


@pytest.mark.parametrize("cause", CAUSES.values(), ids=CAUSES)
def test_a_cause_imports_no_other_cause(cause: Cause) -> None:
    """What several share stands in modules beside them."""
    others = {type(other).__module__ for other in CAUSES.values()}
    tree = ast.parse(inspect.getsource(sys.modules[type(cause).__module__]))
    assert others & {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)} == set()


@pytest.mark.parametrize("cause", CAUSES.values(), ids=CAUSES)
def test_without_evidence_a_cause_is_not_evaluated_rather_than_ruled_out(cause: Cause) -> None:
    judged = cause.judge(Evidence())

    assert isinstance(judged, NotEvaluated)
    assert judged.needs


@pytest.mark.parametrize("cause", CAUSES.values(), ids=CAUSES)
def test_what_a_cause_brings_about_exists_and_is_not_itself(cause: Cause) -> None:
    assert cause.consequences <= set(CAUSES)
    assert cause.id not in cause.consequences


def test_no_cause_brings_about_itself_by_way_of_others() -> None:
    assert list(cycles({name: cause.consequences for name, cause in CAUSES.items()})) == []


def cycles(arrows: Mapping[str, frozenset[str]]) -> Iterator[tuple[str, ...]]:
    """Each cycle once, written from its smallest name on."""

    def walk(path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for after in sorted(arrows[path[-1]]):
            if after == path[0]:
                yield path
            elif after > path[0] and after not in path:
                yield from walk((*path, after))

    for name in sorted(arrows):
        yield from walk((name,))


def test_the_unknown_exception_explains_nothing() -> None:
    assert CAUSES[FALLBACK].consequences == frozenset()
