"""Kept hits -> events: what a line says, in fields, with where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from troubleshoot.logs.grammar import Line, parse_line
from troubleshoot.logs.scan import Located, ScanResult
from troubleshoot.logs.signature import Signature

_JOINED_LINES = 4
"""A message that people or terminals wrapped spans no more lines than this."""


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
    return {
        identity: tuple(_event(scan.name, located, signatures[identity]) for located in found)
        for identity, found in scan.located.items()
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
        context=tuple(_same_process(hit.context, line.process)) if hit.context else (),
        after=tuple(_same_process(hit.follow, line.process)) if hit.follow else (),
    )


def _joined(line: Line, follow: bytes) -> str:
    """The message with the lines after it that the same process wrote, as one text."""
    parts = [line.message]
    for raw in follow.split(b"\n")[1 : _JOINED_LINES + 1]:
        after = parse_line(raw)
        if after.process == line.process:
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


def _same_process(context: bytes, process: str) -> Iterable[str]:
    for raw in context.split(b"\n"):
        if not raw.strip():
            continue
        line = parse_line(raw)
        if line.process == process:
            yield line.message


def merge(parts: Sequence[Mapping[str, Sequence[Event]]]) -> dict[str, tuple[Event, ...]]:
    """Events of several files as one table; files keep the order in which they were given."""
    identities = {identity for part in parts for identity in part}
    return {identity: tuple(event for part in parts for event in part.get(identity, ())) for identity in identities}
