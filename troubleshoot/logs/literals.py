"""The rare fixed text that every match of an expression must hold.

A multi-pattern engine is several times faster on plain literals than on expressions. So the scan searches only for
literals, and an expression then looks at the few places where one of its own stands.
"""

from __future__ import annotations

import re
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as sre_parser  # type: ignore[attr-defined]
from typing import Any

_MOST_LITERALS = 24
# Text that stands in most lines of some log: as a literal it would select nothing.
_COMMON = ("error", "failed", "model", "vllm", "http/1.", "tokens", "request", "python", "info", "server ", "process", "processing ", "engine ", " not supported", " not found", "requires ", "failed to ")


def alternatives(expression: str) -> list[str]:
    """The branches of an expression's outermost `|`."""
    branches, depth, begin, index = [], 0, 0, 0
    while index < len(expression):
        character = expression[index]
        if character == "\\":
            index += 1
        elif character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
        elif character == "|" and depth == 0:
            branches.append(expression[begin:index])
            begin = index + 1
        index += 1
    return [*branches, expression[begin:]]


def required_literals(expression: str) -> frozenset[str]:
    """Lower-case literals of which at least one stands, in whatever case, in every text that `expression` matches.

    Raises ValueError where the expression has no fixed text of at least three characters: such an expression would
    have to look at every line.
    """
    best = _best(list(sre_parser.parse(expression)))
    if best is None or min(len(text) for text in best) < 3:
        raise ValueError(f"no fixed text in {expression!r}")
    return best


def _score(literals: frozenset[str]) -> float:
    def one(text: str) -> float:
        return min(len(text), 20) - (8.0 if any(text.strip() in word for word in _COMMON) else 0.0)

    return min(one(text) for text in literals) - 0.1 * (len(literals) - 1)


def _best(nodes: list[Any]) -> frozenset[str] | None:
    """The best of the sets of texts of which every match of the sequence holds one."""
    candidates: list[frozenset[str]] = []
    run = frozenset({""})
    for node in nodes:
        exact = _exact_of(node)
        if exact is not None and len(run) * len(exact) <= _MOST_LITERALS:
            run = frozenset(head + tail for head in run for tail in exact)
            continue
        candidates.append(run)
        run = frozenset({""}) if exact is None else exact
        inner = _inside(node)
        if inner is not None:
            candidates.append(inner)
    candidates.append(run)
    return max((found for found in candidates if "" not in found), key=_score, default=None)


def _exact_of(node: Any) -> frozenset[str] | None:
    """Every text that the node can match, where these are few and fixed."""
    operator, argument = node
    if operator is sre.LITERAL:
        return frozenset({chr(argument).lower()})
    if operator is sre.AT:
        return frozenset({""})
    if operator is sre.IN:
        letters = frozenset(chr(value).lower() for kind, value in argument if kind is sre.LITERAL)
        return letters if all(kind is sre.LITERAL for kind, _ in argument) else None
    if operator is sre.SUBPATTERN:
        return _exact(list(argument[3]))
    if operator is sre.BRANCH:
        parts = [_exact(list(branch)) for branch in argument[1]]
        return _union(parts)
    if operator is sre.MAX_REPEAT and argument[:2] == (0, 1):
        return _union([frozenset({""}), _exact(list(argument[2]))])
    return None


def _exact(nodes: list[Any]) -> frozenset[str] | None:
    texts = frozenset({""})
    for node in nodes:
        found = _exact_of(node)
        if found is None or len(found) * len(texts) > _MOST_LITERALS:
            return None
        texts = frozenset(head + tail for head in texts for tail in found)
    return texts


def _union(parts: list[frozenset[str] | None]) -> frozenset[str] | None:
    whole: frozenset[str] = frozenset()
    for part in parts:
        if part is None:
            return None
        whole |= part
    return whole if len(whole) <= _MOST_LITERALS else None


def _inside(node: Any) -> frozenset[str] | None:
    operator, argument = node
    if operator is sre.SUBPATTERN:
        return _best(list(argument[3]))
    if operator is sre.BRANCH:
        return _union([_best(list(branch)) for branch in argument[1]])
    if operator in (sre.MAX_REPEAT, sre.MIN_REPEAT) and argument[0] >= 1:
        return _best(list(argument[2]))
    return None


def compile_bytes(expression: str) -> re.Pattern[bytes]:
    """The expression over raw bytes, with `^` and `$` at line ends."""
    return re.compile(expression.encode("utf-8"), re.MULTILINE)
