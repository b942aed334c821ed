"""Memory of the service's processes over time: who is who among them, and how each one grows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from bench.measures import BenchError

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_MEGABYTE: Final = 1_048_576


class Process(NamedTuple):
    """One process of the service."""

    pid: int
    role: str
    """``worker``, ``learner`` or ``Redis``."""


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """How the memory of one process went, in MB."""

    start: float
    end: float
    peak: float
    per_minute: float
    """Slope of a straight line through the second half, in MB a minute."""

    @classmethod
    def of(cls, samples: Sequence[tuple[float, float]]) -> Growth:
        """The growth that (seconds, MB) samples show; there must be four at least."""
        values = [value for _, value in samples]
        later = samples[len(samples) // 2 :]
        return cls(start=values[0], end=values[-1], peak=max(values), per_minute=_slope(later) * 60)


def processes_of(serve: int) -> list[Process]:
    """The processes that the ``serve`` with this pid has started, in order of their pids."""
    found = []
    for path in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            words = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it ended meanwhile
            continue
        if int(fields[1]) == serve and "resource_tracker" not in words:
            found.append(Process(int(path.name), _role(words)))
    if not any(process.role == "worker" for process in found):
        raise BenchError("no worker was found: this needs /proc")
    return found


def resident(process: Process) -> float:
    """What a process occupies now, in MB.

    Raises:
        BenchError: if it has ended.
    """
    try:
        pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    except OSError as exc:
        raise BenchError(f"the {process.role} {process.pid} has ended") from exc
    return pages * _PAGE / _MEGABYTE


def _role(words: str) -> str:
    if "redis-server" in words:
        return "Redis"
    commands = {" learn ": "learner", " archive ": "archiver"}
    return next((role for word, role in commands.items() if word in words), "worker")


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the line with the least squared distance to the points."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
