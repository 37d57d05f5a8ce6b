"""Probes that ask a port and a path that are there."""

from __future__ import annotations

from collections.abc import Iterable

from troubleshoot.preflight.checks.base import Fix, Judgement, Severity, Subject, WorkloadCheck
from troubleshoot.preflight.engine_ports import KNOWN_PATHS, health_path
from troubleshoot.preflight.objects import Field

_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


class ProbeTarget(WorkloadCheck):
    """A probe that asks the wrong port or path fails for ever: the pod is never ready, or restarted again and again."""

    id = "probe_target"
    severity = Severity.CRITICAL
    title = "A probe asks what is not there"
    needs = "the container's probes and ports"

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class."""
        engine = subject.engine
        if engine is None:
            return
        for name in _PROBES:
            probe = engine.container.field.at(name)
            port = probe.at("httpGet", "port") if probe.at("httpGet").exists else probe.at("tcpSocket", "port")
            if _is_undeclared_name(port, set(engine.container.port_names())):
                declared = ", ".join(sorted(engine.container.port_names())) or "none"
                yield self.finding(
                    subject.title,
                    port,
                    f"The {name} asks port {port.text!r}, and the container names no such port (named: {declared}).",
                    Fix(
                        f"{name} port",
                        port.text,
                        next(iter(engine.container.port_names()), None),
                        "a port that the container names",
                    ),
                )
            path = probe.at("httpGet", "path")
            asked = path.text or "/"  # the API server's default
            known = KNOWN_PATHS.get(engine.name, frozenset())
            if probe.at("httpGet").exists and known and asked.partition("?")[0].rstrip("/") not in known:
                good = health_path(engine.name, live=name == "livenessProbe")
                yield self.finding(
                    subject.title,
                    path,
                    f"{engine.title} answers {asked} with 404, so that the {name} always fails.",
                    Fix(f"{name} path", asked, good, "what the engine serves"),
                )


def _is_undeclared_name(port: Field, names: set[str]) -> bool:
    return isinstance(port.value, str) and not port.value.isdigit() and port.value not in names
