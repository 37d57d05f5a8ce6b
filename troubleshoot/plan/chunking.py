"""Which engines cut a long prompt into steps; the others need a step as long as the longest prompt."""

from __future__ import annotations

from catalog.flags import flag_exists, flag_table


def newest(engine: str) -> str:
    """The newest release whose flags were read; empty where none was."""
    try:
        return flag_table(engine).releases_read[-1]
    except KeyError:
        return ""


def chunks_prompts(engine: str, version: str = "") -> bool:
    """Whether this engine cuts prompts, by default or by a flag that the plan gives.

    vLLM does since 0.4.3 by flag and since V1 by default; SGLang always; TGI and trtllm-serve not by a flag of theirs.
    """
    if engine == "vllm":
        return flag_exists("vllm", "--enable-chunked-prefill", version or newest("vllm")) is not False
    return engine == "sglang"


def chunks_by_default(version: str = "") -> bool:
    """Whether vLLM cuts prompts unasked: since there is a flag to turn it off."""
    return flag_exists("vllm", "--no-enable-chunked-prefill", version or newest("vllm")) is True
