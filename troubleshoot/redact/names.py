"""Masks what follows a secret's name: in flags, headers, environments, JSON and Python reprs."""

from __future__ import annotations

import re

from troubleshoot.redact.values import Masked, mask_value

# Words before "token" and "key" that make a harmless name: `eos_token`, `time_to_first_token`, `cache_key`.
_HARMLESS_TOKEN = frozenset(
    {"accepted", "added", "audio", "begin", "bonus", "bos", "cls", "current", "draft", "each", "end", "eos"}
    | {"every", "first", "generated", "image", "input", "inter", "last", "mask", "max", "new", "next", "num"}
    | {"number", "of", "output", "pad", "per", "placeholder", "prompt", "sampled", "sep", "special", "start"}
    | {"stop", "think", "tool", "total", "unk", "video", "vision"}
)
_HARMLESS_KEY = frozenset(
    {
        "block",
        "cache",
        "compile",
        "config",
        "dedup",
        "dict",
        "field",
        "foreign",
        "group",
        "hash",
        "idempotency",
    }
    | {"index", "json", "kv", "label", "layer", "lookup", "map", "metric", "missing", "param", "partition"}
    | {
        "primary",
        "prompt",
        "public",
        "query",
        "registry",
        "request",
        "routing",
        "sort",
        "state",
        "unexpected",
    }
    | {"weight"}
)
_SECRET_WORDS = frozenset(
    {
        "authorization",
        "cookie",
        "passphrase",
        "secret",
        "secrets",
        "apikey",
        "apikeys",
        "authkey",
        "authtoken",
    }
    | {"accesskey", "accesstoken", "accountkey", "masterkey", "privatekey", "secretkey"}
)
_PLURAL_OWNERS = frozenset({"access", "api", "auth", "bearer", "hf", "private", "refresh", "secret"})
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_LONGEST_NAME = 80


def is_secret_name(name: str) -> bool:
    """Whether a setting, flag, header or variable of this name holds a secret, judged by its words."""
    last_part = name.rsplit(".", 1)[-1]
    spaced = _HUMP.sub("_", last_part).lower().replace("-", "_")
    words = [word for word in spaced.split("_") if word]
    if not words:
        return False
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last in _SECRET_WORDS or last.endswith(("password", "passwords", "passwd")):
        return True
    if last == "token":
        return before not in _HARMLESS_TOKEN
    if last == "key":
        return before != "" and before not in _HARMLESS_KEY
    if last in {"keys", "tokens"}:
        return before in _PLURAL_OWNERS
    return last in {"pwd", "pass"} and before != "" and name.isupper()


# The word that ends a secret's name, then what may stand between a name and its value.
_NAMED = re.compile(
    r"(?:keys?|tokens?|secrets?|passw(?:or)?ds?|passphrase|pwd|pass|authorization|cookie)"
    r"(?P<close>\\?[\"'])?"
    r"(?P<between>\s{0,4}(?P<sign>=>|=(?!=)|:(?!:))\s{0,4}"
    r"|\s{0,4}(?P<comma>,)\s{0,4}(?P<value_key>\\?[\"']?value\\?[\"']?\s{0,4}[:=]\s{0,4})?"
    r"|(?P<space>\s{1,4}))",
    re.IGNORECASE,
)


_PROSE = re.compile(r"(?:is|to|or|and|for|in|must|was|not|from|with|option|flag|argument)\b")
_PAIR_OPENING = re.compile(r"\(b?\\?[\"']\Z")
_NEXT_FLAG = re.compile(r"b?\\?[\"']?-")


def mask_named(text: str) -> str:
    """Masks the value after every name that `is_secret_name` knows."""
    parts: list[str] = []
    done = at = 0
    while match := _NAMED.search(text, at):
        name_end = match.start("close") if match["close"] else match.start("between")
        start = _name_start(text, name_end)
        name = text[start:name_end]
        if name.lower() in {"key", "keys"} and text[max(0, start - 4) : start].lower() == "api ":
            name = f"api_{name}"
        masked = _masked_pair(text, match, name, start) if is_secret_name(name) else None
        if masked is None:
            at = name_end + 1
            continue
        replacement, at = masked
        parts += text[done : match.end()], replacement
        done = at
    return "".join(parts) + text[done:] if parts else text


def _name_start(text: str, end: int) -> int:
    """Where the name that ends at `end` starts."""
    start = end
    while start > 0 and end - start < _LONGEST_NAME and (text[start - 1].isalnum() or text[start - 1] in "_.-"):
        start -= 1
    return start


def _masked_pair(text: str, match: re.Match[str], name: str, start: int) -> Masked | None:
    """The mask for the value after `match`, or None where name and value are no pair or hide nothing."""
    end = match.end()
    is_flag = name.startswith("-")
    if match["space"] and (not is_flag or match["close"] or _PROSE.match(text, end)):
        return None
    if match["comma"] and not match["value_key"]:
        in_pair = is_flag or _PAIR_OPENING.search(text[max(0, start - 4) : start])
        if not match["close"] or not in_pair:
            return None
    if not match["sign"] and _NEXT_FLAG.match(text, end):
        return None
    last = name.lower().rstrip("s")
    masked = mask_value(
        text,
        end,
        harmless="words and numbers" if last.endswith(("key", "token")) else "words",
        bare="rest" if last.endswith("cookie") else "bare",
    )
    if masked and last == "token" and match["sign"] == ":" and not match["close"]:
        return masked if _looks_secret(text[end : masked[1]]) else None
    return masked


def _looks_secret(value: str) -> bool:
    """Tells `token: 8f3a91c2d0` from a parser's `unexpected token: identifier`."""
    return len(value) >= 20 or (len(value) >= 8 and any(character.isdigit() for character in value))
