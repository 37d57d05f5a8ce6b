"""The failures that are written by hand are what they say."""

from __future__ import annotations

import pytest

from tests.troubleshoot.properties.failures import (
    FAILURES,
    Judge,
    log_of,
)

# Not traced for coverage, which would triple the time of much work over lines that the tests of causes cover.
pytestmark = pytest.mark.no_cover


@pytest.mark.parametrize("cause", FAILURES)
def test_the_failures_written_here_are_what_they_say(judge: Judge, cause: str) -> None:
    verdict, findings = judge(log_of(cause))
    assert (verdict, findings[0][0]) == ("incident", cause)
