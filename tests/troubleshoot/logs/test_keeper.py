from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest

from troubleshoot.logs.keeper import SERIES_KEPT, SERIES_RECENT, Keeper
from troubleshoot.logs.matcher import Pieces
from troubleshoot.logs.signature import RARE_KEPT, Keep, Signature
from troubleshoot.logs.window import Window

SIGNATURES = {
    "rare": Signature("rare", ("rare",)),
    "fact": Signature("fact", ("fact",), keep=Keep.FACT),
    "series": Signature("series", ("series",), keep=Keep.SERIES),
    "mark": Signature("mark", ("mark",), keep=Keep.MARK),
}
LINE_BYTES = 8
"""Every line of these tests is so long: `rare   \\n`."""

Kept = dict[str, list[int]]


def text_of(words: Sequence[str]) -> bytes:
    return b"".join(word.encode().ljust(LINE_BYTES - 1) + b"\n" for word in words)


def take(keeper: Keeper, words: Sequence[str], begin: int, end: int) -> None:
    """Give the keeper lines `begin` to `end`, as one window."""
    content = text_of(words[begin:end])
    window = Window(bytearray(content), begin * LINE_BYTES, 0, len(content), len(content))
    found: dict[str, Pieces] = {}
    for index, word in enumerate(words[begin:end]):
        if word in SIGNATURES:
            found.setdefault(word, Pieces())[index * LINE_BYTES] = index * LINE_BYTES + len(word)
    keeper.take(window, found, 0, begin)


def test_places_that_are_not_listed_count() -> None:
    keeper = Keeper(SIGNATURES)
    pieces = Pieces({0: 4})
    pieces.unlisted = 99
    keeper.take(Window(bytearray(b"rare\n"), 0, 0, 5, 5), {"rare": pieces}, 0, 0)
    assert keeper.counts == {"rare": 100}


def kept(keeper: Keeper) -> Kept:
    """The kept lines' numbers, from 0."""
    for places in keeper.all().values():
        assert all(place.line * LINE_BYTES == place.offset for place in places)
    return {identity: [place.line for place in places] for identity, places in keeper.all().items()}


def of_whole(words: Sequence[str]) -> Keeper:
    keeper = Keeper(SIGNATURES)
    take(keeper, words, 0, len(words))
    return keeper


def log(seed: int, length: int = 20_000) -> list[str]:
    """Lines in phases, each with its own mixture of signatures."""
    choose = random.Random(seed)
    words: list[str] = []
    while len(words) < length:
        mixture = [choose.choice(("rare", "fact", "series", "mark", "other")) for _ in range(3)]
        words += choose.choices(mixture, k=choose.randint(1, 3000))
    return words[:length]


def parts(seed: int, length: int) -> Iterator[tuple[int, int]]:
    choose = random.Random(seed)
    borders = sorted({0, length, *(choose.randrange(length) for _ in range(12))})
    return pairwise(borders)


def test_of_rare_lines_the_first_and_the_last_stay_and_all_are_counted() -> None:
    keeper = of_whole(["rare"] * 1000)
    half = RARE_KEPT // 2
    assert kept(keeper)["rare"] == [*range(half), *range(1000 - half, 1000)]
    assert keeper.counts == {"rare": 1000}


def test_few_rare_lines_stay_all_and_once() -> None:
    assert kept(of_whole(["rare", "x"] * (RARE_KEPT // 2 + 3)))["rare"] == list(range(0, RARE_KEPT + 6, 2))


def test_of_a_mark_the_first_stays() -> None:
    keeper = of_whole(["x", "mark", "mark"])
    assert kept(keeper) == {"mark": [1]}
    assert keeper.counts == {"mark": 1}
    assert keeper.known == {"mark"}


def test_a_short_series_stays_whole() -> None:
    assert kept(of_whole(["series"] * (SERIES_KEPT + SERIES_RECENT)))["series"] == list(
        range(SERIES_KEPT + SERIES_RECENT)
    )


@pytest.mark.parametrize("number", [SERIES_KEPT + SERIES_RECENT + 1, 5000, 60_000])
def test_of_a_long_series_the_first_the_whole_end_and_an_even_spread_stay(number: int) -> None:
    lines = kept(of_whole(["series"] * number))["series"]
    older, recent = lines[:-SERIES_RECENT], lines[-SERIES_RECENT:]
    assert recent == list(range(number - SERIES_RECENT, number))
    assert older[0] == 0
    assert SERIES_KEPT // 2 <= len(older) <= SERIES_KEPT
    gaps = {later - earlier for earlier, later in pairwise(older)}
    assert len(gaps) == 1


def test_a_series_is_spread_over_the_whole_log_when_it_comes_in_bursts() -> None:
    words = ["series"] * 3000 + ["x"] * 3000 + ["series"] * 3000
    lines = kept(of_whole(words))["series"][:-SERIES_RECENT]
    early, late = [line for line in lines if line < 3000], [line for line in lines if line >= 6000]
    assert len(early) > SERIES_KEPT // 4
    assert len(late) > SERIES_KEPT // 4


@pytest.mark.parametrize("seed", range(6))
def test_windows_of_any_size_give_the_same(seed: int) -> None:
    words = log(seed)
    keeper = Keeper(SIGNATURES)
    for begin, end in parts(seed, len(words)):
        take(keeper, words, begin, end)
    whole = of_whole(words)
    assert kept(keeper) == kept(whole)
    assert keeper.counts == whole.counts


@pytest.mark.parametrize("seed", range(6))
def test_merged_keepers_hold_what_one_keeper_of_all_would(seed: int) -> None:
    words = log(seed, 40_000)
    keepers = [Keeper(SIGNATURES) for _ in range(3)]
    for index, (begin, end) in enumerate(parts(seed, len(words))):
        take(keepers[(index * index) % 3], words, begin, end)
    merged = Keeper(SIGNATURES)
    merged.merge([keeper.state() for keeper in keepers])
    whole = of_whole(words)
    assert kept(merged) == kept(whole)
    assert merged.counts == whole.counts


@pytest.mark.parametrize("seed", range(6))
def test_a_keeper_between_two_others_keeps_enough(seed: int) -> None:
    words = log(seed, 30_000)
    head, tail = Keeper(SIGNATURES), Keeper(SIGNATURES)
    take(head, words, 0, 4000)
    take(tail, words, 27_000, 30_000)
    between = head.between(tail.state())
    for begin in range(4000, 27_000, 1000):
        take(between, words, begin, begin + 1000)
    head.merge([between.state(), tail.state()])
    whole = of_whole(words)
    assert kept(head) == kept(whole)
    assert head.counts == whole.counts


@pytest.mark.parametrize("seed", range(6))
def test_texts_that_are_left_in_the_file_are_those_that_would_have_been_kept(seed: int) -> None:
    words = log(seed, 30_000)
    content = text_of(words)

    def read(view: memoryview, offset: int) -> int:
        part = content[offset : offset + len(view)]
        view[: len(part)] = part
        return len(part)

    head, tail = of_whole(words[:4000]), Keeper(SIGNATURES)
    take(tail, words, 27_000, 30_000)
    at_once, left = head.between(tail.state()), head.between(tail.state(), leaves_texts=True)
    for begin in range(4000, 27_000, 1000):
        take(at_once, words, begin, begin + 1000)
        take(left, words, begin, begin + 1000)
    left.read_texts(read)
    assert left.state() == at_once.state()


def test_a_keeper_between_two_full_ones_keeps_nothing_rare() -> None:
    head, tail = of_whole(["rare"] * 100), of_whole(["rare"] * 100)
    between = head.between(tail.state())
    take(between, ["rare"] * 1000, 0, 1000)
    assert kept(between) == {"rare": []}
    assert between.counts == {"rare": 1000}


def test_facts_are_known_once_both_ends_hold_enough() -> None:
    head, tail = of_whole(["fact", "rare"] * 100), of_whole(["fact", "rare"] * 100)
    assert head.between(tail.state()).known == {"fact"}
    assert head.between(of_whole(["fact"]).state()).known == set()
