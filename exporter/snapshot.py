"""One collection's result as finished bytes: what every scrape gets until the next one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from itertools import chain

from isal import isal_zlib

from exporter.exposition import Section, blocks

__all__ = ["Snapshot"]

_EOF = b"# EOF\n"
# The library's own scale, 0 to 3. At 1 it packs a node's series to what zlib does at 1, in a sixth of the time.
_GZIP_LEVEL = 1
# zlib's number for the largest window, in a gzip container.
_GZIP_WINDOW = 31
_PIECE_BYTES = 1 << 16


class Snapshot:
    """Never changes. Each form is rendered when it is first asked for, once, then kept.

    `prepare` renders a form ahead of time: the collector does so for the forms that scrapers have asked for, so
    that no scrape waits for it.
    """

    def __init__(self, sections: Iterable[Section], created_unix_seconds: float) -> None:
        self._sections: tuple[Section, ...] = tuple(sections)
        self.created_unix_seconds = created_unix_seconds
        self._bodies: dict[tuple[bool, bool], bytes] = {}
        self.asked: dict[tuple[bool, bool], float] = {}
        """The forms (openmetrics, gzipped) that `body` was asked for, with the monotonic time of the last request."""
        self._lock = threading.Lock()

    def body(self, openmetrics: bool, gzipped: bool) -> bytes:
        """Return the exposition: OpenMetrics 1.0 or text format 0.0.4, plain or gzip."""
        self.asked[openmetrics, gzipped] = time.monotonic()
        found = self._bodies.get((openmetrics, gzipped))
        return found if found is not None else self._rendered(openmetrics, gzipped)

    @property
    def forms(self) -> frozenset[tuple[bool, bool]]:
        """The forms that are rendered."""
        return frozenset(self._bodies)

    def prepare(self, forms: Iterable[tuple[bool, bool]]) -> None:
        """Render these forms now."""
        for openmetrics, gzipped in forms:
            self._rendered(openmetrics, gzipped)

    def _rendered(self, openmetrics: bool, gzipped: bool) -> bytes:
        with self._lock:
            found = self._bodies.get((openmetrics, gzipped))
            if found is not None:
                return found
            parts = chain(blocks(self._sections, openmetrics=openmetrics), ([_EOF],) if openmetrics else ())
            body = _packed(parts) if gzipped else b"".join(chain.from_iterable(parts))
            self._bodies[openmetrics, gzipped] = body
            return body


def _packed(parts: Iterable[list[bytes]]) -> bytes:
    """Pack in pieces that stay in the processor's cache: the whole text would be new memory each time, touched once."""
    packer = isal_zlib.compressobj(_GZIP_LEVEL, isal_zlib.DEFLATED, _GZIP_WINDOW)
    packed: list[bytes] = []
    piece: list[bytes] = []
    size = 0
    for part in parts:
        piece += part
        size += sum(map(len, part))
        if size >= _PIECE_BYTES:
            packed.append(packer.compress(b"".join(piece)))
            piece, size = [], 0
    packed += (packer.compress(b"".join(piece)), packer.flush())
    return b"".join(packed)
