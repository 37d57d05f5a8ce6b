from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from troubleshoot.logs.events import Event, events_of, merge
from troubleshoot.logs.matcher import Matcher
from troubleshoot.logs.scan import ByteSource, scan
from troubleshoot.logs.signature import Keep, Signature

SIGNATURES = {
    signature.id: signature
    for signature in (
        Signature("oom", ("out of memory",), fields=(r"allocate (?P<size>[\d.,]+) (?P<unit>\w+)",), context_lines=4),
        Signature("tokens", ("KV cache size: [\\d,]+ tokens",), fields=(r"size: (?P<tokens>[\d,]+) tokens",)),
        Signature(
            "profile",
            ("the instance can use",),
            fields=(r"memory \((?P<total>[\d.]+)GiB\)", r"= (?P<budget>[\d.]+)GiB"),
            follow=2,
        ),
        Signature("command", ("vllm serve ",), follow=4),
        Signature("mark", ("vllm",), keep=Keep.MARK),
    )
}

Read = Callable[..., dict[str, tuple[Event, ...]]]


@pytest.fixture
def read(stream_source: Callable[[bytes], ByteSource]) -> Read:
    """The events of a log given line by line."""

    def events(*lines: str) -> dict[str, tuple[Event, ...]]:
        source = stream_source("\n".join(lines).encode() + b"\n")
        return events_of(scan(source, SIGNATURES, Matcher(SIGNATURES)), SIGNATURES)

    return events


def line(message: str, process: str = "EngineCore pid=7", second: int = 0) -> str:
    return f"({process}) ERROR 11-21 10:00:{second:02d} [core.py:88] {message}"


def test_an_event_is_its_line_in_fields(read: Read) -> None:
    events = read("first", line("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB."))
    (event,) = events["oom"]
    assert (event.file, event.line, event.offset) == ("stream", 2, 6)
    assert event.message == "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB."
    assert event.text.startswith("(EngineCore pid=7) ERROR 11-21 10:00:00 [core.py:88] torch")
    assert (event.level, event.process, event.where) == ("ERROR", "EngineCore", "core.py:88")
    assert event.fields == {"size": "2.50", "unit": "GiB"}


def test_numbers_of_fields(read: Read) -> None:
    (event,) = read("GPU KV cache size: 14,400 tokens")["tokens"]
    assert event.number("tokens") == 14400
    assert event.number("unknown") is None
    (event,) = read("out of memory, cannot allocate 1.2.3 GiB")["oom"]
    assert event.number("size") is None
    assert event.number("unit") is None


def test_events_of_a_signature_stand_in_the_order_of_the_file(read: Read) -> None:
    events = read(*(f"out of memory number {number}" for number in range(5)))["oom"]
    assert [event.line for event in events] == [1, 2, 3, 4, 5]
    assert [event.offset for event in events] == sorted(event.offset for event in events)


def test_a_line_may_say_two_things(read: Read) -> None:
    events = read("vllm: out of memory")
    assert (events["oom"][0].line, events["mark"][0].line) == (1, 1)


def test_a_long_message_that_was_wrapped_is_read_over_its_lines(read: Read) -> None:
    (event,) = read("the instance can use memory (79.10GiB)", "x gpu_memory_utilization (0.90)", "= 71.19GiB")[
        "profile"
    ]
    assert event.fields == {"total": "79.10", "budget": "71.19"}


def test_what_another_process_prints_in_between_is_no_part_of_a_message(read: Read) -> None:
    (event,) = read(
        line("the instance can use memory (79.10GiB)", "Worker_TP0 pid=1"),
        line("the other has = 10.00GiB", "Worker_TP1 pid=2"),
        line("= 71.19GiB", "Worker_TP0 pid=1"),
    )["profile"]
    assert event.fields["budget"] == "71.19"


def test_the_context_is_the_traceback_of_the_same_process(read: Read) -> None:
    (event,) = read(
        line("Traceback (most recent call last):", "Worker_TP0 pid=1"),
        line("Traceback of somebody else", "Worker_TP1 pid=2"),
        line('  File "model.py", line 3, in forward', "Worker_TP0 pid=1"),
        line("out of memory", "Worker_TP0 pid=1"),
    )["oom"]
    assert event.context == ("Traceback (most recent call last):", '  File "model.py", line 3, in forward')


def test_only_signatures_that_ask_for_it_have_a_context(read: Read) -> None:
    (event,) = read("before", "KV cache size: 5 tokens")["tokens"]
    assert event.context == ()


def test_the_lines_after_a_command_come_with_it(read: Read) -> None:
    (event,) = read("$ vllm serve opt \\", "    --max-model-len 2048 \\", "    --enforce-eager", "(a pid=1) b")[
        "command"
    ]
    assert event.message == "$ vllm serve opt \\"
    assert [line.strip() for line in event.after] == ["--max-model-len 2048 \\", "--enforce-eager"]


def test_what_another_container_prints_is_no_part_of_a_traceback(read: Read) -> None:
    (event,) = read("vllm-1 | its own line", "web-1  | a stranger's", "vllm-1 | out of memory")["oom"]
    assert event.container == "vllm-1"
    assert event.context == ("its own line",)


def test_fields_may_come_from_several_expressions(read: Read) -> None:
    (event,) = read("the instance can use = 71.19GiB of memory (79.10GiB)")["profile"]
    assert event.fields == {"total": "79.10", "budget": "71.19"}


def test_what_a_prompt_says_is_no_event(read: Read) -> None:
    """V0 logs prompts: anybody can write an error into one."""
    assert read("Received request cmpl-1: prompt: 'CUDA out of memory', params: SamplingParams()")["oom"] == ()


def test_times_are_differences_within_a_file(read: Read) -> None:
    first, second = read(line("out of memory", second=3), line("out of memory", second=33))["oom"]
    assert first.time_seconds is not None
    assert second.time_seconds is not None
    assert second.time_seconds - first.time_seconds == 30
    (untimed,) = read("out of memory")["oom"]
    assert untimed.time_seconds is None


def test_bytes_that_are_no_text_do_not_raise(stream_source: Callable[[bytes], ByteSource]) -> None:
    source = stream_source(b"\xff\xfe out of memory, allocate 2 \xffGiB\n\x00\x01")
    (event,) = events_of(scan(source, SIGNATURES, Matcher(SIGNATURES)), SIGNATURES)["oom"]
    assert "out of memory" in event.message


def test_merged_files_keep_their_order() -> None:
    def event(file: str, number: int) -> Event:
        return Event("oom", file, number, number, "", "")

    parts: Sequence[Mapping[str, Sequence[Event]]] = [
        {"oom": [event("b.log", 5), event("b.log", 9)]},
        {"oom": [event("a.log", 1)], "mark": [event("a.log", 2)]},
        {},
    ]
    merged = merge(parts)
    assert [(found.file, found.line) for found in merged["oom"]] == [("b.log", 5), ("b.log", 9), ("a.log", 1)]
    assert [(found.file, found.line) for found in merged["mark"]] == [("a.log", 2)]
    assert merge([]) == {}
