"""Which command line flags and environment variables an engine has, by release.

Advice must never name a flag that the running version lacks. vLLM and SGLang were read from their PyPI source
distributions (every `add_argument` and every dataclass-driven flag in the server's argument modules, and the
`environment_variables` table of `vllm/envs.py`); `releases_read` in the data files lists the releases.
A release between two that were read is answered only where both neighbours agree. The other engines' tables
are short lists of the flags that the advice and the runbooks use (see `catalog.flags.others`).
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from catalog.flags.others import OTHER_ENGINES

Version = tuple[int, ...]

_RELEASE = re.compile(r"v?(\d+(?:\.\d+)*)(?:\.post(\d+))?")
_READ_FROM_SOURCE = ("vllm", "sglang")


@dataclass(frozen=True, slots=True)
class FlagRange:
    """First and last release read with the flag; `until` is None where the newest one read still has it."""

    since: str
    until: str | None


@dataclass(frozen=True, slots=True)
class FlagTable:
    """All flags and environment variables of one engine; `releases_read` is in ascending order."""

    releases_read: tuple[str, ...]
    flags: Mapping[str, FlagRange]
    environment: Mapping[str, FlagRange]


@cache
def flag_table(engine: str) -> FlagTable:
    """The table of "vllm" or "sglang". Raises KeyError for an engine whose source was not read."""
    if engine not in _READ_FROM_SOURCE:
        raise KeyError(engine)
    import json

    raw = json.loads(Path(__file__).with_name(f"{engine}.json").read_text(encoding="utf-8"))
    return FlagTable(
        releases_read=tuple(raw["releases_read"]),
        flags=_ranges(raw["flags"]),
        environment=_ranges(raw.get("environment", {})),
    )


def vllm_flag(flag: str) -> FlagRange | None:
    """The releases of vLLM that have this flag; None if no release read has it.

    Takes the flag as people write it: `--max_model_len`, `--port=8000` and `--compilation-config.mode` are
    understood as `--max-model-len`, `--port` and `--compilation-config`.
    """
    return flag_table("vllm").flags.get(normalised(flag))


def vllm_env(name: str) -> FlagRange | None:
    """The releases of vLLM whose `envs.py` lists this environment variable; None if none does.

    Variables that other libraries read (`NCCL_*`, `PYTORCH_CUDA_ALLOC_CONF`) are not there.
    """
    return flag_table("vllm").environment.get(name)


def flag_exists(engine: str, flag: str, version: str) -> bool | None:
    """Whether this version of the engine has the flag; None where that is not known.

    Not known: an engine without a table, a version that is unreadable or outside the releases read, or one
    that lies between two releases read of which only one has the flag. For the short tables (TGI, llama.cpp,
    TensorRT-LLM, Triton) a listed flag is True and any other None, whatever the version.
    """
    if engine in OTHER_ENGINES:
        return True if normalised(flag) in map(normalised, OTHER_ENGINES[engine].flags) else None
    if engine not in _READ_FROM_SOURCE:
        return None
    wanted = parse_version(version)
    if wanted is None:
        return None
    table = flag_table(engine)
    read = [release for text in table.releases_read if (release := parse_version(text)) is not None]
    before, after = bisect_right(read, wanted) - 1, bisect_left(read, wanted)
    if before < 0 or after == len(read):
        return None
    flag_range = table.flags.get(normalised(flag))
    answers = {_covers(flag_range, read[index]) for index in (before, after)}
    return answers.pop() if len(answers) == 1 else None


def normalised(flag: str) -> str:
    """The flag without its value and sub-key and with dashes: `--max_model_len=8` is `--max-model-len`."""
    name = flag.strip().split("=", 1)[0].split(".", 1)[0]
    return name.replace("_", "-") if name.startswith("--") else name


@cache
def parse_version(text: str) -> Version | None:
    """The numbers of a release: "0.10.2rc1+cu128" is (0, 10, 2, 0); the last number counts post releases."""
    match = _RELEASE.match(text.strip())
    if match is None:
        return None
    numbers = [int(part) for part in match[1].split(".")][:3]
    return (*numbers, *[0] * (3 - len(numbers)), int(match[2] or 0))


def _covers(flag_range: FlagRange | None, release: Version) -> bool:
    if flag_range is None:
        return False
    since, until = parse_version(flag_range.since), parse_version(flag_range.until or "")
    return since is not None and since <= release and (until is None or release <= until)


def _ranges(raw: Mapping[str, list[str | None]]) -> Mapping[str, FlagRange]:
    return MappingProxyType({name: FlagRange(since or "", until) for name, (since, until) in raw.items()})
