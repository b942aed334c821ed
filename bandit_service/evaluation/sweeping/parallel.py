"""The same work on several items, in processes of their own.

Processes are spawned, never forked: Vowpal Wabbit, Arrow and Redis clients do not survive a fork.
What an item's work raises is raised here; a process that is killed is told from that. Ctrl-C
reaches the parent, which asks its processes to stop at their next word on the progress. If the
parent itself is killed, they end with it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait as wait_for
from multiprocessing.managers import SyncManager
from typing import Any, Final, TypeVar

from bandit_service.errors import EvaluationError
from bandit_service.evaluation.logs.base import Progress

Item = TypeVar("Item")
Result = TypeVar("Result")
Work = Callable[[Item, Progress], Result]

LOOK_SECONDS: Final = 0.2
"""How often to look how far all have come."""


class Stopped(Exception):
    """Raised within a process that is to stop. Not an error of ours: no one else sees it."""


def spread(
    work: Work[Item, Result], items: Sequence[Item], *, processes: int, progress: Progress
) -> list[Result]:
    """The results of some items, in their order.

    Args:
        work: What to do with an item; what it tells of its progress is added up over all. With
            more than one process, it and the items must be such that they can be pickled.
        items: What to work on.
        processes: How many at a time; with 1, and for a single item, none is started.
        progress: Told how far all have come together.

    Raises:
        EvaluationError: if a process was killed.
    """
    count = min(processes, len(items))
    if count <= 1:
        return [work(item, progress) for item in items]
    with _manager() as manager:
        told, stop = manager.list([0] * len(items)), manager.Event()
        pool = ProcessPoolExecutor(
            count, mp_context=multiprocessing.get_context("spawn"), initializer=_belong
        )
        try:
            futures = [
                pool.submit(_one, work, item, told, index, stop) for index, item in enumerate(items)
            ]
            _follow(futures, told, progress)
            return [future.result() for future in futures]
        except BrokenProcessPool as exc:
            raise EvaluationError(
                "a process that read the log was killed, and its results with it",
                hint="is there enough memory for several at a time? --processes 1 takes the least",
            ) from exc
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


def _follow(futures: Sequence[Future[Any]], told: Sequence[int], progress: Progress) -> None:
    """Pass on how far all have come, until all are done; what one of them raises is raised."""
    passed = 0
    while True:
        done, waiting = wait(futures, LOOK_SECONDS, FIRST_EXCEPTION)
        reached = sum(told)
        progress(reached - passed)
        passed = reached
        for future in futures:
            if future in done:
                future.result()
        if not waiting:
            return


def _one(work: Work[Item, Result], item: Item, told: Any, index: int, stop: Any) -> Result:
    """An item's work, in its process."""
    passed = 0

    def progress(count: int) -> None:
        nonlocal passed
        if stop.is_set():
            raise Stopped
        passed += count
        told[index] = passed

    progress(0)
    return work(item, progress)


@contextmanager
def _manager() -> Iterator[SyncManager]:
    """Where processes leave word, in one of its own: nobody who is killed can hold a lock there."""
    manager = SyncManager(ctx=multiprocessing.get_context("spawn"))
    manager.start(_belong)
    with manager:
        yield manager


def _belong() -> None:
    """Leave Ctrl-C to the parent, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def end() -> None:
        wait_for([parent.sentinel])
        os._exit(1)

    threading.Thread(target=end, name="parent-watch", daemon=True).start()
