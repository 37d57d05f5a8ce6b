"""The text of an HTTP answer in bounded chunks: plain, or gzip that was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from troubleshoot.sources.decompress import gzip_chunks

if TYPE_CHECKING:
    import httpx


class UnaskedEncodingError(Exception):
    """The answer comes in an encoding that the request did not offer; `encoding` is its name."""

    def __init__(self, encoding: str) -> None:
        super().__init__(encoding)
        self.encoding = encoding


def text_chunks_of(response: httpx.Response) -> Iterator[bytes]:
    """The chunks of a streamed answer's text.

    Raises `UnaskedEncodingError` at once, `StreamError` where gzip breaks.
    """
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    chunks = response.iter_raw()
    if encoding in {"identity", ""}:
        return chunks
    if encoding in {"gzip", "x-gzip"}:
        return gzip_chunks(lambda _limit: next(chunks, b""))
    raise UnaskedEncodingError(encoding)
