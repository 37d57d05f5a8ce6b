"""Finds where a value ends (a list, a string in quotes, a bare word) and masks it in its own shape."""

from __future__ import annotations

import re
from functools import cache
from typing import Literal

MASK = "***"

Masked = tuple[str, int]
Harmless = Literal["words", "words and numbers", "nothing"]

# Possessive quantifiers throughout: nothing here ever backtracks into what it has read. An unclosed string or
# list runs to the end of the text, so that a line cut short still hides its secret.
_STRING = r"""'(?:[^'\\]|\\.)*+(?:'|\\?\Z)|"(?:[^"\\]|\\.)*+(?:"|\\?\Z)"""
_BARE_END = r"(?=[\s,;)}\]]|\Z|[A-Za-z_][\w.-]{0,40}=)"
_HARMLESS_WORDS = r"none|null|nil|true|false|\*+|\$\{?\w{1,80}\}?|<[a-z _-]{1,60}>|\[redacted\]"


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    return {
        "list": re.compile(rf"[\[(](?:{_STRING}|\[[^\]]*+(?:\]|\Z)|[^\])\"'])*+(?:[\])]|\Z)", re.DOTALL),
        "escaped": re.compile(r'\\"(?P<body>(?:[^"\\]|\\[^"])*+)(?:\\"|(?=")|\\?\Z)', re.DOTALL),
        "quoted": re.compile(rf"(?P<prefix>(?:SecretStr\()?[bru]{{0,2}})(?P<body>{_STRING})", re.DOTALL),
        "bare": re.compile(rf"<[a-z _-]{{1,60}}>|(?:[^\s'\"&,;)}}\]]|[&,;)}}\]](?!{_BARE_END}))++"),
        "rest": re.compile(r"[^'\"\r\n]++"),
        "scheme": re.compile(r"(?:Bearer|Basic|Digest|Negotiate|Token)\s{1,4}", re.IGNORECASE),
        "words": re.compile(rf"(?:{_HARMLESS_WORDS})?", re.IGNORECASE),
        "words and numbers": re.compile(rf"(?:{_HARMLESS_WORDS}|-?[0-9]{{1,9}}(?:\.[0-9]{{1,9}})?)?", re.IGNORECASE),
    }


def mask_value(
    text: str, start: int, *, harmless: Harmless = "words", bare: Literal["bare", "rest"] = "bare"
) -> Masked | None:
    """The mask for the value at `start` and the index where the value ends; None if there is nothing to hide.

    A list stays a list and a string keeps its quotes. `harmless` says which values may stand as they are:
    words such as None and placeholders such as `$HF_TOKEN`, numbers too, or nothing. A value without quotes
    ends at the word's end (`bare`) or at the line's end or next quote (`rest`).
    """
    patterns = _patterns()
    if match := patterns["list"].match(text, start):
        return _masked_list(match)
    if match := patterns["escaped"].match(text, start):
        body, opening, closing = match["body"], '\\"', text[match.end("body") : match.end()]
    elif match := patterns["quoted"].match(text, start):
        string = match["body"]
        closing = string[0] if len(string) > 1 and string[-1] == string[0] else ""
        opening, body = match["prefix"] + string[0], string[1 : len(string) - len(closing)]
    elif match := patterns[bare].match(text, start):
        body, opening, closing = match.group(), "", ""
        scheme = patterns["scheme"].match(text, start)
        if scheme and scheme.end() >= match.end():
            following = patterns["bare"].match(text, scheme.end())
            return (scheme.group() + MASK, following.end()) if following else None
    else:
        return None
    if body == "" or (harmless != "nothing" and patterns[harmless].fullmatch(body)):
        return None
    if scheme := patterns["scheme"].match(body):
        opening += scheme.group()
    return f"{opening}{MASK}{closing}", match.end()


def _masked_list(match: re.Match[str]) -> Masked | None:
    opening, closing = match.group()[0], match.group()[-1]
    closing = closing if closing in "])" else ""
    inner = match.group()[1:].removesuffix(closing).strip()
    if inner in {"", MASK}:
        return None
    hidden = f"'{MASK}'" if inner.startswith(("'", '"')) else MASK
    return f"{opening}{hidden}{closing}", match.end()
