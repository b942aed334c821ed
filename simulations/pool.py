"""Tasks side by side, on all cores.

A task is done in a process of its own kind: nothing that one does can change another, so what comes
of them is the same whatever the number of processes. A task that fails ends all, by name: a result
with a part silently left out would be read as if that had lost.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from bandit_service.errors import BanditError, EvaluationError

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of each task's own is made in it
"""Where temporary files cost no disk: models are written to one at every refresh."""


class Named(Protocol):
    """A task."""

    @property
    def name(self) -> str:
        """For people."""


Task = TypeVar("Task", bound=Named)
Result = TypeVar("Result")


def each(
    parts: Sequence[Task], do: Callable[[Task], Result], *, processes: int
) -> Iterator[Result]:
    """What came of each task, as they end. ``do`` is a function of a module.

    Raises:
        EvaluationError: naming the first task that failed.
    """
    if processes == 1:
        for task in parts:
            try:
                yield _done(do, task)
            except Exception as exc:
                raise _failed(task, exc) from exc
        return
    # Spawned, not forked: a fork would copy the threads of the progress bar as they stand.
    fresh = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=fresh)
    try:
        futures = {pool.submit(_done, do, task): task for task in parts}
        for done in as_completed(futures):
            yield _result(done, futures[done])
    finally:
        pool.shutdown(cancel_futures=True)


def _done(do: Callable[[Task], Result], task: Task) -> Result:
    with _in_memory():
        return do(task)


def _result(done: Future[Result], task: Named) -> Result:
    try:
        return done.result()
    except Exception as exc:
        raise _failed(task, exc) from exc


def _failed(task: Named, exc: Exception) -> EvaluationError:
    if isinstance(exc, BanditError):
        return EvaluationError(f"{task.name}: {exc.message}", hint=exc.hint)
    return EvaluationError(
        f"{task.name}: {type(exc).__name__}: {exc}",
        hint="leave that policy or that world out, or mend it; nothing was written",
    )


@contextmanager
def _in_memory() -> Iterator[None]:
    """Have temporary files in memory, where there is a folder for that."""
    before = tempfile.tempdir
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK):
        tempfile.tempdir = str(MEMORY)
    try:
        yield
    finally:
        tempfile.tempdir = before
