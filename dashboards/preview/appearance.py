"""Names, colours and words of values, as a panel's JSON asks for them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from charts.blocks import Threshold
from dashboards.preview.board_json import Field

__all__ = ["css_colour", "fixed_colour", "legend", "lines", "mapped", "state_colour"]

_PLACEHOLDER = re.compile(r"\{\{\s*([^{}\s]+)\s*\}\}")
_SHADES = ("semi-dark-", "super-light-", "dark-", "light-")
_NAMED: Mapping[str, str] = MappingProxyType(
    {
        "green": "#009E73",
        "yellow": "#C9A800",
        "orange": "#E69F00",
        "red": "#D55E00",
        "blue": "#0072B2",
        "purple": "#CC79A7",
        "gray": "#8A8A8A",
        "grey": "#8A8A8A",
        "white": "",
        "text": "",
        "transparent": "",
    }
)


def css_colour(name: str) -> str:
    """Return a colour of Grafana for a page: its names become the colours that everybody can tell apart."""
    if name in _NAMED:
        return _NAMED[name]
    for shade in _SHADES:
        if name.startswith(shade):
            return _NAMED.get(name.removeprefix(shade), name)
    return name


def legend(template: str, labels: Mapping[str, str]) -> str:
    """Return a series' name: `{{label}}` filled in, or what Prometheus calls it."""
    if template and template != "__auto":
        return _PLACEHOLDER.sub(lambda match: labels.get(match[1], ""), template).strip() or _own_name(labels)
    return _own_name(labels)


def fixed_colour(field: Field) -> str:
    """Return the one colour that a field always has, "" when it has none."""
    return css_colour(field.color.fixed_color) if field.color.mode in ("fixed", "shades") else ""


def state_colour(field: Field, value: float | None) -> str:
    """Return the colour of a value: a mapping's, the field's own, or that of the threshold it has reached."""
    colour = _mapping(field, value).get("color", "")
    if colour:
        return css_colour(str(colour))
    if field.color.mode not in ("", "thresholds"):
        return fixed_colour(field)
    if value is None or math.isnan(value):
        return ""
    steps = field.thresholds.steps
    reached = [step.color for step in steps if step.value is None or value >= _bound(field, step.value)]
    return css_colour(reached[-1]) if reached else ""


def mapped(field: Field, value: float | None) -> str:
    """Return the words that stand for a value, "" where the number itself stands."""
    return str(_mapping(field, value).get("text", ""))


def lines(field: Field) -> tuple[Threshold, ...]:
    """Return the thresholds that a time series draws as lines."""
    if field.custom.thresholds_style.mode in ("", "off"):
        return ()
    return tuple(
        Threshold(_bound(field, step.value), css_colour(step.color))
        for step in field.thresholds.steps
        if step.value is not None
    )


def _bound(field: Field, value: float) -> float:
    """A threshold's value; a percentage is one of the way between the field's bounds."""
    if field.thresholds.mode != "percentage":
        return value
    low, high = field.min or 0.0, field.max if field.max is not None else 100.0
    return low + (high - low) * value / 100


def _own_name(labels: Mapping[str, str]) -> str:
    rest = ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items()) if name != "__name__")
    return f"{labels.get('__name__', '')}{{{rest}}}" if rest else labels.get("__name__", "") or "value"


def _mapping(field: Field, value: float | None) -> Mapping[str, Any]:
    """The result (`text`, `color`) of the first mapping that a value falls under."""
    for mapping in field.mappings:
        found = _result(mapping.type, mapping.options, value)
        if isinstance(found, Mapping):
            return found
    return {}


def _result(kind: str, options: Mapping[str, Any], value: float | None) -> object:
    match kind:
        case "value" if value is not None and math.isfinite(value):
            return options.get(f"{value:g}")
        case "range" if value is not None and _within(value, options.get("from"), options.get("to")):
            return options.get("result")
        case "special" if _is_special(value, str(options.get("match", ""))):
            return options.get("result")
        case _:
            return None


def _within(value: float, low: object, high: object) -> bool:
    return (not isinstance(low, int | float) or value >= low) and (not isinstance(high, int | float) or value <= high)


def _is_special(value: float | None, match: str) -> bool:
    is_nan = value is not None and math.isnan(value)
    return (value is None and match in ("null", "null+nan", "empty")) or (is_nan and match in ("nan", "null+nan"))
