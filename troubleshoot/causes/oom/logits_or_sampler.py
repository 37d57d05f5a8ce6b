"""`oom_logits_or_sampler`: logits or the sampler exceed GPU memory."""

from __future__ import annotations

from collections.abc import Sequence

from troubleshoot.causes.advice import change, current
from troubleshoot.causes.aftermath import ENGINE_DEATH
from troubleshoot.causes.oom.stage import Stage
from troubleshoot.causes.oom.staged import StagedOom, figures, leave_room
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix
from troubleshoot.logs.events import Event


class LogitsOrSampler(StagedOom):
    """Logits or sampler buffers exceed memory."""

    id = "oom_logits_or_sampler"
    family = "oom"
    title = "Logits or the sampler exceed GPU memory"
    stages = frozenset({Stage.LOGITS})
    also = ("sampler_warmup_oom",)
    consequences = ENGINE_DEATH | {
        "oom_activation_peak_profile_run",
        "oom_runtime_kv_pressure_or_fragmentation",
        "oom_weights_do_not_fit",
    }

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        requests = next((e.fields["requests"] for e in events if "requests" in e.fields), None)
        return f"One float for each word of the vocabulary and each sequence{f' ({requests} sequences in the warm-up)' if requests else ''} did not fit{figures(events)}."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Fewer sequences at once, or more room beside the KV cache."""
        seqs = current(evidence, "max_num_seqs") or next(
            (int(e.fields["requests"]) for e in events if "requests" in e.fields), None
        )
        fixes = change(
            evidence,
            "max_num_seqs",
            max(1, int(seqs) // 2) if isinstance(seqs, int) else "lower",
            "logits and sampler buffers grow with it",
            "",
            seqs,
        )
        return fixes + leave_room(evidence, "the sampler")
