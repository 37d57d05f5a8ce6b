from __future__ import annotations

import pytest

from recordings.openmetrics import MalformedMetricsError, Scrape, regroup

UP = b'up{job="vllm",instance="a:1"} 1 10.5\n'


def served(*lines: bytes) -> bytes:
    """The exposition of the one scrape that `lines` and `UP` make."""
    [scrape] = regroup([*lines, UP])
    return scrape.exposition


def test_samples_are_regrouped_by_time() -> None:
    lines = [
        b"# TYPE a gauge\n",
        b'a{job="vllm",instance="a:1"} 1 10.5\n',
        b'a{job="vllm",instance="a:1"} 2 12.5\n',
        b"# TYPE b gauge\n",
        b'b{job="vllm",instance="a:1",x="y"} 3 10.5\n',
        b'b{job="vllm",instance="a:1",x="y"} 4 12.5\n',
        b"# TYPE up gauge\n",
        b'up{job="vllm",instance="a:1"} 0 8.5\n',
        UP,
        b'up{job="vllm",instance="a:1"} 1 12.5\n',
        b"# EOF\n",
    ]
    assert regroup(lines) == [
        Scrape(8.5, False, b""),
        Scrape(10.5, True, b'# TYPE a gauge\na 1\n# TYPE b gauge\nb{x="y"} 3\n'),
        Scrape(12.5, True, b'# TYPE a gauge\na 2\n# TYPE b gauge\nb{x="y"} 4\n'),
    ]


@pytest.mark.parametrize(
    ("recorded", "as_served"),
    [
        (b"# TYPE vllm:num_preemptions counter\n", b"# TYPE vllm:num_preemptions_total counter\n"),
        (b"# TYPE nv_inference_count unknown\n", b"# TYPE nv_inference_count counter\n"),
        (
            b"# TYPE vllm:iteration_tokens_total histogram\n",
            b"# TYPE vllm:iteration_tokens_total histogram\n",
        ),
    ],
)
def test_types_come_back_as_the_engine_wrote_them(recorded: bytes, as_served: bytes) -> None:
    assert served(recorded, b'x{job="vllm",instance="a:1"} 1 10.5\n') == as_served + b"x 1\n"


def test_only_the_recorders_labels_go() -> None:
    line = b'x{job="vllm",instance="a:1",my_job="kept",path="a,job=\\"b\\" } c",le="+Inf"} 1 10.5\n'
    assert served(line).splitlines()[-1] == b'x{my_job="kept",path="a,job=\\"b\\" } c",le="+Inf"} 1'


def test_values_are_not_reformatted() -> None:
    assert served(b'x{job="vllm",instance="a:1"} 2.5276510208e+010 10.5\n').endswith(b"x 2.5276510208e+010\n")


@pytest.mark.parametrize(("gpu_time", "expected"), [(b"10.5", b"7"), (b"9", b"7"), (b"10.6", b"")])
def test_gpu_series_are_never_from_the_future(gpu_time: bytes, expected: bytes) -> None:
    exposition = served(b"# TYPE G gauge\n", b'G{gpu="0",job="gpu"} 7 ' + gpu_time + b"\n")
    assert exposition == (b'# TYPE G gauge\nG{gpu="0"} ' + expected + b"\n" if expected else b"")


def test_a_dead_server_serves_no_gpu_series_either() -> None:
    assert regroup([b'G{gpu="0",job="gpu"} 7 1\n', b'up{job="v",instance="a"} 0 2\n']) == [Scrape(2.0, False, b"")]


@pytest.mark.parametrize("line", [b"x 1\n", b"\n", b"x{a 1 10.5\n", b"# TYPE x\n", b"x 1 NaN\n"])
def test_a_line_that_the_recorder_does_not_write_is_refused(line: bytes) -> None:
    with pytest.raises(MalformedMetricsError, match="line 2 is no"):
        regroup([UP, line])
