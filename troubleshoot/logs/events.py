"""Kept hits -> events: what a line says, in fields, with where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

from troubleshoot.logs.grammar import Line, parse_line

if TYPE_CHECKING:
    from troubleshoot.logs.scan import Located, ScanResult
    from troubleshoot.logs.signature import Signature

_JOINED_LINES = 4
"""A message that people or terminals wrapped spans no more lines than this."""


_YEAR_SECONDS = 366 * 86400.0  # as `grammar` counts days: of a leap year
_MOST_OF_A_YEAR_SECONDS = 300 * 86400.0
# Anybody can write anything into a prompt; V0 logs prompts by default.
_QUOTES_A_REQUEST = ("Received request ", "Generated response ", "Added request ", "Receive: obj=", "Finish: obj=")
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


@dataclass(frozen=True)
class Event:
    """One line that matched a signature.

    `message` is the line without transport and logger prefixes, `text` with the logger's. `time_seconds` has an
    arbitrary origin: only differences within one file mean anything. `raw_context` and `raw_after` are the lines
    around it as they stand in the log: few causes read them, so they are parsed on demand.
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
    container: str = ""
    raw_context: bytes = field(default=b"", repr=False)
    raw_after: bytes = field(default=b"", repr=False)

    @cached_property
    def context(self) -> tuple[str, ...]:
        """Messages of the lines before it that the same process wrote (a traceback, for an exception)."""
        return tuple(_same_process(self.raw_context, self.process, self.container))

    @cached_property
    def after(self) -> tuple[str, ...]:
        """Messages of the lines after it that the same process wrote."""
        return tuple(_same_process(self.raw_after, self.process, self.container))

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
    lines = {
        identity: [
            (located, line)
            for located in found
            for line in [parse_line(located.hit.raw)]
            if identity in _ABOUT_REQUESTS or not line.message.startswith(_QUOTES_A_REQUEST)
        ]
        for identity, found in scan.located.items()
    }
    new_year = _new_year(located_line for found in lines.values() for located_line in found)
    return {
        identity: tuple(_event(scan.name, located, line, signatures[identity], new_year) for located, line in found)
        for identity, found in lines.items()
    }


def _new_year(lines: Iterable[tuple[Located, Line]]) -> int | None:
    """Where a new year begins: vLLM's stamps carry none, so the time falls back by most of one."""
    timed = sorted((located.offset, line.time_seconds) for located, line in lines if line.time_seconds is not None)
    for (_, before), (offset, after) in pairwise(timed):
        if before - after > _MOST_OF_A_YEAR_SECONDS:
            return offset
    return None


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


def _event(file: str, located: Located, line: Line, signature: Signature, new_year: int | None) -> Event:
    hit, seconds = located.hit, line.time_seconds
    if seconds is not None and new_year is not None and located.offset >= new_year:
        seconds += _YEAR_SECONDS
    message, fields = _read(signature, line, hit.follow)
    return Event(
        signature=hit.signature,
        file=file,
        line=located.line,
        offset=located.offset,
        message=message,
        text=line.text,
        level=line.level,
        process=line.process,
        where=line.where,
        time_seconds=seconds,
        fields=fields,
        container=line.container,
        raw_context=hit.context,
        raw_after=hit.follow,
    )


def _read(signature: Signature, line: Line, follow: bytes) -> tuple[str, Mapping[str, str]]:
    """The message and its fields; with the lines after it where only these complete the fields."""
    if not signature.fields:
        return line.message, {}
    if not follow:
        return line.message, _Fields(signature, line.message)
    fields = _fields(signature, line.message)
    joined = _joined(line, follow)
    of_joined = _fields(signature, joined)
    return (joined, of_joined) if len(of_joined) > len(fields) else (line.message, fields)


def _joined(line: Line, follow: bytes) -> str:
    """The message with the lines after it that the same process wrote, as one text."""
    parts = [line.message]
    for raw in follow.split(b"\n")[1 : _JOINED_LINES + 1]:
        after = parse_line(raw)
        if after.process == line.process and after.container == line.container:
            parts.append(after.message.strip())
    return " ".join(parts)


class _Fields(Mapping[str, str]):
    """The fields of a message, read when one is asked for: of most lines nobody does."""

    def __init__(self, signature: Signature, message: str) -> None:
        self._signature = signature
        self._message = message

    @cached_property
    def _found(self) -> dict[str, str]:
        return _fields(self._signature, self._message)

    def __getitem__(self, name: str) -> str:
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        return repr(self._found)


def _fields(signature: Signature, text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for expression in signature.fields:
        found = {**_named(_compiled(expression), text), **found}
    return found


def _named(expression: re.Pattern[str], text: str) -> dict[str, str]:
    """The named groups of the match that has most of them."""
    matches = (match.groupdict() for match in expression.finditer(text))
    groups = ({name: value for name, value in found.items() if value is not None} for found in matches)
    return max(groups, key=len, default={})


@cache
def _compiled(expression: str) -> re.Pattern[str]:
    return re.compile(expression)


def _same_process(lines: bytes, process: str, container: str) -> Iterable[str]:
    for raw in lines.split(b"\n"):
        if not raw.strip():
            continue
        line = parse_line(raw)
        if line.process == process and line.container == container:
            yield line.message


def merge(parts: Sequence[Mapping[str, Sequence[Event]]]) -> dict[str, tuple[Event, ...]]:
    """Events of several files as one table; files keep the order in which they were given."""
    identities = {identity for part in parts for identity in part}
    return {identity: tuple(event for part in parts for event in part.get(identity, ())) for identity in identities}
