"""YAML or JSON text -> plain values, each with the line that it stands on. Bounded, whatever the text is.

The parser's events are read one by one, without recursion: nesting, size and what aliases would expand to have limits.
An alias refers to the value that it names, so nothing is copied. Scalars become what kubectl makes of them (YAML 1.1);
dates stay texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Step = str | int
Steps = tuple[Step, ...]

MAX_NODES = 1_000_000
MAX_DEPTH = 100
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"})
_FALSE = frozenset({"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"})
_INTEGER = re.compile(r"[-+]?(?:0x[0-9a-fA-F]{1,16}|0o?[0-7]{1,20}|[1-9][0-9]{0,17}|0)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]{1,40}|[0-9]{1,40}(?:\.[0-9]{0,40})?)(?:[eE][-+]?[0-9]{1,3})?")


class YamlError(Exception):
    """Text that is no YAML, or too much of it. `line` counts from 1, 0 where none is to blame."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(line, problem)
        self.line = line
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Document:
    """One document: its value, and the line (from 1) of every mapping entry and list item by its path.

    The lines of a text in literal style (`|`) have theirs too, as if the text were a list of them.
    """

    value: object
    lines: Mapping[Steps, int]
    line: int


@dataclass(slots=True)
class _Frame:
    """A mapping or list that is being read. `size` counts what is in it, with aliases expanded."""

    value: dict[str, object] | list[object]
    path: Steps
    anchor: str | None
    key: str | None = None
    size: int = 1
    merged: list[object] = field(default_factory=list)


def documents(text: str) -> Iterator[Document]:
    """Yield the documents of a YAML or JSON text that hold anything. Raises YamlError at the first fault."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    reader = _Reader()
    try:
        for event in yaml.parse(text, Loader=loader):
            found = reader.take(event)
            if found is not None:
                yield found
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 0
        raise YamlError(line, _reason(error)) from None


def _reason(error: Exception) -> str:
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "no YAML"
    return " ".join(str(problem).split())


class _Reader:
    """Builds values from events."""

    def __init__(self) -> None:
        self._nodes = 0
        self._begin(0)

    def _begin(self, line: int) -> None:
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[object, int]] = {}
        self._lines: dict[Steps, int] = {}
        self._root: object = None
        self._line = line + 1

    def take(self, event: Any) -> Document | None:
        """Take one event; a document that it ends and that is not empty is returned."""
        kind = type(event).__name__
        line = event.start_mark.line
        if kind == "DocumentStartEvent":
            self._begin(line)
        elif kind == "ScalarEvent":
            self._put(_scalar(event), 1, line, event.anchor, block=event.style == "|", written=event.value)
        elif kind in {"MappingStartEvent", "SequenceStartEvent"}:
            self._open({} if kind == "MappingStartEvent" else [], line, event.anchor)
        elif kind in {"MappingEndEvent", "SequenceEndEvent"}:
            self._close(line)
        elif kind == "AliasEvent":
            if event.anchor not in self._anchors:
                raise YamlError(line + 1, "an alias names no anchor that is complete")
            self._put(*self._anchors[event.anchor], line, None)
        elif kind == "DocumentEndEvent" and self._root is not None:
            return Document(self._root, self._lines, self._line)
        return None

    def _open(self, value: dict[str, object] | list[object], line: int, anchor: str | None) -> None:
        if len(self._stack) >= MAX_DEPTH:
            raise YamlError(line + 1, f"nested more than {MAX_DEPTH} levels deep")
        path = self._place(line)
        self._stack.append(_Frame(value, path, anchor))

    def _place(self, line: int) -> Steps:
        """The path of the value that comes next; its line is kept."""
        if not self._stack:
            self._line = line + 1
            return ()
        frame = self._stack[-1]
        if isinstance(frame.value, list):
            path: Steps = (*frame.path, len(frame.value))
        elif frame.key is not None:
            # The line of the key was kept when the key was read.
            return (*frame.path, frame.key)
        else:
            raise YamlError(line + 1, "a mapping or list cannot be a key here")
        self._lines[path] = line + 1
        return path

    def _close(self, line: int) -> None:
        frame = self._stack.pop()
        if isinstance(frame.value, dict):
            for other in frame.merged:
                for each in other if isinstance(other, list) else [other]:
                    if isinstance(each, dict):
                        frame.value.update({key: item for key, item in each.items() if key not in frame.value})
        self._add(frame.value, frame.size, line, frame.anchor)

    def _put(
        self, value: object, size: int, line: int, anchor: str | None, *, block: bool = False, written: str = ""
    ) -> None:
        """A scalar or an alias: a key, as it is `written`, where a mapping waits for one, else a value.

        The lines of a `block` are kept too.
        """
        frame = self._stack[-1] if self._stack else None
        if frame is not None and isinstance(frame.value, dict) and frame.key is None:
            if isinstance(value, dict | list):
                raise YamlError(line + 1, "a mapping or list cannot be a key here")
            frame.key = written or str(value)
            self._lines[(*frame.path, frame.key)] = line + 1
            self._count(1, line)
            return
        path = self._place(line)
        if block:
            self._lines.update({(*path, number): line + 2 + number for number in range(str(value).count("\n") + 1)})
        self._add(value, size, line, anchor)

    def _add(self, value: object, size: int, line: int, anchor: str | None) -> None:
        """Put a complete value where it belongs."""
        if anchor is not None:
            self._anchors[anchor] = (value, size)
        self._count(1, line)
        if not self._stack:
            self._root = value
            return
        frame = self._stack[-1]
        frame.size += size
        if frame.size > MAX_NODES:
            raise YamlError(line + 1, f"its aliases expand to more than {MAX_NODES:,} values".replace(",", " "))
        if isinstance(frame.value, list):
            frame.value.append(value)
        elif frame.key == "<<":
            frame.merged.append(value)
            frame.key = None
        elif frame.key is not None:
            frame.value[frame.key] = value
            frame.key = None

    def _count(self, more: int, line: int) -> None:
        self._nodes += more
        if self._nodes > MAX_NODES:
            raise YamlError(line + 1, f"holds more than {MAX_NODES:,} values".replace(",", " "))


def _scalar(event: Any) -> object:
    """What kubectl makes of a scalar: plain ones by their look, quoted and tagged ones as text."""
    text: str = event.value
    if event.tag is not None or not event.implicit[0]:
        return text
    if text in _NULLS:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    plain = text.replace("_", "") if text[:1].isdigit() else text
    if _INTEGER.fullmatch(plain):
        digits = plain.lower().lstrip("+-")
        base = 16 if digits.startswith("0x") else 8 if digits.startswith("0") and digits != "0" else 10
        return int(plain.lower().replace("0o", "0"), base)
    return float(plain) if _FLOAT.fullmatch(plain) else text
