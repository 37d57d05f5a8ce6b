"""Series as bytes: what every source hands over, and how sections become one exposition.

A source renders its own lines, so that a scrape only joins what is already bytes. Prometheus wants all lines of
a family together, hence a section keeps lines by family, and `render` puts the families of all sections into
one text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain
from typing import Literal

from msgspec import Struct

Kind = Literal["gauge", "counter", "histogram", "summary", "unknown"]

# More than the families of a node; names and help of what engines pass through are theirs to choose.
_HEADERS_KEPT = 1024
_TEXT_KINDS: Mapping[Kind, str] = {"unknown": "untyped"}


class Family(Struct, frozen=True, eq=False):
    """A metric family. `name` is that of its samples, `_total` included; of a histogram the base name.

    Compared by identity, as a key of sections: `render` puts families of one name together.
    """

    name: str
    kind: Kind
    help: str


Section = Mapping[Family, bytes]
"""The lines of one source by family; every line ends with a newline and has no timestamp."""


def escape_label(value: str) -> str:
    """Escape a label's value as both formats want it."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def label_text(labels: Mapping[str, str]) -> str:
    """Return `name="value",...`, in the given order, without braces; empty for no labels."""
    return ",".join(f'{name}="{escape_label(value)}"' for name, value in labels.items())


def series_head(name: str, labels: Mapping[str, str]) -> str:
    """Return the text of a series up to its value: `name{labels}`, or the bare name."""
    inside = label_text(labels)
    return f"{name}{{{inside}}}" if inside else name


def number_text(value: float) -> str:
    """Return a value as both formats read it; a whole number stays whole."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


def render(sections: Iterable[Section], *, openmetrics: bool) -> bytes:
    """Join sections into one exposition: text format 0.0.4, or OpenMetrics without its closing `# EOF`.

    Families come in order of first appearance. Where two sections disagree about a family's kind or help, the
    first one's stands.
    """
    return b"".join(chain.from_iterable(blocks(sections, openmetrics=openmetrics)))


def blocks(sections: Iterable[Section], *, openmetrics: bool) -> Iterator[list[bytes]]:
    """Yield what `render` joins, by family: its header, then its lines from each section."""
    families: dict[str, Family] = {}
    lines: dict[str, list[bytes]] = {}
    for section in sections:
        for family, block in section.items():
            if not block:
                continue
            found = lines.get(family.name)
            if found is None:
                families[family.name], lines[family.name] = family, [block]
            else:
                found.append(block)
    _adopt(families, lines)
    for name, family in families.items():
        yield [_header(name, family.kind, family.help, openmetrics), *lines[name]]


def _adopt(families: dict[str, Family], lines: dict[str, list[bytes]]) -> None:
    """Put `x_sum` and `x_count` of an undeclared kind under `x`, where another source says that `x` is a histogram.

    Engines passed through may differ in what they declare. A reader that checks families refuses a text with both;
    a stray `x_bucket`, which may lack its bound, is left out.
    """
    for base in [name for name, family in families.items() if family.kind in {"histogram", "summary"}]:
        for suffix in ("_sum", "_count", "_bucket"):
            if families.pop(base + suffix, None) is not None:
                strays = lines.pop(base + suffix)
                lines[base] += strays if suffix != "_bucket" else []


@lru_cache(_HEADERS_KEPT)
def _header(name: str, kind: Kind, help_text: str, openmetrics: bool) -> bytes:
    """OpenMetrics names a counter's family without `_total`, and allows none that lacks it: DCGM's are unknown."""
    if openmetrics:
        if kind == "counter":
            name, kind = (name.removesuffix("_total"), kind) if name.endswith("_total") else (name, "unknown")
        return f"# HELP {name} {escape_label(help_text)}\n# TYPE {name} {kind}\n".encode()
    escaped = help_text.replace("\\", "\\\\").replace("\n", "\\n")
    return f"# HELP {name} {escaped}\n# TYPE {name} {_TEXT_KINDS.get(kind, kind)}\n".encode()
