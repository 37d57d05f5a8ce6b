"""Every flag and environment variable in a runbook exists where the page says it does.

A flag in the text is vLLM's unless its paragraph or list item starts with another engine ("SGLang: ...").
A vLLM flag that is young or gone carries its releases right behind it: "(from 0.11.2)", "(to 0.16)",
"(0.9.2 to 0.12)". Flags in commands belong to the program before them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from catalog.flags import FlagRange, flag_exists, flag_table, normalised, parse_version, vllm_env, vllm_flag
from catalog.flags.others import OTHER_ENGINES
from runbooks import PAGES, page

OLD_ENOUGH = (0, 7, 3, 0)
"""A vLLM flag that exists since this release needs no mark."""

TOOLS: dict[str, frozenset[str]] = {
    "curl": frozenset(),
    "dcgmi": frozenset(),
    "docker": frozenset({"--gpus", "--ipc", "--shm-size", "--ulimit"}),
    "inferwatch": frozenset({"--format", "--kube", "--list", "--log", "--metrics", "--symptom", "--window"}),
    "journalctl": frozenset({"--since"}),
    "kubectl": frozenset(
        {"--delete-emptydir-data", "--field-selector", "--ignore-daemonsets", "--previous", "--sort-by"}
    ),
    "nvidia-smi": frozenset({"--format", "--gpu-reset", "--query-compute-apps", "--query-gpu", "--status"}),
    "py-spy": frozenset({"--pid"}),
    "ray": frozenset({"--force"}),
}
ENGINES = {"SGLang": "sglang", "TGI": "tgi", "llama.cpp": "llamacpp", "Triton": "triton", "vLLM": "vllm"}

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAME = "|".join(re.escape(name) for name in ENGINES)
_OWNER = re.compile(rf"(?:- |\d+\. )?((?:{_NAME})(?:, (?:{_NAME}))*):")
_LONG = re.compile(r"(?<![\w-])--[a-z][\w-]*")
_SHORT_IN_CODE = re.compile(r"`(-[a-z]{1,3})\b[^`]*`")
_TOOL_OR_FLAG = re.compile(rf"(?<![\w-])(?:({'|'.join(TOOLS)})(?![\w-])|(--[a-z][\w-]*))")
_CODE = re.compile(r"`([^`]+)`")
_MARKED = re.compile(
    r"`(?P<flag>--[a-z][\w.-]*)[^`]*`\s+\((?:(?P<both>both )?(?P<word>from|to) (?P<one>\d+(?:\.\d+)+)|"
    r"(?P<first>\d+(?:\.\d+)+) to (?P<last>\d+(?:\.\d+)+))"
)
_VARIABLE = re.compile(r"\bVLLM_[A-Z][A-Z0-9_]+")
_VARIABLE_GONE = re.compile(r"`(VLLM_[A-Z0-9_]+)[^`]*` \(to (\d+(?:\.\d+)+)\)")


def items(cause: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Paragraphs and list items outside fences, each with the engines that its flags belong to."""
    text = re.sub(r"^(- |\d+\. )", r"\n\1", _FENCE.sub("", page(cause)), flags=re.MULTILINE)
    for block in re.split(r"\n\s*\n", text):
        owner = _OWNER.match(block.strip())
        named = owner[1].split(", ") if owner else ["vLLM"]
        yield tuple(ENGINES[name] for name in named), " ".join(block.split())


def without_commands(item: str) -> str:
    """The item without code spans that are a tool's command line."""
    return _CODE.sub(lambda span: "" if span[1].split()[0] in TOOLS else span[0], item)


def engine_flags(cause: str, wanted: str) -> list[str]:
    found = []
    for engines, item in items(cause):
        if wanted in engines:
            text = without_commands(item)
            found += _LONG.findall(text) + _SHORT_IN_CODE.findall(text)
    return found


def vllm_items(cause: str) -> Iterator[str]:
    return (without_commands(item) for engines, item in items(cause) if "vllm" in engines)


def marks(cause: str) -> Iterator[tuple[str, str, str]]:
    """(flag, "from" or "to", release) for each mark in the page."""
    for item in vllm_items(cause):
        for mark in _MARKED.finditer(item):
            flags = [mark["flag"]]
            if mark["both"]:
                flags = _LONG.findall(item[: mark.end()])[-2:]
            for flag in flags:
                if mark["one"]:
                    yield normalised(flag), mark["word"], mark["one"]
                else:
                    yield normalised(flag), "from", mark["first"]
                    yield normalised(flag), "to", mark["last"]


@pytest.mark.parametrize("cause", PAGES)
def test_every_vllm_flag_exists_in_some_release(cause: str) -> None:
    assert [flag for flag in engine_flags(cause, "vllm") if vllm_flag(flag) is None] == []


@pytest.mark.parametrize("cause", PAGES)
def test_every_sglang_flag_is_in_its_newest_release_read(cause: str) -> None:
    newest = flag_table("sglang").releases_read[-1]
    assert [flag for flag in engine_flags(cause, "sglang") if flag_exists("sglang", flag, newest) is not True] == []


@pytest.mark.parametrize("engine", sorted(OTHER_ENGINES))
def test_every_flag_of_another_engine_is_in_its_table(engine: str) -> None:
    flags = [(cause, flag) for cause in PAGES for flag in engine_flags(cause, engine)]
    assert [(cause, flag) for cause, flag in flags if normalised(flag) not in OTHER_ENGINES[engine].flags] == []


@pytest.mark.parametrize("cause", PAGES)
def test_the_releases_named_behind_a_flag_have_it(cause: str) -> None:
    wrong = [mark for mark in marks(cause) if flag_exists("vllm", mark[0], mark[2]) is not True]
    assert wrong == []


@pytest.mark.parametrize("cause", PAGES)
def test_a_mark_is_the_end_of_the_flags_range(cause: str) -> None:
    for flag, word, release in marks(cause):
        known = vllm_flag(flag)
        assert known is not None
        end = known.since if word == "from" else known.until
        assert parse_version(end or "") == parse_version(release), (flag, word, release, known)


@pytest.mark.parametrize("cause", PAGES)
def test_a_young_or_removed_flag_carries_its_releases(cause: str) -> None:
    marked = {(flag, word) for flag, word, _ in marks(cause)}
    for flag in map(normalised, engine_flags(cause, "vllm")):
        known = vllm_flag(flag)
        assert known is not None
        assert not is_young(known) or (flag, "from") in marked, flag
        assert known.until is None or (flag, "to") in marked, flag


def is_young(known: FlagRange) -> bool:
    since = parse_version(known.since)
    return since is not None and since > OLD_ENOUGH


@pytest.mark.parametrize("cause", PAGES)
def test_commands_use_only_flags_that_their_program_has(cause: str) -> None:
    commands = [body for language, body in _FENCE.findall(page(cause)) if language == "bash"]
    commands += [code for _, item in items(cause) for code in _CODE.findall(item) if code.split()[0] in TOOLS]
    for command in commands:
        tool = ""
        for name, flag in _TOOL_OR_FLAG.findall(command):
            tool = name or tool
            assert not flag or flag in TOOLS[tool], (tool, flag)


@pytest.mark.parametrize("cause", PAGES)
def test_every_vllm_environment_variable_exists_or_says_until_when(cause: str) -> None:
    gone = dict(_VARIABLE_GONE.findall(page(cause)))
    for name in _VARIABLE.findall(page(cause)):
        known = vllm_env(name)
        assert known is not None, name
        assert known.until is None or parse_version(gone.get(name, "")) == parse_version(known.until), name


def test_the_parser_tells_engines_and_tools_apart() -> None:
    assert engine_flags("thr_tp_over_pcie_or_comm", "tgi") == ["--num-shard"]
    assert "--gpus" not in engine_flags("crash_driver_or_cuda_mismatch", "vllm")
    assert ("--swap-space", "to", "0.16") in set(marks("oom_swap_space_pinned"))
    assert ("--cuda-graph-sizes", "from", "0.9.2") in set(marks("oom_cudagraph_capture"))


DIRECTIONS = [
    ("oom_weights_do_not_fit", "--tensor-parallel-size", "raise"),
    ("oom_kv_cache_no_blocks", "--gpu-memory-utilization", "raise"),
    ("oom_kv_cache_no_blocks", "--max-num-batched-tokens", "lower"),
    ("oom_max_len_exceeds_kv_cache", "--max-model-len", "lower"),
    ("oom_max_len_exceeds_kv_cache", "--gpu-memory-utilization", "raise"),
    ("oom_gpu_memory_shared_with_other_process", "--gpu-memory-utilization", "lower"),
    ("oom_gpu_memory_shared_with_other_process", "--mem-fraction-static", "lower"),
    ("oom_activation_peak_profile_run", "--max-num-batched-tokens", "lower"),
    ("oom_cudagraph_capture", "--gpu-memory-utilization", "lower"),
    ("oom_runtime_kv_pressure_or_fragmentation", "--gpu-memory-utilization", "lower"),
    ("oom_lora", "--max-loras", "lower"),
    ("oom_lora", "--max-lora-rank", "lower"),
    ("oom_logits_or_sampler", "--max-num-seqs", "lower"),
    ("oom_swap_space_pinned", "--swap-space", "lower"),
    ("thr_preemption_thrash", "--max-num-seqs", "lower"),
    ("thr_preemption_thrash", "--gpu-memory-utilization", "raise"),
    ("thr_small_batch_or_max_num_seqs", "--max-num-seqs", "raise"),
    ("thr_tp_over_pcie_or_comm", "--tensor-parallel-size", "lower"),
    ("ttft_queueing", "--gpu-memory-utilization", "raise"),
    ("ttft_multimodal_preprocessing", "--api-server-count", "raise"),
    ("crash_context_length_request_error", "--max-model-len", "raise"),
]
"""Which way a page tells people to turn a setting: advice in the wrong direction makes the fault worse."""


@pytest.mark.parametrize(("cause", "flag", "direction"), DIRECTIONS)
def test_the_mitigation_turns_a_setting_in_the_right_direction(cause: str, flag: str, direction: str) -> None:
    mitigation = " ".join(_FENCE.sub("", page(cause)).partition("## Mitigation")[2].split())
    advice = re.sub(r"(?:Do not|Raising|Lowering) [^.:]*", "", mitigation)
    told = {word.lower() for word in re.findall(rf"\b(raise|lower) `{flag}\b", advice, re.IGNORECASE)}
    assert told == {direction}
