"""What `inferwatch diagnose` can be told: the values of its options, and its plainest command lines.

Importing click and having it read a command line takes a tenth of the time that a log of 100 MB is allowed. So what is
nothing but exact options, each with a good value, is read here; everything else, with help and errors, is click's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from troubleshoot.collect_kube import KubeRequest
    from troubleshoot.report import Format
    from troubleshoot.sources.access import Access
    from troubleshoot.sources.loki import LokiRequest
    from troubleshoot.stores import StoreRequest

_PLAIN_FORMATS = ("text", "json", "markdown")
FORMATS = (*_PLAIN_FORMATS, "html")
SEVERITIES = ("info", "warning", "critical")
ENGINES = ("vllm", "sglang", "tgi", "triton", "tensorrt_llm", "llamacpp", "kserve", "dynamo")
FAMILIES = ("oom", "throughput", "ttft", "crash", "hang")
WINDOW = "15s"
_LONGEST_WINDOW_SECONDS = 3600

_CHOICES = {"--format": _PLAIN_FORMATS, "--fail-on": SEVERITIES, "--engine": ENGINES, "--symptom": FAMILIES}


class Arguments(NamedTuple):
    """What to read and what to make of it. `fail_on` is the severity from which the exit status is 1.

    `access` is for live URLs; stores have their own.
    """

    logs: tuple[str, ...]
    metrics: tuple[str, ...] = ()
    window_seconds: float = 15.0
    report: Format = "text"
    fail_on: str = "warning"
    engine: str = ""
    symptom: str = ""
    store: StoreRequest | None = None
    loki: LokiRequest | None = None
    kube: KubeRequest | None = None
    access: Access | None = None


def plain(words: Sequence[str]) -> Arguments | None:
    """The arguments of a command line behind `diagnose` that reads logs alone; None where click has to look at it."""
    if len(words) % 2:
        return None
    logs: list[str] = []
    chosen: dict[str, str] = {}
    for option, value in zip(words[::2], words[1::2], strict=True):
        if option == "--log" and (value == "-" or not value.startswith("-")):
            logs.append(value)
        elif value in _CHOICES.get(option, ()):
            chosen[option] = value
        else:
            return None
    if not logs:
        return None
    return Arguments(
        tuple(logs),
        report=cast("Format", chosen.get("--format", "text")),
        fail_on=chosen.get("--fail-on", "warning"),
        engine=chosen.get("--engine", ""),
        symptom=chosen.get("--symptom", ""),
    )


def seconds_of(duration: str, longest_seconds: float = _LONGEST_WINDOW_SECONDS) -> float:
    """`15s`, `2m`, `1h` or plain seconds -> seconds, above 0 and at most an hour; ValueError says what is wrong."""
    unit = {"s": 1.0, "m": 60.0, "h": 3600.0}.get(duration[-1:])
    try:
        seconds = float(duration[:-1]) * unit if unit else float(duration)
    except ValueError:
        raise ValueError(f"{duration!r} is no duration; write 15s, 2m or 90") from None
    if not 0 < seconds <= longest_seconds:
        raise ValueError(f"{duration!r} is out of range; write between 1s and {longest_seconds / 3600:g}h")
    return seconds
