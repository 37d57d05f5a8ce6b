"""What the containers may do on the node."""

from __future__ import annotations

from collections.abc import Iterable

from troubleshoot.preflight.checks.base import Fix, Judgement, Severity, Subject, WorkloadCheck


class SecurityContext(WorkloadCheck):
    """No engine needs root or more privileges than it starts with."""

    id = "security_context"
    severity = Severity.INFO
    title = "The container may run as root"
    needs = "securityContext of pod and container"

    def applies(self, subject: Subject) -> bool:
        """Where there is a container to judge."""
        return subject.container is not None

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class."""
        container, pod = subject.container, subject.workload.pod
        if container is None:
            return
        own = container.field.at("securityContext")
        if own.at("privileged").value is True:
            yield self.finding(
                subject.title,
                own.at("privileged"),
                "privileged: true gives the container the whole node; the device plugin gives it its GPUs without.",
                Fix("privileged", "true", "remove", "or allowPrivilegeEscalation: false"),
                severity=Severity.WARNING,
                title="The container is privileged",
            )
            return
        if "arguments" in subject.workload.supplied and not own.exists:
            yield self.not_checked(subject.title, "the serving runtime or preset that gives its securityContext")
            return
        absent = [
            name
            for name, wanted, where in (
                ("runAsNonRoot", True, (own, pod.at("securityContext"))),
                ("allowPrivilegeEscalation", False, (own,)),
            )
            if not any(place.at(name).value is wanted for place in where)
        ]
        if absent:
            good = {"runAsNonRoot": "true", "allowPrivilegeEscalation": "false"}
            yield self.finding(
                subject.title,
                own,
                f"Not set: {', '.join(absent)}. The restricted pod security standard asks for them.",
                *(
                    Fix(
                        name,
                        None,
                        good[name],
                        "runAsUser with a home and cache that it may write"
                        if name == "runAsNonRoot"
                        else "no engine needs it",
                    )
                    for name in absent
                ),
            )
