"""The first reading of a log: may it be believed, and what does it earn by what it shows?

Everything that later readings need and no target changes is found here, once: the verification, the
reward model, the counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np

from bandit_service.errors import EvaluationError, LogError
from bandit_service.evaluation.batch import Batch
from bandit_service.evaluation.folds.sums import ExactSums
from bandit_service.evaluation.logs.base import LoggedData, Progress, Violation, Watch
from bandit_service.evaluation.results import Finding, Verification
from bandit_service.evaluation.reward_model import RewardModel, RewardTable
from bandit_service.evaluation.thinned import Thinned
from bandit_service.evaluation.verification.verify import Verifier

MOMENTS: Final = 200
"""Moments at most, where the longest block allows it."""
_BLOCKS: Final = tuple(
    1000 * seconds for seconds in (1, 5, 15, 60, 300, 900, 3_600, 14_400, 86_400, 604_800)
)
"""A second to a week."""


class Survey(NamedTuple):
    """What the first reading found."""

    verification: Verification
    model: RewardModel
    rows: int
    """Rows that can be evaluated."""
    clicks: int
    """Those with a reward above 0."""
    earned: float
    """The sum of their rewards."""
    since: int | None
    until: int | None
    """First and last decision, ms since the epoch."""
    decided: list[int]
    """When some of the rows were decided, ms since the epoch: evenly spaced over the rows."""
    excluded: dict[str, int]
    """What cannot be evaluated, by reason."""
    reward_range: tuple[float, float]
    range_known: bool
    """Whether the log's own rules say so, rather than its rows."""

    @property
    def block_ms(self) -> int:
        """How far apart moments are that show the log over time, in ms: a round time.

        It is found from times alone, so that nothing that a moment bounds has chosen it.
        """
        span = (self.until or 0) - (self.since or 0)
        return next((block for block in _BLOCKS if span <= MOMENTS * block), _BLOCKS[-1])

    @property
    def mean_reward(self) -> float | None:
        """What a row earned on average."""
        return self.earned / self.rows if self.rows else None


class Counts:
    """What is counted of rows, of the whole log or of a part."""

    def __init__(self) -> None:
        """Of no rows."""
        self.rows = self.clicks = 0
        self.rewards = ExactSums(of="reward")
        self.since: int | None = None
        """The first decision, ms since the epoch."""
        self.until: int | None = None
        """The last."""

    def add(self, batch: Batch) -> None:
        """Count rows, of which there is at least one."""
        self.rows += len(batch)
        self.clicks += int(np.count_nonzero(batch.reward > 0))
        self.rewards.add(batch.reward)
        first, last = int(batch.ms.min()), int(batch.ms.max())
        self.since = first if self.since is None else min(self.since, first)
        self.until = last if self.until is None else max(self.until, last)


def survey(
    log: LoggedData, *, progress: Progress, sink: Callable[[Violation], None] | None = None
) -> Survey:
    """Read a log through.

    Args:
        log: What to read.
        progress: Told how many rows or entries have passed.
        sink: Told every violation, of which the result keeps the first of each kind.

    Raises:
        LogError: if the log cannot be read.
    """
    table, counts, decided = RewardTable(), Counts(), Thinned()
    low, high = 0.0, 1.0
    verifier = Verifier(
        reward_range=log.reward_range, propensities=log.description.propensities, sink=sink
    )
    for batch in log.batches(blame=verifier.blame, progress=progress):
        rows = verifier.add(batch)
        if len(rows):
            table.add(rows)
            counts.add(rows)
            decided.add(rows.ms)
            low = min(low, float(rows.reward.min()))
            high = max(high, float(rows.reward.max()))
    return Survey(
        verification=verifier.get(),
        model=table.fit(),
        rows=counts.rows,
        clicks=counts.clicks,
        earned=counts.rewards.total(),
        since=counts.since,
        until=counts.until,
        decided=decided.kept,
        excluded={**log.excluded, **verifier.excluded},
        reward_range=log.reward_range or (low, high),
        range_known=log.reward_range is not None,
    )


def usable_rows(
    log: LoggedData, count: int, *, watch: Watch, progress: Progress
) -> Iterator[tuple[int, Batch]]:
    """The rows that were surveyed, once more: each batch with how many came before it.

    Raises:
        LogError: if there are not as many as ``count``, which were there before.
    """
    came = 0
    for batch in log.batches(blame=_known, progress=progress, watch=watch):
        rows = Verifier.usable(batch)
        if len(rows):
            yield came, rows
            came += len(rows)
    if came != count:
        raise LogError(
            f"the log had {count:,} rows when it was read first, and has {came:,} now",
            hint="was a visitor forgotten, or a file replaced or added meanwhile? start again",
        )


def check(found: Survey, *, name: str, force: bool) -> bool:
    """Whether ``force`` was needed to go on with a log, called ``name``.

    Raises:
        EvaluationError: if nothing can be evaluated, or only by force.
    """
    fatal = [f for f in found.verification.findings if f.severity == "fatal" and f.count]
    if not found.rows:
        raise EvaluationError(
            f"{name} has no row that can be evaluated" + _because(fatal),
            hint="bandit-service verify says what is wrong with it",
        )
    if fatal and not force:
        raise EvaluationError(
            f"{name} must not be believed" + _because(fatal),
            hint="bandit-service verify says more; --force evaluates it all the same, and says so",
        )
    return bool(fatal)


def _known(violation: Violation) -> None:
    """What is wrong with the log was told when it was surveyed."""


def _because(fatal: list[Finding]) -> str:
    if not fatal:
        return ""
    return ": " + ", ".join(f"{f.count:,} x {f.kind}{_first(f)}" for f in fatal)


def _first(finding: Finding) -> str:
    return "".join(f" (first at {v.place}: {v.message})" for v in finding.first[:1])
