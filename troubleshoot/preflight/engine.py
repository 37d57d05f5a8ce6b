"""Which engine a container runs, in which version, with which settings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from catalog.flags import normalised
from troubleshoot.preflight.objects import Field
from troubleshoot.preflight.workload import Container, Word, Workload

__all__ = ["Engine", "Setting", "engine_of"]

NAMES: Mapping[str, str] = MappingProxyType(
    {
        "vllm": "vLLM",
        "sglang": "SGLang",
        "tgi": "TGI",
        "triton": "Triton",
        "tensorrt_llm": "TensorRT-LLM",
        "llamacpp": "llama.cpp",
    }
)

# The words of a command line that start an engine, and the names of the images whose entry point does.
_PROGRAMS = (
    ("vllm", re.compile(r"(?:.*/)?vllm|vllm\.entrypoints\.\S+")),
    ("sglang", re.compile(r"sglang\.launch_server|(?:.*/)?sglang")),
    ("tgi", re.compile(r"(?:.*/)?text-generation-(?:launcher|server|router)")),
    ("tensorrt_llm", re.compile(r"(?:.*/)?trtllm-serve")),
    ("triton", re.compile(r"(?:.*/)?tritonserver|(?:.*/)?launch_triton_server\.py")),
    ("llamacpp", re.compile(r"(?:.*/)?llama-server|/app/server")),
)
_IMAGES = (
    ("vllm", re.compile(r"vllm(?!.*(?:router|metrics))|huggingfaceserver|llm-d(?:-cuda)?$")),
    ("sglang", re.compile(r"sglang(?!.*router)")),
    ("tgi", re.compile(r"text-generation-inference|\btgi\b")),
    ("triton", re.compile(r"tritonserver")),
    ("tensorrt_llm", re.compile(r"tensorrt-?llm")),
    ("llamacpp", re.compile(r"llama\.?cpp")),
)
_RELEASED_AS = MappingProxyType(
    {
        "vllm": ("vllm-openai",),
        "sglang": ("sglang",),
        "tgi": ("text-generation-inference",),
        "triton": ("tritonserver",),
    }
)
_RELEASE = re.compile(r"v?(\d+\.\d+(?:\.\d+)?(?:\.post\d+)?)(?:[-_+].*)?")
_OPERATORS = frozenset({"&&", "||", ";", "|", "&"})
_REFERENCE = re.compile(r"\$(?:\((\w+)\)|\{(\w+)\}|(\w+))")

_FLAGS: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "model": {
            "vllm": ("--model", "--model-id", "--model-dir"),
            "sglang": ("--model-path", "--model"),
            "tgi": ("--model-id",),
            "llamacpp": ("--hf-repo", "-hf", "--model", "-m"),
            "tensorrt_llm": ("--model",),
        },
        "tensor parallel": {
            "vllm": ("--tensor-parallel-size", "-tp"),
            "sglang": ("--tensor-parallel-size", "--tp-size", "--tp"),
            "tgi": ("--num-shard",),
            "tensorrt_llm": ("--tp-size",),
        },
        "pipeline parallel": {
            "vllm": ("--pipeline-parallel-size", "-pp"),
            "sglang": ("--pipeline-parallel-size", "--pp-size"),
            "tensorrt_llm": ("--pp-size",),
        },
        "data parallel": {
            "vllm": ("--data-parallel-size-local", "-dpl", "--data-parallel-size", "-dp"),
            "sglang": ("--data-parallel-size", "--dp-size", "--dp"),
        },
        "memory share": {
            "vllm": ("--gpu-memory-utilization",),
            "sglang": ("--mem-fraction-static",),
            "tgi": ("--cuda-memory-fraction",),
        },
        "context": {
            "vllm": ("--max-model-len",),
            "sglang": ("--context-length",),
            "tgi": ("--max-total-tokens",),
            "llamacpp": ("--ctx-size", "-c"),
            "tensorrt_llm": ("--max-seq-len",),
        },
        "input": {"tgi": ("--max-input-tokens", "--max-input-length")},
        "sequences": {
            "vllm": ("--max-num-seqs",),
            "sglang": ("--max-running-requests",),
            "tgi": ("--max-batch-size",),
            "llamacpp": ("--parallel", "-np"),
            "tensorrt_llm": ("--max-batch-size",),
        },
        "quantization": {"vllm": ("--quantization", "-q"), "sglang": ("--quantization",), "tgi": ("--quantize",)},
        "dtype": {"vllm": ("--dtype",), "sglang": ("--dtype",), "tgi": ("--dtype",)},
        "KV dtype": {
            "vllm": ("--kv-cache-dtype",),
            "sglang": ("--kv-cache-dtype",),
            "tgi": ("--kv-cache-dtype",),
        },
        "block size": {"vllm": ("--block-size",)},
        "no CUDA graphs": {"vllm": ("--enforce-eager",), "sglang": ("--disable-cuda-graph",)},
        "remote code": {
            "vllm": ("--trust-remote-code",),
            "sglang": ("--trust-remote-code",),
            "tgi": ("--trust-remote-code",),
            "tensorrt_llm": ("--trust-remote-code",),
        },
    }
)


@dataclass(frozen=True, slots=True)
class Setting:
    """One argument. `value` is "" for a bare flag and None where a variable or a secret gives it."""

    flag: str
    value: str | None
    field: Field

    @property
    def number(self) -> float | None:
        """Its value as a number; None for anything else."""
        try:
            return float(self.value) if self.value else None
        except ValueError:
            return None

    @property
    def integer(self) -> int | None:
        """Its value as a whole number of at least 1; None for anything else. vLLM's "32k" is 32 000, "32K" 32 768."""
        found = re.fullmatch(r"(\d{1,12})([kKmM]?)", self.value or "")
        scale = {"": 1, "k": 1000, "K": 1024, "m": 1_000_000, "M": 1 << 20}
        return (int(found[1]) * scale[found[2]] or None) if found else None


@dataclass(frozen=True)
class Engine:
    """An engine in a container. `version` is "" where the image's tag does not tell; Triton's is a release (23.12)."""

    name: str
    version: str
    container: Container
    settings: Mapping[str, Setting]
    arguments_known: bool = True

    @property
    def title(self) -> str:
        """`vLLM 0.3.0`."""
        return f"{NAMES[self.name]} {self.version}".strip()

    def setting(self, concept: str) -> Setting | None:
        """The setting that this engine has for a concept ("tensor parallel"), where it is set."""
        flags = _FLAGS[concept].get(self.name, ())
        return next((self.settings[flag] for flag in flags if flag in self.settings), None)

    def flag(self, concept: str) -> str:
        """How this engine spells a concept; "" where it has no flag for it."""
        return next(iter(_FLAGS[concept].get(self.name, ())), "")

    def count(self, concept: str) -> int | None:
        """A setting's whole number, 1 where it is not set, None where it is set to what cannot be read here."""
        found = self.setting(concept)
        return found.integer if found else 1

    def is_on(self, concept: str) -> Setting | None:
        """The setting of a switch, where it is on."""
        found = self.setting(concept)
        return found if found and (found.value or "true").lower() not in {"false", "0", "no"} else None

    @cached_property
    def model(self) -> Setting | None:
        """The model that it serves."""
        return self.setting("model")


def engine_of(workload: Workload, container: Container) -> Engine | None:
    """The engine that a container runs, by its command line, else by its image; None for anything else."""
    words, name = _after_program(container.words)
    by_image = not name
    name = name or _of_image(workload, container)
    if not name:
        return None
    # A command that is no engine's own, as a script that is not given, hides what the engine is started with.
    unread = by_image and any(container.field.at("command").items())
    settings = {flag: Setting(flag, item.text, item) for flag, item in workload.settings.items()}
    settings |= _environment_settings(name, container)
    if not unread:
        settings |= _settings(words, container)
    if name == "vllm" and by_image and not unread and words and not words[0].text.startswith("-"):
        # The image's entry point is `vllm serve` in newer releases, and takes the model as its first word.
        settings.setdefault("--model", Setting("--model", _resolved(words[0].text, container), words[0].field))
    if workload.model_uri is not None and workload.model_uri.text:
        model = _FLAGS["model"].get(name, ("--model",))[0]
        settings[model] = Setting(model, workload.model_uri.text.partition("://")[2] or None, workload.model_uri)
    known = "arguments" not in workload.supplied and "--config" not in settings and not unread
    return Engine(name, _version(name, container), container, settings, known)


def _of_image(workload: Workload, container: Container) -> str:
    """The engine whose image a container has; what KServe's presets run where it names none. "" for any other."""
    reference = container.image.name.lower()
    found = next((engine for engine, pattern in _IMAGES if pattern.search(reference)), "")
    preset = workload.owner.kind == "LLMInferenceService" and container is workload.containers[0]
    return found or ("vllm" if preset else "")


def _after_program(words: Sequence[Word]) -> tuple[Sequence[Word], str]:
    """The words behind the one that starts an engine, up to the next command; all words where none does."""
    for position, word in enumerate(words):
        for name, pattern in _PROGRAMS:
            if pattern.fullmatch(word.text):
                rest = words[position + 1 :]
                end = next((i for i, item in enumerate(rest) if item.text in _OPERATORS), len(rest))
                return rest[:end], name
    return words, ""


def _settings(words: Sequence[Word], container: Container) -> dict[str, Setting]:
    """Flags with their values; a model that stands alone behind `serve` is `--model`."""
    found: dict[str, Setting] = {}
    position = 0
    while position < len(words):
        word = words[position]
        following = words[position + 1] if position + 1 < len(words) else None
        position += 1
        if re.match(r"--?[A-Za-z]", word.text):
            name, has_value, value = word.text.partition("=")
            if not has_value and following and not re.match(r"-(?![\d.])", following.text):
                value = following.text
                position += 1
            found[normalised(name)] = Setting(normalised(name), _resolved(value, container), word.field)
        elif word.text == "serve" and following and not following.text.startswith("-"):
            found["--model"] = Setting("--model", _resolved(following.text, container), following.field)
            position += 1
    return found


def _resolved(value: str, container: Container) -> str | None:
    """The value with variables of known value put in; None where one is not known."""
    unknown = False

    def put_in(found: re.Match[str]) -> str:
        nonlocal unknown
        variable = container.environment.get(found[1] or found[2] or found[3])
        unknown |= variable is None
        return variable.text if variable else ""

    text = _REFERENCE.sub(put_in, value)
    return None if unknown else text


def _environment_settings(name: str, container: Container) -> dict[str, Setting]:
    """TGI takes every argument from a variable of its name as well."""
    if name != "tgi":
        return {}
    return {
        flag: Setting(flag, item.text, item)
        for variable, item in container.environment.items()
        if (flag := "--" + variable.lower().replace("_", "-"))
    }


def _version(name: str, container: Container) -> str:
    released = container.image.repository in _RELEASED_AS.get(name, ())
    found = _RELEASE.fullmatch(container.image.tag) if released else None
    return found[1] if found else ""
