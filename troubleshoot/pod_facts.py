"""What Kubernetes knows of one replica: typed facts of its pod, its container, its events and its node.

`troubleshoot.sources.kube.objects` makes them of the API's objects; causes read them. Times are unix seconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from troubleshoot.findings import StatusEvidence
from troubleshoot.logs.settings import Settings, read_settings
from troubleshoot.redact import quote

_SERVED: Final = re.compile(r"\bvllm serve ([^\s'\"-][^\s'\"]*)")
_IMAGES: Final = (
    ("vllm", "vllm"),
    ("sglang", "sglang"),
    ("text-generation-inference", "tgi"),
    ("tritonserver", "triton"),
    ("tensorrt", "tensorrt_llm"),
    ("trtllm", "tensorrt_llm"),
    ("llama.cpp", "llamacpp"),
    ("llama-server", "llamacpp"),
)


@dataclass(frozen=True, slots=True)
class Ended:
    """One end of the container: `is_current` where it has not been started again, `ago_seconds` when it was read."""

    reason: str
    exit_code: int
    message: str = ""
    started: float | None = None
    finished: float | None = None
    is_current: bool = False
    ago_seconds: float | None = None

    @property
    def ran_seconds(self) -> float | None:
        """How long it had run."""
        known = self.started is not None and self.finished is not None
        return self.finished - self.started if known else None  # type: ignore[operator]


@dataclass(frozen=True, slots=True)
class PodEvent:
    """An event about the pod, as `kubectl describe` shows it."""

    reason: str
    message: str
    count: int = 1
    is_warning: bool = True
    last_seen: float | None = None


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """The node: `conditions` are those that hold and are no good news (MemoryPressure, a NotReady as "not Ready")."""

    name: str
    conditions: tuple[str, ...] = ()
    gpus_allocatable: int | None = None
    gpu_product: str = ""
    is_cordoned: bool = False


@dataclass(frozen=True, slots=True)
class PodFacts:
    """One replica. `missing` names the rights without which parts of it are unknown.

    `ended` is how its container ended, the last time first; `unscheduled` why no node has it, "" where one has;
    `init_failure` how a container that has to go first failed.
    """

    name: str
    container: str = ""
    phase: str = ""
    reason: str = ""
    message: str = ""
    waiting_reason: str = ""
    waiting_message: str = ""
    is_running: bool = False
    is_ready: bool = False
    is_going: bool = False
    restarts: int = 0
    ended: tuple[Ended, ...] = ()
    events: tuple[PodEvent, ...] = ()
    node: NodeFacts | None = None
    image: str = ""
    arguments: str = ""
    memory_limit_bytes: int | None = None
    gpus_requested: int = 0
    revision: str = ""
    unscheduled: str = ""
    has_startup_probe: bool = False
    init_failure: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    @property
    def settings(self) -> Settings:
        """The settings that the container's command line and environment give its engine."""
        served = _SERVED.search(self.arguments)
        model = [f"--model {served[1]}"] if served else []
        return read_settings((), (), [" ".join([self.arguments, *model])] if self.arguments else ())

    @property
    def engine(self) -> str:
        """The engine that the image is named after; "" where it is named after none."""
        return next((engine for word, engine in _IMAGES if word in self.image.lower()), "")

    @property
    def place(self) -> str:
        """For provenance: "namespace/pod container"."""
        return f"{self.name} {self.container}".strip()

    def events_of(self, *reasons: str) -> list[PodEvent]:
        """The events of these reasons, the newest last."""
        found = [event for event in self.events if event.reason in reasons]
        return sorted(found, key=lambda event: event.last_seen or 0.0)

    def event_proof(self, event: PodEvent) -> StatusEvidence:
        """An event as evidence."""
        times = f" (x{event.count})" if event.count > 1 else ""
        return StatusEvidence("event", self.name, f"{event.reason}{times}: {quote(event.message, 400)}")

    def end_proof(self, end: Ended) -> StatusEvidence:
        """An end of the container as evidence."""
        ran = f" after {end.ran_seconds:.0f} s" if end.ran_seconds is not None else ""
        message = f": {quote(end.message, 300)}" if end.message else ""
        restarts = f", restarted {self.restarts} times" if self.restarts else ""
        text = f"terminated{ran}, reason {end.reason or 'unknown'}, exit code {end.exit_code}{restarts}{message}"
        return StatusEvidence("container status", self.place, text)

    def waiting_proof(self) -> StatusEvidence:
        """What the container waits for, as evidence."""
        text = f"waiting, reason {self.waiting_reason}: {quote(self.waiting_message, 400)}"
        return StatusEvidence("container status", self.place, text)

    def pod_proof(self, text: str) -> StatusEvidence:
        """Something that stands in the pod's own status."""
        return StatusEvidence("pod status", self.name, quote(text, 400))
