"""Kubernetes quantities ("64Gi", "1500m") as numbers."""

from __future__ import annotations

import re

_QUANTITY = re.compile(r"([+-]?\d{1,18}(?:\.\d{0,18})?)(m|k|Ki|[MGTPE]i?)?(?:[eE]([+-]?\d{1,2}))?")
_DECIMAL = {"m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_BINARY = {f"{letter}i": 1024.0 ** (power + 1) for power, letter in enumerate("KMGTPE")}
_GIB = 1024**3


def quantity(text: str) -> float | None:
    """The number of a quantity, in bytes for memory and cores for CPU; None for what is none."""
    found = _QUANTITY.fullmatch(text.strip())
    if found is None:
        return None
    number, suffix, exponent = found.groups()
    scale = (_DECIMAL | _BINARY)[suffix or ""]
    return float(number) * scale * 10.0 ** int(exponent or 0)


def gibibytes(count: float) -> str:
    """A size in GiB as people write it: "24.2 GiB"."""
    return f"{count / _GIB:.0f} GiB" if count >= 100 * _GIB else f"{count / _GIB:.1f} GiB"
