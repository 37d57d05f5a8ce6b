"""`crash_model_config_or_tokenizer`: the model's files, configuration or tokenizer cannot be used as they are."""

from __future__ import annotations

import re
from collections.abc import Sequence

from troubleshoot.causes.advice import change
from troubleshoot.causes.aftermath import ENGINE_DEATH
from troubleshoot.causes.base import SignatureCause
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix
from troubleshoot.logs.events import Event


class ModelConfigOrTokenizer(SignatureCause):
    """Model files, configuration, tokenizer and library versions do not fit together."""

    id = "crash_model_config_or_tokenizer"
    family = "crash"
    title = "The model's files, configuration or tokenizer cannot be used as they are"
    signatures = ("model_config_invalid",)
    consequences = ENGINE_DEATH
    confidence = 0.85

    def accepts(self, event: Event, evidence: Evidence) -> bool:
        """Notices of a start that goes on are none."""
        if event.level in ("INFO", "DEBUG"):
            return False
        if re.search(r"trust_remote_code|--trust-remote-code", event.message) and not re.search(
            r"[Ee]rror|must|please|set the|requires?|contains custom code", event.message
        ):
            return False
        if (
            event.level == "WARNING"
            or event.message.lstrip().startswith(("'", "{", "Namespace("))
            or "non-default args" in event.message
        ):
            return False
        return not (evidence.log and evidence.log.served_after(event))

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        text = " ".join(event.message for event in events)
        if re.search(r"gated|401|403|RepositoryNotFound|Repository Not Found", text):
            return "The model cannot be fetched: it is gated, private or named wrongly."
        if re.search(r"[Tt]okenizer|vocab", text):
            return "The tokenizer cannot be loaded, or does not fit the model."
        if re.search(r"divisible", text):
            return "The model's dimensions cannot be split over this many GPUs."
        if re.search(r"[Ss]afetensor|HeaderTooLarge|size mismatch|shape|gguf|magic|missing tensor|loading model", text):
            return "The weight files are incomplete, damaged or of another model."
        return "The configuration asks for something that this version or these files do not provide."

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """By what the message names."""
        text = " ".join(event.message for event in events)
        fixes: list[Fix] = []
        if re.search(r"trust[_-]remote[_-]code|custom code", text):
            fixes += change(evidence, "trust_remote_code", True, "the model brings code of its own: read it first")
        if re.search(r"gated|401|403", text):
            fixes.append(
                Fix(
                    "HF_TOKEN",
                    None,
                    "a token with access to the model",
                    "accept its licence with that account",
                )
            )
        if re.search(r"does not recognize|Transformers|transformers", text):
            fixes.append(Fix("transformers", None, "newer", "the architecture is younger than the installed library"))
        if "divisible" in text:
            fixes += change(
                evidence,
                "tensor_parallel_size",
                "a divisor of the number of attention heads",
                "heads are split evenly",
            )
        if "max_model_len" in text:
            fixes += change(evidence, "max_model_len", "at most the model's own limit", "see the message")
        if re.search(r"[Ss]afetensor|HeaderTooLarge|size mismatch|No such file|does not appear|magic|incomplete", text):
            fixes.append(
                Fix(
                    "model files",
                    None,
                    "fetch again, compare sizes and checksums",
                    "a download that broke off is the usual reason",
                )
            )
        return fixes or [
            Fix(
                "model files and engine version",
                None,
                "a pair that is documented to work together",
                "the message names what does not fit",
            )
        ]
