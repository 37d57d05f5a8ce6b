"""Masks users' prompts, generated text and token ids in what engines log about a request."""

from __future__ import annotations

import re
from functools import cache

from troubleshoot.redact.values import MASK, mask_value

_QUOTE = r"\\?[\"']"
_COLON = rf"{_QUOTE}\s{{0,4}}:\s{{0,4}}"

# What the line must contain, and what the value to mask follows.
# vLLM 0.2.7 to 0.33.0: `Received request ID: prompt: '...', prompt_token_ids: [...]` and `Generated response
# ID: output: '...'`. SGLang with --log-requests: `Receive: obj=GenerateReqInput(text='...', input_ids=[..])`.
# Then request bodies, which servers print with validation errors.
_FIELDS = (
    ("prompt", rf"\bprompt(?::\s|=|{_COLON})(?=\\?[\"'\[])"),
    (
        "ids",
        r"\b(?:(?:prompt|output|all)[ _]token[ _]ids|input_ids|output_ids)"
        rf"(?:{_QUOTE})?\s{{0,2}}[:=]\s{{0,2}}(?:array\('\w',\s{{0,2}})?(?=[\[(])",
    ),
    ("Generated response", r"\boutput: (?=['\"])"),
    ("ReqInput", rf"\btext(?:=|{_COLON})(?=['\"\[])"),
    ("role", rf"\bcontent(?:=|{_COLON})(?=\\?['\"])"),
    ("type", rf"\btype{_COLON}{_QUOTE}text{_QUOTE},\s{{0,4}}{_QUOTE}text{_COLON}"),
    ("inputs", rf"\binputs{_COLON}(?=\\?['\"])"),
)

# vLLM up to 0.4.1 prints the prompt without quotes; these are the fields that follow it, by version.
_AFTER_BARE_PROMPT = (", prefix_pos:", ", sampling params:", ", sampling_params:", ", params:")


@cache
def _pattern(field: str) -> re.Pattern[str]:
    return re.compile(field)


def mask_prompts(text: str) -> str:
    """Masks the texts and token ids of requests; request ids, parameters and finish reasons stay."""
    text = _mask_bare(text)
    for needed, field in _FIELDS:
        if needed in text:
            text = _mask_field(text, _pattern(field))
    return text


def _mask_field(text: str, pattern: re.Pattern[str]) -> str:
    parts: list[str] = []
    done = 0
    while match := pattern.search(text, done):
        replacement, end = mask_value(text, match.end(), harmless="nothing") or ("", match.end())
        parts += text[done : match.end()], replacement
        done = end
    return "".join(parts) + text[done:]


def _mask_bare(text: str) -> str:
    """Masks a prompt that stands without quotes, up to the last field that follows it or the line's end."""
    start = text.find("Received request ")
    at = text.find(": prompt: ", start) if start >= 0 else -1
    if at >= 0:
        begin = at + len(": prompt: ")
        if text.startswith(("'", '"', "None,", MASK), begin):
            return text
        end = max(text.rfind(mark, begin) for mark in _AFTER_BARE_PROMPT)
        return text[:begin] + MASK + (text[end:] if end >= 0 else "")
    # Text Generation Inference at debug level: its router prints `Input: ...` and `Output: ...`.
    if "text_generation" in text and (match := re.search(r": (?:Input|Output): ", text)):
        return text[: match.end()] + MASK
    return text
