"""What a diagnosis says: the typed result that every report is drawn from.

Everything here is plain data. `troubleshoot.diagnosis` makes it, `troubleshoot.report` prints it, and the JSON
schema in `troubleshoot/report/` mirrors it field by field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal

Family = Literal["oom", "throughput", "ttft", "crash", "hang"]
Verdict = Literal["healthy", "incident", "inconclusive"]
SettingValue = str | int | float | bool | None


class Severity(IntEnum):
    """How bad a finding is; comparable, so that `--fail-on` is a `>=`."""

    INFO = 1
    WARNING = 2
    CRITICAL = 3

    @property
    def label(self) -> str:
        """The lower-case word that JSON and the command line use."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class LogEvidence:
    """A line of a log. `line` counts from 1; `text` is redacted and free of terminal escapes."""

    file: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class MetricEvidence:
    """A measured value: `series` as the engine spells it, `window` in unix seconds (start, end)."""

    series: str
    value: float
    unit: str
    window: tuple[float, float] | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class StatusEvidence:
    """What Kubernetes says: `origin` is the kind of object, `subject` its name; `text` is redacted and one line."""

    origin: Literal["event", "container status", "pod status", "node status"]
    subject: str
    text: str


EvidenceItem = LogEvidence | MetricEvidence | StatusEvidence


@dataclass(frozen=True, slots=True)
class Fix:
    """One change to make.

    `setting` is a command line flag, an environment variable or a thing outside the engine ("load balancer").
    `from_value` and `to_value` are None where no number is known; "remove" as `to_value` means to drop the setting.
    """

    setting: str
    from_value: SettingValue
    to_value: SettingValue
    why: str
    effect: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause that holds. `confidence` is 0..1; `explained_by` names the finding that brings this one about."""

    cause: str
    family: Family
    severity: Severity
    confidence: float
    title: str
    explanation: str
    evidence: tuple[EvidenceItem, ...] = ()
    fixes: tuple[Fix, ...] = ()
    runbook: str = ""
    explained_by: str = ""


@dataclass(frozen=True, slots=True)
class RuledOut:
    """A cause that the evidence contradicts."""

    cause: str
    because: str


@dataclass(frozen=True, slots=True)
class NotEvaluated:
    """A cause that could not be judged; `needs` names what would be needed, as "log: ..." or "metrics: ..."."""

    cause: str
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EngineSummary:
    """Which engine this is, as far as the evidence says. Empty strings where unknown."""

    name: str = ""
    version: str = ""
    model: str = ""
    settings: Mapping[str, SettingValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InputSummary:
    """One input that was read. `note` says what was wrong with it ("truncated gzip: 3.1 MB read"), if anything."""

    name: str
    kind: Literal["log", "metrics", "kubernetes"]
    size_bytes: int = 0
    lines: int = 0
    span_seconds: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What is not as it was. `before` and `after` are means, or texts such as versions; None where there is none.

    `since` is when it changed (unix seconds, None where only two windows are compared), `against` what it is compared
    with ("before", "1 day before").
    """

    what: str
    before: float | str | None
    after: float | str | None
    unit: str = ""
    since: float | None = None
    against: str = "before"


@dataclass(frozen=True, slots=True)
class ReplicaSummary:
    """One of the replicas that were looked at. `measures` are by name with their unit; `cause` is "" where none holds.

    `role`: the one that is `diagnosed` above, another of the `worst`, one that is `down`, or a `typical` one. `differs`
    says what is unlike most of the others ("image vllm:0.9.1, others vllm:0.10.0").
    """

    name: str
    role: Literal["diagnosed", "worst", "down", "typical"]
    verdict: Verdict
    cause: str = ""
    measures: Mapping[str, float] = field(default_factory=dict)
    differs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FleetSummary:
    """All replicas of a selection: how many there are and how many are down, the medians, those looked at."""

    total: int
    down: int = 0
    medians: Mapping[str, float] = field(default_factory=dict)
    replicas: tuple[ReplicaSummary, ...] = ()


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The whole answer. `findings[0]` is the root cause.

    `numbers` holds the measured facts by name (throughput, TTFT and its split, KV size and use, roofline shares);
    its keys carry their unit, for example `ttft_p95_seconds`. `since` is when an incident began (unix seconds) and
    `changes` what changed with it, the earliest first, where a store of metrics could tell.
    """

    verdict: Verdict
    summary: str
    engine: EngineSummary
    findings: tuple[Finding, ...] = ()
    ruled_out: tuple[RuledOut, ...] = ()
    not_evaluated: tuple[NotEvaluated, ...] = ()
    numbers: Mapping[str, float | int | str] = field(default_factory=dict)
    inputs: tuple[InputSummary, ...] = ()
    hardware: str = ""
    interrupted: bool = False
    since: float | None = None
    changes: tuple[Change, ...] = ()
    fleet: FleetSummary | None = None
