"""Manifests with anything in any field: preflight says something and never fails."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.troubleshoot.preflight.expected_findings import EXPECTED
from tests.troubleshoot.preflight.good import good, judged

JUNK: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    3.5,
    10**30,
    "",
    "x",
    "-1",
    "0.0",
    "$(X)",
    "1e9Gi",
    [],
    {},
    [None],
    ["--x"],
    {"a": 1},
    [[{}]],
    [{"name": 5}],
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(each for key, item in below for each in places(item, (*path, key)))]


def put(value: Any, path: tuple[Any, ...], junk: Any) -> None:
    for step in path[:-1]:
        value = value[step]
    value[path[-1]] = junk


@pytest.mark.parametrize("name", EXPECTED)
def test_every_field_may_hold_anything(name: str) -> None:
    """Each field in turn, so that none is left to chance."""
    paths = [path for path in places(good(name)) if len(path) > 1]
    for number, path in enumerate(paths):
        objects = good(name)
        put(objects, path, deepcopy(JUNK[number % len(JUNK)]))
        judged(objects)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_several_fields_may_hold_anything(data: st.DataObject) -> None:
    objects: Any = good(data.draw(st.sampled_from(sorted(EXPECTED))))
    for _ in range(data.draw(st.integers(1, 4))):
        paths = [path for path in places(objects) if len(path) > 1]
        # A copy: junk that was put in may be changed by what is put into it.
        put(objects, data.draw(st.sampled_from(paths)), deepcopy(data.draw(st.sampled_from(JUNK))))
    judged(objects)
