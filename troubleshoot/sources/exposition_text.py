"""A quick look at a body that should be a Prometheus exposition: is it one, and if not, what is it?"""

from __future__ import annotations

import re
from typing import Final, Literal

ExpositionKind = Literal["exposition", "openmetrics"]

LOOKED_AT_BYTES: Final = 1 << 20
"""A sample shows within the first MiB of every exposition seen: the longest HELP line is under 1 KiB."""

_NUMBER = rb"[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[Ii]nf|[Nn]a[Nn])"
_LABELS = rb"\{(?:[^\"}\n]|\"(?:[^\"\\\n]|\\.)*\")*\}"
_SAMPLE: Final = re.compile(
    rb"^(?:[A-Za-z_:][A-Za-z0-9_:]*(?:[ \t]*" + _LABELS + rb")?|" + _LABELS + rb")"
    rb"[ \t]+" + _NUMBER + rb"(?:[ \t]+(?P<time>-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?))?"
    rb"[ \t]*(?P<exemplar>#[^\n]*)?\r?$",
    re.MULTILINE,
)
_COMMENT: Final = re.compile(rb"^# (?:TYPE|HELP|UNIT) \S", re.MULTILINE)
_HTML: Final = re.compile(rb"\A\s*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_XML: Final = re.compile(rb"\A\s*<\?xml\b", re.IGNORECASE)
_JSON: Final = re.compile(rb"\A\s*(?:\{\s*[\"}]|\[)")
_LOG_LINE: Final = re.compile(
    rb"^[^\n]{0,80}(?:\b(?:DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL)\b|\d\d:\d\d:\d\d|Traceback \(most recent)",
    re.MULTILINE,
)
_MILLISECOND_TIMES_FROM: Final = 1e11
"""The text format stamps samples in milliseconds, OpenMetrics in seconds; 1e11 s lies in the year 5138."""


def kind_of(body: bytes) -> ExpositionKind | None:
    """Return the format of `body`, None when no line of its first MiB is a sample.

    OpenMetrics is told by its `# EOF` or `# UNIT` lines, or by an exemplar or a time stamp in seconds at its
    first sample: a recording that was cut off has no `# EOF`.
    """
    head = body[:LOOKED_AT_BYTES]
    sample = _SAMPLE.search(head)
    if sample is None:
        return None
    if sample["exemplar"] is not None:
        return "openmetrics"
    if body[-64:].rstrip().endswith(b"# EOF") or b"\n# UNIT " in head or b"\n# EOF\n" in head:
        return "openmetrics"
    time = sample["time"]
    if time is not None and 0 < abs(float(time)) < _MILLISECOND_TIMES_FROM:
        return "openmetrics"
    return "exposition"


def looks_like(body: bytes) -> str:
    """Say in two or three words what a body without samples looks like: the noun of an error message."""
    head = body[:LOOKED_AT_BYTES]
    if not head.strip():
        return "nothing"
    if _HTML.search(head):
        return "an HTML page"
    if _XML.search(head):
        return "XML"
    if _COMMENT.search(head):
        return "metric descriptions without samples"
    if _JSON.search(head):
        return "JSON"
    if _LOG_LINE.search(head):
        return "a log"
    return "other text"
