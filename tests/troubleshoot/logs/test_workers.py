from __future__ import annotations

import os

import pytest

from troubleshoot.logs.workers import MOST_TASKS, WorkerLostError, at_once, in_background, shared_out


def test_each_task_is_done_once_by_someone() -> None:
    with shared_out(range(5, 1000)) as workers:

        def work() -> list[int]:
            return list(workers.tasks())

        for _ in range(2):
            workers.fork(work)
        done = [*workers.tasks()]
        assert done == sorted(done)
        for result in workers.results():
            assert result == sorted(result)
            done += result
    assert sorted(done) == list(range(5, 1000))


def test_so_many_tasks_fit() -> None:
    with shared_out(range(MOST_TASKS)) as workers:
        assert sum(1 for _ in workers.tasks()) == MOST_TASKS


def test_dropped_tasks_are_done_by_nobody() -> None:
    with shared_out(range(100)) as workers:
        done = []
        for task in workers.tasks():
            done.append(task)
            if task == 3:
                workers.drop_tasks()
        assert done == [0, 1, 2, 3]


def test_a_large_result_comes_whole() -> None:
    with shared_out(range(1)) as workers:
        workers.fork(lambda: [b"x" * 3_000_000, {"a": (1, None)}])
        assert list(workers.results()) == [[b"x" * 3_000_000, {"a": (1, None)}]]


def test_a_worker_that_fails_is_told_of() -> None:
    def fail() -> None:
        os._exit(3)

    with shared_out(range(1)) as workers:
        workers.fork(fail)
        with pytest.raises(WorkerLostError):
            list(workers.results())


def test_no_worker_outlives_the_block() -> None:
    read, write = os.pipe()

    def wait() -> None:
        os.close(write)
        os.read(read, 1)

    with shared_out(range(1)) as workers:
        workers.fork(wait)
        pid = workers._children[0].pid
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, 0)
    os.close(read)
    os.close(write)


def test_what_runs_in_the_background_gives_its_result_or_its_error() -> None:
    assert in_background(lambda: 7)() == 7
    with pytest.raises(ZeroDivisionError):
        in_background(lambda: 1 // 0)()


@pytest.mark.parametrize("workers", [1, 2])
def test_what_runs_at_once_gives_its_result(workers: int) -> None:
    with at_once(lambda: [os.getpid()], workers) as result:
        assert (result() == [os.getpid()]) is (workers == 1)
