"""Variables and macros, put into queries as Grafana puts them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dashboards.preview.board_json import BoardJson, Variable

__all__ = ["ALL", "Choice", "Period", "Scope", "choosable", "chosen", "durations"]

ALL = "All"
_REFERENCE = re.compile(
    r"\$\{(?P<braced>\w+)(?:\.\w+)?(?::(?P<format>\w+))?\}|\$(?P<plain>\w+)|\[\[(?P<old>\w+)(?::\w+)?\]\]"
)
_SPECIAL = re.compile(r"[$^*{}\[\]'+?.()|]")
_MANY = 240
_GRAFANAS_ALL = "$__all"


@dataclass(frozen=True, slots=True)
class Period:
    """From when to when, in unix seconds on a grid of whole steps."""

    start: int
    end: int
    step: int

    @classmethod
    def of(cls, end: float, seconds: float) -> Period:
        """Return the period of this length that ends here, in about 240 steps, its ends rounded down to steps."""
        step = max(1, -(-round(seconds) // _MANY))
        last = int(end // step) * step
        return cls(last - max(1, round(seconds / step)) * step, last, step)

    @property
    def seconds(self) -> int:
        """The length."""
        return self.end - self.start

    @property
    def times(self) -> tuple[float, ...]:
        """The grid, both ends included."""
        return tuple(float(time) for time in range(self.start, self.end + 1, self.step))


@dataclass(frozen=True, slots=True)
class Choice:
    """What a variable stands for: values, or everything by `pattern`. A `multi` one stands in a regular expression."""

    values: tuple[str, ...]
    pattern: str = ""
    multi: bool = False

    def __str__(self) -> str:
        return ALL if self.pattern else ", ".join(self.values)


@dataclass(frozen=True, slots=True)
class Scope:
    """All that a query's text may refer to."""

    choices: Mapping[str, Choice]
    macros: Mapping[str, str] = field(default_factory=dict)

    def query(self, text: str) -> str:
        """Replace every reference to a variable or macro by what a query needs; what is unknown stays."""
        return _REFERENCE.sub(lambda match: self._value(match, _written), text)

    def words(self, text: str) -> str:
        """Replace every reference by what a person reads: All, or the values."""
        return _REFERENCE.sub(lambda match: self._value(match, lambda choice, _: str(choice)), text)

    def _value(self, match: re.Match[str], written: Callable[[Choice, str], str]) -> str:
        name = match["braced"] or match["plain"] or match["old"]
        if name in self.macros:
            return self.macros[name]
        choice = self.choices.get(name)
        return match[0] if choice is None else written(choice, match["format"] or "")


def chosen(board: BoardJson, wanted: Mapping[str, tuple[str, ...]]) -> dict[str, Choice]:
    """Return each variable's choice: what is wanted, else everything, else its current value."""
    return {variable.name: _choice(variable, wanted.get(variable.name, ())) for variable in choosable(board)}


def choosable(board: BoardJson) -> list[Variable]:
    """Return the variables that queries refer to; a data source is not one."""
    return [variable for variable in board.templating.list if variable.type != "datasource"]


def durations(period: Period, scrape_seconds: int) -> dict[str, str]:
    """Return the macros that say how long something is, as Grafana works them out."""
    rate = max(period.step + scrape_seconds, 4 * scrape_seconds)
    return {
        "__interval": f"{period.step}s",
        "__interval_ms": str(period.step * 1000),
        "__rate_interval": f"{rate}s",
        "__range": f"{period.seconds}s",
        "__range_s": str(period.seconds),
        "__range_ms": str(period.seconds * 1000),
        "__from": str(period.start * 1000),
        "__to": str(period.end * 1000),
    }


def _choice(variable: Variable, wanted: tuple[str, ...]) -> Choice:
    multi = variable.multi or variable.include_all
    if wanted and wanted != (ALL,):
        return Choice(wanted, multi=multi)
    if variable.include_all:
        return Choice((), variable.all_value or ".+", multi=True)
    current = variable.current.value
    values = tuple(str(one) for one in (current if isinstance(current, list) else [current]) if one is not None)
    if variable.type in ("constant", "textbox", "interval", "custom") and not "".join(values):
        query = variable.query if isinstance(variable.query, str) else ""
        values = (query.split(",")[0].strip(),)
    if values in ((_GRAFANAS_ALL,), ()):
        return Choice((), ".*", multi=True)
    return Choice(values, multi=multi)


def _written(choice: Choice, form: str) -> str:
    if choice.pattern:
        return choice.pattern
    match form:
        case "raw" | "text" | "csv":
            return ",".join(choice.values)
        case "pipe":
            return "|".join(choice.values)
    if not choice.multi and form != "regex":
        return ",".join(one.replace("\\", "\\\\").replace('"', '\\"') for one in choice.values)
    escaped = [_escaped(one) for one in choice.values]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def _escaped(value: str) -> str:
    """A value as itself in a regular expression that stands in a string."""
    slashes = value.replace("\\", "\\\\\\\\")
    return _SPECIAL.sub(lambda match: "\\\\" + match[0], slashes).replace('"', '\\"')
