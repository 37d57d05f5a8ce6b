"""Writing YAML that a person reads: block style, in the given order, with comments where a reason belongs."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["document"]

_WIDTH = 110
# Texts that YAML reads as themselves without quotes: a letter or slash first, nothing that ends or types them.
_BARE = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*")
_TYPED = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})

Comments = Mapping[str, str]


def document(value: Mapping[str, Any], comments: Comments | None = None, one_line: Sequence[str] = ()) -> str:
    """Return the YAML of a mapping.

    `comments` goes by dotted path, without positions in lists: "spec.containers.image". Items of lists under a key of
    `one_line` take a line each.
    """
    return "\n".join(_mapping(value, "", comments or {}, frozenset(one_line))) + "\n"


def _mapping(value: Mapping[str, Any], path: str, comments: Comments, one_line: frozenset[str]) -> Iterator[str]:
    for key, item in value.items():
        here = f"{path}.{key}" if path else key
        if here in comments:
            yield from textwrap.wrap(comments[here], _WIDTH, initial_indent="# ", subsequent_indent="# ")
        name = _scalar(key)
        if isinstance(item, Mapping) and item:
            yield f"{name}:"
            yield from _indented(_mapping(item, here, comments, one_line))
        elif isinstance(item, list | tuple) and item:
            yield f"{name}:"
            for entry in item:
                yield from _indented(_entry(entry, here, comments, one_line, flow=key in one_line))
        elif isinstance(item, str) and "\n" in item:
            yield f"{name}: |"
            yield from _indented(iter(item.splitlines()))
        else:
            yield f"{name}: {_scalar(item)}"


def _entry(entry: Any, path: str, comments: Comments, one_line: frozenset[str], *, flow: bool) -> Iterator[str]:
    if not isinstance(entry, Mapping) or flow:
        yield f"- {json.dumps(entry) if flow else _scalar(entry)}"
        return
    for number, line in enumerate(_mapping(entry, path, comments, one_line)):
        yield ("  " if number else "- ") + line


def _indented(lines: Iterator[str]) -> Iterator[str]:
    return (f"  {line}" if line else line for line in lines)


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _BARE.fullmatch(value) and value.lower() not in _TYPED:
        return value
    if isinstance(value, tuple):
        value = list(value)
    return json.dumps(value, ensure_ascii=False)
