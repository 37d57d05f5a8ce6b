"""What must hold of every plan: more GPUs never lower what fits, and the like."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from catalog.hardware import GPUS
from troubleshoot.model_shape import ModelShape
from troubleshoot.model_table import CONFIGS
from troubleshoot.models import known_shape
from troubleshoot.parallel import tensor_parallel_obstacle, tensor_parallel_sizes
from troubleshoot.plan.estimate import Layout, best_estimate, estimate, memory_of, replica_of
from troubleshoot.plan.inputs import Question
from troubleshoot.profiled_memory import activation_peak_bytes
from troubleshoot.steady_state import Load, at_concurrency, at_rate, highest_rate


def shape_of(name: str) -> ModelShape:
    found = known_shape(name)
    assert found is not None
    return found


# The same examples in every run, however busy the machine.
SETTLED = settings(deadline=None, derandomize=True, max_examples=80)
SHAPES = [shape_of(name) for name in sorted(CONFIGS)]
UNQUANTIZED = [shape for shape in SHAPES if not shape.quantization]
# From the widest to the narrowest. MXFP4 is none of them: where there are experts, it leaves all else at 16 bits.
NARROWER = ("auto", "int8", "nvfp4", "int4")

loads = st.builds(Load, st.integers(1, 700), st.integers(1, 300))
gpus = st.sampled_from(GPUS)
counts = st.integers(1, 24)
engines = st.sampled_from(["vllm", "sglang", "tgi", "tensorrt_llm"])


@st.composite
def questions(draw: st.DrawFn, shapes: list[ModelShape] = SHAPES) -> Question:
    shape = draw(st.sampled_from(shapes))
    return Question(
        shape=shape,
        model=shape.name,
        gpu=draw(gpus),
        load=draw(loads),
        utilization=draw(st.floats(0.3, 0.98)),
        kv_dtype=draw(st.sampled_from(["auto", "fp8"])),
        engine=draw(engines),
    )


@st.composite
def laid_out(draw: st.DrawFn, shapes: list[ModelShape] = SHAPES) -> tuple[Question, Layout]:
    question = draw(questions(shapes))
    size = draw(st.sampled_from(tensor_parallel_sizes(question.shape, 8)))
    return question, Layout(size, draw(st.integers(1, min(3, question.shape.layers))))


def admitting(question: Question) -> Question:
    """The same for a context that every model has: where prompts are not cut, a longer one takes of the cache."""
    return replace(question, context=1024)


@SETTLED
@given(questions(), counts, counts)
def test_more_gpus_never_lower_what_fits(question: Question, few: int, more: int) -> None:
    fewer = best_estimate(replace(question, gpus=min(few, more)))
    greater = best_estimate(replace(question, gpus=max(few, more)))
    assert greater.fits >= fewer.fits
    if fewer.fits:
        assert greater.total_tokens >= fewer.total_tokens


@SETTLED
@given(laid_out(), counts, counts)
def test_more_replicas_hold_more(drawn: tuple[Question, Layout], few: int, more: int) -> None:
    question, layout = drawn
    question = replace(question, tensor_parallel=layout.tensor_parallel, pipeline_parallel=layout.pipeline_parallel)
    low, high = sorted((few, more))
    fewer = best_estimate(replace(question, gpus=layout.group * low))
    greater = best_estimate(replace(question, gpus=layout.group * high))
    assert greater.total_tokens >= fewer.total_tokens


@SETTLED
@given(laid_out(), st.integers(16, 200_000), st.integers(16, 200_000))
def test_a_longer_context_never_raises_concurrency(drawn: tuple[Question, Layout], one: int, other: int) -> None:
    question, layout = drawn
    limit = question.shape.max_position_embeddings or 200_000
    short, long = sorted((min(one, limit), min(other, limit)))
    at_short = estimate(replace(question, context=short), layout)
    at_long = estimate(replace(question, context=long), layout)
    assert at_long.fits <= at_short.fits
    if at_long.fits:
        assert at_long.full_length <= at_short.full_length
        assert at_long.most_sequences <= at_short.most_sequences


@SETTLED
@given(laid_out(UNQUANTIZED), st.integers(0, len(NARROWER) - 1), st.integers(0, len(NARROWER) - 1))
def test_a_lower_precision_never_lowers_what_fits(drawn: tuple[Question, Layout], one: int, other: int) -> None:
    question, layout = drawn
    wide, narrow = (NARROWER[index] for index in sorted((one, other)))
    assume(not tensor_parallel_obstacle(question.shape, layout.tensor_parallel, narrow))
    wide_one, narrow_one = replace(question, quantization=wide), replace(question, quantization=narrow)
    assert memory_of(narrow_one, layout).longest >= memory_of(wide_one, layout).longest
    wider, narrower = estimate(admitting(wide_one), layout), estimate(admitting(narrow_one), layout)
    assert narrower.fits >= wider.fits
    if wider.fits:
        assert narrower.memory.tokens >= wider.memory.tokens
        assert narrower.most_sequences >= wider.most_sequences


@SETTLED
@given(laid_out())
def test_a_narrower_cache_never_lowers_what_fits(drawn: tuple[Question, Layout]) -> None:
    question, layout = drawn
    wide, narrow = replace(question, kv_dtype="auto"), replace(question, kv_dtype="fp8")
    assert memory_of(narrow, layout).longest >= memory_of(wide, layout).longest
    assert memory_of(admitting(narrow), layout).tokens >= memory_of(admitting(wide), layout).tokens


@SETTLED
@given(laid_out(), st.floats(0.3, 0.98), st.floats(0.3, 0.98))
def test_more_utilization_never_lowers_what_fits(drawn: tuple[Question, Layout], one: float, other: float) -> None:
    question, layout = drawn
    low, high = sorted((one, other))
    low_one, high_one = replace(question, utilization=low), replace(question, utilization=high)
    assert memory_of(high_one, layout).longest >= memory_of(low_one, layout).longest
    less, more = estimate(admitting(low_one), layout), estimate(admitting(high_one), layout)
    if less.fits:
        assert more.memory.tokens >= less.memory.tokens


@SETTLED
@given(laid_out())
def test_what_is_planned_fits_the_gpu(drawn: tuple[Question, Layout]) -> None:
    found = estimate(*drawn)
    if found.fits:
        memory = found.memory
        used = memory.weights_bytes + memory.activation_bytes + memory.non_torch_bytes + memory.kv_bytes
        assert used <= memory.budget_bytes * (1 + 1e-9) <= memory.total_bytes * (1 + 1e-9)
        assert found.memory.longest >= 1 and found.most_sequences >= 1


@SETTLED
@given(questions(), st.sampled_from(["tgi", "tensorrt_llm"]))
def test_where_prompts_are_not_cut_a_step_of_the_longest_fits(question: Question, engine: str) -> None:
    asked = replace(question, engine=engine)
    longest = memory_of(asked, Layout(1, 1)).longest
    if longest > question.batched_tokens:
        admitted = replace(asked, context=longest)
        memory = memory_of(admitted, Layout(1, 1))
        assert memory.longest >= longest
        step = activation_peak_bytes(question.shape, longest)
        assert memory.weights_bytes + memory.non_torch_bytes + step <= memory.budget_bytes


# Pace


@SETTLED
@given(laid_out(), st.integers(1, 500), st.integers(1, 500))
def test_more_sequences_never_make_a_token_faster(drawn: tuple[Question, Layout], one: int, other: int) -> None:
    question, layout = drawn
    replica = replica_of(question, layout)
    few, many = (at_concurrency(replica, question.load, count) for count in sorted((one, other)))
    assert many.tpot_seconds >= few.tpot_seconds * (1 - 1e-9)
    assert many.output_tokens_per_second >= 0


@SETTLED
@given(laid_out(), st.floats(0.01, 200), st.floats(0.01, 200))
def test_a_higher_rate_never_makes_a_token_faster(drawn: tuple[Question, Layout], one: float, other: float) -> None:
    question, layout = drawn
    replica = replica_of(question, layout)
    slow, fast = (at_rate(replica, question.load, rate) for rate in sorted((one, other)))
    if fast is not None:
        assert slow is not None
        assert fast.tpot_seconds >= slow.tpot_seconds * 0.999
        assert fast.batch >= slow.batch * 0.99


@SETTLED
@given(laid_out(), st.integers(1, 256), st.floats(0.02, 2), st.floats(0.005, 0.2))
def test_the_highest_rate_holds_its_bounds(
    drawn: tuple[Question, Layout], sequences: int, ttft: float, tpot: float
) -> None:
    question, layout = drawn
    best = highest_rate(replica_of(question, layout), question.load, sequences, ttft, tpot)
    if best is not None:
        assert best.ttft_seconds <= ttft and best.tpot_seconds <= tpot
        assert best.batch <= max(sequences, 3)


@SETTLED
@given(questions(), st.floats(0.01, 0.2), st.floats(0.01, 0.2))
def test_a_tighter_bound_never_allows_more_sequences(question: Question, one: float, other: float) -> None:
    tight, loose = sorted((one, other))
    few = estimate(replace(question, tpot_seconds=tight), Layout(1, 1))
    many = estimate(replace(question, tpot_seconds=loose), Layout(1, 1))
    assert few.most_sequences <= many.most_sequences
