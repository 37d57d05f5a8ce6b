"""Flags that the pinned version has."""

from __future__ import annotations

from collections.abc import Iterable

from catalog.flags import flag_exists, flag_table
from troubleshoot.preflight.checks.base import Fix, Judgement, Severity, Subject, WorkloadCheck

_READ = ("vllm", "sglang")
_NOT_THE_SERVERS = ("huggingfaceserver",)


class EngineFlags(WorkloadCheck):
    """An engine that does not know one of its arguments does not start."""

    id = "engine_flags"
    severity = Severity.CRITICAL
    title = "This version has no such flag"
    needs = "the engine's version, from the tag of its image"
    reads_arguments = True

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class."""
        engine = subject.engine
        if engine is None or any(name in engine.container.image.name for name in _NOT_THE_SERVERS):
            return
        written = [
            each
            for each in engine.settings.values()
            if each.flag.startswith("--") and each.field.path[-1:] != ("value",)
        ]
        if not written:
            return
        if engine.name not in _READ:
            yield self.not_checked(
                subject.title, f"the flags of {engine.title}, which are not in the catalogue by release"
            )
            return
        if not engine.version:
            yield self.not_checked(subject.title)
            return
        unknown = []
        for setting in written:
            answer = flag_exists(engine.name, setting.flag, engine.version)
            if answer is False and not _is_off_switch(engine.name, setting.flag, engine.version):
                known = flag_table(engine.name).flags.get(setting.flag)
                when = (
                    f"releases {known.since} to {known.until or 'now'} have it"
                    if known
                    else "no release that was read has it"
                )
                yield self.finding(
                    subject.title,
                    setting.field,
                    f"{engine.title} has no {setting.flag} ({when}): it does not start.",
                    Fix(setting.flag, setting.value or "set", "remove", "or take a release that has it"),
                )
            elif answer is None:
                unknown.append(setting.flag)
        if unknown:
            yield self.not_checked(
                subject.title,
                f"the arguments of {engine.title}, of whose neighbours only one has {', '.join(unknown)}, or which was not read",
            )


def _is_off_switch(engine: str, flag: str, version: str) -> bool:
    """Whether it is the `--no-...` of a switch, which the tables list without it."""
    return flag.startswith("--no-") and flag_exists(engine, f"--{flag[5:]}", version) is not False
