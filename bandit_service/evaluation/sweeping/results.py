"""What a sweep found, as plain data: the JSON twin of its report, and all that renders it.

Differences are ``Estimate`` too, with n, effective sample size, largest weight and interval.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from bandit_service.evaluation.results import Estimate, Evaluation

FORMAT: Final = 1
"""Version of the JSON; a reader refuses any other."""

Advised = Literal["base", "adopt", "keep", "untold"]
"""``base``: nothing was ranked above the base. ``adopt``: the held-out rows confirm that the winner
is better. ``keep``: they speak against it. ``untold``: they cannot tell."""


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """One policy, on the rows that policies are ranked by."""

    name: str
    words: str
    changed: list[str]
    """What differs from the base, as ``policy.gamma = 10``; empty for the base."""
    blind: bool
    rank: int | None
    """From 1; None where the log cannot answer well enough to rank it."""
    estimate: Estimate | None
    """The quoted one; None if the policy failed."""
    lead: Estimate | None
    """How much more it earns than the base; None for the base, and if it failed."""
    as_logged: int
    """Rows of which it says nothing, and which it left to the log's own policy."""
    failed: str
    """Why it could not be scored; empty if it could."""


class HeldOut(msgspec.Struct, frozen=True, kw_only=True):
    """The winner on rows that took no part in choosing it."""

    rows: int
    since: int | None
    until: int | None
    """First and last decision among them, ms since the epoch."""
    logged: float | None
    """What the log earned there, as measured."""
    ranked: Estimate
    """The winner on the rows that it was ranked by."""
    winner: Estimate
    base: Estimate | None
    """None where the base could not be scored, or is the winner."""
    over_log: Estimate
    """How much more the winner earns than the log did."""
    over_base: Estimate | None
    """How much more it earns than the base; the comparison that the verdict rests on."""
    lead_ranked: Estimate | None
    """The same on the rows that it was ranked by."""


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One way to explore, for the same learned model."""

    name: str
    group: str
    """``now``, ``floor``, ``holdout`` or ``greed``: what it varies."""
    changes: str
    """The setting to write, as ``policy.floor = 0.02``; empty for what is set now."""
    earns: Estimate
    """How much more it earns per decision than without any floor and holdout; below 0, it costs."""
    modelled: float
    """The same by the reward model alone: no chance in it, but as right as the model."""
    even: float
    """Of a log that it wrote, the part of the rows that counts for a policy that shows all variants
    alike; 0 to 1."""
    single: float
    """The same for a policy that always shows one variant: of all, the one for which it is least
    in rows."""
    variant: str
    """Which one that is, with its placement."""
    variant_rows: float
    """Effective rows that a log as long as this would have for it."""


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """How much to explore."""

    policy: str
    rows: int
    options: list[Option]
    recommended: str | None
    """Name of an option."""
    words: list[str]
    """The recommendation and its reasons, in sentences."""


class SweepResult(msgspec.Struct, frozen=True, kw_only=True):
    """The whole result."""

    format: int = FORMAT
    kind: Literal["sweep"] = "sweep"
    log: Evaluation
    """The log as a whole: an evaluation of no policy."""
    base: str
    """Name of the base."""
    ranked_rows: int
    """The first rows of the log, by which policies are ranked."""
    compared: int
    """How many policies were compared with the base."""
    lead_confidence: float
    """Of each lead over the base, so that all hold together at the confidence that was asked."""
    tried: list[Tried]
    """By rank, then those without one."""
    winner: str | None
    held_out: HeldOut | None
    advised: Advised
    verdict: list[str]
    """What to do, in sentences; the first is the one to quote."""
    advice: Advice | None
    """None where no policy could be asked."""
