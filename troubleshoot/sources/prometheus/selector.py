"""Which series: label matchers as PromQL writes them, read and written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from catalog.engines.base import EngineCatalog

_MATCHER = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(=~|!~|!=|=)\s*(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')\s*(,|\Z)")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_PLAIN = {"n": "\n", "t": "\t", "r": "\r"}
_MODEL, _ENGINE, _RANK = "model", "engine", "rank"


class Matcher(NamedTuple):
    """One label matcher; `operator` is one of =, !=, =~, !~."""

    label: str
    operator: str
    value: str

    def holds(self, text: str) -> bool:
        """Whether a label's value matches. A pattern that Python cannot read matches, so that the store decides."""
        if self.operator in {"=", "!="}:
            return (text == self.value) == (self.operator == "=")
        try:
            return bool(re.fullmatch(self.value, text)) == (self.operator == "=~")
        except re.error:
            return True


Matchers = tuple[Matcher, ...]


def parse(text: str) -> Matchers:
    """Read `model="x",namespace=~"a|b"`, with or without braces; ValueError says what is wrong."""
    inner = text.strip()
    if inner.startswith("{") and inner.endswith("}"):
        inner = inner[1:-1].strip()
    inner = inner.removesuffix(",")
    found = []
    position = 0
    while position < len(inner):
        match = _MATCHER.match(inner, position)
        if match is None:
            raise ValueError(f'{text!r} is no selector; write \'model="NAME"\' or \'namespace="NAME",pod=~"NAME-.*"\'')
        found.append(Matcher(match[1], match[2], _ESCAPE.sub(lambda one: _PLAIN.get(one[1], one[1]), match[3][1:-1])))
        position = match.end()
    if not found:
        raise ValueError("the selector is empty; write 'model=\"NAME\"' or 'namespace=\"NAME\"'")
    return tuple(found)


def equal_to(labels: Mapping[str, str]) -> Matchers:
    """Matchers for exactly these label values."""
    return tuple(Matcher(name, "=", value) for name, value in sorted(labels.items()))


def text(matchers: Iterable[Matcher], name: str = "") -> str:
    """A vector selector: `name{label="value"}`."""
    return f"{name}{{{','.join(f'{one.label}{one.operator}{quoted(one.value)}' for one in matchers)}}}"


def any_of(names: Iterable[str]) -> Matcher:
    """The series of any of these names; no pattern signs in them count."""
    return Matcher("__name__", "=~", "|".join(re.escape(name) for name in sorted(names)))


def quoted(value: str) -> str:
    """A PromQL string. A line break or control character stands as an escape, which no query can be broken with."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(sign if sign.isprintable() else f"\\U{ord(sign):08x}" for sign in escaped) + '"'


def for_engine(matchers: Matchers, engine: EngineCatalog) -> Matchers | None:
    """The matchers as an engine's own series bear them; None where they speak of another engine.

    Canonical `model` is the engine's own label for it. Canonical `engine` is in the series' names, and the label of
    that name is vLLM's rank, which no selector means.
    """
    found = []
    for one in matchers:
        if one.label == _ENGINE:
            if not one.holds(engine.name):
                return None
        elif one.label == _MODEL and engine.model_label:
            found.append(one._replace(label=engine.model_label))
        elif one.label not in {_MODEL, _RANK}:
            found.append(one)
    return tuple(found)


def of_place(matchers: Matchers) -> Matchers:
    """The matchers that any series of a place bears: without those of the engine and its model."""
    return tuple(one for one in matchers if one.label not in {_MODEL, _ENGINE, _RANK, "model_name"})
