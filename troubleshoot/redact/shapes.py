"""Masks secrets that show by their own shape, wherever they stand."""

from __future__ import annotations

import re
from functools import cache

from troubleshoot.redact.values import MASK

_EDGE = r"(?<![A-Za-z0-9])"
_WORD = r"[A-Za-z0-9_-]"
_SIGNATURES = "sig|key|x-amz-signature|x-amz-credential|x-amz-security-token|x-goog-signature|x-goog-credential"

# What a text must contain of (whatever its case), and what is masked in it: group 1 stays, the rest becomes the mask.
# A lookahead is bounded wherever its text could be met again.
_RULES: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("-----begin ",),
        r"(-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----)(?s:.)*?(?=-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)",
    ),
    (("://",), r"(://[^\s/:@'\"]*+:)[^\s/'\"]*(?=@)"),  # the password in a URL
    (("?", "&"), rf"(?i:([?&](?:{_SIGNATURES})=))[^&\s'\"]++"),  # signed URLs of AWS, Azure and Google
    (("bearer",), r"(?i)\b(bearer\s{1,4})(?=[a-z._~+/=-]{0,200}[0-9])[a-z0-9._~+/=-]{8,}+"),
    (("sk-",), rf"{_EDGE}(sk-)(?:{_WORD}{{16,}}+|(?=[A-Za-z_-]{{0,16}}[0-9]){_WORD}{{4,}}+)"),  # OpenAI's form of key
    (("hf_",), rf"{_EDGE}(hf_)(?:[A-Za-z0-9]{{20,}}+|(?=[A-Za-z]{{0,20}}[0-9])[A-Za-z0-9]{{8,}}+)"),  # Hugging Face
    (
        ("api_org_", "nvapi-", "glpat-", "npm_", "dapi", "xox", "k_live_"),
        rf"{_EDGE}(api_org_|nvapi-|glpat-|npm_|dapi|xox[abprs]-|[spr]k_live_){_WORD}{{16,}}+",
    ),
    (("gh", "github_pat_"), rf"{_EDGE}(gh[pousr]_|github_pat_)[A-Za-z0-9_]{{16,}}+"),
    (("akia", "asia"), rf"{_EDGE}(AKIA|ASIA)[A-Z0-9]{{12,}}+"),  # AWS access key ids
    (("aiza",), rf"{_EDGE}(AIza){_WORD}{{30,}}+"),  # Google API keys
    (("eyj",), rf"(?<!{_WORD})(eyJ){_WORD}{{5,}}+\.{_WORD}{{5,}}+(?:\.{_WORD}*+)?"),  # JSON web tokens
    ((";base64,",), r"(data:[\w/+.-]{1,60};base64,)[A-Za-z0-9+/=]++"),  # pictures and sound in a prompt
)


@cache
def _pattern(rule: str) -> re.Pattern[str]:
    return re.compile(rule)


def mask_shapes(text: str) -> str:
    """Masks private keys, passwords in URLs, signatures, bearer tokens and well-known forms of API keys."""
    lowered = text.lower()
    for needed, rule in _RULES:
        for part in needed:
            if part in lowered:
                text = _pattern(rule).sub(rf"\g<1>{MASK}", text)
                break
    return text
