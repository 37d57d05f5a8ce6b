"""The installed `inferwatch`, and `python -m inferwatch`.

A plain `inferwatch diagnose --log FILE` takes the short way: without click, whose import and work take as long as a log
of 10 MB. Everything else is the command line of `inferwatch.cli`.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Sequence

_OBJECTS_A_COLLECTION = 50_000
"""A short run leaves nothing to collect, and would spend a tenth of its time on looking."""


def main() -> None:
    """Run the command line and exit with its status."""
    gc.set_threshold(_OBJECTS_A_COLLECTION, *gc.get_threshold()[1:])
    if sys.argv[1:2] == ["diagnose"]:
        status = _diagnosed(sys.argv[2:])
        if status is not None:
            _leave(status)
    from inferwatch.cli import main as whole_command_line

    whole_command_line()


def _diagnosed(words: Sequence[str]) -> int | None:
    """The exit status of a plain diagnosis; None where the command line is not plain, and nothing was done."""
    from inferwatch.commands.diagnose_arguments import plain

    arguments = plain(words)
    if arguments is None:
        return None
    from inferwatch.commands.diagnose_run import print_report, run

    try:
        status = run(arguments, lambda diagnosis, evidence: print_report(diagnosis, evidence, arguments))
        sys.stdout.flush()
    except BrokenPipeError:
        from inferwatch.cli import STATUS_BROKEN_PIPE, drop_output

        drop_output()
        return STATUS_BROKEN_PIPE
    except KeyboardInterrupt:
        from inferwatch.cli import STATUS_INTERRUPTED

        sys.stderr.write("\n")
        return STATUS_INTERRUPTED
    return status


def _leave(status: int) -> None:
    """Exit. To free every object first, as the interpreter does, takes 5 ms and changes nothing that anybody sees.

    What was registered for the end is run and what was written is flushed; a profiler gets its ordinary end.
    """
    if sys.getprofile() is not None or sys.gettrace() is not None or sys.flags.inspect:
        sys.exit(status)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
