"""``memory``: what evaluating a long log takes, as the command does it, and whether it is right.

A log with known truth (``simulations.logged``) is written and evaluated for three policies by a
process of its own, of which the most memory that it ever had is read from the system. A tenth of
the log is evaluated before: what grows with the log would show between the two. What the policies
would have earned in truth stands beside what is said of them.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from subprocess import DEVNULL, Popen
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from bandit_service.evaluation.report.twin import read_json
from bandit_service.evaluation.results import Evaluation
from bench.measures import BenchError, Row, Scale, Table
from simulations.logged import LoggedWorld, world, write

LIMIT_MB: Final = 1024
"""What we hold ourselves to, whatever the length of the log."""
_SEED: Final = 1
_SHOWN: Final = 2
"""Number of the variant that one of the policies always shows."""
_UNIT: Final = 1 if sys.platform == "darwin" else 1024
"""Bytes in which the system counts the memory of a process that has ended."""


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What one evaluation took."""

    name: str
    rows: int
    seconds: float
    cpu_seconds: float
    peak_mb: float


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of a policy, and what is true; rewards per decision."""

    policy: str
    estimator: str
    value: float
    low: float
    high: float
    truth: float

    @property
    def words(self) -> str:
        """Both in a line."""
        covers = "covers" if self.low <= self.truth <= self.high else "does not cover"
        return (
            f"{self.policy}: {self.estimator} says {self.value:.5f}, and its interval "
            f"{self.low:.5f} to {self.high:.5f} {covers} the truth, {self.truth:.5f}"
        )


class Measured(msgspec.Struct, frozen=True):
    """Both evaluations, and what the longer one says."""

    taken: list[Taken]
    said: list[Said]


def measure(scale: Scale) -> Table:
    """Evaluate a tenth of the log, then all of it."""
    truth = world(_SEED)
    taken = []
    with TemporaryDirectory(prefix="bandit-bench-") as name:
        for part, rows in (("a tenth of the log", scale.rows // 10), ("the log", scale.rows)):
            path = Path(name) / "log.parquet"
            write(path, truth, rows, _SEED)
            one, found = _evaluated(part, path, truth)
            taken.append(one)
    return _table(Measured(taken, _said(found, truth)))


def policies(truth: LoggedWorld) -> dict[str, float]:
    """What is evaluated, with what it earns in truth."""
    return {
        "uniform": truth.uniform,
        f"fixed:h{_SHOWN}@1": truth.always(_SHOWN),
        "logged": truth.logged,
    }


def _evaluated(part: str, path: Path, truth: LoggedWorld) -> tuple[Taken, Evaluation]:
    words = ["--mapping", "simulated", "--json"]
    words += [word for name in policies(truth) for word in ("--policy", name)]
    out = path.with_suffix(".json")
    with out.open("wb") as file:
        started = time.perf_counter()
        child = Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "bandit_service", "evaluate", str(path), *words],
            stdout=file,
            stderr=DEVNULL,
        )
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        took = time.perf_counter() - started
    if child.returncode:
        raise BenchError(f"evaluate has ended with {child.returncode}")
    found = read_json(out.read_bytes(), out.name)
    taken = Taken(
        name=part,
        rows=found.rows,
        seconds=took,
        cpu_seconds=used.ru_utime + used.ru_stime,
        peak_mb=used.ru_maxrss * _UNIT / 1_048_576,
    )
    return taken, found


def _said(found: Evaluation, truth: LoggedWorld) -> list[Said]:
    said = []
    for policy in found.policies:
        quoted = next(each for each in policy.estimates if each.estimator == policy.headline)
        if quoted.value is None or not quoted.intervals:
            raise BenchError(f"nothing is said of {policy.name}")
        shown = quoted.intervals[0]
        said.append(
            Said(
                policy=policy.name,
                estimator=quoted.estimator,
                value=quoted.value,
                low=shown.low,
                high=shown.high,
                truth=policies(truth)[policy.name],
            )
        )
    return said


def _table(measured: Measured) -> Table:
    return Table(
        title="memory: evaluating three policies, every estimator, in a process of its own",
        columns=("rows", "seconds", "rows /s", "CPU µs a row", "peak MB"),
        rows=tuple(
            Row(
                one.name,
                (
                    f"{one.rows:,}",
                    f"{one.seconds:.1f}",
                    f"{one.rows / one.seconds:,.0f}",
                    f"{one.cpu_seconds / one.rows * 1e6:.1f}",
                    f"{one.peak_mb:.0f}",
                ),
            )
            for one in measured.taken
        ),
        notes=(
            f"target: at most {LIMIT_MB} MB; the start of the process is included",
            *(each.words for each in measured.said),
        ),
        values=measured,
    )
