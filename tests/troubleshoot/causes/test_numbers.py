"""Advice with numbers, checked against arithmetic done by hand: which setting, from which value, to which."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from recordings.reader import load
from troubleshoot.collect import Request, collect
from troubleshoot.diagnosis import diagnose
from troubleshoot.findings import Diagnosis, Fix

if TYPE_CHECKING:
    from tests.troubleshoot.conftest import Diagnose, EngineLog


def recorded(name: str, *, log: bool = True, metrics: bool = True) -> Diagnosis:
    recording = load(name)
    logs = [str(recording.log_path)] if log else []
    series = [str(recording.metrics_path)] if metrics else []
    evidence = collect(Request(logs, series)).evidence
    assert evidence is not None
    return diagnose(evidence)


def fix_of(diagnosis: Diagnosis, setting: str) -> Fix:
    return next(fix for fix in diagnosis.findings[0].fixes if fix.setting == setting)


def test_a_budget_too_small_is_raised_by_what_one_request_needs() -> None:
    diagnosis = recorded("oom_no_kv_blocks")

    # The log: --gpu-memory-utilization 0.18, weights 24.29 GiB, KV cache -0.25 GiB, context 4096 tokens.
    # The GPU series: 615 MiB used + 143 156 MiB free = 143 771 MiB = 140.4 GiB.
    # One token of Llama-2-13B: 2 x 40 layers x 5120 x 2 bytes = 819 200 bytes; 4096 of them: 3.125 GiB.
    # Missing: 0.25 + 3.125 = 3.375 GiB. 0.18 + 3.375 / 140.4 = 0.2040, up to the next hundredth: 0.21.
    # By hand: 0.21 x 140.4 - 24.29 - (0.18 x 140.4 + 0.25 - 24.29) = 3.96 GiB >= 3.125; with 0.20 only 2.56 GiB.
    fix = fix_of(diagnosis, "--gpu-memory-utilization")
    assert (fix.from_value, fix.to_value) == (0.18, 0.21)
    assert diagnosis.numbers["weights_gib"] == 24.29


def test_without_the_card_s_size_the_direction_still_holds() -> None:
    fix = fix_of(recorded("oom_no_kv_blocks", metrics=False), "--gpu-memory-utilization")

    assert fix.from_value == 0.18
    assert isinstance(fix.to_value, float)
    # 0.21 is the least that starts, see above.
    assert 0.21 <= fix.to_value <= 0.98


@pytest.mark.parametrize("metrics", [True, False])
def test_a_card_in_use_is_asked_for_what_is_free(metrics: bool) -> None:
    diagnosis = recorded("oom_shared_gpu", metrics=metrics)

    # The log: 78.77 of 139.8 GiB free, 0.9 asked for. 78.77 / 139.8 = 0.5634, down to the hundredth: 0.56.
    # 0.56 x 139.8 = 78.29 GiB <= 78.77; 0.57 x 139.8 = 79.69 GiB would be refused again.
    fix = fix_of(diagnosis, "--gpu-memory-utilization")
    assert (fix.from_value, fix.to_value) == (0.9, 0.56)


def test_thrash_asks_for_the_whole_cache_or_for_as_many_sequences_as_fit() -> None:
    diagnosis = recorded("kv_preemption")

    # The log: --num-gpu-blocks-override 900 (900 x 16 = 14 400 tokens), --max-num-seqs 128, 14 727 blocks profiled.
    override, seqs = fix_of(diagnosis, "--num-gpu-blocks-override"), fix_of(diagnosis, "--max-num-seqs")
    assert (override.from_value, override.to_value) == (900, "remove")
    # 14 727 x 16 = 235 632 tokens.
    assert "235 632" in f"{override.why} {override.effect}"
    # Requests: 193.2 prompt and 900 generated tokens on average; one holds 193.2 + 900 / 2 = 643.2 while it runs.
    # 14 400 / 643.2 = 22.39.
    assert (seqs.from_value, seqs.to_value) == (128, 22)
    assert diagnosis.numbers["kv_cache_capacity_tokens"] == 14_400
    assert diagnosis.numbers["generation_tokens_mean"] == 900.0


V0 = (
    "ValueError: The model's max seq len (16384) is larger than the maximum number of tokens that can be stored in KV "
    "cache (9120). Try increasing `gpu_memory_utilization` or decreasing `max_model_len` when initializing the engine."
)
V1 = (
    "ValueError: To serve at least one request with the models's max seq len ({length}), ({needed} GiB KV cache is "
    "needed, which is larger than the available KV cache memory ({available} GiB).{estimate} Try increasing "
    "`gpu_memory_utilization` or decreasing `max_model_len` when initializing the engine."
)
ESTIMATE = " Based on the available memory, the estimated maximum model length is 26496."


@pytest.mark.parametrize(
    ("version", "message", "length", "to"),
    [
        # The engine says how many tokens the cache holds.
        pytest.param("0.6.3", V0, 16384, 9120, id="V0"),
        # The engine's own estimate.
        pytest.param(
            "0.11.0",
            V1.format(length=32768, needed="4.00", available="3.24", estimate=ESTIMATE),
            32768,
            26496,
            id="V1-with-estimate",
        ),
        # By proportion: 32 768 x 3.24 / 4.00 = 26 542.1 tokens = 1658.9 blocks of 16; 1658 x 16 = 26 528.
        pytest.param(
            "0.8.3",
            V1.format(length=32768, needed="4.00", available="3.24", estimate=""),
            32768,
            26528,
            id="V1-without-estimate",
        ),
        # 0.7.0 to 0.8.2 write GB for the same. 131 072 x 7.50 / 16.00 = 61 440 = 3840 blocks.
        pytest.param(
            "0.8.2",
            V1.format(length=131072, needed="16.00", available="7.50", estimate="").replace("GiB", "GB"),
            131072,
            61440,
            id="V1-in-GB",
        ),
    ],
)
def test_a_context_too_long_for_the_cache_is_cut_to_what_fits(
    version: str, message: str, length: int, to: int, diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    said = diagnose_all(vllm_log(version).start(max_model_len=length).dies(message).front_end_gives_up())

    assert said.first == "oom_max_len_exceeds_kv_cache"
    fix = said.fix("--max-model-len")
    assert (fix.from_value, fix.to_value) == (length, to)


def test_a_context_that_the_cache_misses_by_little_may_stay_with_more_of_the_card(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log("0.11.0").start(max_model_len=32768, gpu_memory_utilization=0.85).weights(15.3)
    log.engine(
        "Free memory on device (78.5/80.0 GiB) on startup. Desired GPU memory utilization is (0.85, 68.0 GiB). Actual "
        "usage is 15.3 GiB for weight"
    )
    message = V1.format(length=32768, needed="4.00", available="3.24", estimate=ESTIMATE)
    said = diagnose_all(log.dies(message).front_end_gives_up())

    # 4.00 - 3.24 = 0.76 GiB more of 80 GiB: 0.85 + 0.76 / 80 = 0.8595, up to the hundredth: 0.86.
    fix = said.fix("--gpu-memory-utilization")
    assert (fix.from_value, fix.to_value) == (0.85, 0.86)


def test_a_wrapped_message_gives_the_same_numbers(diagnose_all: Diagnose) -> None:
    """Terminals and people wrap long lines."""
    said = diagnose_all(
        "ValueError: To serve at least one request with the models's max seq len\n(32768), (4.00 GiB KV cache is "
        "needed,\nwhich is larger than the available KV cache memory (3.24 GiB).\nBased on the available memory, "
        "the estimated\nmaximum model length is 26496. Try increasing\n`gpu_memory_utilization`\n"
    )

    fix = said.fix("--max-model-len")
    assert (fix.from_value, fix.to_value) == (32768, 26496)


def test_advice_never_names_the_value_that_stands_or_a_flag_that_the_release_lacks(
    diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log("0.24.0").start(enforce_eager=True, gpu_memory_utilization=0.95, kv_cache_dtype="fp8")
    said = diagnose_all(log.dies("ValueError: No available memory for the cache blocks. Try increasing"))

    assert "--enforce-eager" not in said.settings()
    assert "--kv-cache-dtype" not in said.settings()
    assert all(fix.from_value != fix.to_value for finding in said.diagnosis.findings for fix in finding.fixes)
