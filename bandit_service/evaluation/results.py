"""What an evaluation found, as plain data: the JSON twin of the report, and all that renders it.

Rewards are in the log's own unit (1 a click unless settings say otherwise). A value is None, never
NaN, where it cannot be given, and then ``why`` says so.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from bandit_service.evaluation.logs.base import LogDescription, Severity, Violation

FORMAT: Final = 1
"""Version of the JSON; a reader refuses any other."""

Status = Literal["ok", "weak", "unanswerable"]
"""``weak``: shown greyed, do not decide by it. ``unanswerable``: no value is given."""


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds, how they were made, and with which confidence."""

    low: float
    high: float
    kind: str
    """``normal``, ``bootstrap``, ``empirical-bernstein``, ``clopper-pearson`` or ``anytime``."""
    confidence: float


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What one estimator says of one policy."""

    estimator: str
    value: float | None
    intervals: list[Interval]
    """The first is the one to show; none where there is no value."""
    n: int
    """Rows."""
    ess: float
    """Effective sample size, (sum w)^2 / sum w^2."""
    max_weight: float
    status: Status
    why: list[str]
    """Why it is weak or unanswerable, in sentences."""


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the log: an estimate within a placement, a persona or an arm."""

    name: str
    estimate: Estimate


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """An estimate of everything up to ``ms``; the interval holds at all times at once."""

    ms: int
    n: int
    value: float
    low: float
    high: float


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the traffic a policy gives to an arm for a persona, against the log."""

    placement: str
    persona: str
    arm: str
    n: int
    """Rows in which the arm was shown to the persona in the log."""
    logged: float
    """Its share of the logged decisions of that persona on that placement."""
    target: float
    """The policy's mean probability of it there."""
    reward: float | None
    """Mean reward in the log; None if it was never shown."""


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """How the weights of a policy lie."""

    edges: list[float]
    """B + 1 edges of the bins of the histogram."""
    counts: list[int]
    """B rows in each."""
    mean: float
    """Near 1 where the log's propensities are right and support is full."""
    mean_interval: Interval
    maximum: float
    unsupported: float | None
    """Mean probability that the policy gives to what the log could not show."""


class PolicyResult(msgspec.Struct, frozen=True, kw_only=True):
    """All about one policy."""

    name: str
    words: str
    learns: bool
    estimates: list[Estimate]
    headline: str
    """Name of the estimator to quote."""
    verdict: str
    """One sentence on what may be concluded."""
    gain: Estimate
    """What it would have earned beyond what the log's own policy did, a decision."""
    as_logged: int
    """Rows that it says nothing about, where it does what the log's own policy did."""
    weights: Weights
    over_time: list[Moment]
    by_placement: list[Cell]
    by_persona: list[Cell]
    shares: list[Share]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """All violations of one kind."""

    kind: str
    severity: Severity
    meaning: str
    count: int
    first: list[Violation]
    """The first of them."""


class RatioTest(msgspec.Struct, frozen=True, kw_only=True):
    """Whether choices were drawn as logged."""

    name: str
    """A placement, or ``all``."""
    n: int
    p_value: float
    worst: str
    """The arm that is furthest off, with what was expected and seen."""


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What ``verify`` found."""

    rows: int
    findings: list[Finding]
    sample_ratio: list[RatioTest]
    """``all`` first, then placements by p-value."""
    fatal: bool


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the coverage study."""

    world: str
    estimator: str
    interval: str
    logs: int
    n: int
    coverage: float
    claimed: bool
    """Whether the interval claims to hold in this world."""
    note: str


def in_percent(reward_range: tuple[float, float]) -> bool:
    """Whether rewards are reported as percentages."""
    return reward_range[0] >= 0.0 and reward_range[1] <= 1.0


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """The whole result."""

    format: int = FORMAT
    made: str
    """When, RFC 3339."""
    version: str
    """Of this program."""
    log: LogDescription
    since: int | None
    until: int | None
    """First and last decision, ms since the epoch."""
    rows: int
    clicks: int
    """Rows with a reward above 0."""
    mean_reward: float | None
    excluded: dict[str, int]
    """What was left out of the log, by reason."""
    reward_range: tuple[float, float]
    verification: Verification
    forced: bool
    """Whether fatal findings were overridden."""
    policies: list[PolicyResult]
    coverage: list[Coverage]
    warnings: list[str]
    """What applies to everything here; shown on top."""
    settings: dict[str, str] = {}
    """What was asked for, as option and value: confidence, clip, seed and the like."""
