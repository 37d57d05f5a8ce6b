"""Code from the model's repository."""

from __future__ import annotations

from collections.abc import Iterable

from troubleshoot.preflight.checks.base import Fix, Judgement, Severity, Subject, WorkloadCheck


class TrustRemoteCode(WorkloadCheck):
    """Whoever can change the model's repository runs code in the cluster."""

    id = "trust_remote_code"
    severity = Severity.WARNING
    title = "Code from the model's repository is run"
    needs = "the engine's arguments"
    reads_arguments = True

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class."""
        engine = subject.engine
        found = engine.is_on("remote code") if engine else None
        if engine is None or found is None:
            return
        known = subject.model is not None and subject.model.shape is not None
        pinned = "--revision" in engine.settings or "--code-revision" in engine.settings
        why = (
            "the engine has its own code for this model"
            if known
            else "or pin --revision and --code-revision to commits that were read"
        )
        yield self.finding(
            subject.title,
            found.field,
            f"{found.flag} runs Python that comes with the model"
            + (", at a pinned revision." if pinned else ", whatever it is at the next start."),
            Fix(found.flag, found.value or "set", "remove", why),
            severity=Severity.INFO if pinned and not known else Severity.WARNING,
        )
