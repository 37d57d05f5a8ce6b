"""Removes from a text everything that a terminal or a browser would act on or hide."""

from __future__ import annotations

import re
from functools import cache

# ECMA-48: control sequences, then strings up to their terminator, then the two-character escapes. A string
# without its terminator loses only its introducer, so that a stray escape cannot hide the rest of a line.
_ESCAPES = (
    r"(?:\x1b\[|\x9b)[0-?]*+[ -/]*+[@-~]"
    r"|(?:\x1b[PX\]^_]|[\x90\x98\x9d-\x9f])[^\x00-\x1f\x7f-\x9f]*+(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*+[0-~]"
)
_CONTROLS = r"\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"
_SPACES = r"\x09-\x0d\x1c-\x1f\x85\u2028\u2029"
# Soft hyphen, joiners, bidirectional marks and overrides, Hangul fillers, variation selectors, tags.
_INVISIBLE = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff"
)
_REPLACEMENTS = {"drop": "", "space": " ", "broken": "\ufffd"}


@cache
def _pattern() -> re.Pattern[str]:
    return re.compile(
        rf"(?P<drop>{_ESCAPES}|[{_CONTROLS}{_INVISIBLE}])|(?P<space>[{_SPACES}])|(?P<broken>[\ud800-\udfff])"
    )


def clean(text: str) -> str:
    """The text as one line that a terminal prints as it stands.

    Escape sequences (7-bit and C1), other control characters, bidirectional overrides and zero-width
    characters go; tabs and line ends become spaces; a lone surrogate becomes U+FFFD. Calling it twice
    changes nothing more.
    """
    if text.isascii() and text.isprintable():
        return text
    return _pattern().sub(lambda match: _REPLACEMENTS[match.lastgroup or "drop"], text)
