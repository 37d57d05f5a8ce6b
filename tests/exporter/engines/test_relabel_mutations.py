"""Ten thousand broken payloads: never an exception, never a line that Prometheus would refuse.

Each result is read by Prometheus's reference parser for Python at once; all of them together by promtool, which is
Prometheus's own, each under a pod of its own so that one exposition holds many.
"""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache

import pytest
from prometheus_client.parser import text_string_to_metric_families

from catalog.engines import ENGINES
from exporter.engines.canonical import CanonicalSeries, RawSeries
from exporter.engines.layout import Layouts
from exporter.engines.relabel import Relabeller
from exporter.exposition import Section, render
from recordings.reader import load, scrapes

# Not traced for coverage, which would triple the time of much work over lines that the tests beside it cover.
pytestmark = pytest.mark.no_cover

EXAMPLES = 2500
BATCH = 500
PIECES = [
    *(b"{", b"}", b'"', b"\\", b"\n", b"\r\n", b" ", b"\t", b",", b"=", b"#", b"\x00", b"\xff", b"\xc3\xa9", b""),
    *(b"NaN", b"-nan", b"+Inf", b"1e999", b"1_0", b"0x1", b"-", b".", b"1 1700000000000", b' # {a="b"} 1'),
    *(b'le="1"', b'pod="x"', b"# TYPE a counter\n", b"# HELP a \\n\n", b"llm_up 5\n", b'{"a.b"="c"}', b"_total", b"::"),
]


@cache
def payload(recording: str) -> bytes:
    """A few families of a recorded scrape: long enough for every kind of line."""
    body = [scrape.exposition for scrape in scrapes(load(recording)) if scrape.up][-1]
    lines = [line for line in body.split(b"\n") if not line.startswith((b"DCGM", b"# TYPE DCGM"))]
    return b"\n".join(lines[:: len(lines) // 15][:15]) + b"\n"


Step = tuple[str, float, bytes, int]
"""What to do; where, as a share of the body; with which piece; over how many bytes."""


def steps_by(chance: random.Random) -> list[Step]:
    """One to six changes. Drawn by hand: a strategy of Hypothesis takes as long for it as all that is under test."""
    kinds = ("insert", "replace", "delete", "repeat", "cut")
    return [
        (chance.choice(kinds), chance.random(), chance.choice(PIECES), chance.randint(1, 12))
        for _ in range(chance.randint(1, 6))
    ]


def mutated(body: bytes, steps: list[Step]) -> bytes:
    for kind, place, piece, length in steps:
        at = int(place * len(body))
        match kind:
            case "insert":
                body = body[:at] + piece + body[at:]
            case "replace":
                body = body[:at] + piece + body[at + length :]
            case "delete":
                body = body[:at] + body[at + length :]
            case "repeat":
                body = body[:at] + body[max(0, at - 20 * length) : at] + body[at:]
            case "cut":
                body = body[: max(1, at)] if length > 10 else body
    return body


def assert_promtool_reads(results: list[Section]) -> None:
    """Exit status 3 is for style, which an engine's own names may lack; 1 is for what cannot be read."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    done = subprocess.run(
        [promtool, "check", "metrics"],
        input=render(results, openmetrics=False),
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert done.returncode in (0, 3), done.stderr.decode()[-500:]
    assert b"error while linting" not in done.stderr


def relabeller(engine: str, number: int, *, passthrough: bool, layouts: Layouts | None = None) -> Relabeller:
    place: Mapping[str, str] = {"pod": f"p{number}"}
    resolver = RawSeries(place) if passthrough else CanonicalSeries(ENGINES[engine], "")
    return Relabeller(resolver, place, max_series=200, layouts=layouts)


@pytest.mark.parametrize("passthrough", [False, True], ids=["canonical", "passthrough"])
@pytest.mark.parametrize(("recording", "engine"), [("kv_preemption", "vllm"), ("triton_healthy", "triton")])
def test_whatever_an_endpoint_sends_what_comes_out_is_well_formed(
    recording: str, engine: str, passthrough: bool
) -> None:
    results: list[Section] = []
    good, chance = payload(recording), random.Random(f"{recording} {passthrough}")
    shared = Layouts()
    beside = relabeller(engine, EXAMPLES, passthrough=passthrough, layouts=shared)
    for number in range(EXAMPLES):
        steps = steps_by(chance)
        # Every second is one of two replicas, which know what the other has met.
        beside.relabel(good)
        made = relabeller(engine, number, passthrough=passthrough, layouts=shared if number % 2 else None)
        made.relabel(good)
        made.relabel(mutated(good, steps))
        beside.relabel(mutated(good, steps))
        result = made.relabel(mutated(good, steps))
        text = render([result.section], openmetrics=False).decode()
        series = [
            (sample.name, *sorted(sample.labels.items()))
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        ]
        assert len(series) == len(set(series)) == result.series, steps
        results.append(result.section)
    for start in range(0, len(results), BATCH):
        assert_promtool_reads(results[start : start + BATCH])
