"""Label and field selectors, as the API server understands them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def selected(labels: Mapping[str, str], selector: str) -> bool:
    """Label selectors: equality, sets, existence."""
    for term in re.split(r",(?![^(]*\))", selector) if selector else ():
        if match := re.fullmatch(r"\s*([\w./-]+)\s+(in|notin)\s+\(([^)]*)\)\s*", term):
            inside = labels.get(match[1]) in {value.strip() for value in match[3].split(",")}
            if inside != (match[2] == "in"):
                return False
        elif match := re.fullmatch(r"\s*([\w./-]+)\s*(==|=|!=)\s*([\w.-]*)\s*", term):
            if (labels.get(match[1]) == match[3]) != (match[2] != "!="):
                return False
        elif match := re.fullmatch(r"\s*(!?)([\w./-]+)\s*", term):
            if (match[2] in labels) == bool(match[1]):
                return False
        else:
            raise ValueError(term)
    return True


def fields_match(event: Mapping[str, Any], selector: str) -> bool:
    for term in selector.split(",") if selector else ():
        path, _, value = term.partition("=")
        found: Any = event
        for key in path.split("."):
            found = found.get(key, {}) if isinstance(found, dict) else {}
        if found != value:
            return False
    return True
