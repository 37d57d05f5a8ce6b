"""MIG slices that exist."""

from __future__ import annotations

from collections.abc import Iterable

from catalog.mig_profiles import MIG_RESOURCE_PREFIX, mig_profile, mig_profiles
from troubleshoot.preflight.checks.base import Fix, Judgement, Severity, Subject, WorkloadCheck


class MigProfileName(WorkloadCheck):
    """A pod that asks for a slice that no GPU is cut into waits for ever."""

    id = "mig_profile"
    severity = Severity.CRITICAL
    title = "There is no such MIG slice"
    needs = "the MIG resources of the container"

    def applies(self, subject: Subject) -> bool:
        """Where a slice is asked for."""
        container = subject.container
        return container is not None and any(
            name.startswith(MIG_RESOURCE_PREFIX) for name, _ in container.gpu_resources()
        )

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class."""
        container = subject.container
        if container is None:
            return
        gpu = subject.card.gpu if subject.card else None
        slices = [
            (name.removeprefix(MIG_RESOURCE_PREFIX), amount)
            for name, amount in container.gpu_resources()
            if name.startswith(MIG_RESOURCE_PREFIX)
        ]
        for name, amount in slices:
            known = mig_profile(name, gpu)
            if known is None:
                offered = ", ".join(profile.name for profile in mig_profiles(gpu)) if gpu else "1g.10gb, 3g.40gb, ..."
                close = _closest(name, gpu.name if gpu else "")
                yield self.finding(
                    subject.title,
                    amount,
                    f"{name} is no profile of {gpu.name if gpu else 'any GPU'} ({offered}): the pod stays pending.",
                    Fix(
                        "resource",
                        f"{MIG_RESOURCE_PREFIX}{name}",
                        f"{MIG_RESOURCE_PREFIX}{close}" if close else None,
                        "a profile that exists",
                    ),
                )
            elif (subject.parallelism or 1) > 1:
                yield self.finding(
                    subject.title,
                    amount,
                    "One engine cannot span several MIG slices: NCCL knows no way between them.",
                    Fix("--tensor-parallel-size", subject.parallelism, 1, "or a whole GPU"),
                    title="An engine over several MIG slices",
                )


def _closest(name: str, gpu: str) -> str:
    """The profile with the same number of compute slices, on this GPU or one of 80 GB."""
    slices = name[:1]
    return next(
        (profile.name for profile in mig_profiles(gpu or "NVIDIA A100-SXM4-80GB") if profile.name.startswith(slices)),
        "",
    )
