"""Files of others, compressed or not, as lines that know their number; every failure names both."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from bandit_service.errors import LogError

GZIP: Final = b"\x1f\x8b"
PARQUET: Final = b"PAR1"
LONGEST_LINE: Final = 64 * 1_048_576
"""Bytes of a line; a longer one is not a log's."""
_ENDS: Final = 65_536
"""How many bytes at either end of a file tell it from others."""


class Line(NamedTuple):
    """One line, without its end."""

    number: int
    """As an editor shows it: the first is 1."""
    data: bytes
    ended: bool
    """Whether a line break followed."""


def fingerprint(path: Path) -> str:
    """What tells a file from others, wherever it lies and whatever it is called.

    Raises:
        LogError: if it cannot be read.
    """
    digest = blake2b(digest_size=16)
    with reading(path), path.open("rb") as file:
        size = path.stat().st_size
        digest.update(b"%d " % size + file.read(_ENDS))
        file.seek(max(0, size - _ENDS))
        digest.update(file.read(_ENDS))
    return digest.hexdigest()


def magic(path: Path) -> bytes:
    """The first bytes of what a file holds, which is what they were before they were compressed.

    Raises:
        LogError: if it cannot be read, or is empty.
    """
    with reading(path), opened(path) as file:
        first = file.read(4_096)
    if not first:
        raise LogError(f"{path} is empty", hint="was it cut short when it was copied?")
    return first


def compressed(path: Path) -> bool:
    """Whether gzip compressed a file.

    Raises:
        LogError: if it cannot be read.
    """
    with reading(path), path.open("rb") as file:
        return file.read(2) == GZIP


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A file to read, decompressed if gzip compressed it, whatever its name says."""
    with path.open("rb") as file:
        compressed = file.read(2) == GZIP
        file.seek(0)
        if compressed:
            with gzip.open(file) as inner:
                yield inner  # type: ignore[misc]  # reads bytes like any other
        else:
            yield file


def lines_of(path: Path) -> Iterator[Line]:
    """The lines of a file, blank ones left out.

    Raises:
        LogError: if it cannot be read to its end, naming the line.
    """
    number = 0
    with reading(path), opened(path) as file:
        while True:
            with reading(path, after=number):
                raw = file.readline(LONGEST_LINE)
            if not raw:
                break
            number += 1
            if len(raw) == LONGEST_LINE:
                raise LogError(
                    f"{path}:{number} has more than {LONGEST_LINE // 1_048_576} MB",
                    hint="is it a text file, with a record a line?",
                )
            data = raw.strip()
            if data:
                yield Line(number, data, raw.endswith(b"\n"))
    if not number:
        raise LogError(f"{path} is empty", hint="was it cut short when it was copied?")


@contextmanager
def reading(path: Path, *, after: int | None = None) -> Iterator[None]:
    """Within, what the system says of a file is a LogError that names it, and the line if known."""
    try:
        yield
    except FileNotFoundError as exc:
        raise LogError(f"{path} is not there", hint="check the path") from exc
    except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
        where = "" if after is None else f" after line {after}"
        raise LogError(
            f"{path} is damaged or cut short{where}: {exc}",
            hint="its compression does not end as it should: copy it again",
        ) from exc
    except OSError as exc:
        raise LogError(
            f"{path} cannot be read: {exc.strerror or exc}",
            hint="is it a file, and may you read it?",
        ) from exc
