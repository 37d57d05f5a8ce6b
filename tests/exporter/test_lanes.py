"""Tasks that mostly end at once and may never end: one lane does while they are short, and no task holds up others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from exporter.lanes import Lanes, Task

TURN_SECONDS = 0.005


def soon(seconds: float = 20.0) -> float:
    return time.monotonic() + seconds


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    end = soon()
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.001)


class Hang:
    """A job that does not return before it is told to, and says when it has begun."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.release = threading.Event()
        self.runs = 0

    def __call__(self) -> str:
        self.runs += 1
        self.begun.set()
        assert self.release.wait(60)
        return "released"


@pytest.fixture
def hangs() -> Iterator[Callable[[], Hang]]:
    """Makes jobs that hang; all are released at the end."""
    made: list[Hang] = []

    def make() -> Hang:
        made.append(Hang())
        return made[-1]

    yield make
    for hang in made:
        hang.release.set()


@pytest.fixture
def lanes() -> Iterator[Lanes]:
    lanes = Lanes("test", turn_seconds=TURN_SECONDS, most=8)
    yield lanes
    lanes.close()


def patient() -> Lanes:
    """Lanes whose turn is so long that a busy machine does not make a short task a long one."""
    return Lanes("patient", turn_seconds=60.0, most=8)


def test_tasks_run_in_their_order_on_one_lane_again_and_again() -> None:
    lanes = patient()
    ran: list[tuple[int, int]] = []

    def job(number: int) -> Callable[[], int]:
        def run() -> int:
            ran.append((number, threading.get_ident()))
            return number

        return run

    tasks = [Task(job(number)) for number in range(20)]
    for _ in range(3):
        lanes.run(tasks, soon())
        assert [task.outcome.value for task in tasks] == list(range(20))
    assert [number for number, _ in ran] == [*range(20)] * 3
    assert len({thread for _, thread in ran}) == 1
    assert threading.get_ident() not in {thread for _, thread in ran}
    lanes.close()
    assert lanes.join(20)


def test_a_task_before_its_first_run_is_idle() -> None:
    task = Task(lambda: 1)
    assert task.outcome.state == "idle"
    assert not task.is_running


def test_an_error_is_an_outcome_and_the_next_run_works(lanes: Lanes) -> None:
    results: list[int | Exception] = [KeyError("no"), 7]

    def job() -> int:
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    task, other = Task(job), Task(lambda: "other")
    lanes.run([task, other], soon())
    assert (task.outcome.state, repr(task.outcome.error), task.outcome.value) == ("failed", "KeyError('no')", None)
    assert other.outcome.value == "other"
    lanes.run([task], soon())
    assert (task.outcome.state, task.outcome.value, task.outcome.error) == ("done", 7, None)


def unhurried() -> Lanes:
    """Lanes whose turn a task that hangs outlasts, and a short one not even on a busy machine."""
    return Lanes("unhurried", turn_seconds=0.3, most=8)


def test_a_task_that_hangs_keeps_one_lane_and_the_others_end(hangs: Callable[[], Hang]) -> None:
    lanes, hang, threads = unhurried(), hangs(), set()
    others = [Task(lambda: threads.add(threading.get_ident())) for _ in range(30)]
    stuck = Task(hang)
    lanes.run([stuck, *others], soon(0.59))
    until(lambda: not any(task.is_running for task in others))
    lanes.close()
    assert [task.outcome.state for task in others] == ["done"] * 30
    assert stuck.outcome.state == "running"
    assert stuck.outcome.duration_seconds > 0
    assert len(threads) <= 2


def test_a_task_that_is_still_running_is_not_run_again(lanes: Lanes, hangs: Callable[[], Hang]) -> None:
    hang, counted = hangs(), []
    stuck, other = Task(hang), Task(lambda: counted.append(1))
    for _ in range(5):
        lanes.run([stuck, other], soon(0.05))
        until(lambda: not other.is_running)
    assert hang.runs == 1
    assert len(counted) == 5
    hang.release.set()
    until(lambda: not stuck.is_running)
    assert stuck.outcome.value == "released"
    lanes.run([stuck], soon())
    assert hang.runs == 2


def test_what_still_runs_from_before_is_not_waited_for(lanes: Lanes, hangs: Callable[[], Hang]) -> None:
    hang = hangs()
    stuck, other = Task(hang), Task(lambda: 1)
    lanes.run([stuck], soon(0.02))
    lanes.run([stuck, other], soon(3600))
    assert other.outcome.value == 1
    assert stuck.is_running


def test_the_deadline_ends_the_wait_and_what_is_done_by_then_is_there(lanes: Lanes, hangs: Callable[[], Hang]) -> None:
    hang = hangs()
    quick, stuck = Task(lambda: 1), Task(hang)
    returned = threading.Event()

    def run() -> None:
        lanes.run([quick, stuck], soon(0.1))
        returned.set()

    threading.Thread(target=run, daemon=True).start()
    assert returned.wait(20)
    assert not hang.release.is_set()
    until(lambda: not quick.is_running)
    assert (quick.outcome.state, stuck.outcome.state) == ("done", "running")


def test_a_deadline_that_has_passed_starts_all_the_same(lanes: Lanes) -> None:
    task = Task(lambda: 1)
    lanes.run([task], time.monotonic() - 1)
    until(lambda: not task.is_running)
    assert task.outcome.value == 1


def test_nothing_to_run_returns_at_once_and_makes_no_thread() -> None:
    lanes = patient()
    before = threading.active_count()
    lanes.run([], soon())
    assert threading.active_count() == before
    assert lanes.join(0)


def test_more_tasks_hang_than_there_are_lanes(hangs: Callable[[], Hang]) -> None:
    lanes = Lanes("few", turn_seconds=TURN_SECONDS, most=3)
    stuck = [hangs() for _ in range(5)]
    tasks = [Task(hang) for hang in stuck]
    last = Task(lambda: "last")
    lanes.run([*tasks, last], soon(0.5))
    until(lambda: all(hang.begun.is_set() for hang in stuck[:3]))
    assert [hang.begun.is_set() for hang in stuck[3:]] == [False, False]
    assert {task.outcome.state for task in (*tasks, last)} == {"running"}
    assert tasks[0].outcome.duration_seconds > 0
    assert tasks[4].outcome.duration_seconds == 0, "it has not begun"
    for hang in stuck[:2]:
        hang.release.set()
    until(lambda: stuck[3].begun.is_set() and stuck[4].begun.is_set())
    assert last.is_running
    for hang in stuck:
        hang.release.set()
    until(lambda: not last.is_running)
    assert last.outcome.value == "last"
    lanes.close()
    assert lanes.join(20)


def test_a_lane_that_is_free_again_is_taken_before_a_new_one_is_made(hangs: Callable[[], Hang]) -> None:
    lanes = unhurried()
    for _ in range(4):
        hang = hangs()
        stuck, other = Task(hang), Task(lambda: 1)
        lanes.run([stuck, other], soon(0.59))
        until(lambda task=other: not task.is_running)  # type: ignore[misc]
        hang.release.set()
        until(lambda task=stuck: not task.is_running)  # type: ignore[misc]
        until(lambda: len(lanes._idle) == len(lanes._threads))
    assert len(lanes._threads) == 2
    lanes.close()
    assert lanes.join(20)


def test_of_the_idle_lanes_the_one_that_worked_last_works_again(hangs: Callable[[], Hang]) -> None:
    lanes = Lanes("last", turn_seconds=TURN_SECONDS, most=8)
    hang = hangs()
    stuck, other = Task(hang), Task(threading.get_ident)
    lanes.run([stuck, other], soon(0.3))
    hang.release.set()
    until(lambda: len(lanes._idle) == 2)
    used = set()
    for _ in range(8):
        lanes.run([other], soon())
        used.add(other.outcome.value)
        until(lambda: len(lanes._idle) == 2)
    assert len(used) == 1
    lanes.close()
    assert lanes.join(20)


def test_close_ends_lanes_that_are_idle_and_leaves_what_was_not_begun(hangs: Callable[[], Hang]) -> None:
    lanes = Lanes("closed", turn_seconds=TURN_SECONDS, most=1)
    hang, ran = hangs(), []
    stuck, waiting = Task(hang), Task(lambda: ran.append(1))
    lanes.run([stuck, waiting], soon(0.05))
    assert hang.begun.wait(20)
    lanes.close()
    assert not lanes.join(0.01), "a task has not returned"
    hang.release.set()
    assert lanes.join(20)
    assert stuck.outcome.value == "released"
    assert ran == []


def test_after_close_nothing_is_run() -> None:
    lanes = patient()
    lanes.close()
    ran: list[int] = []
    lanes.run([Task(lambda: ran.append(1))], soon(0.02))
    assert ran == []
    assert lanes.join(0)


def test_lanes_do_not_keep_the_process_alive(lanes: Lanes) -> None:
    daemons: list[bool] = []
    lanes.run([Task(lambda: daemons.append(threading.current_thread().daemon))], soon())
    assert daemons == [True]


def test_waiting_costs_no_processor_time(lanes: Lanes, hangs: Callable[[], Hang]) -> None:
    stuck = Task(hangs())
    begun = time.thread_time()
    lanes.run([stuck], soon(0.5))
    assert time.thread_time() - begun < 0.1, "a wait that spins takes all of the half second"


def test_a_task_that_waits_for_a_lane_gets_one_in_the_next_run(hangs: Callable[[], Hang]) -> None:
    """Many hang at once, and the time is over before a lane is free for the last: it is not forgotten."""
    lanes = Lanes("many", turn_seconds=0.02, most=32)
    done = threading.Event()
    good = Task(done.set)
    tasks: list[Task[Any]] = [*(Task(hangs()) for _ in range(8)), good]
    lanes.run(tasks, soon(0.03))
    assert good.is_running
    assert not done.is_set()
    for _ in range(8):
        lanes.run(tasks, soon(0.03))
    assert done.wait(20)
    lanes.close()
