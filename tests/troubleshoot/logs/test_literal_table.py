"""The table of literals: what the signatures' expressions give, no more and no less."""

from __future__ import annotations

from troubleshoot.logs.literal_table import LITERALS
from troubleshoot.logs.literal_table_writer import TABLE, literals_of, table_text
from troubleshoot.logs.signature import Signature
from troubleshoot.logs.signatures import SIGNATURES


def test_the_table_is_what_the_signatures_give() -> None:
    assert literals_of(SIGNATURES.values()) == LITERALS, "run `make generate`"


def test_the_file_is_as_written() -> None:
    assert TABLE.read_text(encoding="utf-8") == table_text(LITERALS), "run `make generate`"


def test_plain_texts_need_no_entry() -> None:
    signatures = [Signature("mixed", ("plain text", r"model \d+ is missing|also plain"))]

    assert literals_of(signatures) == {r"model \d+ is missing": (" is missing",)}
