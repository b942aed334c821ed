"""Work in several processes. What is worked on stands at the top, where other processes find it."""

from __future__ import annotations

import os
import signal
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from bandit_service.errors import EvaluationError, LogError
from bandit_service.evaluation.logs.base import Progress
from bandit_service.evaluation.sweeping.parallel import spread


def squared(item: int, progress: Progress) -> int:
    for _ in range(item):
        progress(10)
    return item * item


def refusing(item: int, progress: Progress) -> int:
    if item == 2:
        raise LogError("entry 7 cannot be read", hint="export it again")
    return squared(item, progress)


def dying(item: int, progress: Progress) -> int:
    progress(1)
    if item == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def endless(folder: Path, item: int, progress: Progress) -> int:
    """Goes on until it is told to stop; leaves word that it began, and that it ended."""
    (folder / f"{item}.began").touch()
    try:
        while True:
            progress(1)
            time.sleep(0.01)
    finally:
        (folder / f"{item}.ended").touch()


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_order_of_the_items_and_progress_is_that_of_all(
    processes: int,
) -> None:
    told: list[int] = []

    found = spread(squared, [3, 1, 4, 1, 5], processes=processes, progress=told.append)

    assert found == [9, 1, 16, 1, 25]
    assert sum(told) == 140


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_is_raised_as_it_was(processes: int) -> None:
    with pytest.raises(LogError, match="entry 7 cannot be read") as refused:
        spread(refusing, [1, 2, 3], processes=processes, progress=lambda _: None)

    assert refused.value.hint == "export it again"


def test_a_killed_process_is_an_error_that_says_so() -> None:
    with pytest.raises(EvaluationError, match="was killed") as refused:
        spread(dying, [1, 2, 3], processes=2, progress=lambda _: None)

    assert "--processes 1" in str(refused.value.hint)


def test_an_interruption_stops_all_processes_before_it_is_passed_on(tmp_path: Path) -> None:
    def interrupt(_: int) -> None:
        if len(list(tmp_path.glob("*.began"))) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        spread(partial(endless, tmp_path), [1, 2, 3], processes=2, progress=interrupt)

    began, ended = (sorted(p.stem for p in tmp_path.glob(f"*.{w}")) for w in ("began", "ended"))
    assert began == ended == ["1", "2"]
    assert not [thread for thread in threading.enumerate() if thread.name == "parent-watch"]


def failing_at_once(folder: Path, item: int, progress: Progress) -> int:
    if item == 2:
        while not (folder / "1.began").exists():
            time.sleep(0.01)
        raise LogError("entry 7 cannot be read")
    return endless(folder, item, progress)


def test_an_error_does_not_wait_for_those_that_go_on(tmp_path: Path) -> None:
    with pytest.raises(LogError):
        spread(partial(failing_at_once, tmp_path), [1, 2], processes=2, progress=lambda _: None)

    assert (tmp_path / "1.ended").exists()
