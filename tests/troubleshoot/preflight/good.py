"""A correct manifest as parsed objects, to be changed by a test."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from troubleshoot.preflight import Options, Result, preflight
from troubleshoot.preflight.objects import objects_of

Manifest = dict[str, Any]
FOLDER = Path(__file__).parent / "manifests" / "corrected"


@cache
def _loaded(name: str) -> tuple[Manifest, ...]:
    return tuple(yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8")))


def good(name: str = "vllm-chat.yaml") -> dict[str, Manifest]:
    """The objects of a correct manifest by kind, each a copy."""
    return {item["kind"]: copy.deepcopy(item) for item in _loaded(name)}


def pod(objects: dict[str, Manifest], kind: str = "Deployment") -> Manifest:
    spec: Manifest = objects[kind]["spec"]["template"]["spec"]
    return spec


def engine(objects: dict[str, Manifest], kind: str = "Deployment") -> Manifest:
    container: Manifest = pod(objects, kind)["containers"][0]
    return container


def argument(objects: dict[str, Manifest], flag: str, value: str | None) -> None:
    """Replace an argument of the engine, or take it out."""
    container = engine(objects)
    container["args"] = [word for word in container["args"] if word.split("=")[0] != flag]
    if value is not None:
        container["args"].append(f"{flag}={value}" if value else flag)


def judged(objects: dict[str, Manifest], options: Options | None = None) -> Result:
    """What preflight says of parsed objects, as an API server would give them."""
    return preflight([item for value in objects.values() for item in objects_of(value)], options)


def found(objects: dict[str, Manifest], options: Options | None = None) -> set[tuple[str, str]]:
    """(check, severity) of everything that is found."""
    return {(each.check, each.severity.label) for each in judged(objects, options).findings}


def message(objects: dict[str, Manifest], check: str) -> str:
    """The one finding of a check, with its fixes."""
    (only,) = (each for each in judged(objects).findings if each.check == check)
    return f"{only.title} | {only.message} | {only.fixes}"


def not_checked(objects: dict[str, Manifest], check: str) -> str:
    """What a check that could not be made needs."""
    (only,) = (each.needs for each in judged(objects).not_checked if each.check == check)
    return only
