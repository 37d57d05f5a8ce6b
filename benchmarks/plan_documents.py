"""The source documents' other figures on speed, memory and cost, each beside what `inferwatch plan` reckons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from benchmarks.plan_claims import A100_80, question
from catalog.prices import price_of
from troubleshoot.capacity import GIB, kv_bytes_per_token, weight_bytes
from troubleshoot.plan.estimate import Layout, estimate, replica_of
from troubleshoot.plan.options import slices
from troubleshoot.plan.search import Demand, fleets
from troubleshoot.roofline import (
    all_reduce_seconds,
    attention_flops_per_token,
    decode_limit,
    matrix_flops,
    prefill_limit,
    prefill_parameters,
    streamed_weight_bytes,
)
from troubleshoot.steady_state import Load, at_concurrency


@dataclass(frozen=True, slots=True)
class Figure:
    """One statement, what plan reckons for it, and why they differ."""

    where: str
    said: str
    reckoned: str
    why: str


def figures() -> Iterator[Figure]:
    """The statements outside the benchmark tables."""
    yield from _quantized()
    yield from _serial()
    yield from _cache()
    yield from _attention()
    yield from _links()
    yield from _shared()
    yield from _fleet()


def _quantized() -> Iterator[Figure]:
    asked = question("llama-2-13b", A100_80, Load(1, 128))
    said = (
        ("auto", "FP16", 26, 30),
        ("int8", "INT8", 13, 28),
        ("gptq", "INT4 (GPTQ)", 7, 25),
        ("bitsandbytes", "NF4", 7, 22),
    )
    for method, name, size, rate in said:
        weights = weight_bytes(asked.shape, method) / 1e9
        pace = at_concurrency(replica_of(replace(asked, quantization=method), Layout(1, 1)), asked.load, 1)
        yield Figure(
            "3.3, Llama-2-13B",
            f"{name}: {size} GB, {rate} tokens/s",
            f"{weights:.1f} GB, {1 / pace.tpot_seconds:.0f} tokens/s alone on an A100 80GB",
            "the sizes agree (embeddings stay 16 bits wide). Narrower weights are read faster, so decode gains with "
            "kernels made for them; the falling rates are those of methods that unpack weights first"
            if method != "auto"
            else "no GPU is stated; the rate is that of a smaller one, or of an engine without CUDA graphs",
        )


def _serial() -> Iterator[Figure]:
    asked = question("llama-2-7b", A100_80, Load(1, 128))
    for name, method, rate in (
        ("vLLM FP16", "auto", 180),
        ("TensorRT-LLM FP16", "auto", 280),
        ("TensorRT-LLM INT8", "int8", 420),
    ):
        limit = decode_limit(asked.gpu.hbm_bandwidth_bytes_per_second, streamed_weight_bytes(asked.shape, method))
        yield Figure(
            "5.1, Llama-2-7B on an A100 80GB",
            f"{name}: {rate} tokens/s",
            f"at most {limit:.0f} tokens/s for one sequence",
            "no batch is stated. One sequence cannot pass the memory limit on any engine; two or three at once can, "
            "and then the figures compare batches, not engines",
        )


def _cache() -> Iterator[Figure]:
    asked = question("llama-2-13b", A100_80, Load(2048, 2048), utilization=0.95)
    token = kv_bytes_per_token(asked.shape)
    found = estimate(asked, Layout(1, 1))
    yield Figure(
        "7.1, KV cache of Llama-2-13B",
        "1.6 MB a token, 6.5 GB for 4096, 208 GB for 32 of them",
        f"{token / 1e6:.2f} MB, {token * 4096 / 1e9:.2f} GB, {token * 4096 * 32 / 1e9:.0f} GB",
        "the formula counts key and value twice: 2 x 40 layers x 5120 x 2 bytes is all",
    )
    yield Figure(
        "7.1, A100 80GB at 0.95",
        "50 GB for the cache, 8 requests of 4096",
        f"{found.memory.kv_bytes / 1e9:.1f} GB ({found.memory.kv_bytes / GIB:.1f} GiB), "
        f"{found.full_length:.1f} requests",
        "the space agrees (a card of 80 GiB has 85.9 GB, activations and the context take their part); the number "
        "follows from the doubled bytes a token",
    )
    yield Figure(
        "2.4, --max-model-len 2048",
        "saves memory",
        "the same tokens fit; twice the requests of full length",
        "vLLM fills what is left with blocks, whatever the longest request",
    )


def _attention() -> Iterator[Figure]:
    asked = question("llama-2-7b", A100_80, Load(512, 1))
    flops = matrix_flops(asked.gpu)
    for tokens, said in ((512, 25), (2048, 100), (4096, 400)):
        limit = prefill_limit(flops, prefill_parameters(asked.shape), 1, attention_flops_per_token(asked.shape, tokens))
        yield Figure(
            "7.2, prefill with FlashAttention 2",
            f"{tokens} tokens: {said} ms",
            f"{tokens / limit * 1e3:.0f} ms at the limit, {tokens / limit * 2e3:.0f} ms expected",
            "reads as the whole prompt's time, between limit and expectation. From 2048 to 4096 it costs twice and a "
            "little, not four times: attention is a tenth of the arithmetic there",
        )


def _links() -> Iterator[Figure]:
    for name, gpu, said in (("NVLink", A100_80, "under 5 %"), ("PCIe", "NVIDIA A100 80GB PCIe", "about 20 %")):
        asked = question("llama-2-70b", gpu, Load(512, 256))
        step = replica_of(asked, Layout(4, 1)).step_seconds(32, 640)
        share = all_reduce_seconds(asked.shape, 32, 4, asked.gpu) / step
        prompt = all_reduce_seconds(asked.shape, 2048, 4, asked.gpu) / replica_of(asked, Layout(4, 1)).prefill_seconds(
            Load(2048, 1)
        )
        yield Figure(
            "2.4, tensor parallelism over 4",
            f"{name}: {said}",
            f"{_percent(share)} of a decode step of 32, {_percent(prompt)} of a prefill of 2048 tokens",
            "it depends on what is sent: decode sends little and waits for latency, prefill fills the link. Latencies "
            "here are assumed, no recording has several GPUs",
        )


def _shared() -> Iterator[Figure]:
    asked = question("llama-2-7b", A100_80, Load(512, 256))
    cut = {option.name: option for option in slices(asked)}
    half, third = cut["3g.40gb"], cut["2g.20gb"]
    yield Figure(
        "8.2, A100 80GB in MIG",
        "three 3g.40gb, made with profile 19",
        f"{half.copies} of 3g.40gb; profile 19 is 1g.10gb",
        "memory is cut in eighths, and a 3g slice has four",
    )
    whole = estimate(asked, Layout(1, 1))
    rate = whole.loaded.output_tokens_per_second if whole.loaded else 0.0
    yield Figure(
        "8.3, three 7B models share an A100",
        "costs 65 % less",
        f"three of 2g.20gb hold {third.estimate.memory.tokens} KV tokens each "
        f"({third.estimate.most_sequences} sequences) and serve {_percent(third.tokens_per_second / rate)} of a GPU",
        "a third of the price is right for three models that are mostly idle; under load each has a quarter of the "
        "bandwidth and next to no cache",
    )
    price = price_of(asked.gpu.name)
    if price and price.spot_dollars_per_hour is not None:
        left = price.spot_dollars_per_hour / price.on_demand_dollars_per_hour
        yield Figure(
            "8.3 and 001 section six, spot instances",
            "60 to 90 % and 70 % less",
            f"{_percent(1 - left)} less in the example prices",
            "prices move: give yours with --price",
        )
    weights, narrow = weight_bytes(asked.shape), weight_bytes(asked.shape, "awq")
    yield Figure(
        "001 section three, AWQ",
        "75 % less memory",
        f"{_percent(1 - narrow / weights)} less for the weights",
        "scales and the 16-bit embeddings stay; the cache does not shrink with the weights",
    )


def _fleet() -> Iterator[Figure]:
    asked = question("llama-2-7b", A100_80, Load(512, 256))
    good, _ = fleets(asked, Demand(100.0, 0.0), [asked.gpu])
    best = good[0]
    tokens = best.pace.output_tokens_per_second * best.replicas
    yield Figure(
        "001 section six, 100 requests a second",
        "10 A100 instances, 400 dollars an hour; after optimisation 2, 80 dollars",
        f"{best.gpus} A100 80GB, {best.dollars_per_hour:.0f} dollars an hour, for 512 prompt and 256 output tokens "
        f"({tokens:.0f} tokens/s)",
        "40 dollars an hour is a machine of 8 A100, so 80 GPUs come down to 16; what is enough depends on the "
        "lengths, which are not stated",
    )


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"
