"""Secrets that stand in the manifest."""

from __future__ import annotations

from collections.abc import Iterable

from troubleshoot.preflight.checks.base import Fix, Judgement, Severity, Subject, WorkloadCheck
from troubleshoot.preflight.workload import Container
from troubleshoot.redact import MASK, is_secret_name, redact

_HARMLESS = ("", "true", "false", "none", "null", "empty", "dummy")
_PATH_OF_A_FILE = ("/", "./")


class PlainSecrets(WorkloadCheck):
    """Whoever can read the pod, its manifest or the node's processes reads what is written there."""

    id = "secrets"
    severity = Severity.CRITICAL
    title = "A secret stands in the manifest"
    needs = "arguments and environment of the containers"

    def applies(self, subject: Subject) -> bool:
        """Every part of an inference service."""
        return subject.serves

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class. No value is ever shown."""
        for container in subject.workload.containers:
            for name, field in container.environment.items():
                if _is_secret(name, field.text):
                    yield self.finding(
                        subject.title,
                        field,
                        f"The variable {name} is given to {container.name} in plain text.",
                        Fix(
                            name,
                            MASK,
                            "valueFrom: secretKeyRef",
                            "and take the value out of use: it has been written down",
                        ),
                    )
            yield from self._arguments(subject, container)

    def _arguments(self, subject: Subject, container: Container) -> Iterable[Judgement]:
        words = container.words
        for position, word in enumerate(words):
            name, given, value = word.text.partition("=")
            if not given and position + 1 < len(words) and not words[position + 1].text.startswith("-"):
                value = words[position + 1].text
            if name.startswith("-") and _is_secret(name.lstrip("-"), value):
                yield self.finding(
                    subject.title,
                    word.field,
                    f"The argument {name} is given to {container.name} in plain text; every process list shows it.",
                    Fix(name, MASK, "a variable with valueFrom: secretKeyRef", _variable(name)),
                )
            elif not name.startswith("-") and " " not in word.text and redact(word.text) != word.text:
                before = words[position - 1].text.lstrip("-") if position else ""
                if not _is_secret(before, word.text):
                    yield self.finding(
                        subject.title,
                        word.field,
                        f"An argument of {container.name} has the form of a token or key.",
                        Fix(
                            "argument", MASK, "a variable with valueFrom: secretKeyRef", "and take the value out of use"
                        ),
                    )


def _is_secret(name: str, value: str) -> bool:
    if redact(value) != value:
        return True
    plain = value.strip().lower()
    if plain in _HARMLESS or "$" in value or value.startswith(_PATH_OF_A_FILE):
        return False
    return is_secret_name(name)


def _variable(flag: str) -> str:
    known = {"--api-key": "vLLM reads VLLM_API_KEY", "--hf-token": "the hub's client reads HF_TOKEN"}
    return known.get(flag, "and take the value out of use: it has been written down")
