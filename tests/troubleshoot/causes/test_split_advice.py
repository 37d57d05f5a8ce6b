"""Advice to split a model over more GPUs names a size that the engine would accept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.troubleshoot.conftest import Diagnose, EngineLog

OUT_OF_MEMORY = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 224.00 MiB. GPU 0 has a total capacity of 79.25 GiB "
    "of which 312.00 MiB is free. Including non-PyTorch memory, this process has 78.90 GiB memory in use. Of the "
    "allocated memory 77.10 GiB is allocated by PyTorch, and 610.00 MiB is reserved by PyTorch but unallocated."
)
LOADING = ("v1/worker/gpu_worker.py in load_model", "model_executor/layers/linear.py in create_weights")


@pytest.mark.parametrize(
    ("model", "before", "after"),
    [
        ("meta-llama/Llama-3.1-70B-Instruct", 1, 2),
        ("meta-llama/Llama-3.1-70B-Instruct", 4, 8),
        # 40 heads and 8 KV heads: 2, 4 and 8 divide both.
        ("Qwen/Qwen2.5-32B-Instruct", 4, 8),
        # 28 heads: 8 does not divide them, and no larger size divides the MLP too.
        ("Qwen/Qwen2.5-7B-Instruct", 2, 4),
        ("Qwen/Qwen2.5-7B-Instruct", 4, None),
        # 71 heads: only all of them divide.
        ("tiiuae/falcon-7b", 1, None),
        ("somebody/unknown", 2, 4),
    ],
)
def test_the_size_divides_the_model(
    model: str, before: int, after: int | None, diagnose_all: Diagnose, vllm_log: type[EngineLog]
) -> None:
    log = vllm_log().start(model, tensor_parallel_size=before).engine("Starting to load model ...")
    said = diagnose_all(log.dies(OUT_OF_MEMORY, *LOADING).front_end_gives_up())

    assert said.first == "oom_weights_do_not_fit"
    if after is None:
        assert "--tensor-parallel-size" not in said.settings()
    else:
        fix = said.fix("--tensor-parallel-size")
        assert (fix.from_value, fix.to_value) == (before, after)
