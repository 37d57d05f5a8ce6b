"""`oom_cudagraph_capture`: GPU memory runs out while CUDA graphs are captured."""

from __future__ import annotations

import re
from collections.abc import Sequence

from troubleshoot.causes.advice import change
from troubleshoot.causes.oom.stage import Stage
from troubleshoot.causes.oom.staged import StagedOom, figures, leave_room
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix
from troubleshoot.logs.events import Event


def _is_about_memory(event: Event) -> bool:
    reason = event.fields.get("reason", "")
    text = " ".join((event.message, *event.context[-4:]))
    return not reason.strip() or bool(re.search(r"memory|OOM|alloc", text, re.IGNORECASE))


class CudaGraphCapture(StagedOom):
    """Memory runs out while CUDA graphs are captured."""

    id = "oom_cudagraph_capture"
    family = "oom"
    title = "GPU memory runs out while CUDA graphs are captured"
    stages = frozenset({Stage.GRAPH})
    also = ("graph_capture_failed",)

    def own_events(self, evidence: Evidence) -> list[tuple[Event, float]]:
        """A capture that failed for another reason than memory is another cause's."""
        return [
            (event, sure)
            for event, sure in super().own_events(evidence)
            if event.signature != "graph_capture_failed" or _is_about_memory(event)
        ]

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        return f"Weights and KV cache fit, the graphs captured after them did not{figures(events)}. Each captured batch size costs memory."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Leave more outside the KV cache, or capture less."""
        fixes = leave_room(evidence, "graphs")
        if evidence.engine == "sglang":
            fixes.append(Fix("--cuda-graph-max-bs", None, "lower", "fewer and smaller graphs"))
        if evidence.engine in ("", "vllm"):
            fixes.append(
                Fix(
                    "--cudagraph-capture-sizes",
                    None,
                    "fewer, smaller sizes",
                    "each size is a graph of its own",
                )
            )
            fixes += change(evidence, "enforce_eager", True, "no graphs at all", "slower decode: a stopgap")
        return fixes
