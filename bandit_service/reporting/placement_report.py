"""All about one placement: its variants, its personas, each pair of both, and how it went.

Rates of variants are what each would have earned, had it been shown in every visit in which it
could have been (``estimates.weighted``). Variants are set against the leader over visits in which
all that are live could have been shown; one that is not live is set against none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from bandit_service.catalog.model import Placement
from bandit_service.reporting.columns import R2, REWARDED, SHOWN, N, R, counts, merged
from bandit_service.reporting.columns import weighted as weighted_sums
from bandit_service.reporting.estimates import (
    NO_DIFFERENCE,
    Difference,
    Estimate,
    compared,
    weighted,
)
from bandit_service.reporting.experiment import ArmSums, Sums, experiments
from bandit_service.reporting.overview import standing
from bandit_service.reporting.sequences import Floats
from bandit_service.reporting.series import DAY_MS, HOUR_MS, OTHERS, Stretch
from bandit_service.reporting.stored import FORMAT, StoredSeries, StoredSums
from bandit_service.reporting.summary import Summary
from bandit_service.reporting.tables import Scale, Table, field, whole
from bandit_service.reporting.winners import Winner, field_of, leader
from bandit_service.reporting.words import State, state


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """A variant and a persona."""

    arm: str
    persona: str
    shown: int
    rewarded: int
    estimate: Estimate


class VariantLine(msgspec.Struct, frozen=True, kw_only=True):
    """A variant, over all personas."""

    arm: str
    live: bool
    shown: int
    rewarded: int
    estimate: Estimate
    to_leader: Difference
    """This one less the leader, over the same visits; no value for the leader itself."""


class PersonaLine(msgspec.Struct, frozen=True, kw_only=True):
    """A persona, over all variants."""

    persona: str
    shown: int
    rewarded: int
    last_seen: int
    """When its newest unit was opened, in ms since the Unix epoch."""
    policy: Estimate
    holdout: Estimate
    gain: Difference


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """What was shown and earned over time: T stretches, V variants."""

    starts: list[int]
    """T: when each began, in ms since the Unix epoch (UTC)."""
    arms: list[str]
    """V; the last one may be ``""``: variants that were shown less than others."""
    shown: list[list[int]]
    """T x V: units opened."""
    settled: list[list[int]]
    """T x V: those of them that are settled."""
    earned: list[list[float]]
    """T x V: what the settled ones earned."""


class PlacementReport(msgspec.Struct, frozen=True, kw_only=True):
    """All about one placement."""

    placement: str
    as_of: int | None
    """How late it was in the log when this was counted, in ms since the Unix epoch."""
    state: State
    says: str
    """The state in a sentence."""
    winners: list[Winner]
    leader: str | None
    """The live variant that is best as far as is known."""
    shown: int
    rewarded: int
    policy: Estimate
    holdout: Estimate
    gain: Difference
    variants: list[VariantLine]
    """The live ones first."""
    personas: list[PersonaLine]
    """The one seen most first."""
    cells: list[Cell]
    hours: Course
    days: Course


class Found(msgspec.Struct, frozen=True):
    """What the store has of a placement."""

    sums: StoredSums
    series: StoredSeries
    summary: Summary | None


NOTHING: Final = Found(
    StoredSums(
        format=FORMAT, arms=[], personas=[], seen=[], lineups=[], keys=b"", rows=b"",
        least=0.0, most=0.0, first=0, last=0,
    ),
    StoredSeries(FORMAT, [], []),
    None,
)  # fmt: skip
"""What the store would have of a placement that was never shown."""


def placement_report(
    name: str, placement: Placement | None, found: Found, *, now: int | None
) -> PlacementReport:
    """The report of a placement.

    Args:
        name: of the placement.
        placement: as it is now; None if it is in no catalog.
        found: what was counted of it.
        now: the log's clock, in ms.
    """
    stands = standing(placement, found.summary, now or 0)
    table = whole(found.sums)
    live = [] if placement is None else [variant.arm for variant in placement.live(now or 0)]
    (total,) = experiments([_sums(merged(merged(table.rows, 0), 0), table.scale)])
    first, to_leader = _against_leader(field(found.sums, live))
    by_arm = counts(table.of_everybody()).sum(axis=1)
    return PlacementReport(
        placement=name,
        as_of=now,
        state=stands.state,
        says=state(stands.state, winners=stands.winners, last_seen=found.sums.last),
        winners=stands.winners,
        leader=first,
        shown=int(by_arm[:, SHOWN].sum()),
        rewarded=int(by_arm[:, REWARDED].sum()),
        policy=total.policy,
        holdout=total.holdout,
        gain=total.gain,
        variants=_variants(table, live, to_leader),
        personas=_personas(table, found.sums.seen),
        cells=_cells(table),
        hours=_course(found.series.hours, found.sums.arms, HOUR_MS),
        days=_course(found.series.days, found.sums.arms, DAY_MS),
    )


def _against_leader(live: Table) -> tuple[str | None, dict[str, Difference]]:
    """The leader of the live variants, and how each of the others is to it."""
    known = field_of(live)
    first = leader(known)
    if first is None:
        return None, {}
    found = known.found.take(0)
    best = found.take(known.arms.index(first))
    return first, {
        arm: compared(found.take(number), best)
        for number, arm in enumerate(known.arms)
        if arm != first
    }


def _variants(
    table: Table, live: Sequence[str], to_leader: dict[str, Difference]
) -> list[VariantLine]:
    everybody = table.only([*live, *(arm for arm in table.arms if arm not in set(live))])
    rows = everybody.of_everybody()
    found, totals = weighted(weighted_sums(rows), table.scale), counts(rows).sum(axis=1)
    return [
        VariantLine(
            arm=arm,
            live=number < len(live),
            shown=int(totals[number, SHOWN]),
            rewarded=int(totals[number, REWARDED]),
            estimate=found.take(number).record(totals[number, N]),
            to_leader=to_leader.get(arm, NO_DIFFERENCE),
        )
        for number, arm in enumerate(everybody.arms)
    ]


def _personas(table: Table, seen: Sequence[int]) -> list[PersonaLine]:
    rows = merged(table.rows, axis=0)
    found = experiments([_sums(row, table.scale) for row in rows])
    totals = counts(rows).sum(axis=1)
    lines = [
        PersonaLine(
            persona=persona,
            shown=int(total[SHOWN]),
            rewarded=int(total[REWARDED]),
            last_seen=last,
            policy=numbers.policy,
            holdout=numbers.holdout,
            gain=numbers.gain,
        )
        for persona, last, numbers, total in zip(table.personas, seen, found, totals, strict=True)
    ]
    return sorted(lines, key=lambda line: -line.shown)


def _cells(table: Table) -> list[Cell]:
    found = weighted(weighted_sums(table.rows), table.scale)
    totals = counts(table.rows).sum(axis=2)
    return [
        Cell(
            arm=table.arms[arm],
            persona=table.personas[persona],
            shown=int(totals[arm, persona, SHOWN]),
            rewarded=int(totals[arm, persona, REWARDED]),
            estimate=found.take((arm, persona)).record(totals[arm, persona, N]),
        )
        for arm, persona in np.argwhere(totals[..., SHOWN] > 0.0).tolist()
    ]


def _sums(row: Floats, scale: Scale) -> Sums:
    policy, holdout = (
        ArmSums(int(total[N]), float(total[R]), float(total[R2])) for total in counts(row)
    )
    return Sums(policy, holdout, scale)


def _course(stretches: Sequence[Stretch], arms: Sequence[str], stretch_ms: int) -> Course:
    """The stretches as a table, of the variants that came in any."""
    rows = [
        {arm: (shown, n, earned) for arm, shown, n, earned in stretch.rows()}
        for stretch in stretches
    ]
    numbers = sorted({number for row in rows for number in row}, key=lambda n: (n == OTHERS, n))
    table = [[row.get(number, (0, 0, 0.0)) for number in numbers] for row in rows]
    return Course(
        starts=[stretch.start * stretch_ms for stretch in stretches],
        arms=["" if number == OTHERS else arms[number] for number in numbers],
        shown=[[shown for shown, _, _ in row] for row in table],
        settled=[[settled for _, settled, _ in row] for row in table],
        earned=[[earned for _, _, earned in row] for row in table],
    )
