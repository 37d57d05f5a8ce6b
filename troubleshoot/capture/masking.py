"""What is taken down is masked: secrets by name, by shape and by value, and users' prompts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from catalog.exposition import Sample
from troubleshoot.redact import MASK, clean, is_secret_name, redact

_SHORTEST_VALUE: Final = 8
"""A shorter value of an own secret would be found in the middle of innocent words."""

_KEY_BEGINS: Final = re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----")
_KEY_ENDS: Final = re.compile(r"-----END [A-Z ]{0,40}PRIVATE KEY-----")


class Masking:
    """Masks lines and samples. `known` are values that must not appear, whatever stands around them."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        values = sorted({value for value in known if len(value) >= _SHORTEST_VALUE}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, values))) if values else None
        self._in_key = False

    def text(self, text: str) -> str:
        """One line."""
        text = redact(clean(text))
        return self._known.sub(MASK, text) if self._known else text

    def lines(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """The lines of a log, each ending with a newline if it did. A private key is masked over all its lines."""
        for raw in lines:
            ending = b"\n" if raw.endswith(b"\n") else b""
            text = raw.removesuffix(b"\n").decode("utf-8", "replace")
            yield self._line(text).encode("utf-8", "replace") + ending

    def _line(self, text: str) -> str:
        if self._in_key:
            end = _KEY_ENDS.search(text)
            self._in_key = end is None
            return self.text(MASK + text[end.start() :]) if end else MASK
        begins = _KEY_BEGINS.search(text)
        self._in_key = begins is not None and _KEY_ENDS.search(text, begins.end()) is None
        return self.text(text)

    def sample(self, sample: Sample) -> Sample:
        """A sample, its labels masked."""
        labels = {
            name: MASK if is_secret_name(name) and value else self.text(value) for name, value in sample.labels.items()
        }
        return sample._replace(labels=labels)


def known_secrets(urls: Iterable[str], environment: Mapping[str, str]) -> list[str]:
    """Secrets that this process was given: in addresses, and in variables whose names say so."""
    found = [value for name, value in environment.items() if is_secret_name(name)]
    for url in urls:
        parts = urlsplit(url if "://" in url else f"//{url}")
        found += [parts.password or "", unquote(parts.password or "")]
        found += [value for name, value in parse_qsl(parts.query) if is_secret_name(name)]
    return [value for value in found if value]
