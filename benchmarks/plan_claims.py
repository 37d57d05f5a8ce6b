"""The source documents' benchmark tables, each row beside what `inferwatch plan` reckons.

The documents state neither lengths of prompts and outputs nor the hour's price: what a row would imply is computed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from catalog.hardware import find_gpu
from catalog.prices import price_of
from troubleshoot.capacity import mean_resident_tokens, request_kv_bytes
from troubleshoot.models import known_shape
from troubleshoot.plan.estimate import Estimate, Layout, estimate
from troubleshoot.plan.inputs import Question
from troubleshoot.roofline import batch_decode_limit, streamed_weight_bytes
from troubleshoot.steady_state import Load

A100_40, A100_80, A10G = "NVIDIA A100-SXM4-40GB", "NVIDIA A100-SXM4-80GB", "NVIDIA A10G"


@dataclass(frozen=True, slots=True)
class Claim:
    """A row of the documents' benchmark tables."""

    model: str
    engine: str
    gpu: str
    gpus: int
    batch: int
    tokens_per_second: float
    p99_milliseconds: float
    dollars_per_million: float
    quantization: str = "auto"
    why: str = ""


CLAIMS = (
    Claim(
        "llama-2-7b",
        "vLLM",
        A100_40,
        1,
        128,
        4800,
        850,
        0.12,
        why="agrees for requests of 128 + 128; longer ones take more cache than there is",
    ),
    Claim(
        "llama-2-7b",
        "TensorRT-LLM",
        A100_40,
        1,
        256,
        7200,
        620,
        0.08,
        why="256 requests fit the cache only below 170 tokens each; then 62 % of the limit gives what is said",
    ),
    Claim(
        "llama-2-13b",
        "vLLM",
        A100_80,
        1,
        64,
        2400,
        1200,
        0.28,
        why="12 % apart for 128 + 128: no more than lengths explain",
    ),
    Claim(
        "llama-2-70b",
        "vLLM",
        A100_80,
        4,
        32,
        1200,
        2400,
        1.20,
        why="17 % apart for 128 + 128, of which communication takes 7 %",
    ),
    Claim(
        "mistral-7b",
        "TGI",
        A10G,
        1,
        64,
        2200,
        980,
        0.18,
        why="90 % of the memory limit, where vLLM reached 62 %, and prompts come on top: not with such requests",
    ),
    Claim(
        "llama-2-7b",
        "vLLM INT8",
        A100_40,
        1,
        128,
        6400,
        720,
        0.10,
        "int8",
        "agrees for 128 + 128; the batch is not stated, 128 is taken",
    ),
)


def question(model: str, gpu: str, load: Load, **more: object) -> Question:
    """A question about a well-known model on a GPU of the catalogue."""
    shape, card = known_shape(model), find_gpu(gpu)
    if shape is None or card is None:
        raise LookupError(f"{model}, {gpu}")
    return replace(Question(shape=shape, model=model, gpu=card, load=load), **more)  # type: ignore[arg-type]


def implied_tokens(claim: Claim) -> float:
    """Tokens that a request gets in the stated latency at the stated rate and batch."""
    return claim.p99_milliseconds / 1e3 * claim.tokens_per_second / claim.batch


def implied_hour(claim: Claim) -> float:
    """Dollars an hour of one GPU behind the stated cost."""
    return claim.dollars_per_million * claim.tokens_per_second * 3600 / 1e6 / claim.gpus


def reckoned(claim: Claim, load: Load) -> Estimate:
    """What plan says for the claim's model and GPUs with requests of this length."""
    asked = question(claim.model, claim.gpu, load, quantization=claim.quantization, concurrency=claim.batch)
    return estimate(asked, Layout(claim.gpus, 1))


def limit_of(claim: Claim, load: Load) -> float:
    """The most tokens a second that the memory allows at the claim's batch, cache or no cache."""
    asked = question(claim.model, claim.gpu, load)
    resident = math.ceil(mean_resident_tokens(load.prompt_tokens, load.output_tokens))
    return batch_decode_limit(
        asked.gpu.hbm_bandwidth_bytes_per_second,
        streamed_weight_bytes(asked.shape, claim.quantization, claim.gpus),
        claim.batch,
        kv_bytes_a_sequence=request_kv_bytes(asked.shape, resident, tensor_parallel=claim.gpus),
    )


def rate_at(claim: Claim, load: Load) -> tuple[int, float]:
    """The sequences that run, at most the claim's batch, and their output tokens a second."""
    found = reckoned(claim, load)
    return (round(found.loaded.batch), found.loaded.output_tokens_per_second) if found.loaded else (0, 0.0)


def example_price(claim: Claim) -> float:
    """The catalogue's example price of this GPU."""
    price = price_of(claim.gpu)
    if price is None:
        raise LookupError(claim.gpu)
    return price.on_demand_dollars_per_hour
