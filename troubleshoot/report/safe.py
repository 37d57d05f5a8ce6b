"""The last gate before print: every text of a diagnosis is cleaned and redacted, whoever made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any, TypeVar, cast

from troubleshoot.findings import Diagnosis
from troubleshoot.redact import MASK, clean, is_secret_name, redact

T = TypeVar("T")


def safe(diagnosis: Diagnosis) -> Diagnosis:
    """The same diagnosis with every text passed through `clean` and `redact`.

    Evidence should come cleaned already; this holds even when a cause forgets it. A setting whose name says
    that it holds a secret loses its value.
    """
    diagnosis = safe_data(diagnosis)
    settings = {
        name: MASK if is_secret_name(name) and value not in (None, "", True, False) else value
        for name, value in diagnosis.engine.settings.items()
    }
    findings = tuple(
        replace(
            finding,
            fixes=tuple(
                replace(fix, from_value=MASK) if is_secret_name(fix.setting) and fix.from_value else fix
                for fix in finding.fixes
            ),
        )
        for finding in diagnosis.findings
    )
    return replace(diagnosis, engine=replace(diagnosis.engine, settings=settings), findings=findings)


def safe_data(value: T) -> T:
    """A copy of plain data (dataclasses, tuples, mappings, scalars) with its texts made safe."""
    if isinstance(value, str) and not isinstance(value, Enum):
        return cast(T, redact(clean(value)))
    if isinstance(value, tuple):
        return cast(T, tuple(safe_data(item) for item in value))
    if isinstance(value, Mapping):
        return cast(T, {clean(key): safe_data(item) for key, item in value.items()})
    if is_dataclass(value) and not isinstance(value, type):
        changed: dict[str, Any] = {field.name: safe_data(getattr(value, field.name)) for field in fields(value)}
        return cast(T, replace(value, **changed))
    return value
