"""No content of a log or of metrics raises, and what is found in it can be told."""

from __future__ import annotations

import json
import random
from functools import cache
from io import StringIO
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.troubleshoot.properties.failures import (
    FAILURES,
    OM_LINE,
    SMALL,
    STEADY,
    log_of,
    metrics_of,
    read,
)
from troubleshoot.collect import Collected
from troubleshoot.diagnosis import diagnose
from troubleshoot.report import Format, render

# Not traced for coverage, which would triple the time of much work over lines that the tests of causes cover.
pytestmark = pytest.mark.no_cover


@cache
def _fragments() -> list[bytes]:
    """Lines of real logs and of failures: what random bytes seldom are."""
    chosen = random.Random(7)
    lines = [line for name in (*SMALL, *FAILURES) for line in chosen.sample(log_of(name).splitlines(), 5)]
    return [
        *lines,
        b'{"message": "',
        b"{",
        b"\x1b[",
        b"args: Namespace(",
        b"non-default args: {",
        b"\r",
        b"--",
        b"=" * 9,
    ]


@st.composite
def logs(draw: st.DrawFn) -> bytes:
    """Real lines with bytes changed, cut and repeated, between random ones."""
    parts = draw(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from(_fragments())), min_size=1, max_size=25))
    text = bytearray(draw(st.sampled_from([b"\n", b" ", b""])).join(parts) * draw(st.sampled_from([1, 1, 3])))
    for place, value in draw(st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=6)):
        if text:
            text[place % len(text)] = value
    return bytes(text)


_SERIES = (
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
    "vllm:kv_cache_usage_perc",
    "vllm:num_preemptions_total",
    "vllm:generation_tokens_total",
    'vllm:time_to_first_token_seconds_bucket{le="0.5"}',
    'vllm:time_to_first_token_seconds_bucket{le="+Inf"}',
    'vllm:time_to_first_token_seconds_bucket{le="x"}',
    "vllm:time_to_first_token_seconds_count",
    "vllm:time_to_first_token_seconds_sum",
    'vllm:cache_config_info{num_gpu_blocks="None",block_size="0"}',
    'vllm:request_success_total{finished_reason=""}',
    "sglang:num_running_reqs",
    "llamacpp:n_decode_total",
    'nv_inference_queue_duration_us{model="a"}',
    'DCGM_FI_DEV_CLOCK_THROTTLE_REASONS{gpu="0",modelName=""}',
    "up",
)
_VALUES = ("0", "1", "-1", "NaN", "+Inf", "-Inf", "1e308", "1e309", "5e-324", "9" * 40, "0x1", "", "1 2 3")
_TIMES = ("", " 0", " 1795289905.2", " 1795289907.2", " 1795289999", " -5", " 1795289905247", " 1e300", " NaN")


@st.composite
def expositions(draw: st.DrawFn) -> bytes:
    """Samples of known series with values and times that a broken exporter gives, between random bytes."""
    sample = st.tuples(st.sampled_from(_SERIES), st.sampled_from(_VALUES), st.sampled_from(_TIMES))
    line = st.one_of(sample.map(lambda parts: f"{parts[0]} {parts[1]}{parts[2]}".encode()), st.binary(max_size=30))
    return b"\n".join([*draw(st.lists(line, min_size=1, max_size=40)), b"# EOF\n"])


def assert_it_can_be_told(collected: Collected) -> None:
    """Either there is evidence, which every report can print, or a line that says why there is none."""
    if collected.evidence is None:
        assert collected.problems
        return
    diagnosis = diagnose(collected.evidence, collected.inputs)
    for form in get_args(Format):
        stream = StringIO()
        render(diagnosis, form, stream=stream, evidence=collected.evidence)
        report = stream.getvalue()
        assert "\x1b" not in report
        assert form != "json" or json.loads(report)["verdict"] == diagnosis.verdict


@settings(STEADY, max_examples=100)
@given(log=st.one_of(logs(), st.binary(max_size=300)))
def test_no_bytes_of_a_log_raise(folder: Path, log: bytes) -> None:
    assert_it_can_be_told(read(folder, log, None))


@settings(STEADY, max_examples=100)
@given(metrics=st.one_of(expositions(), st.binary(max_size=300)))
def test_no_bytes_of_metrics_raise(folder: Path, metrics: bytes) -> None:
    assert_it_can_be_told(read(folder, None, metrics))


@settings(STEADY, max_examples=40)
@given(log=logs(), metrics=expositions())
def test_no_bytes_of_both_raise(folder: Path, log: bytes, metrics: bytes) -> None:
    assert_it_can_be_told(read(folder, log, metrics))


@settings(STEADY, max_examples=40)
@given(
    name=st.sampled_from(["llamacpp_busy", "triton_queue_reject"]),
    damage=st.lists(st.tuples(st.integers(0, 1 << 16), st.sampled_from(_VALUES)), max_size=20),
)
def test_a_recording_with_damaged_samples_does_not_raise(
    folder: Path, name: str, damage: list[tuple[int, str]]
) -> None:
    lines = metrics_of(name).split(b"\n")
    samples = [place for place, line in enumerate(lines) if OM_LINE.match(line)]
    for number, value in damage:
        place = samples[number % len(samples)]
        series, _, time = lines[place].rsplit(b" ", 2)
        lines[place] = b"%s %s %s" % (series, value.encode(), time)
    assert_it_can_be_told(read(folder, None, b"\n".join(lines)))
