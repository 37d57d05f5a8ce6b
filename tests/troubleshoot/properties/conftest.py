"""One judge for the properties: it reads what it is given as the command would, and knows what it has read."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import troubleshoot.collect
from tests.troubleshoot.properties.failures import Judge, Judgement, diagnosis_of
from troubleshoot.logs.matcher import Matcher
from troubleshoot.logs.signatures import SIGNATURES


@pytest.fixture(scope="module", autouse=True)
def one_matcher() -> Iterator[None]:
    """Compile the expressions once for all examples, as one run of the command does."""
    matcher = Matcher(SIGNATURES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(troubleshoot.collect, "Matcher", lambda _signatures: matcher)
        yield


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inputs")


@pytest.fixture(scope="session")
def judge(folder: Path) -> Judge:
    @cache
    def of(log: bytes | None, metrics: bytes | None = None) -> Judgement:
        diagnosis = diagnosis_of(folder, log, metrics)
        return diagnosis.verdict, [(found.cause, found.severity.label) for found in diagnosis.findings]

    return of
