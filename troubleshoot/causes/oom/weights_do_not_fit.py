"""`oom_weights_do_not_fit`: the model's weights do not fit into GPU memory."""

from __future__ import annotations

from collections.abc import Sequence

from troubleshoot.causes.oom.stage import Stage, hinted_stage
from troubleshoot.causes.oom.staged import StagedOom, figures
from troubleshoot.causes.oom.weights import smaller_weights, weights_exceed_card
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix
from troubleshoot.logs.events import Event


class WeightsDoNotFit(StagedOom):
    """The weights alone are more than the GPU, or than its budget, holds."""

    id = "oom_weights_do_not_fit"
    family = "oom"
    title = "The model's weights do not fit into GPU memory"
    stages = frozenset({Stage.WEIGHTS})
    also = ("weights_do_not_fit",)

    def own_events(self, evidence: Evidence) -> list[tuple[Event, float]]:
        """Besides errors while loading: no room for KV cache where the weights exceed what any budget allows."""
        elsewhere = (Stage.PROFILE, Stage.RUNTIME)
        found = [(event, sure) for event, sure in super().own_events(evidence) if hinted_stage(event) not in elsewhere]
        if evidence.log and weights_exceed_card(evidence):
            found += [(event, 0.9) for event in evidence.log.all("kv_no_blocks")]
        return found

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        weights, total = evidence.weights_gib, evidence.gpu_total_gib
        size = f" The weights need {weights:.1f} GiB a GPU" if weights else ""
        card = f"{' of' if size else ' The GPU has'} {total:.1f} GiB" if total else ""
        return (
            f"Memory ran out while the weights were loaded{figures(events)}.{size}{card}{'.' if size or card else ''}"
        )

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """More GPUs, or fewer bytes a weight. A shorter context does not help."""
        return smaller_weights(evidence)
