"""Files, directories and standard input into objects; whatever is wrong is one line that says what to do."""

from __future__ import annotations

import gzip
import io
import os
import sys
from pathlib import Path

import pytest

from troubleshoot.sources import manifests
from troubleshoot.sources.manifests import read_manifests

POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: []}\n"


def problem(tmp_path: Path, text: str | bytes, name: str = "a.yaml") -> str:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    found = read_manifests([str(path)])
    (only,) = found.problems
    assert "\n" not in only
    assert only.startswith(str(path))
    return only


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("# nothing\n---\n", "nothing but comments"),
        ("- a\n- b\n", "is a list"),
        ("hello\n", "single value"),
        ("a: 1\n", "no apiVersion and kind"),
        ("apiVersion: v1\n", "no kind"),
        ("a: [1\nb: 2\n", "line 2"),
        ("services:\n  web: {}\n", "Docker Compose"),
        ("groups: []\n", "Prometheus rule file"),
        ("replicaCount: 2\nimage: {}\n", "Helm values"),
        ("kind: {{ .Values.kind }}\n  a: {{ b }}\n", "helm template"),
        (b"\x7fELF\x00\x01", "ELF"),
        (os.urandom(4096), "looks binary"),
        ("é".encode("latin-1") + b": 1\n", "UTF-8"),
    ],
)
def test_what_is_no_manifest_is_said_in_one_line(tmp_path: Path, text: str | bytes, said: str) -> None:
    line = problem(tmp_path, text)
    assert said in line
    assert "log" not in line.removeprefix(str(tmp_path))


def test_the_line_of_a_foreign_document_is_said(tmp_path: Path) -> None:
    line = problem(tmp_path, POD + "---\na: 1\n")
    assert "line 6" in line


def test_a_huge_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "MAX_BYTES", 1000)
    assert "larger than" in problem(tmp_path, POD + "# " + "x" * 2000)


def test_a_missing_file_and_an_odd_path(tmp_path: Path) -> None:
    found = read_manifests([str(tmp_path / "none.yaml"), "a\0b"])
    assert len(found.problems) == 2
    assert all("\n" not in each for each in found.problems)
    assert found.objects == []


def test_a_readable_file_is_kept_beside_one_that_is_not(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(POD)
    found = read_manifests([str(tmp_path / "good.yaml"), str(tmp_path / "none.yaml")])
    assert [item.kind for item in found.objects] == ["Pod"]
    assert len(found.problems) == 1


def test_a_directory_gives_its_manifests_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "pod.yaml").write_text(POD)
    (tmp_path / "values.yaml").write_text("replicaCount: 1\n")
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: x\n")
    (tmp_path / "empty.yaml").write_text("")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "pod.yaml").write_text(POD)
    (tmp_path / "notes.txt").write_text("x")
    found = read_manifests([str(tmp_path)])
    assert [item.root.place.file for item in found.objects] == [str(tmp_path / "b" / "pod.yaml")]
    assert found.problems == []
    assert any("Helm values" in note for note in found.notes)
    assert any("helm template" in note for note in found.notes)


def test_a_broken_file_in_a_directory_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text(POD)
    (tmp_path / "broken.yaml").write_text("a: [")
    found = read_manifests([str(tmp_path)])
    assert len(found.objects) == 1
    assert "broken.yaml" in found.problems[0]


@pytest.mark.parametrize("content", [{}, {"x.txt": "a"}, {"a.yaml": "b: 1"}])
def test_a_directory_without_manifests(tmp_path: Path, content: dict[str, str]) -> None:
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    assert len(read_manifests([str(tmp_path)]).problems) == 1


def test_a_list_gives_its_items_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "list.yaml"
    path.write_text("apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: a\n")
    (item,) = read_manifests([str(path)]).objects
    assert item.root.at("metadata", "name").place.line == 7
    assert item.root.at("metadata", "name").place.path == "metadata.name"
    assert item.root.at("metadata", "labels").place.line == 6
    assert item.root.at("spec").place.line == 4


def test_standard_input_and_compressed_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pod.yaml.gz"
    path.write_bytes(gzip.compress(POD.encode()))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(POD.encode())))
    found = read_manifests([str(path), "-", "-"])
    assert [item.root.place.file for item in found.objects] == [str(path), "-"]


def test_a_truncated_compressed_file_is_no_manifest(tmp_path: Path) -> None:
    assert "truncated" in problem(tmp_path, gzip.compress(POD.encode() * 3000)[:-40], "pod.yaml.gz")


def test_an_empty_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    (line,) = read_manifests(["-"]).problems
    assert "empty" in line
