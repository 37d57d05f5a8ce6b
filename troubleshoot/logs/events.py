"""Kept hits -> events: what a line says, in fields, with where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise

from troubleshoot.logs.grammar import Line, parse_line
from troubleshoot.logs.scan import Located, ScanResult
from troubleshoot.logs.signature import Signature

_JOINED_LINES = 4
"""A message that people or terminals wrapped spans no more lines than this."""


_YEAR_SECONDS = 366 * 86400.0  # as `grammar` counts days: of a leap year
_MOST_OF_A_YEAR_SECONDS = 300 * 86400.0
# Anybody can write anything into a prompt; V0 logs prompts by default.
_QUOTES_A_REQUEST = re.compile(r"(?:Received request |Generated response |Added request |Receive: obj=|Finish: obj=)")
_ABOUT_REQUESTS = frozenset({"request_logging", "debug_logging"})
_ENGINE_LINES = (
    "engine_start",
    "engine_args",
    "engine_config",
    "vllm_stats",
    "sglang_decode",
    "sglang_prefill",
    "llamacpp_timing",
    "weights_memory",
    "kv_tokens",
    "architecture",
    "engine_process_died",
    "engine_dead_consequence",
)
_FROM_ANYWHERE = frozenset(
    {"kernel_oom_kill", "node_memory_pressure", "exit_137", "killed_by_signal", "xid", "gpu_lost"}
)


@dataclass(frozen=True, slots=True)
class Event:
    """One line that matched a signature.

    `message` is the line without transport and logger prefixes, `text` with the logger's. `context` holds the
    messages of the lines before it that the same process wrote (a traceback, for an exception). `time_seconds` has an
    arbitrary origin: only differences within one file mean anything.
    """

    signature: str
    file: str
    line: int
    offset: int
    message: str
    text: str
    level: str = ""
    process: str = ""
    where: str = ""
    time_seconds: float | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    context: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    container: str = ""

    def number(self, name: str) -> float | None:
        """The field as a number (thousands separators removed); None where it is absent or no number."""
        text = self.fields.get(name)
        if text is None:
            return None
        try:
            return float(text.replace(",", ""))
        except ValueError:
            return None


def events_of(scan: ScanResult, signatures: Mapping[str, Signature]) -> dict[str, tuple[Event, ...]]:
    """Every kept hit as an event, by signature, in file order."""
    events = {
        identity: tuple(
            event
            for located in found
            for event in [_event(scan.name, located, signatures[identity])]
            if identity in _ABOUT_REQUESTS or not _QUOTES_A_REQUEST.match(event.message)
        )
        for identity, found in scan.located.items()
    }
    return _over_new_year(events)


def _over_new_year(events: dict[str, tuple[Event, ...]]) -> dict[str, tuple[Event, ...]]:
    """vLLM's stamps carry no year: where the time falls back by most of one, a new year has begun."""
    timed = sorted(
        (event for found in events.values() for event in found if event.time_seconds is not None),
        key=lambda e: e.offset,
    )
    turn = next(
        (
            after.offset
            for before, after in pairwise(timed)
            if (before.time_seconds or 0.0) - (after.time_seconds or 0.0) > _MOST_OF_A_YEAR_SECONDS
        ),
        None,
    )
    if turn is None:
        return events
    return {
        identity: tuple(
            replace(event, time_seconds=event.time_seconds + _YEAR_SECONDS)
            if event.time_seconds is not None and event.offset >= turn
            else event
            for event in found
        )
        for identity, found in events.items()
    }


def without_strangers(events: Mapping[str, Sequence[Event]]) -> dict[str, tuple[Event, ...]]:
    """Drop what other containers wrote, where lines carry container names and an engine's own lines tell which is its.

    What the kernel or the kubelet says is kept from anywhere.
    """
    own = {event.container for identity in _ENGINE_LINES for event in events.get(identity, ())}
    if not own:
        return {identity: tuple(found) for identity, found in events.items()}
    return {
        identity: tuple(event for event in found if identity in _FROM_ANYWHERE or event.container in own)
        for identity, found in events.items()
    }


def _event(file: str, located: Located, signature: Signature) -> Event:
    hit = located.hit
    line = parse_line(hit.raw)
    joined = _joined(line, hit.follow)
    fields = _fields(signature, line.message, joined)
    message = line.message if fields == _fields(signature, line.message, line.message) else joined
    return Event(
        signature=hit.signature,
        file=file,
        line=located.line,
        offset=located.offset,
        message=message if signature.follow and message else line.message,
        text=line.text,
        level=line.level,
        process=line.process,
        where=line.where,
        time_seconds=line.time_seconds,
        fields=fields,
        context=tuple(_same_process(hit.context, line)) if hit.context else (),
        after=tuple(_same_process(hit.follow, line)) if hit.follow else (),
        container=line.container,
    )


def _joined(line: Line, follow: bytes) -> str:
    """The message with the lines after it that the same process wrote, as one text."""
    parts = [line.message]
    for raw in follow.split(b"\n")[1 : _JOINED_LINES + 1]:
        after = parse_line(raw)
        if after.process == line.process and after.container == line.container:
            parts.append(after.message.strip())
    return " ".join(parts)


def _fields(signature: Signature, message: str, joined: str) -> dict[str, str]:
    if not signature.fields:
        return {}
    best: dict[str, str] = {}
    for text in (message, joined):
        found: dict[str, str] = {}
        for expression in signature.fields:
            found = {**_named(_compiled(expression), text), **found}
        if len(found) > len(best):
            best = found
    return best


def _named(expression: re.Pattern[str], text: str) -> dict[str, str]:
    """The named groups of the match that has most of them."""
    matches = (match.groupdict() for match in expression.finditer(text))
    groups = ({name: value for name, value in found.items() if value is not None} for found in matches)
    return max(groups, key=len, default={})


@lru_cache(maxsize=512)
def _compiled(expression: str) -> re.Pattern[str]:
    return re.compile(expression)


def _same_process(context: bytes, own: Line) -> Iterable[str]:
    for raw in context.split(b"\n"):
        if not raw.strip():
            continue
        line = parse_line(raw)
        if line.process == own.process and line.container == own.container:
            yield line.message


def merge(parts: Sequence[Mapping[str, Sequence[Event]]]) -> dict[str, tuple[Event, ...]]:
    """Events of several files as one table; files keep the order in which they were given."""
    identities = {identity for part in parts for identity in part}
    return {identity: tuple(event for part in parts for event in part.get(identity, ())) for identity in identities}
