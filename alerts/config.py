"""The rules' configuration: frozen, typed, checked whole before a file is written.

Every key has a default, so no file is needed. What a user keeps is small: the models that should be there, the SLOs
that differ from the default, prices (`slo.yaml`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from alerts.durations import Duration
from alerts.prices import DEFAULT_PRICES, SPOT_LABELS, Price, SpotLabel
from alerts.slo import BurnWindow, Objective, SloName, problems, window_problems
from alerts.thresholds import Thresholds
from catalog.engines import ENGINES
from catalog.settings import Part, SettingsError, read

__all__ = ["EXAMPLE_DOMAIN", "Config", "Links", "Model", "Slos", "load"]

EXAMPLE_DOMAIN = ".example/"
_DURATION_REGEX = re.compile(r"Expected `str` matching regex '\^\(\?=\[1-9\]\).*'$")
# Python's expressions can do what RE2, Prometheus's, refuses.
_NOT_RE2 = re.compile(r"\(\?<?[=!]|\\[1-9]")
_URL = Annotated[str, Meta(pattern=r"^https?://[^\s]+/$")]


class Links(Part, frozen=True):
    """Where alerts lead: both end with a slash. `runbooks` holds a page an alert, `dashboards` is Grafana's root."""

    runbooks: _URL = "https://runbooks.example/alerts/"
    dashboards: _URL = "https://grafana.example/"


class Model(Part, frozen=True):
    """A model that should be served: its absence is an alert, which nothing that is absent can raise by itself.

    `cold_start_seconds` is how long it may load, where that differs from the threshold for all.
    """

    name: Annotated[str, Meta(min_length=1)]
    namespace: str = ""
    engine: str = ""
    cold_start_seconds: Annotated[float, Meta(gt=0)] | None = None


class Slos(Part, frozen=True):
    """Objectives, and the windows over which their budgets are watched.

    `default` holds for every model; an entry of `objectives` replaces it for one model. `windows` are those of Google's
    SRE workbook for 30 days: pages at 2 % of the budget in an hour and 5 % in six, tickets at 10 % in one and three
    days. An SLO on time per output token opens tickets only: it is felt, but nobody is cut off.
    """

    period: Duration = "30d"
    default: tuple[Objective, ...] = (
        Objective(slo="availability", target=0.999),
        Objective(slo="time_to_first_token", target=0.99, seconds=1.0),
        Objective(slo="time_per_output_token", target=0.99, seconds=0.1),
    )
    objectives: tuple[Objective, ...] = ()
    windows: tuple[BurnWindow, ...] = (
        BurnWindow(long="1h", short="5m", budget_share=0.02, severity="critical", pending="2m"),
        BurnWindow(long="6h", short="30m", budget_share=0.05, severity="critical", pending="15m"),
        BurnWindow(long="1d", short="2h", budget_share=0.1, severity="warning", pending="1h"),
        BurnWindow(long="3d", short="6h", budget_share=0.1, severity="warning", pending="3h"),
    )
    floor_requests: Annotated[
        float,
        Meta(ge=1, description="Of fewer requests than these in the long window, one bad one would wake somebody."),
    ] = 100

    def windows_of(self, slo: SloName) -> tuple[BurnWindow, ...]:
        """Return the windows that watch an SLO: none if nothing is aimed at."""
        if all(objective.slo != slo for objective in (*self.default, *self.objectives)):
            return ()
        if slo == "time_per_output_token":
            return tuple(window for window in self.windows if window.severity != "critical")
        return self.windows


class Config(Part, frozen=True):
    """Everything that the rules are made from."""

    links: Links = Links()
    models: tuple[Model, ...] = ()
    slos: Slos = Slos()
    thresholds: Thresholds = Thresholds()
    prices: tuple[Price, ...] = DEFAULT_PRICES
    spot_labels: tuple[SpotLabel, ...] = SPOT_LABELS
    interval: Duration = "30s"


def load(path: Path | None) -> Config:
    """Read and check a YAML file; None gives the defaults.

    Raises SettingsError with one line that names the file and the key.
    """
    if path is None:
        return Config()
    try:
        config = read(path, Config)
    except SettingsError as error:
        said = _DURATION_REGEX.sub("Expected a duration such as 90s, 5m, 1h30m or 3d", str(error))
        raise SettingsError(said) from error
    for key, text in _problems(config):
        raise SettingsError(f"{path}: {key}: {text}")
    return config


def _problems(config: Config) -> Iterator[tuple[str, str]]:
    """Yield the key and the text of all that is wrong, the first first."""
    names = [model.name for model in config.models]
    for number, model in enumerate(config.models):
        if model.engine and model.engine not in ENGINES:
            yield f"models[{number}].engine", f"{model.engine!r} is none of {', '.join(ENGINES)}"
        if (model.name, model.namespace) in [(other.name, other.namespace) for other in config.models[:number]]:
            yield f"models[{number}].name", f"{model.name!r} is there twice"
    for number, window in enumerate(config.slos.windows):
        for problem in window_problems(window):
            yield f"slos.windows[{number}].{problem.key}", problem.text
    for part, objectives in (("default", config.slos.default), ("objectives", config.slos.objectives)):
        for number, objective in enumerate(objectives):
            where = f"slos.{part}[{number}]"
            yield from ((f"{where}.{key}", text) for key, text in _misplaced(part, objective, names))
            served = _with_engine(objective, config.models)
            for problem in problems(served, config.slos.windows_of(objective.slo), config.slos.period):
                yield f"{where}.{problem.key}", problem.text
    yield from _repeated(config.slos)
    yield from _bad_prices(config.prices)


def _with_engine(objective: Objective, models: tuple[Model, ...]) -> Objective:
    """The objective with the engine that its model is said to run on, for what depends on the engine."""
    engines = {model.engine for model in models if model.name == objective.model}
    if objective.engine or len(engines) != 1:
        return objective
    return msgspec.structs.replace(objective, engine=engines.pop())


def _misplaced(part: str, objective: Objective, names: list[str]) -> Iterator[tuple[str, str]]:
    if objective.engine and objective.engine not in ENGINES:
        yield "engine", f"{objective.engine!r} is none of {', '.join(ENGINES)}"
    if part == "default":
        if objective.model or objective.namespace:
            yield "model", "the default is for all models; put this one under slos.objectives"
    elif not objective.model:
        yield "model", "name the model, or put this one under slos.default"
    elif objective.model not in names:
        known = f"known are {', '.join(sorted(set(names)))}" if names else "there are none"
        yield "model", f"{objective.model!r} is not under models; {known}"


def _repeated(slos: Slos) -> Iterator[tuple[str, str]]:
    for part, objectives in (("default", slos.default), ("objectives", slos.objectives)):
        seen: set[tuple[str, str, str, str]] = set()
        for number, objective in enumerate(objectives):
            identity = (objective.slo, objective.model, objective.namespace, objective.engine)
            if identity in seen:
                yield f"slos.{part}[{number}].slo", f"{objective.slo} is there twice for the same models"
            seen.add(identity)


def _bad_prices(prices: tuple[Price, ...]) -> Iterator[tuple[str, str]]:
    for number, price in enumerate(prices):
        try:
            re.compile(price.gpu)
        except re.error as error:
            yield f"prices[{number}].gpu", f"{price.gpu!r} is no regular expression: {error}"
        if _NOT_RE2.search(price.gpu):
            yield f"prices[{number}].gpu", f"{price.gpu!r}: Prometheus's expressions know no look-around and no \\1"


def reason(part: type[msgspec.Struct], name: str) -> str:
    """Return why a threshold has its value: the description of its field."""
    for item in msgspec.inspect.type_info(part).fields:  # type: ignore[attr-defined]
        if item.name == name:
            return str((getattr(item.type, "extra_json_schema", None) or {}).get("description", ""))
    raise KeyError(name)
