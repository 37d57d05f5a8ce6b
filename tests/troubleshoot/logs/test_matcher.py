from __future__ import annotations

from collections.abc import Mapping

import hyperscan
import pytest

from troubleshoot.logs.matcher import FLOOD, Matcher, Pieces
from troubleshoot.logs.signature import RARE_KEPT, Keep, Signature
from troubleshoot.logs.window import Window


def table(*signatures: Signature) -> Mapping[str, Signature]:
    return {signature.id: signature for signature in signatures}


def window(text: bytes, start: int = 0) -> Window:
    return Window(bytearray(text), 0, start, len(text), len(text))


def scan(text: bytes, *signatures: Signature) -> dict[str, Pieces]:
    return Matcher(table(*signatures)).scanner().scan(window(text))


PORT = Signature("port", ("ddress already in use", r"port \d+ is taken"))


def test_a_line_is_reported_once_with_its_first_match() -> None:
    text = b"fine\nport 80 is taken, Address already in use, port 81 is taken\n"
    assert scan(text, PORT) == {"port": {5: text.index(b" is taken") + 9}}


def test_an_expression_confirms_what_its_literal_found() -> None:
    assert scan(b"this port http is taken\n", PORT) == {}


def test_case_matters_where_the_signature_says_so() -> None:
    strict = Signature("strict", ("illegal memory access",))
    lax = Signature("lax", ("illegal memory access", r"bad .{1,3}zyxw"), caseless=True)
    found = scan(b"Illegal Memory access\nBAD a ZYXW\nillegal memory access\n", strict, lax)
    assert found == {"strict": {33: 54}, "lax": {0: 21, 22: 32, 33: 54}}


def test_no_match_goes_over_a_line_end() -> None:
    crossing = Signature("crossing", (r"watchdog[^)]{1,40}gibberish", r"watchdog\s+gibberish"))
    assert scan(b"watchdog\ngibberish\n", crossing) == {}
    assert set(scan(b"watchdog \r gibberish\n", crossing)["crossing"]) == {0}


def test_several_signatures_may_share_a_line_and_a_literal() -> None:
    first, second = Signature("first", ("zyxwv",)), Signature("second", ("zyxwv",), keep=Keep.SERIES)
    assert scan(b"a zyxwv\n", first, second) == {"first": {0: 7}, "second": {0: 7}}


def test_line_ends_and_beginnings_are_anchors() -> None:
    killed = Signature("killed", (r"(?:^|[\s(])Killed\s*$",))
    assert set(scan(b"Killed\nKilled it\nrun.sh: (Killed\r\nnotKilled\n", killed)["killed"]) == {0, 17}


def test_every_confirmed_line_of_a_flood_counts() -> None:
    found = scan(b"port 80 is taken\n" * (10 * FLOOD), PORT)
    assert len(found["port"]) == 10 * FLOOD


def test_a_flood_that_is_not_confirmed_throughout_is_looked_at_line_by_line() -> None:
    found = scan(b"port 80 is taken\nport of call\nport x is taken\n" * (10 * FLOOD), PORT)
    assert len(found["port"]) == 10 * FLOOD


def test_nul_bytes_and_broken_utf8_are_text_like_any_other() -> None:
    assert scan(b"\0\xff\xc3 port 80 is taken\0\xff", PORT) == {"port": {0: 20}}


def test_sampled_kinds_are_reported_once_a_window() -> None:
    fact = Signature("fact", ("zyxwv",), keep=Keep.FACT)
    both = Matcher(table(fact, PORT))
    text = b"zyxwv\nAddress already in use\n" * 5
    assert len(both.scanner().scan(window(text))["fact"]) == 5
    sampled = both.scanner(sampled=frozenset({Keep.FACT})).scan(window(text))
    assert sampled["fact"] == {0: 5}
    assert len(sampled["port"]) == 5


ROUTINE = Signature("routine", ("zyxwv",), keep=Keep.ROUTINE)


def test_of_what_is_routine_the_first_and_the_last_are_listed_and_all_count() -> None:
    matcher = Matcher(table(ROUTINE))
    found = matcher.scanner().scan(window(b"a zyxwv\nb\n" * 5000))["routine"]
    half = RARE_KEPT // 2
    assert sorted(found.items()) == [(10 * n, 10 * n + 7) for n in (*range(half), *range(5000 - half, 5000))]
    assert len(found) + found.unlisted == 5000
    estimated = matcher.scanner(sampled=frozenset({Keep.FACT})).scan(window(b"a zyxwv\nb\n" * 50_000))["routine"]
    assert estimated == {0: 7}
    assert len(estimated) + estimated.unlisted == pytest.approx(50_000, rel=0.01)


@pytest.mark.parametrize("number", [1, RARE_KEPT // 2, RARE_KEPT // 2 + 1, RARE_KEPT, RARE_KEPT + 1])
@pytest.mark.parametrize("keeps_estimating", [False, True])
def test_a_few_routine_lines_are_counted_exactly(number: int, keeps_estimating: bool) -> None:
    matcher = Matcher(table(ROUTINE))
    sampled = frozenset({Keep.FACT}) if keeps_estimating else frozenset[Keep]()
    found = matcher.scanner(sampled=sampled).scan(window(b"a zyxwv\n" * number))["routine"]
    assert len(found) == (1 if keeps_estimating else min(number, RARE_KEPT))
    assert len(found) + found.unlisted == number


def test_signatures_can_be_left_out() -> None:
    mark = Signature("mark", ("zyxwv",), keep=Keep.MARK)
    matcher = Matcher(table(mark, PORT))
    text = window(b"zyxwv Address already in use\n")
    assert set(matcher.scanner().scan(text)) == {"mark", "port"}
    assert set(matcher.scanner(without=frozenset({"mark"})).scan(text)) == {"port"}
    assert set(matcher.scanner().scan(text, known=frozenset({"mark"}))) == {"port"}


@pytest.mark.parametrize(
    ("text", "start", "expected"),
    [
        (b"xvllm vllmx\nvllm and vllm\nvllm\n", 0, {"engine": {12: 16}}),
        (b"vLLM then vllm\n", 0, {"engine": {0: 4}}),
        (b"vllm, then vllm\n", 6, {"engine": {6: 15}}),
        (b"xvllm vllmx\n" * 100, 0, {}),
    ],
)
def test_a_mark_is_found_at_the_first_place_where_its_expression_stands(
    text: bytes, start: int, expected: dict[str, dict[int, int]]
) -> None:
    mark = Signature("engine", (r"\bvllm\b", r"\bvLLM\b"), keep=Keep.MARK)
    assert Matcher(table(mark)).scanner().scan(window(text, start)) == expected


@pytest.mark.parametrize("start", [6, 7])
def test_only_matches_after_the_start_are_reported(start: int) -> None:
    text = b"zyxwv zyxwv\n"
    mark = Signature("mark", ("zyxwv",))
    assert list(Matcher(table(mark)).scanner().scan(window(text, start))["mark"].values()) == [11]


def test_an_interrupt_during_the_search_is_no_engine_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Engine:
        def scan(self, _text: memoryview, match_event_handler: object) -> None:
            raise hyperscan.ScanTerminated

    scanner = Matcher(table(PORT)).scanner()
    monkeypatch.setattr(scanner, "_database", Engine())
    with pytest.raises(KeyboardInterrupt):
        scanner.scan(window(b"Address already in use\n"))
