"""Context and concurrency against the KV cache."""

from __future__ import annotations

from collections.abc import Iterable

from troubleshoot import capacity
from troubleshoot.model_shape import ModelShape
from troubleshoot.preflight.checks.base import Fix, Judgement, Severity, Subject, WorkloadCheck
from troubleshoot.preflight.engine import Engine, Setting
from troubleshoot.preflight.quantity import gibibytes
from troubleshoot.preflight.sizing import Cache, Model, cache_of, memory_share

_SMALL_SHARE = 8
_CONTEXT_OVERRIDES = ("VLLM_ALLOW_LONG_MAX_MODEL_LEN", "SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN")


class KvCache(WorkloadCheck):
    """One request of the full context has to fit, and as many as may run should."""

    id = "kv_cache"
    severity = Severity.CRITICAL
    title = "The KV cache is too small for the context"
    needs = "the GPU (a node label, machine type or MIG slice) and the model's shape, from a name that is known"
    reads_arguments = True

    def applies(self, subject: Subject) -> bool:
        """Engines with a paged cache whose size follows from their settings."""
        return (
            subject.engine is not None
            and subject.engine.name in {"vllm", "sglang", "tgi"}
            and subject.workload.role != "worker"
        )

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class."""
        engine, model, card = subject.engine, subject.model, subject.card
        if engine is None:
            return
        if model is not None and model.shape is not None:
            yield from self._against_model(subject, engine, model)
        yield from self._tgi_lengths(subject, engine)
        share = memory_share(engine)
        if card is None or model is None or model.shape is None or share is None:
            yield self.not_checked(subject.title, _lacking(subject))
            return
        if not engine.arguments_known:
            yield self.not_checked(
                subject.title, "the arguments that the serving runtime, preset or --config file gives"
            )
            return
        best = cache_of(engine, model, card, share, at_best=True)
        likely = cache_of(engine, model, card, share)
        if best is None or likely is None:
            yield self.not_checked(subject.title, "a number for its parallelism, or a KV cache type that is known")
        elif best.free_bytes > 0:
            yield from self._against_cache(subject, engine, model, best, likely)

    def _against_model(self, subject: Subject, engine: Engine, model: Model) -> Iterable[Judgement]:
        """A context longer than the model was made for is refused."""
        asked, shape = engine.setting("context"), model.shape
        longest = shape.max_position_embeddings if shape else None
        scaled = "--rope-scaling" in engine.settings or "--hf-overrides" in engine.settings
        allowed = any(name in engine.container.environment for name in _CONTEXT_OVERRIDES)
        if engine.name == "tgi" or not asked or not asked.integer or not longest or scaled or allowed:
            return
        if asked.integer > longest:
            yield self.finding(
                subject.title,
                asked.field,
                f"{asked.flag} {asked.integer} is beyond the {longest} tokens that {model.name} was made for: the engine refuses.",
                Fix(asked.flag, asked.integer, longest, "the model's own maximum"),
                title="The context is longer than the model's",
            )

    def _tgi_lengths(self, subject: Subject, engine: Engine) -> Iterable[Judgement]:
        """TGI wants room for at least one new token."""
        most, total = engine.setting("input"), engine.setting("context")
        if engine.name == "tgi" and most and total and most.integer and total.integer and most.integer >= total.integer:
            yield self.finding(
                subject.title,
                most.field,
                f"{most.flag} {most.integer} has to be below {total.flag} {total.integer}: TGI refuses to start.",
                Fix(most.flag, most.integer, total.integer // 2, "leaves room for an answer"),
                title="No room for an answer",
            )

    def _against_cache(
        self, subject: Subject, engine: Engine, model: Model, best: Cache, likely: Cache
    ) -> Iterable[Judgement]:
        shape, asked = model.shape, engine.setting("context")
        if shape is None or best.tokens is None or likely.tokens is None:
            return
        context = asked.integer if asked else _default_context(engine, shape)
        tensor = engine.count("tensor parallel") or 1
        if context is None:
            return
        context = min(context, shape.max_position_embeddings or context)  # more is refused, which is said above
        if not shape.sliding_layers and context > best.tokens:
            longest = capacity.longest_context(likely.free_bytes, shape, tensor_parallel=tensor)
            default = "" if asked else " (the model's own maximum, since it is not set)"
            yield self.finding(
                subject.title,
                asked.field if asked else (engine.model.field if engine.model else engine.container.field),
                f"One request of {context} tokens{default} needs more than the KV cache holds: {best.tokens} tokens in {gibibytes(best.free_bytes)}.",
                Fix(engine.flag("context"), context, longest or 1024, "what fits beside weights and activations"),
            )
            return
        yield from self._tgi_batch(subject, engine, likely)
        sequences = engine.setting("sequences")
        if sequences and sequences.integer:
            yield from self._against_sequences(subject, engine, sequences, context, likely.tokens)

    def _tgi_batch(self, subject: Subject, engine: Engine, cache: Cache) -> Iterable[Judgement]:
        """TGI works the tokens of a batch out by itself for every model that it has its own code for."""
        batch = engine.settings.get("--max-batch-total-tokens") if engine.name == "tgi" else None
        if batch and batch.integer and cache.tokens is not None and batch.integer > cache.tokens:
            yield self.finding(
                subject.title,
                batch.field,
                f"{batch.flag} {batch.integer} is more than the about {cache.tokens} tokens that fit.",
                Fix(batch.flag, batch.integer, "remove", "TGI measures what fits when it starts"),
                severity=Severity.WARNING,
                title="More tokens in a batch than the KV cache holds",
            )

    def _against_sequences(
        self, subject: Subject, engine: Engine, sequences: Setting, context: int, tokens: int
    ) -> Iterable[Judgement]:
        """More sequences than fit are preempted and computed again."""
        count = sequences.integer or 1
        full = capacity.max_concurrency(tokens, context)
        if full >= count:
            return
        a_request = tokens // count
        small = a_request < context / _SMALL_SHARE
        safe = capacity.safe_max_num_seqs(tokens, context / _SMALL_SHARE)
        yield self.finding(
            subject.title,
            sequences.field,
            f"About {tokens} tokens fit: {full:.0f} requests of the full {context} tokens, or {count} of {a_request}. Longer ones at once are preempted.",
            Fix(
                sequences.flag,
                count,
                safe if small else max(1, int(full)),
                f"{'an eighth of the context each' if small else 'never preempts; leave it where requests are shorter'}",
            ),
            severity=Severity.WARNING if small else Severity.INFO,
            title="More sequences may run than the KV cache holds at full length",
        )


def _default_context(engine: Engine, shape: ModelShape) -> int | None:
    """The context without a setting: the model's own; TGI works its own out from what fits."""
    return None if engine.name == "tgi" else shape.max_position_embeddings


def _lacking(subject: Subject) -> str:
    model = subject.model
    lacking = [
        what
        for what, missing in (
            ("the GPU (a node label, machine type or MIG slice)", subject.card is None),
            ("the model's shape, from a name that is known", model is None or model.shape is None),
            (
                "the share of the GPU that the engine takes",
                subject.engine is not None and memory_share(subject.engine) is None,
            ),
        )
        if missing
    ]
    return " and ".join(lacking)
