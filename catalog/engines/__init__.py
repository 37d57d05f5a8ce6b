"""The engines' catalogues, loaded on demand, and the recognition of an engine by its metric names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from types import MappingProxyType

from catalog.engines.base import EngineCatalog, Fingerprint
from catalog.engines.fingerprints import FINGERPRINTS

__all__ = ["ENGINES", "recognise", "recognise_all"]

_MODULES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "triton": ("triton", "TRITON"),
        "vllm": ("vllm", "VLLM"),
        "sglang": ("sglang", "SGLANG"),
        "tgi": ("tgi", "TGI"),
        "llamacpp": ("llamacpp", "LLAMACPP"),
        "tensorrt_llm": ("tensorrt_llm", "TENSORRT_LLM"),
        "dynamo": ("dynamo", "DYNAMO"),
        "lmdeploy": ("lmdeploy", "LMDEPLOY"),
        "sglang_router": ("routers", "SGLANG_ROUTER"),
        "vllm_router": ("routers", "VLLM_ROUTER"),
        "kserve": ("kserve", "KSERVE"),
    }
)
_PARTS = ("_bucket", "_count", "_sum")


class _Engines(Mapping[str, EngineCatalog]):
    """Engine name -> catalogue; a module is imported when its engine is first asked for."""

    def __init__(self) -> None:
        self._loaded: dict[str, EngineCatalog] = {}

    def __getitem__(self, name: str) -> EngineCatalog:
        if name not in self._loaded:
            module, attribute = _MODULES[name]
            catalogue = getattr(import_module(f"catalog.engines.{module}"), attribute)
            assert isinstance(catalogue, EngineCatalog)  # noqa: S101 - the table above names only catalogues
            self._loaded[name] = catalogue
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in _MODULES

    def __iter__(self) -> Iterator[str]:
        return iter(_MODULES)

    def __len__(self) -> int:
        return len(_MODULES)


ENGINES: Mapping[str, EngineCatalog] = _Engines()


def recognise(names: Iterable[str]) -> EngineCatalog | None:
    """Return the engine that exposes these metric names, or None.

    `names` may be family or sample names. When several match (Triton with its vLLM backend), the one that
    runs the others wins; see `recognise_all`.
    """
    found = recognise_all(names)
    return found[0] if found else None


def recognise_all(names: Iterable[str]) -> tuple[EngineCatalog, ...]:
    """Return every engine whose fingerprint is among these metric names, the outermost server first."""
    present = set(names)
    present |= {name.removesuffix(part) for name in present for part in _PARTS if name.endswith(part)}
    return tuple(ENGINES[name] for name, fingerprint in FINGERPRINTS.items() if _matches(fingerprint, present))


def _matches(fingerprint: Fingerprint, present: set[str]) -> bool:
    if fingerprint.prefixes and any(name.startswith(fingerprint.prefixes) for name in present):
        return True
    return bool(fingerprint.names) and sum(name in present for name in fingerprint.names) >= fingerprint.needed
