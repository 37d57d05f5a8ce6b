"""Values as people read them. Units go by the names that Grafana gives them; an unknown one is written as a suffix."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

__all__ = ["Scale", "scale_for", "text"]


@dataclass(frozen=True, slots=True)
class Scale:
    """How a unit writes values of one size: `value / divisor` between `prefix` and `suffix`."""

    divisor: float = 1.0
    suffix: str = ""
    prefix: str = ""


def _ladder(*steps: tuple[float, str], prefix: str = "") -> tuple[Scale, ...]:
    return tuple(Scale(divisor, suffix, prefix) for divisor, suffix in steps)


def _decimal(suffix: str) -> tuple[Scale, ...]:
    return _ladder((1, suffix), *((1000.0**n, f" {letter}{suffix.strip()}") for n, letter in enumerate("kMGT", 1)))


def _binary(suffix: str, first: int = 0) -> tuple[Scale, ...]:
    names = ("", "Ki", "Mi", "Gi", "Ti", "Pi")[first:]
    return _ladder(*((1024.0**n, f" {name}{suffix}") for n, name in enumerate(names)))


_SECONDS = ((1e-9, " ns"), (1e-6, " µs"), (1e-3, " ms"), (1, " s"), (60, " min"), (3600, " h"), (86400, " d"))

_UNITS: Mapping[str, tuple[Scale, ...]] = MappingProxyType(
    {
        "": _ladder((1, "")),
        "none": _ladder((1, "")),
        "string": _ladder((1, "")),
        "short": _ladder((1, ""), (1e3, " k"), (1e6, " M"), (1e9, " G"), (1e12, " T")),
        "percent": _ladder((1, " %")),
        "percentunit": _ladder((0.01, " %")),
        "s": _ladder(*_SECONDS),
        "ms": _ladder(*((divisor * 1e3, name) for divisor, name in _SECONDS)),
        "dtdurations": _ladder(*_SECONDS),
        "bytes": _binary("B"),
        "mbytes": _binary("B", first=2),
        "decbytes": _decimal(" B"),
        "Bps": _decimal(" B/s"),
        "binBps": _binary("B/s"),
        "bps": _decimal(" bit/s"),
        "reqps": _ladder((1, " req/s"), (1e3, "k req/s")),
        "ops": _ladder((1, " ops/s"), (1e3, "k ops/s")),
        "cps": _ladder((1, " /s"), (1e3, "k /s")),
        "hertz": _decimal(" Hz"),
        "mhertz": _ladder((1, " MHz"), (1e3, " GHz")),
        "rothz": _decimal(" Hz"),
        "watt": _ladder((1e-3, " mW"), (1, " W"), (1e3, " kW"), (1e6, " MW")),
        "joule": _decimal(" J"),
        "celsius": _ladder((1, " °C")),
        "currencyUSD": _ladder((1, ""), (1e3, " k"), (1e6, " M"), prefix="$"),
        "currencyEUR": _ladder((1, ""), (1e3, " k"), (1e6, " M"), prefix="€"),
    }
)
_MILLISECONDS = 1e3
_TRUE_OR_FALSE: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"bool": ("true", "false"), "bool_yes_no": ("yes", "no"), "bool_on_off": ("on", "off")}
)


def scale_for(unit: str, magnitude: float) -> Scale:
    """Return the scale in which a unit writes values up to this magnitude: seconds up to 0.2 as milliseconds."""
    ladder = _UNITS.get(unit) or _custom(unit)
    size = abs(magnitude)
    if size == 0 or not math.isfinite(size):
        return min(ladder, key=lambda scale: abs(math.log(scale.divisor)))
    # A hair above the bound counts as the bound: 0.001 s has more digits in binary than anyone meant.
    return ladder[max(0, bisect_right([scale.divisor for scale in ladder], size * (1 + 1e-9)) - 1)]


def _custom(unit: str) -> tuple[Scale, ...]:
    """A unit of the caller's own: `suffix:tok`, `prefix:#`, `currency:CHF`, or `count:tok` with k, M and G."""
    kind, _, name = unit.partition(":")
    match kind:
        case "suffix" if name:
            return (Scale(suffix=f" {name}"),)
        case "prefix" | "currency" if name:
            return (Scale(prefix=name),)
        case "count" | "si" if name:
            return _decimal(f" {name}")
        case _:
            return (Scale(suffix=f" {unit}"),)


def text(value: float | None, unit: str = "", decimals: int | None = None) -> str:
    """Return a value as a person reads it: (0.0123, "s") is "12.3 ms"; a missing one is an en dash."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if unit in _TRUE_OR_FALSE:
        yes, no = _TRUE_OR_FALSE[unit]
        return yes if value else no
    if unit.startswith(("dateTime", "time:")):
        return _moment(value / _MILLISECONDS)
    scale = scale_for(unit, value)
    number = _number(abs(value) / scale.divisor, decimals)
    return f"{'−' if value < 0 else ''}{scale.prefix}{number}{scale.suffix}"


def _number(size: float, decimals: int | None) -> str:
    """Three digits that mean something, whole numbers whole, thousands apart."""
    if decimals is not None:
        return f"{size:,.{decimals}f}"
    if size >= 100 or size == 0:
        return f"{size:,.0f}"
    places = max(0, 2 - math.floor(math.log10(size)))
    shown = f"{size:.{places}f}" if places < 7 else f"{size:.2e}"
    return shown.rstrip("0").rstrip(".") if "." in shown and "e" not in shown else shown


def _moment(unix_seconds: float) -> str:
    try:
        return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, OSError, ValueError):
        return f"{unix_seconds:g} s since 1970"
