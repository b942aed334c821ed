"""What pyarrow and the system raise over a file, as errors of ours that name it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from bandit_service.errors import ArchiveError


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Within, what pyarrow and the system raise is an ArchiveError that names the file.

    A file that is not there is for the caller, who may know where it went.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except PermissionError as exc:
        raise ArchiveError(
            f"{path} cannot be read: {exc.strerror}", hint="whose file is it?"
        ) from exc
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as exc:
        raise damaged(path, _first_line(exc)) from exc


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """The same for writing."""
    try:
        yield
    except (pa.ArrowException, OSError) as exc:
        raise ArchiveError(
            f"{path} cannot be written: {_first_line(exc)}",
            hint="is the disk full, or the folder another user's?",
        ) from exc


def damaged(path: Path, why: str) -> ArchiveError:
    """The error for a file that is not what was written."""
    return ArchiveError(
        f"{path} is damaged, or not Parquet: {why}",
        hint="put back a copy of this file; the others are not affected",
    )


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
