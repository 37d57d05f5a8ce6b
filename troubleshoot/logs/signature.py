"""What a signature is: one thing that a log line can mean, and the texts that say it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Keep(Enum):
    """How much of a signature's matches is kept. Counts are exact for RARE; memory is bounded for all."""

    RARE = "rare"
    """Errors and start-up facts: the first and the last of them, and how many there were."""

    FACT = "fact"
    """Start-up facts: as RARE, but in the middle of a long log only one a block is looked at."""

    SERIES = "series"
    """Periodic lines (statistics): the whole timeline, thinned evenly when it is long; its end in full. In the middle
    of a long log one a block is looked at."""

    MARK = "mark"
    """Only that it occurs: which engine this is, that it became ready. One match a block."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One meaning and its wordings.

    `finds` are expressions in the syntax that Hyperscan shares with `re`, searched anywhere in a line (a line may be
    wrapped in JSON, so they hold neither quotes nor backslashes to be matched). `fields` is a `re` expression whose
    named groups are read from the cleaned line, with up to `follow` lines after it when one line is not enough
    (people and terminals wrap long messages). `context_lines` lines before a match are kept with it: for an
    exception that is its traceback.
    """

    id: str
    finds: tuple[str, ...]
    fields: str = ""
    keep: Keep = Keep.RARE
    follow: int = 0
    context_lines: int = 0
    caseless: bool = False
