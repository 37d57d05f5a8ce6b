"""Which form of an exposition a client wants: content negotiation by Accept and Accept-Encoding (RFC 9110).

Any header is taken: a part that breaks the grammar is passed over, and when nothing acceptable is left the
answer is the text format, uncompressed. Prometheus expects that of a target and treats 406 as a failed scrape.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

__all__ = ["wants_gzip", "wants_openmetrics"]

_OPENMETRICS = ("application", "openmetrics-text")
_TEXT = ("text", "plain")
_VERSIONS = {_OPENMETRICS: ("", "1.0.0"), _TEXT: ("", "0.0.4")}
# Scrapers send one header for ever; the bound is for those that send a new one each time.
_HEADERS_KEPT = 64


@lru_cache(maxsize=_HEADERS_KEPT)
def wants_openmetrics(accept: bytes) -> bool:
    """Tell whether OpenMetrics 1.0.0 is wanted rather than the text format 0.0.4, by the value of Accept.

    A version that is not served (OpenMetrics 0.0.1, text 1.0.0) does not match; `escaping` and other parameters
    make no difference, as no name here needs escaping. At equal weight OpenMetrics wins only where the client
    names it: `*/*` gets the format that a person reads.
    """
    openmetrics, named = _weight(accept, _OPENMETRICS)
    text, _ = _weight(accept, _TEXT)
    return openmetrics > text or (named and openmetrics > 0 and openmetrics == text)


@lru_cache(maxsize=_HEADERS_KEPT)
def wants_gzip(accept_encoding: bytes) -> bool:
    """Tell whether gzip is acceptable and not less welcome than the plain body, by Accept-Encoding."""
    weights = {coding: weight for coding, _, weight in _ranges(accept_encoding)}
    gzip = weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0)))
    return gzip > 0 and gzip >= weights.get("identity", 0.0)


def _weight(accept: bytes, offer: tuple[str, str]) -> tuple[float, bool]:
    """Return the weight of the most specific range that matches, and whether it names the offer's type.

    Where two ranges are equally specific the heavier one stands.
    """
    best, weight_of_best = 0, 0.0
    for media, version, weight in _ranges(accept):
        kind, slash, subtype = media.partition("/")
        if not slash or version not in _VERSIONS[offer]:
            continue
        specific = {offer: 3 + bool(version), (offer[0], "*"): 2, ("*", "*"): 1}.get((kind, subtype), 0)
        if specific and (specific, weight) > (best, weight_of_best):
            best, weight_of_best = specific, weight
    return weight_of_best, best >= 3


def _ranges(header: bytes) -> Iterator[tuple[str, str, float]]:
    """Yield (name, version, weight) of each range of a header that follows the grammar."""
    for part in header.decode("latin-1").lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        version, weight = "", 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "version":
                version = value.strip().strip('"')
            elif key.strip() == "q":
                weight = _quality(value.strip())
        if name and weight >= 0:
            yield name, version, weight


def _quality(text: str) -> float:
    """Read a weight from 0 to 1; anything else gives -1."""
    try:
        weight = float(text)
    except ValueError:
        return -1.0
    return weight if 0.0 <= weight <= 1.0 else -1.0
