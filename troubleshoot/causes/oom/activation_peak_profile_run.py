"""`oom_activation_peak_profile_run`: the profiling run exceeds GPU memory: the token budget of a step is too large."""

from __future__ import annotations

from collections.abc import Sequence

from troubleshoot.causes.advice import change, current
from troubleshoot.causes.oom.stage import Stage
from troubleshoot.causes.oom.staged import StagedOom, figures
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix
from troubleshoot.logs.events import Event


class ActivationPeak(StagedOom):
    """The profiling run, or a prefill like it, needs more than is left."""

    id = "oom_activation_peak_profile_run"
    family = "oom"
    title = "The profiling run exceeds GPU memory: the token budget of a step is too large"
    stages = frozenset({Stage.PROFILE})
    also = ("prefill_profile_too_large",)

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        budget = current(evidence, "max_num_batched_tokens")
        return f"Before serving, the engine runs one step of the largest allowed size{f' ({budget} tokens)' if budget else ''}; its activations did not fit{figures(events)}."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Smaller steps."""
        budget = current(evidence, "max_num_batched_tokens")
        half = max(512, int(budget) // 2) if isinstance(budget, int) and budget > 512 else "lower (2048 for a start)"
        fixes = change(
            evidence,
            "max_num_batched_tokens",
            half,
            "activations grow with the tokens of a step",
            "long prompts take more steps",
        )
        seqs = current(evidence, "max_num_seqs")
        fixes += change(
            evidence,
            "max_num_seqs",
            max(1, int(seqs) // 2) if isinstance(seqs, int) and seqs > 1 else "lower",
            "logits and sampler buffers grow with it",
        )
        if evidence.settings.is_false("enable_chunked_prefill") and evidence.engine in ("", "vllm"):
            fixes = [
                Fix("--enable-chunked-prefill", False, True, "without it a step must hold a whole prompt"),
                *fixes,
            ]
        return fixes
