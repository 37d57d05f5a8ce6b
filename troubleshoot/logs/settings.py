"""The settings an engine was started with, read from its own start-up lines.

vLLM prints `args: Namespace(...)` (0.2 to 0.8) or `non-default args: {...}` (0.9 and later) and a long dump of its
configuration; SGLang prints `server_args=ServerArgs(...)`; launch scripts and shells leave command lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from troubleshoot.redact import is_secret_name

if TYPE_CHECKING:
    from troubleshoot.findings import SettingValue

_PAIR = re.compile(r"(?P<key>\b[a-z][a-z0-9_]{2,60})=(?P<value>'[^']*'|\"[^\"]*\"|\[[^\]]*\]|\{[^}]*\}|[^,()\s]+)")
_FLAG = re.compile(
    r"(?:^|[\s'\"\[,])--(?P<key>[a-zA-Z][\w.-]{1,60})"
    r"(?:[= ]+(?P<value>'[^']*'|\"[^\"]*\"|\{[^}]*\}|-\d+|[^\s\\'\",-][^\s\\'\",]*)"  # --key value
    r"|(?:'|\"),\s*(?:'|\")(?P<listed>[^'\"-][^'\"]*)|)"  # '--key', 'value'
)
_ENV = re.compile(r"\b(?P<key>[A-Z][A-Z0-9_]{3,40})=(?P<value>[^\s;'\"]+)")
_ENV_NAMES = {
    "MAX_MODEL_LEN": "max_model_len",
    "MAX_NUM_SEQS": "max_num_seqs",
    "MAX_NUM_BATCHED_TOKENS": "max_num_batched_tokens",
    "GPU_MEMORY_UTILIZATION": "gpu_memory_utilization",
}
_ALIASES = {
    "max_seq_len": "max_model_len",
    "context_length": "max_model_len",
    "tp_size": "tensor_parallel_size",
    "model_path": "model",
    "model_tag": "model",
    "tp": "tensor_parallel_size",
    "model_id": "model",
}
_CONFIG_KEYS = frozenset(
    [
        "model",
        "dtype",
        "max_seq_len",
        "tensor_parallel_size",
        "pipeline_parallel_size",
        "data_parallel_size",
        "quantization",
        "enforce_eager",
        "kv_cache_dtype",
        "enable_prefix_caching",
        "enable_chunked_prefill",
        "chunked_prefill_enabled",
        "served_model_name",
        "device_config",
        "load_format",
        "speculative_config",
        "disable_custom_all_reduce",
        "max_num_seqs",
        "block_size",
    ]
)


_NONE: Mapping[str, SettingValue] = MappingProxyType({})


class Settings(NamedTuple):
    """`given`: what the operator asked for; `effective`: what the engine says it runs with. Keys are snake_case."""

    given: Mapping[str, SettingValue] = _NONE
    effective: Mapping[str, SettingValue] = _NONE

    def get(self, key: str) -> SettingValue:
        """The value in force, as far as the log tells; None where it does not."""
        value = self.given.get(key)
        return value if value is not None else self.effective.get(key)

    def number(self, key: str) -> float | None:
        """`get` as a number."""
        value = self.get(key)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def is_true(self, key: str) -> bool:
        """True only where the setting is known and on."""
        return self.get(key) is True

    def is_false(self, key: str) -> bool:
        """True only where the setting is known and off."""
        return self.get(key) is False


def read_settings(args: Iterable[str], configs: Iterable[str], commands: Iterable[str]) -> Settings:
    """Settings from messages: later ones win. Secrets are left out."""
    given: dict[str, SettingValue] = {}
    effective: dict[str, SettingValue] = {}
    for text in _latest(commands):
        given.update(_from_command(text))
    for text in _latest(args):
        given.update(_from_args(text))
    for text in _latest(configs):
        effective.update({_ALIASES.get(k, k): v for k, v in _pairs(text) if k in _CONFIG_KEYS})
    if effective.get("chunked_prefill_enabled") is not None:
        effective["enable_chunked_prefill"] = effective.pop("chunked_prefill_enabled")
    return Settings(_clean(given), _clean(effective))


def _latest(texts: Iterable[str]) -> Iterable[str]:
    """Of equal texts the last only: an engine that starts again and again says the same each time."""
    return reversed(dict.fromkeys(reversed([*texts])))


def _clean(values: Mapping[str, SettingValue]) -> dict[str, SettingValue]:
    return {key: value for key, value in values.items() if not is_secret_name(key)}


def _from_args(text: str) -> dict[str, SettingValue]:
    brace = text.find("{")
    if "non-default args" in text and brace >= 0:
        import ast

        try:
            tree = ast.literal_eval(text[brace : text.rindex("}") + 1])
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            tree = None
        if isinstance(tree, dict):
            return {_key(str(key)): _plain(value) for key, value in tree.items()}
        return {_key(m[1]): _typed(m[2]) for m in re.finditer(r"'(\w+)': ('[^']*'|\[[^\]]*\]|[^,}]+)", text)}
    return {_key(key): value for key, value in _pairs(text)}


def _from_command(text: str) -> dict[str, SettingValue]:
    found: dict[str, SettingValue] = {}
    for match in _FLAG.finditer(text):
        key = _key(match.group("key").replace("-", "_").replace(".", "_"))
        value = match.group("value") or match.group("listed")
        if key.startswith("no_") and value is None:
            found[key[3:]] = False
        else:
            found[key] = True if value is None else _typed(value)
    for match in _ENV.finditer(text):
        if match.group("key") in _ENV_NAMES:
            found[_ENV_NAMES[match.group("key")]] = _typed(match.group("value"))
    return found


def _pairs(text: str) -> Iterable[tuple[str, SettingValue]]:
    for match in _PAIR.finditer(text):
        yield match.group("key"), _typed(match.group("value"))


def _key(key: str) -> str:
    key = key.replace("-", "_")
    return _ALIASES.get(key, key)


def _plain(value: object) -> SettingValue:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        return value[0]
    return str(value)


def _typed(text: str) -> SettingValue:
    text = text.strip().strip("'\"")
    if text in ("None", "null", ""):
        return None
    if text in ("True", "true"):
        return True
    if text in ("False", "false"):
        return False
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
