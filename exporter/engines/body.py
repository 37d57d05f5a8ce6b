"""The body of a scrape as text: what frameworks wrap it in undone, its last line's end left out."""

from __future__ import annotations

import json

__all__ = ["decoded", "unwrapped"]


def unwrapped(body: bytes) -> bytes:
    """Return the lines with a newline between them. Some frameworks send one JSON string; some, other line ends."""
    body = body.removeprefix(b"\xef\xbb\xbf")
    if body[:1] == b'"':
        try:
            unquoted = json.loads(body)
        except (ValueError, RecursionError):
            unquoted = None
        if isinstance(unquoted, str):
            body = unquoted.encode("utf-8", "replace")
    if b"\r" in body:
        body = body.replace(b"\r\n", b"\n")
    return body


def decoded(body: bytes) -> str:
    """Return the text without its last line's end, a character a byte; `bytes.strip` would copy all of it first."""
    return str(memoryview(body)[:-1] if body[-1:] == b"\n" else body, "latin-1")
