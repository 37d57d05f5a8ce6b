"""Layouts, other widths, slices and shared GPUs, and the search for GPUs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from catalog.hardware import GPUS
from catalog.mig_profiles import mig_profiles
from catalog.prices import price_of
from troubleshoot.plan.answer import find, plan
from troubleshoot.plan.estimate import Layout, best_estimate, estimate, layouts, memory_of
from troubleshoot.plan.inputs import Question, read_gpu, read_model
from troubleshoot.plan.options import mig_gpu, shared, slices, variants
from troubleshoot.plan.search import Demand, fleets
from troubleshoot.steady_state import Load

GIB = 1 << 30
H100 = "NVIDIA H100 80GB HBM3"
A100 = "NVIDIA A100-SXM4-80GB"


def question(model: str = "llama-3.1-8b", gpu: str = H100, **more: Any) -> Question:
    base = Question(shape=read_model(model), model=model, gpu=read_gpu(gpu), load=Load(512, 256))
    return replace(base, **more)


# Memory and layout


def test_memory_by_hand() -> None:
    """Llama-2-7B on an H200 at 0.9: 125.8 GiB less 12.55 of weights, 0.63 of activations and 0.35 outside."""
    memory = memory_of(question("llama-2-7b", "H200"), Layout(1, 1))
    assert memory.total_bytes / GIB == pytest.approx(139.80, abs=0.01)
    assert memory.kv_bytes / GIB == pytest.approx(139.80 * 0.9 - 12.55 - 0.629 - 0.35, abs=0.02)
    assert memory.tokens == memory.kv_bytes // (GIB // 2 // 1024 * 16) * 16
    assert memory.blocks == memory.tokens // 16


def test_a_measured_reserve_replaces_what_is_reckoned() -> None:
    measured = memory_of(question("llama-2-7b", "H200", reserved_bytes=2 * GIB), Layout(1, 1))
    reckoned = memory_of(question("llama-2-7b", "H200"), Layout(1, 1))
    assert measured.activation_bytes + measured.non_torch_bytes == 2 * GIB
    lost = 2 * GIB - reckoned.activation_bytes - reckoned.non_torch_bytes
    assert reckoned.kv_bytes - measured.kv_bytes == pytest.approx(lost)


@pytest.mark.parametrize(
    ("model", "gpu", "tensor", "pipeline"),
    [
        ("llama-2-7b", "H200", 1, 1),
        ("llama-3.1-70b", H100, 4, 1),
        ("llama-3.1-405b", H100, 8, 2),
        ("deepseek-v3", "H200", 8, 1),
        ("falcon-7b", "L4", 1, 1),
    ],
)
def test_as_few_gpus_as_hold_it_well(model: str, gpu: str, tensor: int, pipeline: int) -> None:
    found = best_estimate(question(model, gpu))
    assert (found.layout.tensor_parallel, found.layout.pipeline_parallel) == (tensor, pipeline)
    assert found.fits


def test_gpus_are_grouped_into_replicas() -> None:
    assert best_estimate(question(gpus=8)).layout == Layout(1, 1, 8)
    assert best_estimate(question("llama-3.1-70b", gpus=8)).layout == Layout(4, 1, 2)


def test_a_size_that_does_not_divide_is_no_layout() -> None:
    sizes = {layout.tensor_parallel for layout in layouts(question("qwen2.5-32b"), 8)}
    assert sizes == {1, 2, 4, 8}
    falcon = question("falcon-7b", gpus=4)
    assert {layout.tensor_parallel for layout in layouts(falcon, 4)} == {1}
    asked = replace(falcon, tensor_parallel=2)
    assert best_estimate(asked).obstacle == "--tensor-parallel 2: its 71 attention heads do not divide by 2"


def test_what_is_missing_is_said() -> None:
    assert "131.4 GiB on each GPU, exceed the 71.1 GiB" in estimate(question("llama-3.1-70b"), Layout(1, 1)).obstacle
    short = estimate(question("llama-3.1-8b", "L4", context=100_000), Layout(1, 1))
    assert "a request of 100000 tokens needs 12.21 GiB" in short.obstacle
    assert short.paces == () and short.loaded is None and short.total_tokens_per_second == 0


def test_a_plan_that_does_not_fit_says_what_would() -> None:
    answer = plan(question("llama-3.1-70b", gpus=1))
    assert not answer.estimate.fits
    assert answer.arguments is None
    assert any("4 x NVIDIA H100 80GB HBM3 hold it" in note for note in answer.notes)


def test_more_requests_than_fit_and_idle_gpus_are_said() -> None:
    notes = plan(question("llama-3.1-70b", gpus=5, tensor_parallel=4, concurrency=5000)).notes
    assert any("5000 requests at once are more than" in note for note in notes)
    assert any("1 of the 5 GPUs stay idle" in note for note in notes)
    assert any("communication is an assumption" in note for note in notes)
    assert any("sliding layers" in note for note in plan(question("gemma-3-27b")).notes)


def test_sliding_layers_hold_their_window() -> None:
    """Gemma 3 keeps 10 of its 62 layers whole: a long request takes a sixth of what all layers would."""
    gemma = question("gemma-3-27b", "H200", context=100_000)
    found = estimate(gemma, Layout(1, 1))
    whole = found.memory.kv_bytes_a_token * 100_000
    assert found.full_length == pytest.approx(found.memory.kv_bytes / whole * 62 / 10.5, rel=0.02)


def test_price_is_of_all_gpus_at_their_pace() -> None:
    found = best_estimate(question(gpus=2, tensor_parallel=2))
    assert found.loaded is not None
    by_hand = 2 * 3.0 / (found.loaded.output_tokens_per_second * 3600) * 1e6
    assert found.dollars_per_million(3.0) == pytest.approx(by_hand)


def example_price(gpu_name: str) -> float:
    found = price_of(gpu_name)
    assert found is not None
    return found.on_demand_dollars_per_hour


def test_a_price_of_ones_own_goes_before_the_example() -> None:
    assert plan(question(dollars_per_hour=1.5)).dollars_per_hour == 1.5
    example = plan(question())
    assert example.dollars_per_hour == example_price("NVIDIA H100 80GB HBM3")
    assert any("example of a list price" in note for note in example.notes)
    unknown = plan(question("llama-2-7b", "Tesla V100-SXM2-32GB"))
    assert unknown.dollars_per_hour is None
    assert any("no price is known" in note for note in unknown.notes)


# Options


def test_other_widths_keep_the_layout() -> None:
    base = best_estimate(question("llama-3.1-70b", gpus=8))
    found = {option.name: option for option in variants(question("llama-3.1-70b", gpus=8), base)}
    assert set(found) == {"fp8 weights", "int4 weights", "fp8 KV cache"}
    assert {option.estimate.layout for option in found.values()} == {base.layout}
    assert all(option.tokens > base.total_tokens for option in found.values())


def test_a_gpu_without_fp8_is_told_so() -> None:
    asked = question("llama-2-7b", A100)
    found = {option.name: option.note for option in variants(asked, best_estimate(asked))}
    assert set(found) == {"fp8 weights", "int4 weights"}
    assert found["fp8 weights"] == "weights only: this GPU has no fp8"
    amd = question("llama-2-7b", "MI300X")
    assert "fp8 KV cache" in {option.name for option in variants(amd, best_estimate(amd))}


def test_a_quantized_checkpoint_has_no_other_width() -> None:
    asked = question("deepseek-v3", "H200", gpus=8)
    assert {option.name for option in variants(asked, best_estimate(asked))} == {"fp8 KV cache"}


def test_slices_are_those_of_the_gpu() -> None:
    found = {option.name: option for option in slices(question("llama-3.2-3b", A100))}
    assert list(found) == ["1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb"]
    assert found["3g.40gb"].copies == 2
    assert not list(slices(question("llama-2-7b", "L4")))


def test_slices_together_are_never_more_than_the_gpu() -> None:
    for gpu in GPUS:
        for profile in mig_profiles(gpu):
            cut = mig_gpu(gpu, profile)
            assert cut.memory_bytes * profile.most <= gpu.memory_bytes * 1.001
            assert cut.hbm_bandwidth_bytes_per_second * profile.most <= gpu.hbm_bandwidth_bytes_per_second * 1.001
            assert cut.dense_flops["fp16"] * profile.most <= gpu.dense_flops["fp16"] * 1.001


@pytest.mark.parametrize(
    ("gpu", "name", "gib"),
    [(H100, "1g.10gb", 9.75), (A100, "3g.40gb", 39.25), ("H200", "1g.18gb", 16.0), (A100, "2g.20gb", 19.5)],
)
def test_a_slices_memory_is_near_what_nvidia_smi_prints(gpu: str, name: str, gib: float) -> None:
    (profile,) = (profile for profile in mig_profiles(gpu) if profile.name == name)
    assert mig_gpu(read_gpu(gpu), profile).memory_gib == pytest.approx(gib, rel=0.06)


def test_sharing_divides_memory_and_time() -> None:
    asked = question("llama-3.2-3b")
    alone = best_estimate(replace(asked, gpus=1))
    found = list(shared(asked))
    assert [option.copies for option in found] == [2, 3, 4]
    assert all(option.tokens < alone.memory.tokens for option in found)
    assert not list(shared(question("llama-3.1-70b", "H200")))


# Which GPUs


def test_the_cheapest_is_first_and_the_unpriced_last() -> None:
    found = find(question(ttft_seconds=1.0, tpot_seconds=0.05), Demand(10))
    prices = [fleet.dollars_per_hour for fleet in found.fleets]
    known = [price for price in prices if price is not None]
    assert known == sorted(known)
    assert prices[: len(known)] == known
    assert found.arguments is not None


def test_every_fleet_serves_the_load_within_its_bounds() -> None:
    asked = question(ttft_seconds=0.5, tpot_seconds=0.03)
    demand = Demand(25.0, 0.3)
    good, refused = fleets(asked, demand)
    assert len(good) + len(refused) == len(GPUS)
    for fleet in good:
        assert fleet.pace.ttft_seconds <= 0.5 and fleet.pace.tpot_seconds <= 0.03
        assert fleet.replicas * fleet.pace.requests_per_second == pytest.approx(25.0)
        assert fleet.pace.requests_per_second <= 0.7 * fleet.capacity.requests_per_second * 1.001
        assert fleet.pace.batch <= fleet.estimate.most_sequences


def test_more_load_never_needs_fewer_gpus() -> None:
    asked = question(tpot_seconds=0.05)
    counts = [fleets(asked, Demand(rate), [asked.gpu])[0][0].gpus for rate in (1, 5, 25, 125, 625)]
    assert counts == sorted(counts)


def test_a_bound_that_no_gpu_holds_is_refused_with_figures() -> None:
    found = find(question("llama-3.1-70b", tpot_seconds=0.001), Demand(1))
    assert not found.fleets
    assert found.arguments is None
    assert all("ms a token" in refusal.because or "GiB" in refusal.because for refusal in found.refused)


def test_a_layout_of_ones_own_is_kept() -> None:
    good, _ = fleets(question(tensor_parallel=2), Demand(1), [read_gpu("H200")])
    assert good[0].estimate.layout.tensor_parallel == 2
    assert good[0].dollars_per_million(Demand(1)) == pytest.approx(
        2 * example_price("NVIDIA H200") / (256 * 3600) * 1e6
    )
    free, _ = fleets(question("llama-2-7b"), Demand(1), [read_gpu("Tesla V100-SXM2-32GB")])
    assert free[0].dollars_per_million(Demand(1)) is None
