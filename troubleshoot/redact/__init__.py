"""Makes text from a log or an endpoint fit to print: no terminal escapes, no secrets, no prompts.

`clean` removes what a terminal would act on, `redact` masks secrets and users' prompts, `quote` does both and
shortens. All three take time linear in the length of the text, whatever the text is.
"""

from __future__ import annotations

from troubleshoot.redact.escapes import clean
from troubleshoot.redact.names import is_secret_name, mask_named
from troubleshoot.redact.prompts import mask_prompts
from troubleshoot.redact.shapes import mask_shapes
from troubleshoot.redact.values import MASK

__all__ = ["MASK", "clean", "is_secret_name", "quote", "redact"]


def redact(text: str) -> str:
    """The text with secrets and users' prompts replaced by `***`; the names and quotes around them stay.

    Best called on the result of `clean`: an escape sequence or an invisible character can hide a name.
    """
    return mask_shapes(mask_named(mask_prompts(text)))


def quote(text: str, limit: int = 300) -> str:
    """A line ready to be quoted: clean, redacted, and at most `limit` characters, shortened in the middle."""
    text = redact(clean(text)).strip()
    if len(text) <= limit:
        return text
    head = (limit - 1) * 2 // 3
    tail = limit - 1 - head
    return f"{text[:head]}…{text[len(text) - tail :]}"
