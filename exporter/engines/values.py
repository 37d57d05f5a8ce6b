"""Values as they stand in an exposition: which of them Prometheus reads."""

from __future__ import annotations

import math
import re

__all__ = ["Values", "is_number"]

_NUMBERS = re.compile(rb"(?:[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\n)*")
_NUMBER = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_WORDS = {b"nan": b"NaN", b"inf": b"+Inf", b"infinity": b"+Inf"}
_INFINITIES = {math.inf, -math.inf}
_KEPT = 4096


def is_number(text: str) -> bool:
    """Tell whether a bound or a quantile is one that Prometheus reads."""
    if text.removeprefix("+").removeprefix("-").lower() in {"inf", "infinity"}:
        return True
    return _NUMBER.fullmatch(text.encode()) is not None and math.isfinite(float(text))


class Values:
    """Checks the text of values. Within a scrape and from one to the next most texts are the same: kept, bounded."""

    def __init__(self) -> None:
        self._known: dict[bytes, bytes] = {}
        self.known = self._known.get
        """Look a text up among those that were checked: the text to write, or None when it was not seen."""

    def check(self, text: bytes) -> bytes | None:
        """Return the text to write, or None: Python's `float` takes more than Prometheus does."""
        if _NUMBER.fullmatch(text):
            written = text if math.isfinite(float(text)) else None
        else:
            sign, word = (text[:1], text[1:]) if text[:1] in {b"+", b"-"} else (b"", text)
            written = _WORDS.get(word.lower())
            if written == b"+Inf" and sign == b"-":
                written = b"-Inf"
        if written is not None:
            self._known[text] = written
        return written

    def learn(self, texts: list[bytes]) -> None:
        """Check many texts at once, if they are all plain numbers; else leave each to `check`."""
        if _NUMBERS.fullmatch(b"\n".join(texts) + b"\n") and _INFINITIES.isdisjoint(map(float, texts)):
            self._known.update(zip(texts, texts, strict=True))

    def trim(self) -> None:
        """Forget what was seen when it has become much; between scrapes, not within one."""
        if len(self._known) > _KEPT:
            self._known.clear()
