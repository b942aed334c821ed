"""A file that appears whole under its name, or not at all.

It is written beside its place under a name of its own and renamed once it is on disk. What exists
is not overwritten unless that was asked for, and never if it is not a plain file: renaming over a
device or a pipe would replace it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from bandit_service.errors import InvalidInput


@contextmanager
def replacing(path: Path, *, force: bool) -> Iterator[Path]:
    """A path to write to, which takes the place of ``path`` when the context ends well.

    Raises:
        InvalidInput: if the place is taken or cannot be written to.
    """
    _check(path, force=force)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.touch()
        yield part
        _check(path, force=force)
        part.replace(path)
    except OSError as exc:
        raise _refused(path, exc) from exc
    finally:
        # Where it never was, there may not even be a folder; that has been said by now.
        if part.exists():
            part.unlink()


@contextmanager
def written(path: Path, *, force: bool) -> Iterator[BinaryIO]:
    """A binary stream into what becomes ``path``; see ``replacing``."""
    with replacing(path, force=force) as part, part.open("wb") as out:
        yield out
        out.flush()
        os.fsync(out.fileno())


def _check(path: Path, *, force: bool) -> None:
    try:
        if not path.exists():
            return
        plain = path.is_file()
    except OSError as exc:
        raise _refused(path, exc) from exc
    if not plain:
        raise InvalidInput(
            f"{path} is not a plain file", hint="name a file, or - for standard output"
        )
    if not force:
        raise InvalidInput(f"{path} exists", hint="name another file, or add --force")


def _refused(path: Path, exc: OSError) -> InvalidInput:
    return InvalidInput(
        f"{path} cannot be written: {exc.strerror or exc}",
        hint="does its folder exist, is it yours, and has the disk room?",
    )
