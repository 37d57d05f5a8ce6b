"""Jobs that may never come back."""

from __future__ import annotations

import threading
import time

from exporter.workers import Worker


def soon() -> float:
    return time.monotonic() + 20


def test_a_job_runs_once_a_start_on_one_thread() -> None:
    threads: list[int] = []

    def job() -> int:
        threads.append(threading.get_ident())
        return len(threads)

    worker = Worker("count", job)
    values = []
    for _ in range(3):
        assert worker.start()
        values.append(worker.wait(soon()).value)
    worker.close()
    assert worker.join(20)
    assert values == [1, 2, 3]
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()


def test_what_was_never_started_is_idle() -> None:
    worker = Worker("idle", lambda: 1)
    assert worker.wait(soon()).state == "idle"
    worker.close()
    assert worker.join(0)
    assert not worker.start()


def test_an_error_is_an_outcome_and_the_next_start_works() -> None:
    results = [ValueError("no"), 7]

    def job() -> int:
        result = results.pop(0)
        if isinstance(result, ValueError):
            raise result
        assert isinstance(result, int)
        return result

    worker = Worker("fails", job)
    worker.start()
    outcome = worker.wait(soon())
    assert (outcome.state, str(outcome.error)) == ("failed", "no")
    worker.start()
    assert worker.wait(soon()).value == 7
    worker.close()


def test_a_job_that_hangs_keeps_only_its_own_thread() -> None:
    release = threading.Event()
    hangs, works = Worker("hangs", release.wait), Worker("works", lambda: 1)
    assert hangs.start()
    outcome = hangs.wait(time.monotonic() + 0.02)
    assert (outcome.state, outcome.value) == ("running", None)
    assert outcome.duration_seconds > 0
    assert not hangs.start()
    assert works.start()
    assert works.wait(soon()).value == 1
    assert not hangs.join(0)
    release.set()
    assert hangs.wait(soon()).value is True
    assert hangs.start()
    for worker in (hangs, works):
        worker.close()
        assert worker.join(20)
