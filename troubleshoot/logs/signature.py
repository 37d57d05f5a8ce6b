"""What a signature is: one thing that a log line can mean, and the texts that say it."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

RARE_KEPT = 24
"""How many places are kept of a signature that is no series: half of them the first, half the last."""


class Keep(Enum):
    """How much of a signature's matches is kept. Memory is bounded for all."""

    # Members are hashed thousands of times a start; `Enum` would do it in Python.
    __hash__ = object.__hash__

    RARE = "rare"
    """Errors and the like: the first and the last of them, and on how many lines they stand."""

    FACT = "fact"
    """Start-up facts: as RARE, but in the middle of a long file only one place a block is looked at, and none where
    both ends of the file already hold as many as are kept."""

    ROUTINE = "routine"
    """What a healthy server writes for each request: as RARE, but in the middle of a long file one place a block is
    looked at, and the count is estimated from the first part of each."""

    SERIES = "series"
    """Periodic lines (statistics): the whole timeline, thinned evenly where it is long; its end in full. In the middle
    of a long file one place a block is looked at."""

    MARK = "mark"
    """Only that it occurs, and where first: which engine this is, that it answered. Its count is 1."""


class Signature(NamedTuple):
    """One meaning and its wordings.

    `finds` are expressions in the syntax that Hyperscan shares with `re`, searched anywhere in a line (a line may be
    wrapped in JSON, so they hold neither quotes nor backslashes to be matched). `fields` is a `re` expression whose
    named groups are read from the cleaned line, with up to `follow` lines after it when one line is not enough
    (people and terminals wrap long messages). `context_lines` lines before a match are kept with it: for an
    exception that is its traceback. `caseless` finds match in any case of the ASCII letters.
    """

    id: str
    finds: tuple[str, ...]
    fields: tuple[str, ...] = ()
    keep: Keep = Keep.RARE
    follow: int = 0
    context_lines: int = 0
    caseless: bool = False
