"""Write `literal_table.py`: the literals of the signatures' expressions, so that no run has to work them out.

    python -m troubleshoot.logs.literal_table_writer

`make generate` runs it after a change of the signatures; a test holds the table equal to what it would write.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from troubleshoot.logs.literals import alternatives, plain_text, required_literals
from troubleshoot.logs.signature import Signature
from troubleshoot.logs.signatures import SIGNATURES

TABLE = Path(__file__).with_name("literal_table.py")
_HEAD = """\
\"\"\"The required literals of the signatures' expressions, by expression. By `literal_table_writer`: do not edit.\"\"\"

# ruff: noqa: E501, S108
# fmt: off
from __future__ import annotations

from collections.abc import Mapping

LITERALS: Mapping[str, tuple[str, ...]] = {
"""


def literals_of(signatures: Iterable[Signature]) -> dict[str, tuple[str, ...]]:
    """The literals of every branch that is more than a plain text, sorted by branch."""
    branches = {branch for signature in signatures for find in signature.finds for branch in alternatives(find)}
    searched = sorted(branch for branch in branches if plain_text(branch) is None)
    return {branch: tuple(sorted(required_literals(branch))) for branch in searched}


def table_text(literals: Mapping[str, tuple[str, ...]]) -> str:
    """The module's source."""
    return _HEAD + "".join(f"    {branch!r}: {found!r},\n" for branch, found in literals.items()) + "}\n"


if __name__ == "__main__":
    TABLE.write_text(table_text(literals_of(SIGNATURES.values())), encoding="utf-8")
