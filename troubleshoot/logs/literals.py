"""The rare fixed text that every match of an expression must hold.

A multi-pattern engine is several times faster on plain literals than on expressions. So the scan searches only for
literals, and an expression then looks at the few places where one of its own stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as sre_parser  # type: ignore[attr-defined]
from typing import Any

_MOST_LITERALS = 24
_SHORTEST = 3
_GOOD_SCORE = 6.5
_NOTHING = frozenset({""})

_PLAIN = re.compile(r"(?:[^\\.^$*+?{}\[\]|()]|\\[^\w\s])+")
_ESCAPE = re.compile(r"\\(.)")
_SPECIAL = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|[()|]")


@cache
def _word() -> re.Pattern[str]:
    return re.compile(r"[a-z0-9_]+")


@cache
def _token() -> re.Pattern[str]:
    return re.compile(
        r"""(?P<group>\[\^?\]?(?:\\.|[^\]\\])*\]             # a set
        | \((?:\\.|[^()\\\[]|\[\^?\]?(?:\\.|[^\]\\])*\])*\))  # a group without groups in it
        | (?P<repeat>[*+?]|\{\d*,?\d*\})
        | (?P<text>(?:[^\\.^$*+?{}\[\]|()]|\\[^\w\s])+)
        | (?P<other>\\.|[.^$])""",
        re.VERBOSE,
    )


def alternatives(expression: str) -> list[str]:
    """The branches of an expression's outermost `|`."""
    if "|" not in expression:
        return [expression]
    if not any(character in expression for character in "\\[("):
        return expression.split("|")
    branches, depth, begin = [], 0, 0
    for special in _SPECIAL.finditer(expression):
        if special[0] == "(":
            depth += 1
        elif special[0] == ")":
            depth -= 1
        elif special[0] == "|" and depth == 0:
            branches.append(expression[begin : special.start()])
            begin = special.end()
    return [*branches, expression[begin:]]


def plain_text(expression: str) -> str | None:
    """The one text that the expression matches, where it is a text and nothing more; None otherwise."""
    if not _PLAIN.fullmatch(expression):
        return None
    return _ESCAPE.sub(r"\1", expression) if "\\" in expression else expression


def required_literals(expression: str) -> frozenset[str]:
    """Literals of which at least one stands in every text that `expression` matches.

    Raises ValueError where the expression has no fixed text of at least three characters (it would have to look at
    every line), and where it sets flags: a signature says for itself whether case matters.
    """
    if re.search(r"\(\?[aiLmsux-]", expression):
        raise ValueError(f"flags in {expression!r}")
    best = _best_run(expression) or _best(list(sre_parser.parse(expression)))
    if best is None or min(len(text) for text in best) < _SHORTEST:
        raise ValueError(f"no fixed text in {expression!r}")
    return best


def compile_bytes(expression: str, *, caseless: bool = False) -> re.Pattern[bytes]:
    """The expression over raw bytes, with `^` and `$` at line ends."""
    return re.compile(expression.encode("utf-8"), re.MULTILINE | (re.IGNORECASE if caseless else 0))


@lru_cache(maxsize=4096)
def _rarity(text: str) -> float:
    """How well a text selects lines: its characters, those outside rare words (numbers, common words) at a quarter."""
    from troubleshoot.logs.common_words import COMMON_WORDS

    rare = sum(len(word) for word in _word().findall(text.lower()) if word not in COMMON_WORDS and not word.isdigit())
    return min(rare + (len(text) - rare) / 4, 20.0)


def _score(literals: frozenset[str]) -> float:
    return min(_rarity(text) for text in literals) - 0.1 * (len(literals) - 1)


def _best_run(expression: str) -> frozenset[str] | None:
    """The rarest plain text outside all groups, where it is rare enough; None where a full analysis has to decide.

    Ten times faster than the analysis, and enough for most expressions.
    """
    runs, text, position = [""], "", 0
    while position < len(expression):
        token = _token().match(expression, position)
        if token is None:
            return None
        position = token.end()
        if token["text"] is not None:
            text = _ESCAPE.sub(r"\1", token["text"])
            runs[-1] += text
        elif token["repeat"] is not None:
            runs[-1] = runs[-1][:-1]
            runs.append("")
        else:
            runs.append("")
    best = max(runs, key=_rarity)
    return frozenset({best}) if len(best) >= _SHORTEST and _rarity(best) >= _GOOD_SCORE else None


def _best(nodes: list[Any]) -> frozenset[str] | None:
    """The best of the sets of texts of which every match of the sequence holds one."""
    candidates: list[frozenset[str]] = []
    run = _NOTHING
    for exact, node in _stretches(nodes):
        if exact is not None and len(run) * len(exact) <= _MOST_LITERALS:
            run = _joined(run, exact)
            continue
        candidates.append(run)
        run = exact or _NOTHING
        inner = _inside(node) if node is not None else None
        if inner is not None:
            candidates.append(inner)
    candidates.append(run)
    return max((found for found in candidates if "" not in found), key=_score, default=None)


def _stretches(nodes: list[Any]) -> Iterator[tuple[frozenset[str] | None, Any]]:
    """The sequence with neighbouring characters as one text: every text of a part, where known, and the part."""
    text = ""
    for node in nodes:
        if node[0] is sre.LITERAL:
            text += chr(node[1])
            continue
        if text:
            yield frozenset({text}), None
            text = ""
        yield _exact_of(node), node
    if text:
        yield frozenset({text}), None


def _joined(heads: frozenset[str], tails: frozenset[str]) -> frozenset[str]:
    return frozenset(head + tail for head in heads for tail in tails)


def _exact_of(node: Any) -> frozenset[str] | None:
    """Every text that the node can match, where these are few and fixed."""
    operator, argument = node
    if operator is sre.AT:
        return _NOTHING
    if operator is sre.IN:
        letters = frozenset(chr(value) for kind, value in argument if kind is sre.LITERAL)
        return letters if all(kind is sre.LITERAL for kind, _ in argument) else None
    if operator is sre.SUBPATTERN:
        return _exact(list(argument[3]))
    if operator is sre.BRANCH:
        parts = [_exact(list(branch)) for branch in argument[1]]
        return _union(parts)
    if operator is sre.MAX_REPEAT and argument[:2] == (0, 1):
        return _union([_NOTHING, _exact(list(argument[2]))])
    return None


def _exact(nodes: list[Any]) -> frozenset[str] | None:
    texts = _NOTHING
    for exact, _ in _stretches(nodes):
        if exact is None or len(exact) * len(texts) > _MOST_LITERALS:
            return None
        texts = _joined(texts, exact)
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
