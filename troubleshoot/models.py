"""Which model this is, from the name it is served under.

A served name is a path, a hub name or an alias. It names a shape only when every word of it is either the
known model's name or one that changes nothing ("instruct", "hf", a date); a fine-tune's own name gives None.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache

from troubleshoot.model_config import shape_from_config
from troubleshoot.model_shape import ModelShape
from troubleshoot.model_table import CONFIGS

__all__ = ["ModelShape", "known_shape", "parameters_from_name", "shape_from_config"]

_NEUTRAL_WORDS = frozenset(
    {"hf", "instruct", "chat", "it", "base", "pt", "dynamic", "bf16", "fp16", "float16", "bfloat16"}
    | {"quantized", "coder", "math", "thinking", "preview", "turbo", "latest", "qat"}
)
_QUANTIZATION_WORDS = {
    "fp8": "fp8",
    "awq": "awq",
    "gptq": "gptq",
    "int4": "int4",
    "w4a16": "int4",
    "quantized.w4a16": "int4",
    "4bit": "bitsandbytes",
    "bnb": "bitsandbytes",
    "int8": "int8",
    "w8a8": "int8",
    "quantized.w8a8": "int8",
    "nvfp4": "nvfp4",
    "fp4": "nvfp4",
}
# A release date (2407, 0528, 250718) or a longer context than the first release's (32k): the shape stays.
_DATE_OR_CONTEXT = re.compile(r"\d{4}|\d{6}|\d+k")
_VERSION = re.compile(r"v\d+(\.\d+)?")
_FAMILY_AND_NUMBER = re.compile(r"([a-z]+)-?(\d.*)")
# Before the number no letter, digit or dot ("a3b" of 30b-a3b is the active part, "4bit" is no size).
_SIZE = re.compile(r"(?<![a-z0-9.])(?:(\d+)x)?(\d+(?:\.\d+)?)([bm])(?![a-z0-9])")
_HUB_CACHE_FOLDER = "models--"


def known_shape(name: str) -> ModelShape | None:
    """Return the shape of a well-known model by the name it is served under, or None.

    Takes hub names, paths (also inside the hub's cache) and the usual spellings: "meta-llama/Llama-2-7b-hf",
    "/models/llama-2-7b", "llama3.1:8b". A quantization in the name ("-AWQ", "-FP8") is set on the shape.
    """
    for component in _components(name):
        words = _words(component)
        quantization = next((_QUANTIZATION_WORDS[word] for word in words if word in _QUANTIZATION_WORDS), None)
        for spelling in _spellings(words):
            key = _table_keys().get(spelling)
            if key is None:
                continue
            shape = _shape_of(key)
            return replace(shape, quantization=quantization) if quantization else shape
    return None


def parameters_from_name(name: str) -> float | None:
    """Return the parameter count that a name claims ("llama-7b": 7e9, "opt-125m": 1.25e8), or None.

    "8x7b" gives 56e9, an upper bound: experts share the attention (Mixtral 8x7B has 46.7e9).
    """
    for component in _components(name):
        if found := _SIZE.search(component):
            experts, size, unit = found.groups()
            return int(experts or 1) * float(size) * (1e9 if unit == "b" else 1e6)
    return None


def _components(name: str) -> Iterator[str]:
    """Yield the parts of a path from the last to the first, in the one spelling that is compared."""
    for part in reversed(name.lower().replace("\\", "/").split("/")):
        tail = part.rsplit("--", 1)[-1] if part.startswith(_HUB_CACHE_FOLDER) else part
        if tail:
            yield tail.replace("_", "-").replace(":", "-")


def _words(component: str) -> list[str]:
    """Split at hyphens, with "llama2-7b" and "qwen-2.5-7b" brought to one spelling first."""
    return [word for word in _canonical(component).split("-") if word]


def _canonical(component: str) -> str:
    trimmed = component.removeprefix("meta-")
    joined = _FAMILY_AND_NUMBER.fullmatch(trimmed)
    return f"{joined[1]}-{joined[2]}" if joined else trimmed


def _spellings(words: list[str]) -> Iterator[str]:
    """Yield the name as it stands, then with ever more of the words left out that do not change the shape."""
    yield "-".join(words)
    plain = [word for word in words if word not in _NEUTRAL_WORDS and word not in _QUANTIZATION_WORDS]
    yield "-".join(plain)
    undated = [word for word in plain if not _DATE_OR_CONTEXT.fullmatch(word)]
    yield "-".join(undated)
    yield "-".join(_without_versions(undated))


def _without_versions(words: Iterable[str]) -> list[str]:
    return [word for word in words if not _VERSION.fullmatch(word)]


@cache
def _table_keys() -> dict[str, str]:
    return {"-".join(_words(key)): key for key in CONFIGS}


@cache
def _shape_of(key: str) -> ModelShape:
    return shape_from_config(CONFIGS[key], name=key)
