"""Plan against the recordings: memory within 3 % of what vLLM printed, pace within 25 % of what clients measured."""

from __future__ import annotations

import pytest

from benchmarks import plan_accuracy
from benchmarks.plan_claims import CLAIMS, implied_hour, rate_at
from benchmarks.plan_recordings import WITHOUT_PACE, is_on_cpu, memory_row, pace_row, printed_by, vllm_runs
from recordings.reader import Recording
from troubleshoot.plan.estimate import Layout, memory_of
from troubleshoot.plan.inputs import Question, read_gpu, read_model
from troubleshoot.profiled_memory import activation_peak_bytes, non_torch_bytes
from troubleshoot.steady_state import Load

# The page runs every part that the tests beside this one trace.
pytestmark = pytest.mark.no_cover

H100 = "NVIDIA H100 80GB HBM3"
RUNS = vllm_runs()
ON_GPU = [run for run in RUNS if not is_on_cpu(run)]


def names(runs: list[Recording]) -> list[str]:
    return [run.name for run in runs]


def test_the_page_is_what_the_code_writes() -> None:
    assert plan_accuracy.PAGE.read_text(encoding="utf-8") == plan_accuracy.page(), "run make generate"


def test_every_run_has_its_row() -> None:
    page = plan_accuracy.PAGE.read_text(encoding="utf-8")
    assert [run.name for run in RUNS if f"`{run.name}`" not in page] == []
    assert len(ON_GPU) >= 8


@pytest.mark.parametrize("run", ON_GPU, ids=names(ON_GPU))
def test_memory_is_within_3_percent(run: Recording) -> None:
    row = memory_row(run)
    if row.error is None:
        assert row.note  # never started; says why
        return
    assert abs(row.error) <= 0.03
    printed = row.printed
    assert printed.concurrency is not None
    assert row.concurrency == pytest.approx(printed.concurrency, rel=0.03)
    assert row.longest == printed.context
    assert row.planned is not None
    assert row.planned.memory.blocks == pytest.approx((printed.profiled_tokens or printed.tokens or 0) / 16, rel=0.03)


def test_tokens_from_the_logs_own_memory_are_exact_to_its_rounding() -> None:
    rows = [row for run in ON_GPU if (row := memory_row(run)).printed.tokens is not None]
    assert len(rows) >= 6
    for row in rows:
        assert row.tokens_from_log == pytest.approx(row.printed.profiled_tokens or row.printed.tokens, rel=0.0002)


def test_what_vllm_refused_plan_refuses() -> None:
    (refused,) = (run for run in ON_GPU if run.name == "oom_no_kv_blocks")
    row = memory_row(refused)
    assert row.planned is not None and not row.planned.fits
    assert row.planned.memory.kv_bytes / 2**30 == pytest.approx(row.printed.kv_gib, abs=0.1)


def test_weights_are_within_1_percent_of_what_was_loaded() -> None:
    for run in ON_GPU:
        _, memory, _ = printed_by(run)
        planned = memory_row(run).planned
        if memory.weights_gib is not None:
            assert planned is not None
            assert planned.memory.weights_bytes / 2**30 == pytest.approx(memory.weights_gib, rel=0.01)


@pytest.mark.parametrize("run", ON_GPU, ids=names(ON_GPU))
def test_pace_is_within_25_percent_or_says_why(run: Recording) -> None:
    row = pace_row(run)
    if row is None:
        assert not memory_row(run).printed.tokens, "a run that served has a row"
    elif abs(row.error) > 0.25:
        assert run.name in WITHOUT_PACE


def test_few_runs_need_a_reason() -> None:
    off = [run.name for run in ON_GPU if (row := pace_row(run)) is not None and abs(row.error) > 0.25]
    assert off == ["stuck_engine"]


@pytest.mark.parametrize("name", ["healthy_steady", "thr_serial_client"])
def test_time_to_first_token_without_a_queue_is_within_25_percent(name: str) -> None:
    (run,) = (each for each in RUNS if each.name == name)
    row = pace_row(run)
    assert row is not None
    assert row.expected.ttft_seconds == pytest.approx(row.measured.ttft_seconds, rel=0.25)


# Of runs that were not recorded here: what logs in public threads and repositories print.


@pytest.mark.parametrize(
    ("gpu", "gib"),
    [("Tesla T4", 14.56), ("NVIDIA L4", 22.07), ("RTX 3090", 23.58), (H100, 79.14), (H100, 79.22)],
)
def test_what_a_process_sees_of_other_gpus_is_within_2_percent(gpu: str, gib: float) -> None:
    assert read_gpu(gpu).usable_bytes / 2**30 == pytest.approx(gib, rel=0.02)


def test_another_gpu_and_another_release_are_within_3_percent() -> None:
    """vLLM 0.6 on an H100 at 0.9: "the rest of the memory reserved for KV Cache is 54.93GiB" for a Llama of 8B."""
    asked = Question(shape=read_model("llama-3-8b"), model="llama-3-8b", gpu=read_gpu(H100), load=Load(64, 64))
    assert memory_of(asked, Layout(1, 1)).kv_bytes / 2**30 == pytest.approx(54.93, rel=0.03)


def test_what_lies_beside_weights_and_cache_is_within_a_third_of_a_gib() -> None:
    """Llama-3.1-8B on an RTX A5000, --enforce-eager: 1.35 GiB of the budget went neither to weights nor to cache."""
    reckoned = activation_peak_bytes(read_model("llama-3.1-8b")) + non_torch_bytes()
    assert reckoned / 2**30 == pytest.approx(1.35, abs=0.33)


def test_the_documents_rows_are_all_there() -> None:
    assert [(claim.model, claim.tokens_per_second) for claim in CLAIMS] == [
        ("llama-2-7b", 4800),
        ("llama-2-7b", 7200),
        ("llama-2-13b", 2400),
        ("llama-2-70b", 1200),
        ("mistral-7b", 2200),
        ("llama-2-7b", 6400),
    ]


def test_the_documents_cost_is_its_rate_at_a_price() -> None:
    assert implied_hour(CLAIMS[0]) == pytest.approx(2.07, abs=0.01)
    assert implied_hour(CLAIMS[3]) == pytest.approx(1.30, abs=0.01)


def test_the_reasons_given_for_the_documents_rows_hold() -> None:
    """What is said in words ("12 % apart") is held to the figures."""
    short = Load(128, 128)
    shares = [rate_at(claim, short)[1] / claim.tokens_per_second for claim in CLAIMS]
    assert shares == pytest.approx([0.98, 0.82, 0.89, 0.83, 0.48, 0.98], abs=0.02)
