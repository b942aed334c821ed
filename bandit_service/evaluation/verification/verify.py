"""Verification: may this log be believed?

``Verifier`` is a fold over the batches of a log, and over what reading them has found: it lists
every violation, counts all of them, keeps the FIRST of each kind, and hands each to a sink, where
one is given, so that memory stays bounded however broken a log is. Parts of a log may be verified
apart and added up in order; counts and tests are those of the whole.

What to do about a fatal finding is the caller's: refuse, or, where a person insists, go on with
``Verifier.usable``, which leaves out the rows that cannot be evaluated at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from bandit_service.evaluation.batch import Batch, Mask
from bandit_service.evaluation.logs.base import (
    LoggedData,
    Progress,
    PropensitySource,
    Violation,
    Watch,
)
from bandit_service.evaluation.results import Finding, RatioTest, Verification
from bandit_service.evaluation.verification.kinds import KINDS, Kind
from bandit_service.evaluation.verification.repeated_rows import RepeatedRows
from bandit_service.evaluation.verification.row_checks import BARRED, Range, faults, words
from bandit_service.evaluation.verification.sample_ratio import ALL, P_VALUE, SampleRatio

__all__ = ["FIRST", "KINDS", "Kind", "Sink", "Verifier", "verify_log"]

FIRST: Final = 20
"""Violations of each kind that are kept."""
WHOLE: Final = "the log as a whole"
"""The place of what is not wrong with any one row."""
TWO_PARTS: Final = "two parts of the log"

Sink = Callable[[Violation], None]
"""Told every violation when it is found."""


class Verifier:
    """The fold; one for each reading of a log or of a part of it."""

    def __init__(
        self,
        *,
        reward_range: Range | None = None,
        propensities: PropensitySource = "logged",
        sink: Sink | None = None,
    ) -> None:
        """Nothing seen yet.

        Args:
            reward_range: What a reward can be; None to take any.
            propensities: Where they are from. Estimated ones are not tested as strictly.
            sink: Told every violation of a row or entry when it is found.
        """
        self._reward_range = reward_range
        self._propensities: PropensitySource = propensities
        self._sink = sink
        self._counts: Counter[str] = Counter()
        self._first: dict[str, list[Violation]] = {}
        self._barred: Counter[str] = Counter()
        self._ratio = SampleRatio()
        self._repeated = RepeatedRows()
        self._rows = 0
        self._choices = 0
        self._certain = 0
        self._rewards: Range | None = None

    def blame(self, violation: Violation) -> None:
        """Take note of a violation."""
        self._note(violation, 1)
        if self._sink is not None:
            self._sink(violation)

    def add(self, batch: Batch) -> Batch:
        """Check the rows of a batch; those of them that are ``usable``."""
        found = faults(batch, self._reward_range)
        for kind, mask in found.items():
            for row in np.flatnonzero(mask).tolist():
                said = words(kind, batch, row, self._reward_range)
                self.blame(Violation(kind, batch.places[row], said))
        for row in self._repeated.add(batch.key).tolist():
            self.blame(Violation("row_twice", batch.places[row], "this row was read before"))
        self._barred.update(_barred(found))
        self._tally(batch)
        wrong = np.any([mask for kind, mask in found.items() if kind != "reward_range"], axis=0)
        self._ratio.add(batch.where(~wrong))
        return _usable(batch, found)

    def __add__(self, other: Verifier) -> Verifier:
        """Both parts together; the places of ``self`` come first."""
        both = Verifier(
            reward_range=self._reward_range, propensities=self._propensities, sink=self._sink
        )
        for part in (self, other):
            both._counts += part._counts
            for kind, first in part._first.items():
                both._first[kind] = [*both._first.get(kind, []), *first][:FIRST]
        both._barred = self._barred + other._barred
        both._ratio = self._ratio + other._ratio
        both._rows = self._rows + other._rows
        both._choices = self._choices + other._choices
        both._certain = self._certain + other._certain
        both._rewards = _hull(self._rewards, other._rewards)
        both._repeated, again = self._repeated.merged(other._repeated)
        if again:
            both._note(Violation("row_twice", TWO_PARTS, f"{again:,} rows are in both"), again)
        return both

    def get(self) -> Verification:
        """What was found; findings are fatal ones first, in the order of ``KINDS``."""
        tests = self._ratio.get()
        counts = self._counts.copy()
        first = {kind: list(known) for kind, known in self._first.items()}
        for violation in self._of_the_whole(tests):
            counts[violation.kind] += 1
            first.setdefault(violation.kind, []).append(violation)
        findings = [
            _finding(kind, counts[kind], first[kind][:FIRST]) for kind in KINDS if counts[kind]
        ]
        findings.sort(key=lambda finding: finding.severity != "fatal")
        fatal = any(finding.severity == "fatal" for finding in findings)
        return Verification(rows=self._rows, findings=findings, sample_ratio=tests, fatal=fatal)

    def whole(self) -> list[Violation]:
        """What is wrong with the log as a whole; the sink has not been told of these."""
        return list(self._of_the_whole(self._ratio.get()))

    @property
    def excluded(self) -> dict[str, int]:
        """How many rows ``usable`` leaves out of what was added, by the first reason."""
        return {kind: self._barred[kind] for kind in BARRED if self._barred[kind]}

    @staticmethod
    def usable(batch: Batch) -> Batch:
        """The rows of a batch that can be evaluated at all, whatever else is wrong with them.

        They have a propensity above 0, what was shown is among their candidates, their
        probabilities are probabilities, and their reward is a finite number.
        """
        return _usable(batch, faults(batch))

    # -- inside

    def _note(self, violation: Violation, count: int) -> None:
        KINDS[violation.kind]  # a kind that nobody declared is a mistake of the caller's
        self._counts[violation.kind] += count
        first = self._first.setdefault(violation.kind, [])
        if len(first) < FIRST:
            first.append(violation)

    def _tally(self, batch: Batch) -> None:
        several = batch.counts > 1
        self._rows += len(batch)
        self._choices += int(several.sum())
        self._certain += int((several & (batch.propensity == 1.0)).sum())
        rewards = batch.reward[np.isfinite(batch.reward)]
        if len(rewards):
            hull = (float(rewards.min()), float(rewards.max()))
            self._rewards = _hull(self._rewards, hull)

    def _of_the_whole(self, tests: list[RatioTest]) -> Iterator[Violation]:
        if not self._rows:
            yield Violation("no_rows", WHOLE, "there is nothing to evaluate")
            return
        if not self._choices:
            yield Violation("one_variant", WHOLE, f"none of {self._rows:,} rows had a choice")
        elif self._certain == self._choices:
            said = f"the propensity of all {self._choices:,} rows with a choice is 1"
            yield Violation("no_exploration", WHOLE, said)
        if self._rewards is not None and self._rewards[0] == self._rewards[1]:
            said = f"the reward of all {self._rows:,} rows is {self._rewards[0]:g}"
            yield Violation("no_rewards", WHOLE, said)
        yield from self._mismatches(tests)

    def _mismatches(self, tests: list[RatioTest]) -> Iterator[Violation]:
        if not tests or tests[0].p_value >= P_VALUE:
            return
        estimated = self._propensities == "estimated"
        kind = "sample_ratio_estimated" if estimated else "sample_ratio_mismatch"
        whole, *placements = tests
        places = [test for test in placements if test.p_value * len(placements) < P_VALUE]
        for test in places or [whole]:
            where = WHOLE if test.name == ALL else f"placement {test.name}"
            yield Violation(kind, where, f"{test.worst} (p = {test.p_value:.2g})")


def verify_log(
    log: LoggedData, *, progress: Progress, sink: Sink | None = None, watch: Watch | None = None
) -> Verifier:
    """Read a log once and verify all of it.

    Raises:
        LogError: if it cannot be read at all.
    """
    verifier = Verifier(
        reward_range=log.reward_range, propensities=log.description.propensities, sink=sink
    )
    for batch in log.batches(blame=verifier.blame, progress=progress, watch=watch):
        verifier.add(batch)
    if sink is not None:
        for violation in verifier.whole():
            sink(violation)
    return verifier


def _usable(batch: Batch, found: dict[str, Mask]) -> Batch:
    """The rows of a batch in which nothing was found that bars them."""
    return batch.where(~np.any([found[kind] for kind in BARRED], axis=0))


def _barred(found: dict[str, Mask]) -> Counter[str]:
    """Rows that ``usable`` leaves out, each counted once."""
    counted: Counter[str] = Counter()
    before = np.zeros_like(found[BARRED[0]])
    for kind in BARRED:
        counted[kind] += int((found[kind] & ~before).sum())
        before = before | found[kind]
    return counted


def _finding(kind: str, count: int, first: list[Violation]) -> Finding:
    severity, meaning, remedy = KINDS[kind]
    said = f"{meaning} {remedy}"
    return Finding(kind=kind, severity=severity, meaning=said, count=count, first=first)


def _hull(a: Range | None, b: Range | None) -> Range | None:
    if a is None or b is None:
        return a or b
    return min(a[0], b[0]), max(a[1], b[1])
