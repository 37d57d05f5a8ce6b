"""`crash_port_in_use`: the server could not bind its port: another process holds it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from troubleshoot.causes.advice import change
from troubleshoot.causes.aftermath import ENGINE_DEATH
from troubleshoot.causes.base import SignatureCause
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix
from troubleshoot.logs.events import Event


class PortInUse(SignatureCause):
    """Another process holds the port."""

    id = "crash_port_in_use"
    family = "crash"
    title = "The server could not bind its port: another process holds it"
    signatures = ("port_in_use",)
    consequences = ENGINE_DEATH | {"crash_nccl_or_distributed_init", "crash_backend_request_error"}
    confidence = 0.95

    def accepts(self, event: Event, evidence: Evidence) -> bool:
        """A server that then serves found another port."""
        return event.level not in ("INFO", "DEBUG") and not (evidence.log and evidence.log.served_after(event))

    def explain(self, events: Sequence[Event], evidence: Evidence) -> str:
        """See the class."""
        port = self._port(events, evidence)
        return f"Binding {f'port {port}' if port else 'the listening port'} failed with 'address already in use', and the server exited."

    @staticmethod
    def _port(events: Sequence[Event], evidence: Evidence) -> int | None:
        for event in events:
            match = re.search(r"(?::|[Pp]ort[ =:]{0,2}|, )(\d{4,5})\b", event.message)
            if match:
                return int(match.group(1))
        value = evidence.settings.number("port")
        if value is None and evidence.engine == "vllm" and evidence.log and evidence.log.has("engine_args"):
            return 8000
        return int(value) if value else None

    def fixes(self, events: Sequence[Event], evidence: Evidence) -> Sequence[Fix]:
        """Free it or take another."""
        port = self._port(events, evidence)
        return [
            Fix(
                "process on the port",
                "running",
                "stop",
                f"`ss -ltnp 'sport = :{port}'` names it" if port else "`ss -ltnp` names it",
                "often the old replica, still stopping, or a second one on the host network",
            ),
            *change(evidence, "port", port + 1 if port else "a free one", "where both must run", "", port),
        ]
