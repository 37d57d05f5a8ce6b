"""Values as they stand in an exposition: which of them Prometheus reads. Text is str, a character a byte."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import lru_cache

__all__ = ["are_numbers", "are_usual", "is_number", "written"]

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
# Short enough never to overflow a double. Possessive: a text that does not match is not tried in other ways.
_NUMBERS = re.compile(rb"(?:\d{1,99}+\.?+\d{0,99}+(?:[eE][+-]?+\d{1,2}+)?+\n)*+")
_SHAPE = bytes.maketrans(b"123456789-", b"000000000+")
_LONG = b"0" * 100
_WORDS = {"nan": "NaN", "inf": "+Inf", "infinity": "+Inf"}
_KEPT = 256


@lru_cache(_KEPT)
def written(text: str) -> str | None:
    """Return a value as it is to be written, or None: Python's `float` takes more than Prometheus does."""
    if _NUMBER.fullmatch(text):
        return text if math.isfinite(float(text)) else None
    sign, word = (text[:1], text[1:]) if text[:1] in {"+", "-"} else ("", text)
    known = _WORDS.get(word.lower())
    return "-Inf" if known == "+Inf" and sign == "-" else known


def are_numbers(texts: Sequence[str]) -> bool:
    """Tell whether all these are plain numbers, to be written as they are; False when one must be looked at.

    All at once takes a tenth of the time of one by one, and by their shape two thirds of that.
    """
    lines = ("\n".join(["", *texts, ""]) if texts else "\n").encode("latin-1", "replace")
    return are_usual(lines, len(texts)) or _NUMBERS.fullmatch(lines, 1) is not None


def are_usual(lines: bytes, numbers: int) -> bool:
    """Tell whether of lines, with a newline before the first, as many are numbers and all others empty.

    Numbers of the usual shape: digits with at most one point, no sign before them, an exponent as Python writes it,
    such as e-05; none long enough to overflow.
    """
    zeros = lines.translate(_SHAPE).replace(b"e+00\n", b"\n")
    points = zeros.translate(None, b"0")
    return (
        zeros.count(b"\n0") == numbers and not points.translate(None, b".\n") and b".." not in points
    ) and _LONG not in zeros


def is_number(text: str) -> bool:
    """Tell whether a bound or a quantile is one that Prometheus reads."""
    if text.removeprefix("+").removeprefix("-").lower() in {"inf", "infinity"}:
        return True
    return _NUMBER.fullmatch(text) is not None and math.isfinite(float(text))
