"""How long `inferwatch diagnose` takes over a large log, against a plain loop that counts its lines and against `grep`.

    python -m benchmarks.logs [--quick] [--rounds N]

Makes its logs from the bundled recordings, in a temporary folder. All programs run as whole processes, in turns, over
the same file in the page cache; of each the fastest turn counts. Exits with 1 where `diagnose` is over its budget.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from recordings.reader import bundled, load, read_log
from troubleshoot.logs.literals import alternatives, plain_text
from troubleshoot.logs.signature import Keep
from troubleshoot.logs.signatures import SIGNATURES

MOST_RSS_MIB = 80.0
_DIAGNOSE, _PLAIN, _GREP = "inferwatch diagnose", "for line in open(f, 'rb'): n += 1", "grep -cE"
_PLAIN_LOOP = """
import sys
n = 0
for line in open(sys.argv[1], "rb"):
    n += 1
print(n)
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A log of `size_bytes` from the recordings of `engines`, and how many times the plain loop's time is allowed."""

    name: str
    size_bytes: int
    engines: frozenset[str]
    most_ratio: float


_VLLM = frozenset({"vllm"})
_ALL = frozenset({"vllm", "llamacpp", "triton"})
CASES = (
    Case("vLLM, 100 MB", 100_000_000, _VLLM, 2.0),
    Case("vLLM, llama.cpp and Triton, 100 MB", 100_000_000, _ALL, 2.0),
    Case("vLLM, 1 GB", 1_000_000_000, _VLLM, 1.0),
)


@dataclass(frozen=True, slots=True)
class Run:
    """One process: its wall time, the processor time of it and its children, and the largest of their memories."""

    wall_seconds: float
    cpu_seconds: float
    rss_mib: float


def measure(command: list[str], environment: Mapping[str, str], output: Path) -> Run:
    """Run a command to its end. Its output goes to a file: over /dev/null, `grep` stops at the first match."""
    to_file = [
        (os.POSIX_SPAWN_OPEN, stream, str(output), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) for stream in (1, 2)
    ]
    begin = perf_counter()
    pid = os.posix_spawn(command[0], command, environment, file_actions=to_file)
    _, status, usage = os.wait4(pid, 0)
    wall_seconds = perf_counter() - begin
    if os.waitstatus_to_exitcode(status) not in (0, 1, 3):
        raise SystemExit(f"{' '.join(command)[:100]}: exit status {os.waitstatus_to_exitcode(status)}")
    # Linux counts in KiB, macOS in bytes.
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return Run(wall_seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit)


def write_log(path: Path, case: Case) -> None:
    """The engines' recorded logs, one after the other, again and again until the size is reached."""
    recordings = [load(name) for name in bundled()]
    part = b"".join(read_log(recording) for recording in recordings if recording.engine in case.engines)
    with path.open("wb") as log:
        while log.tell() < case.size_bytes:
            log.write(part[: case.size_bytes - log.tell()])


def grep_pattern() -> str:
    """The wordings of errors that are plain text, as one alternation."""
    texts = {
        text
        for signature in SIGNATURES.values()
        if signature.keep is Keep.RARE
        for find in signature.finds
        for branch in alternatives(find)
        if (text := plain_text(branch)) is not None
    }
    return "|".join(re.sub(r"[\\.^$*+?{}\[\]|()]", r"\\\g<0>", text) for text in sorted(texts))


def commands(path: Path) -> dict[str, list[str]]:
    """The programs that are compared."""
    found = {
        _DIAGNOSE: [sys.executable, "-m", "inferwatch", "diagnose", "--log", str(path), "--format", "json"],
        _PLAIN: [sys.executable, "-c", _PLAIN_LOOP, str(path)],
    }
    grep = shutil.which("grep")
    if grep:
        found[_GREP] = [grep, "-cE", grep_pattern(), str(path)]
    return found


def compare(path: Path, rounds: int) -> dict[str, Run]:
    """Each program's best figures of `rounds` turns (of memory, the largest)."""
    environment = {**os.environ, "LC_ALL": "C"}
    # As installed: with compiled modules.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    runs: dict[str, list[Run]] = {}
    for turn in range(rounds + 1):
        for name, command in commands(path).items():
            run = measure(command, environment, path.with_suffix(".out"))
            if turn:
                runs.setdefault(name, []).append(run)
    return {
        name: Run(
            min(run.wall_seconds for run in of_one),
            min(run.cpu_seconds for run in of_one),
            max(run.rss_mib for run in of_one),
        )
        for name, of_one in runs.items()
    }


def table(case: Case, results: Mapping[str, Run]) -> Iterator[str]:
    """A Markdown table of one case."""
    plain = results[_PLAIN]
    yield f"\n{case.name} (budget: {case.most_ratio:.1f} x the plain loop, {MOST_RSS_MIB:.0f} MiB)\n"
    yield "| program | wall, s | ratio | processor, s | ratio | peak memory, MiB |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for name, run in results.items():
        wall, cpu = run.wall_seconds / plain.wall_seconds, run.cpu_seconds / plain.cpu_seconds
        figures = f"{run.wall_seconds:.3f} | {wall:.2f} | {run.cpu_seconds:.3f} | {cpu:.2f} | {run.rss_mib:.0f}"
        yield f"| `{name}` | {figures} |"


def over_budget(case: Case, results: Mapping[str, Run]) -> list[str]:
    """What is over the budget, a line each."""
    ours = results[_DIAGNOSE]
    ratio = ours.wall_seconds / results[_PLAIN].wall_seconds
    problems = []
    if ratio > case.most_ratio:
        problems.append(f"{case.name}: {ratio:.2f} x the plain loop, more than {case.most_ratio:.1f}")
    if ours.rss_mib > MOST_RSS_MIB:
        problems.append(f"{case.name}: {ours.rss_mib:.0f} MiB, more than {MOST_RSS_MIB:.0f}")
    return problems


def main() -> int:
    """Run the cases and print their tables; 1 where one is over budget."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="only the logs of 100 MB")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each program (default: 5)")
    options = parser.parse_args()
    problems: list[str] = []
    for case in CASES:
        if options.quick and case.size_bytes > 100_000_000:
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "engine.log"
            write_log(path, case)
            results = compare(path, max(options.rounds, 1))
        print("\n".join(table(case, results)), flush=True)
        problems += over_budget(case, results)
    for problem in problems:
        print(f"over budget: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
