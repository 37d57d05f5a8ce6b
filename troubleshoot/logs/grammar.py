"""One raw log line -> its message, without what transports and loggers put around it.

Transports: `kubectl logs` (with --timestamps or --prefix), CRI files, Docker's JSON files, docker compose, journald,
Ray's `(name pid=N)`, quoted blocks. Loggers: vLLM (text since 0.2, JSON since 0.32), TGI, Triton (glog), SGLang,
llama.cpp, uvicorn. Unknown forms come through unchanged.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_TRANSPORT = re.compile(
    r"""(?:
      >\s+                                                        # quoted in a ticket
    | \[(?P<pod>pod/[^\]]+)\]\s                                            # kubectl logs --prefix
    | (?P<service>[\w.-]+)\s+\|\s                                              # docker compose
    | (?P<cri>\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:?\d\d))\s(?:stdout|stderr)\s[FP]\s   # CRI
    | (?P<iso>\d{4}-\d\d-\d\d[T\ ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d))\s+    # kubectl --timestamps
    | [A-Z][a-z]{2}\s+\d{1,2}\s\d\d:\d\d:\d\d\s\S+\s(?P<unit>[\w.@/-]+)(?:\[\d+\])?:\s     # journald
    | [\w.-]+\s(?:STDOUT|STDERR):\s                               # wrappers that re-emit a child's output
    | \s+(?=(?:\(|\[?[A-Z]{4,8}\s))                               # indented paste
    )""",
    re.VERBOSE,
)
_PROCESS = re.compile(
    r"^(?:\((?P<name>[A-Za-z][\w.:/-]*(?: [A-Z]{2}\d+)*),?(?:\s+rank=\d+)?,?\s+(?:pid|ip)=(?P<pid>[\d.]+)[^)]*\)"
    r"|\[(?P<rank>rank\d+)\]:)\s?"
)
_VLLM = re.compile(
    r"^(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL)\s+(?P<month>\d\d)-(?P<day>\d\d)\s"
    r"(?P<clock>\d\d:\d\d:\d\d)(?:\.\d+)?\s"
    r"\[?(?P<where>[\w./-]+:\d+)\]\s?"
)
_LEVEL = re.compile(r"^(?P<level>DEBUG|INFO|WARN|WARNING|ERROR|CRITICAL):?\s+(?:\[(?P<where>[\w./-]+:\d+)\]\s)?")
_GLOG = re.compile(
    r"^(?P<letter>[IWEF])(?P<month>\d\d)(?P<day>\d\d)\s(?P<clock>\d\d:\d\d:\d\d)\.\d+\s+\d+\s(?P<where>[\w.-]+:\d+)\]\s?"
)
_LLAMA = re.compile(
    r"^(?:(?P<m>\d+)\.(?P<s>\d\d)\.(?P<ms>\d{3})\.\d{3}\s(?P<letter>[DIWE])\s+|(?P<plain>[DIWE])\s+(?=\w+[:_]))"
)
_TRACING = re.compile(r"^(?P<iso>\d{4}-\d\d-\d\dT[\d:.]+Z)\s+(?P<level>DEBUG|INFO|WARN|ERROR)\s+")
_SGLANG = re.compile(r"^\[(?P<iso>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:[.,]\d+)?(?P<rank>(?: [A-Z]{2}\d+)*)\]\s?")
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d+))?")
_LETTER = {"I": "INFO", "W": "WARNING", "E": "ERROR", "F": "CRITICAL", "D": "DEBUG", "WARN": "WARNING"}
_JSON_MESSAGE_KEYS = ("message", "msg", "log", "MESSAGE", "textPayload", "line")
_LONGEST_NESTED_CHARACTERS = 1 << 16
# Of a leap year: a stamp without a year must never go back at the end of February.
_CUMULATIVE_DAYS = (0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335)


class Line(NamedTuple):
    """A line understood. `container` is the pod, compose service or systemd unit that its carrier names, "" for none.

    `time_seconds` has an arbitrary origin: only differences within a file mean anything."""

    message: str
    text: str
    level: str = ""
    process: str = ""
    where: str = ""
    time_seconds: float | None = None
    container: str = ""


def parse_line(raw: bytes) -> Line:
    """Read one raw line. Never raises: what is not understood stays in the message."""
    text = _ANSI.sub("", raw.decode("utf-8", "replace")).replace("\r", "").rstrip("\n")
    transport_time: float | None = None
    container = ""
    for _ in range(4):
        match = _TRANSPORT.match(text)
        if not match:
            break
        stamp = match.group("iso") or match.group("cri")
        if stamp:
            transport_time = _iso_seconds(stamp)
        container = match.group("pod") or match.group("service") or match.group("unit") or container
        text = text[match.end() :]
    text = text.rstrip(" ")
    if text.startswith("{"):
        unwrapped = _from_json(text)
        if unwrapped is not None:
            return unwrapped._replace(container=container) if container else unwrapped
    parsed = _parse_logger(text, transport_time)
    return parsed._replace(container=container) if container else parsed


def _parse_logger(text: str, transport_time: float | None) -> Line:
    rest, process = text, ""
    match = _PROCESS.match(rest)
    if match:
        process = match.group("name") or match.group("rank")
        rest = rest[match.end() :]
    match = _VLLM.match(rest) or _GLOG.match(rest)
    if match:
        groups = match.groupdict()
        level = groups.get("level") or _LETTER[groups["letter"]]
        seconds = _month_day_seconds(int(groups["month"]), int(groups["day"]), groups["clock"])
        return Line(rest[match.end() :], text, level, process, groups["where"], seconds)
    match = _TRACING.match(rest)
    if match:
        level = _LETTER.get(match.group("level"), match.group("level"))
        return Line(rest[match.end() :], text, level, process, "", _iso_seconds(match.group("iso")))
    match = _SGLANG.match(rest)
    if match:
        return Line(
            rest[match.end() :],
            text,
            "",
            match.group("rank").strip() or process,
            "",
            _iso_seconds(match.group("iso")),
        )
    match = _LLAMA.match(rest)
    if match:
        letter = match.group("letter") or match.group("plain")
        uptime: float | None = None
        if match.group("m"):
            uptime = int(match.group("m")) * 60 + int(match.group("s")) + int(match.group("ms")) / 1000
        return Line(rest[match.end() :], text, _LETTER[letter], process, "", uptime)
    match = _LEVEL.match(rest)
    if match:
        return Line(
            rest[match.end() :],
            text,
            _LETTER.get(match.group("level"), match.group("level")),
            process,
            match.group("where") or "",
            transport_time,
        )
    return Line(rest, text, "", process, "", transport_time)


def _from_json(text: str) -> Line | None:
    import json

    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    fields = record.get("fields")
    nested = record.get("jsonPayload")
    for holder in (record, fields, nested):
        if not isinstance(holder, dict):
            continue
        for key in _JSON_MESSAGE_KEYS:
            message = holder.get(key)
            if isinstance(message, str):
                return _json_line(record, message)
    return None


def _json_line(record: dict[str, object], message: str) -> Line:
    # An engine's own JSON line inside a container runtime's: the inner one knows more.
    if message.startswith("{") and len(message) < _LONGEST_NESTED_CHARACTERS:
        inner_record = _from_json(message.rstrip("\r\n"))
        if inner_record is not None:
            return inner_record
    inner = _parse_logger(_ANSI.sub("", message).replace("\r", "").rstrip("\n "), None)
    level = str(record.get("levelname") or record.get("level") or inner.level).upper()
    level = _LETTER.get(level, level)
    process = str(record.get("vllm_process_name") or inner.process)
    stamp = record.get("asctime") or record.get("timestamp") or record.get("time")
    seconds = inner.time_seconds
    if isinstance(stamp, str):
        seconds = _iso_seconds(stamp)
    elif isinstance(stamp, int | float):
        seconds = float(stamp)
    return Line(inner.message, inner.text, level, process, str(record.get("name") or inner.where), seconds)


def _month_day_seconds(month: int, day: int, clock: str) -> float:
    hours, minutes, seconds = (int(part) for part in clock.split(":"))
    days = _CUMULATIVE_DAYS[(month - 1) % 12] + day
    return days * 86400 + hours * 3600 + minutes * 60 + seconds


def _iso_seconds(text: str) -> float | None:
    match = _ISO.match(text)
    if not match:
        return None
    year, month, day, hours, minutes, seconds = (int(part) for part in match.groups()[:6])
    fraction = float(f"0.{match.group(7)}") if match.group(7) else 0.0
    days = _days_since_epoch(year, month, day)
    return days * 86400 + hours * 3600 + minutes * 60 + seconds + fraction


def _days_since_epoch(year: int, month: int, day: int) -> int:
    """Days of the Gregorian calendar since 1970-01-01; years begin in March, so that a leap day comes last."""
    shifted = year - (month <= 2)
    month_from_march = (month + 9) % 12
    return (
        365 * shifted
        + shifted // 4
        - shifted // 100
        + shifted // 400
        + (153 * month_from_march + 2) // 5
        + day
        - 719469
    )
