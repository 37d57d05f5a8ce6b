"""Every cause has a runbook, and every runbook has the same shape."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import runbooks
from runbooks import FAMILIES, HEADINGS, PAGES, family, page, title

ROOT = Path(runbooks.__file__).parent
CAUSES_FILE = Path(__file__).resolve().parents[2] / ".." / "shared" / "reference" / "causes.yaml"
ADDED = {"crash_unrecognised_exception", "crash_pod_not_started"}

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]+\]\(([^)]+)\)")


def prose(cause: str) -> str:
    return _FENCE.sub("", page(cause))


def test_the_list_and_the_folder_hold_the_same_pages() -> None:
    assert len(set(PAGES)) == len(PAGES)
    assert set(PAGES) == {path.stem for path in (ROOT / "causes").glob("*.md")}


def test_every_registered_cause_has_a_page_and_every_page_a_cause() -> None:
    causes = pytest.importorskip("troubleshoot.causes", reason="the diagnosis is not there")
    registry = getattr(causes, "CAUSES", None)
    if registry is None:
        pytest.skip("troubleshoot.causes exports no CAUSES yet")
    assert set(registry) == set(PAGES)


def test_every_cause_of_the_reference_has_a_page() -> None:
    if not CAUSES_FILE.exists():
        pytest.skip("the shared folder with reference/causes.yaml is not there")
    named = set(re.findall(r"^- id: (\S+)$", CAUSES_FILE.read_text(encoding="utf-8"), re.MULTILINE))
    assert named | ADDED == set(PAGES)


def test_an_id_without_a_page_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        page("oom_imaginary")


def test_a_path_is_no_id() -> None:
    with pytest.raises(KeyError):
        page("../README")


@pytest.mark.parametrize("cause", PAGES)
def test_the_first_line_names_the_cause_and_a_title(cause: str) -> None:
    assert page(cause).splitlines()[0] == f"# {cause}: {title(cause)}"
    assert 10 <= len(title(cause)) <= 80


@pytest.mark.parametrize("cause", PAGES)
def test_a_page_has_the_four_headings_in_order_and_text_under_each(cause: str) -> None:
    headings = tuple(re.findall(r"^## (.+)$", prose(cause), re.MULTILINE))
    assert headings == HEADINGS
    sections = re.split(r"^## .+$", prose(cause), flags=re.MULTILINE)[1:]
    assert all(len(section.split()) >= 10 for section in sections)


@pytest.mark.parametrize("cause", PAGES)
def test_a_page_fits_on_two_screens(cause: str) -> None:
    assert 35 <= len(page(cause).splitlines()) <= 80


@pytest.mark.parametrize("cause", PAGES)
def test_a_page_says_what_not_to_do(cause: str) -> None:
    mitigation = prose(cause).partition("## Mitigation")[2]
    assert re.search(r"\b(Do not|does not help|No engine flag|does nothing|are normal|Change one)\b", mitigation)


@pytest.mark.parametrize("cause", PAGES)
def test_a_page_shows_a_command_to_paste(cause: str) -> None:
    diagnosis = page(cause).partition("## Diagnosis")[2].partition("## Mitigation")[0]
    assert any(language == "bash" for language, _ in _FENCE.findall(diagnosis))


@pytest.mark.parametrize("cause", PAGES)
def test_links_lead_to_other_pages(cause: str) -> None:
    for target in _LINK.findall(prose(cause)):
        assert target.removesuffix(".md") in set(PAGES) - {cause}


@pytest.mark.parametrize("cause", PAGES)
def test_shell_commands_are_valid_bash(cause: str) -> None:
    for language, body in _FENCE.findall(page(cause)):
        assert language in {"bash", "promql", "text", "yaml"}
        if language == "bash":
            done = subprocess.run(["bash", "-n"], input=body, text=True, capture_output=True, check=False)
            assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("cause", PAGES)
def test_code_fences_are_closed(cause: str) -> None:
    assert page(cause).count("```") == 2 * len(_FENCE.findall(page(cause)))


def test_the_families_are_those_of_the_causes() -> None:
    assert {family(cause) for cause in PAGES} == set(FAMILIES.values())
    assert family("thr_enforce_eager") == "throughput"


def test_the_index_lists_every_page_with_its_title() -> None:
    index = (ROOT / "README.md").read_text(encoding="utf-8")
    for cause in PAGES:
        assert f"| [{cause}](causes/{cause}.md) | {title(cause)} |" in index
    assert index.count("](causes/") == len(PAGES)
