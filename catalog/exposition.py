"""A tolerant parser of the Prometheus text format 0.0.4 and OpenMetrics 1.0.

prometheus_client's own parsers are not used: they raise on the first bad line, so a payload that was cut off
or copied with an elision loses everything, and the OpenMetrics one refuses recordings, whose samples of one
family come in order of time with other series between. Here a bad line is counted and skipped, and no input
raises.
"""

from __future__ import annotations

import io
import re
from typing import NamedTuple

MILLISECONDS_FROM = 1e11
"""A timestamp at or above this is in milliseconds (0.0.4), below it in seconds (OpenMetrics): 1e11 s is year
5138."""

HISTOGRAM_PARTS: tuple[str, ...] = ("_bucket", "_sum", "_count")
"""What the samples of a histogram have behind its name; a summary's have the last two."""

_LINE_SHOWN = 200
_NAME = re.compile(rb"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(
    rb'[\s,]*([a-zA-Z_][\w.:]*|"[^"\\]*(?:\\.[^"\\]*)*")\s*=\s*"([^"\\]*(?:\\.[^"\\]*)*)"\s*(?=[,}])',
    re.DOTALL,
)
_QUOTED_NAME = re.compile(rb'\s*"([^"\\]*(?:\\.[^"\\]*)*)"\s*(?=[,}])', re.DOTALL)
_BRACE = re.compile(rb"\s*\{")
_END = re.compile(rb"[\s,]*\}")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "\\": "\\", '"': '"'}
_WITH_CREATED = ("counter", "histogram", "summary", "gaugehistogram")


def base_name(name: str) -> str:
    """Return a histogram's or a summary's name without the part that a sample is of; any other name as it is."""
    for part in HISTOGRAM_PARTS:
        if name.endswith(part):
            return name.removesuffix(part)
    return name


class Sample(NamedTuple):
    """One sample. `labels` is shared between samples of one series: do not change it. `timestamp` is unix
    seconds."""

    name: str
    labels: dict[str, str]
    value: float
    timestamp: float | None


class Parsed(NamedTuple):
    """What was read. `kinds` is the TYPE of each family as printed; `openmetrics` says that `# EOF` was
    seen."""

    samples: list[Sample]
    kinds: dict[str, str]
    bad_lines: int
    first_bad_line: str
    openmetrics: bool


_Series = tuple[str, dict[str, str]]


class _Reader:
    """Reads lines one by one. A series text that was seen before costs one dictionary look-up."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.kinds: dict[str, str] = {}
        self.bad_lines = 0
        self.first_bad_line = ""
        self.openmetrics = False
        self._series: dict[bytes, _Series | None] = {}
        self._times: dict[bytes, float] = {}

    def line(self, line: bytes) -> None:
        head, brace, tail = line.partition(b"}")
        if not brace or b"#" in head.split(b"{", 1)[0]:
            head, _, tail = line.partition(b" ")
        if head not in self._series:
            found = split_series(line)
            if found is None:
                self.bad(line)
                return
            head, tail = found
            if head not in self._series:
                series = read_series(head)
                if series is None:
                    self.bad(line)
                    return
                self._series[head] = None if self._is_created(series[0]) else series
        known = self._series[head]
        fields = tail.split()
        if len(fields) > 2:
            fields = tail.split(b"#", 1)[0].split()
        try:
            value, time = self._numbers(fields)
        except ValueError:
            self.bad(line)
            return
        if known is not None:
            self.samples.append(Sample(known[0], known[1], value, time))

    def _numbers(self, fields: list[bytes]) -> tuple[float, float | None]:
        if not 1 <= len(fields) <= 2 or b"_" in fields[0] or b"_" in fields[-1]:
            raise ValueError
        if len(fields) == 1:
            return float(fields[0]), None
        time = self._times.get(fields[1])
        if time is None:
            time = float(fields[1])
            if abs(time) >= MILLISECONDS_FROM:
                time /= 1000.0
            self._times[fields[1]] = time
        return float(fields[0]), time

    def comment(self, line: bytes) -> None:
        words = line.split(None, 3)
        if len(words) >= 2 and words[1] == b"EOF":
            self.openmetrics = True
        elif len(words) == 4 and words[1] == b"TYPE":
            self.kinds[_text(words[2].strip(b'"'))] = _text(words[3].strip())

    def bad(self, line: bytes) -> None:
        self.bad_lines += 1
        if self.bad_lines == 1:
            self.first_bad_line = _text(line[:_LINE_SHOWN].strip())

    def _is_created(self, name: str) -> bool:
        """Tell a client library's creation time from a gauge that is merely named so (`kube_pod_created`)."""
        if not name.endswith("_created"):
            return False
        base = name.removesuffix("_created")
        return any(self.kinds.get(family) in _WITH_CREATED for family in (base, base + "_total"))


def parse(text: bytes) -> Parsed:
    """Read an exposition in either format; never raises.

    Exemplars and the `_created` series of counters, histograms and summaries are dropped. Bytes that are no
    UTF-8 become U+FFFD. A label given twice keeps its last value.
    """
    reader = _Reader()
    for line in io.BytesIO(text.removeprefix(b"\xef\xbb\xbf")):
        stripped = line.strip()
        if not stripped:
            continue
        if stripped.startswith(b"#"):
            reader.comment(stripped)
        else:
            reader.line(stripped)
    return Parsed(reader.samples, reader.kinds, reader.bad_lines, reader.first_bad_line, reader.openmetrics)


def split_series(line: bytes) -> tuple[bytes, bytes] | None:
    """Cut a sample line after its series: the text before the closing brace, or the bare name; and what
    follows."""
    name = _NAME.match(line)
    position = name.end() if name else 0
    brace = _BRACE.match(line, position)
    if brace is None:
        return (line[:position], line[position:]) if name and line[position : position + 1].isspace() else None
    position = brace.end()
    quoted = _QUOTED_NAME.match(line, position)
    if quoted:
        position = quoted.end()
    while label := _LABEL.match(line, position):
        position = label.end()
    end = _END.match(line, position)
    return (line[: end.end() - 1], line[end.end() :]) if end else None


def read_series(head: bytes) -> _Series | None:
    """Read the name and labels of a series text without its closing brace."""
    before, brace, inside = head.partition(b"{")
    name = _text(before.strip())
    labels: dict[str, str] = {}
    if brace:
        inside += b"}"
        position = 0
        quoted = _QUOTED_NAME.match(inside)
        if quoted and not name:
            name, position = _unescape(quoted.group(1)), quoted.end()
        while label := _LABEL.match(inside, position):
            labels[_unescape(label.group(1).strip(b'"'))] = _unescape(label.group(2))
            position = label.end()
    return (name, labels) if name else None


def _unescape(raw: bytes) -> str:
    text = _text(raw)
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda match: _ESCAPED.get(match.group(1), match.group()), text)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
