"""Reading a settings file: YAML into frozen, typed structures, refused in one line that names the file and the key."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

__all__ = ["Part", "SettingsError", "read", "readable"]

_Settings = TypeVar("_Settings")


class SettingsError(Exception):
    """Settings that cannot be used; the message is one line that names the file and the key."""


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A mapping of a settings file; an unknown key in it is an error."""


def read(path: Path, kind: type[_Settings]) -> _Settings:
    """Read a YAML file as `kind`; an empty file is an empty mapping.

    Raises SettingsError for a file that cannot be read, is no YAML, or holds what `kind` does not allow.
    """
    import yaml

    try:
        loaded = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, IndexError, RecursionError) as error:
        # The last three come from PyYAML's own reading of odd dates, numbers and nestings.
        raise SettingsError(f"{path}: no YAML: {' '.join(str(error).split())}") from error
    for key in _not_finite(loaded):
        raise SettingsError(f"{path}: {key}: infinity and not-a-number are no settings")
    try:
        return msgspec.convert({} if loaded is None else loaded, kind)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{path}: {readable(str(error))}") from error


def _not_finite(value: object, key: str = "") -> Iterator[str]:
    """The keys of numbers that no bound can be checked against."""
    if isinstance(value, float) and not math.isfinite(value):
        yield key
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _not_finite(item, f"{key}.{name}".lstrip("."))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _not_finite(item, f"{key}[{number}]")


def readable(message: str) -> str:
    """msgspec's message with the key first: "Expected `int` - at `$.a`" -> "a: Expected `int`"."""
    text, found, place = message.partition(" - at `$")
    return f"{place.rstrip('`').lstrip('.')}: {text}" if found else text
