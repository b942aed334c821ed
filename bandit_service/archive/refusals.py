"""What pyarrow and the system raise over a file, as errors of ours that name it."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import pyarrow as pa

from bandit_service.errors import ArchiveError


class reading:  # noqa: N801 - used as a statement
    """Within, what pyarrow and the system raise is an ArchiveError that names the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, FileNotFoundError):
            return
        if isinstance(error, PermissionError):
            raise ArchiveError(
                f"{self._path} cannot be read: {error.strerror}", hint="whose file is it?"
            ) from error
        if isinstance(error, pa.ArrowException | OSError | ValueError | KeyError | TypeError):
            raise damaged(self._path, _first_line(error)) from error


class writing(reading):  # noqa: N801 - as above
    """The same for writing."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, pa.ArrowException | OSError):
            raise ArchiveError(
                f"{self._path} cannot be written: {_first_line(error)}",
                hint="is the disk full, or the folder another user's?",
            ) from error


def damaged(path: Path, why: str) -> ArchiveError:
    """The error for a file that is not what was written."""
    return ArchiveError(
        f"{path} is damaged, or not Parquet: {why}",
        hint="put back a copy of this file; the others are not affected",
    )


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
