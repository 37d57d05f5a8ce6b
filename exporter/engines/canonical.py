"""What an engine's raw series mean: to the canonical schema, or passed through as they are."""

from __future__ import annotations

import re
from collections.abc import Mapping

from catalog.engines.base import EngineCatalog
from catalog.exposition import base_name
from catalog.translate import Route, Translator
from exporter.exposition import Family, Kind
from exporter.signal_families import signal_family

__all__ = ["CanonicalSeries", "RawSeries"]

_OURS = ("llm_", "inferwatch_", "DCGM_")
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_KINDS: Mapping[str, Kind] = {
    "gauge": "gauge",
    "counter": "counter",
    "histogram": "histogram",
    "summary": "summary",
}


class CanonicalSeries:
    """Leads raw series of one engine to the canonical schema; a product's factors are kept between scrapes."""

    def __init__(self, engine: EngineCatalog, version: str) -> None:
        self._translator = Translator(engine, version)

    def routes(self, name: str, labels: Mapping[str, str]) -> tuple[Route, ...]:
        """Return the canonical series that a raw one feeds."""
        return self._translator.routes(name, labels)

    def product(self, route: Route, value: float) -> float | None:
        """Return the product of which `value` is one factor, or None while others are unknown."""
        return self._translator.product(route, value)

    def family(self, sample_name: str) -> Family:
        """Return the canonical family."""
        return signal_family(sample_name)

    def comment(self, line: bytes) -> None:
        """Canonical kinds and help are the catalogue's."""


class RawSeries:
    """Passes raw series through. A label that the exporter sets itself is kept as `exported_...`, as Prometheus does.

    Names of the canonical schema and of GPU fields are left out: an engine must not speak for the exporter.
    """

    def __init__(self, place: Mapping[str, str]) -> None:
        self._place = place
        self._kinds: dict[str, Kind] = {}
        self._helps: dict[str, str] = {}
        self._families: dict[str, Family] = {}

    def routes(self, name: str, labels: Mapping[str, str]) -> tuple[Route, ...]:
        """Return the series itself, with colliding labels renamed."""
        if name.startswith(_OURS) or not _NAME.fullmatch(name) or not all(map(_LABEL.fullmatch, labels)):
            return ()
        renamed = {f"exported_{label}" if label in self._place else label: value for label, value in labels.items()}
        if len(renamed) != len(labels):
            return ()
        return (Route(name, renamed, (name, tuple(labels.items()))),)

    def product(self, route: Route, value: float) -> float | None:
        """Nothing raw is a product."""
        return value

    def family(self, sample_name: str) -> Family:
        """Return the family as the engine declared it; unknown without a declaration."""
        declared = self._declared(sample_name)
        return self._families.setdefault(declared.name, declared)

    def _declared(self, sample_name: str) -> Family:
        for name in (sample_name, base_name(sample_name), sample_name.removesuffix("_total")):
            kind = self._kinds.get(name)
            if kind is not None and (name == sample_name or kind in {"histogram", "summary", "counter"}):
                own = sample_name if kind == "counter" else name
                return Family(own, kind, self._helps.get(name, ""))
        return Family(sample_name, "unknown", "")

    def comment(self, line: bytes) -> None:
        """Learn a family's kind and help."""
        words = line.decode("utf-8", "replace").split(None, 3)
        if len(words) < 4 or words[0] != "#":
            return
        if words[1] == "TYPE":
            self._kinds[words[2]] = _KINDS.get(words[3].strip(), "unknown")
        elif words[1] == "HELP":
            self._helps[words[2]] = words[3]
