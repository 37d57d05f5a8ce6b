"""Compiled literals on disk: they save time and never decide anything."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hyperscan
import pytest

from troubleshoot.logs import compiled as module
from troubleshoot.logs.compiled import compiled

TEXTS = (b"out of memory", b"illegal access")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the files go."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "inferwatch"


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each time that something was compiled."""
    done: list[int] = []

    class Counted(hyperscan.Database):
        def compile(self, *arguments: Any, **options: Any) -> None:
            done.append(1)
            super().compile(*arguments, **options)

    monkeypatch.setattr(hyperscan, "Database", Counted)
    return done


def found(texts: Sequence[bytes] = TEXTS, log: bytes = b"CUDA: out of memory") -> list[int]:
    """The indexes of the texts that stand in the log."""
    matches: list[int] = []
    database = compiled(texts, range(len(texts)), [0] * len(texts))
    database.scan(log, match_event_handler=lambda index, *_: matches.append(index))
    return matches


def test_the_second_start_compiles_nothing(folder: Path, compilations: list[int]) -> None:
    assert found() == found() == [0]

    assert len(compilations) == 1
    assert len(list(folder.iterdir())) == 1


def test_only_the_user_can_read_the_files(folder: Path) -> None:
    found()

    assert folder.stat().st_mode & 0o777 == 0o700
    assert [file.stat().st_mode & 0o777 for file in folder.iterdir()] == [0o600]


def test_other_literals_are_other_files(folder: Path, compilations: list[int]) -> None:
    assert found() == [0]
    assert found((b"illegal access", b"out of memory")) == [1]

    assert len(compilations) == len(list(folder.iterdir())) == 2


def test_literals_of_the_same_checksum_are_told_apart(
    folder: Path, compilations: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zlib, "crc32", lambda _key: 7)

    assert found() == [0]
    assert found((b"illegal access", b"out of memory")) == [1]
    assert len(compilations) == 2


@pytest.mark.parametrize("damage", ["cut short", "one bit", "empty"])
def test_a_damaged_file_is_compiled_anew(folder: Path, compilations: list[int], damage: str) -> None:
    found()
    (file,) = folder.iterdir()
    content = file.read_bytes()
    middle = len(content) - 100
    file.write_bytes(
        {
            "cut short": content[:middle],
            "one bit": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
            "empty": b"",
        }[damage]
    )

    assert found() == [0]
    assert len(compilations) == 2
    assert file.read_bytes() == content


@pytest.mark.parametrize("place", ["file", "folder"])
def test_what_others_can_write_is_not_trusted(folder: Path, compilations: list[int], place: str) -> None:
    found()
    (file,) = folder.iterdir()
    (file if place == "file" else folder).chmod(0o777)

    assert found() == [0]
    assert len(compilations) == 2


def test_what_another_user_wrote_is_not_trusted(
    folder: Path, compilations: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    found()
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)

    assert found() == [0]
    assert len(compilations) == 2


def test_a_link_is_not_followed(folder: Path, compilations: list[int], tmp_path: Path) -> None:
    found()
    (file,) = folder.iterdir()
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")

    assert found() == [0]
    assert len(compilations) == 2


def test_nothing_is_written_into_another_users_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with sudo, which may leave HOME as it was."""
    monkeypatch.setattr(os, "geteuid", lambda: 1 << 30)

    assert found() == [0]
    assert not folder.exists()


@pytest.mark.parametrize("cache", ["relative/folder", "/dev/null"])
def test_without_a_place_for_files_it_works_all_the_same(
    monkeypatch: pytest.MonkeyPatch, compilations: list[int], tmp_path: Path, cache: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", cache)

    assert found() == found() == [0]
    assert len(compilations) == 2
    assert list(tmp_path.iterdir()) == []


def test_without_a_home_it_works_all_the_same(monkeypatch: pytest.MonkeyPatch, compilations: list[int]) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def no_home(_path: Path) -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "expanduser", no_home)

    assert found() == found() == [0]
    assert len(compilations) == 2


def test_few_files_stay(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_FILES", 3)

    for number in range(5):
        found((b"out of memory", b"text number %d" % number))

    assert len(list(folder.iterdir())) == 3
