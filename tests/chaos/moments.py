"""Moments worth a kill: seen from outside, so each is as close as a quick look can come.

A publication is one script in Redis and one piece of the append-only file, so the file growing by
more than requests make it grow means: Redis is writing a publication and its learner is waiting
for the answer. The head of the site changing means: web processes are about to load a snapshot.
The archive is a folder of files: a draft is a file being written, a folder that changes has been
given one, and what Redis knows of the archive changes before the log is trimmed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import redis

from tests.chaos.processes import Kind

PUBLICATION_BYTES: Final = 16_384
"""More than a few requests append, less than a snapshot with its checkpoint."""
PATIENCE_SECONDS: Final = 4.0
"""How long to wait for a moment; then the kill is a random one."""
_LOOK_SECONDS: Final = 0.0005

Look = Callable[[], object]


class Moment(NamedTuple):
    """A look whose answer changes when the moment has come, and whom to kill then."""

    name: str
    kind: Kind
    look: Callable[[Path, Any], Look]


def _appended(data: Path, client: Any) -> Look:
    """Grows by one with every large piece of the append-only file."""
    size = pieces = 0

    def look() -> int:
        nonlocal size, pieces
        now = sum(path.stat().st_size for path in _files(data / "redis" / "appendonlydir"))
        if size and now - size > PUBLICATION_BYTES:
            pieces += 1
        size = now
        return pieces

    return look


def _checkpointed(data: Path, client: Any) -> Look:
    """The first bytes of the checkpoint, which are its digest."""
    return lambda: client.getrange("bandit:{main}:checkpoint", 0, 15)


def _head(data: Path, client: Any) -> Look:
    return lambda: client.hget("bandit:{main}:pulse", "name")


def _trimmed(data: Path, client: Any) -> Look:
    """The oldest entry of the stream."""
    return lambda: client.xrange("bandit:{main}:log", count=1)[:1]


def _drafted(data: Path, client: Any) -> Look:
    """Grows by one with every file of the archive that begins to be written."""
    draft = data / "archive" / "tmp" / "draft"
    there, begun = True, 0

    def look() -> int:
        nonlocal there, begun
        before, there = there, draft.exists()
        begun += there and not before
        return begun

    return look


def _placed(data: Path, client: Any) -> Look:
    """When each folder of the archive's files changed."""
    folder = data / "archive" / "log"
    return lambda: [(day, day.stat().st_mtime_ns) for day in folder.glob("site=*/day=*")]


def _noted(data: Path, client: Any) -> Look:
    """How far Redis knows the log to be archived."""
    return lambda: client.hmget("bandit:{main}:archive", "ms", "seq")


MOMENTS: Final = (
    Moment("publishing", "learner", _appended),
    Moment("checkpointed", "learner", _checkpointed),
    Moment("published", "learner", _head),
    Moment("switching", "worker", _head),
    Moment("writing a publication", "redis", _appended),
    Moment("writing a segment", "archiver", _drafted),
    Moment("segment in place", "archiver", _placed),
    Moment("about to trim", "archiver", _noted),
    Moment("trimming", "archiver", _trimmed),
    Moment("about to be trimmed", "redis", _noted),
    Moment("just trimmed", "redis", _trimmed),
    Moment("log trimmed", "learner", _trimmed),
)


def wait_for(
    moment: Moment, data: Path, client: Any, *, patience: float = PATIENCE_SECONDS
) -> bool:
    """Whether the moment came within ``patience`` seconds."""
    look = moment.look(data, client)
    deadline = time.monotonic() + patience
    try:
        before = look()
        while look() == before:
            if time.monotonic() > deadline:
                return False
            time.sleep(_LOOK_SECONDS)
    except (redis.RedisError, OSError):
        return False
    return True


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else iter(())
