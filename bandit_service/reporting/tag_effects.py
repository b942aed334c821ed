"""What each tag does, for everybody and for each persona, over all placements.

In each placement and line-up, the variants that carry the tag are set against their siblings that
do not, over the same visits:

    e = (mean of those with it - mean of those without) / what the placement earns
    effect = sum of e / v  /  sum of 1 / v

Rates are those of ``estimates.weighted``; a group's mean weighs variants by 1 / (sampling variance
+ SPREAD^2), both relative to what the placement earns, and v is the variance of e that follows.
SPREAD is how much variants of a placement differ for all the other reasons that there are: a tag is
not given by lot, and what one creative earned says little of its tag. It sets the weights; how much
effects really differ from placement to placement is measured, and the larger of both variances
counts (the sandwich of K.-Y. Liang, S. Zeger (1986), "Longitudinal data analysis using generalized
linear models", Biometrika 73, with placements for clusters).

*How sure that is.* The interval is the normal mixture of ``sequences.radius``, with as many
placements as would tell as much if all told alike: few placements are far from normal, and one
looks often. Many tags are asked about at once, so the intervals are made to hold all together: half
of the 5 % is shared by the effects on everybody, half by those on each persona. Nothing is said of
a tag that fewer than LEAST placements speak of.

What comes out is what goes with a tag, not what it causes: who draws faces may also light them.
Tags are those that variants have now; an older version is another creative, whose tags nobody kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from bandit_service.catalog.model import Placement
from bandit_service.reporting import words
from bandit_service.reporting.columns import R2, SHOWN, WR, N, R, W, counts, merged
from bandit_service.reporting.columns import weighted as weighted_sums
from bandit_service.reporting.estimates import effective_n
from bandit_service.reporting.sequences import ALPHA, Floats, radius
from bandit_service.reporting.stored import StoredSums
from bandit_service.reporting.tables import Table, lineups
from bandit_service.reporting.words import Effect, Relative

SPREAD: Final = 0.3
"""By how much of what a placement earns its variants differ, as a standard deviation."""
LEAST: Final = 5
"""Placements that must speak of a tag."""


class TagEffect(msgspec.Struct, frozen=True, kw_only=True):
    """What goes with a tag, of a persona or of everybody."""

    tag: str
    persona: str | None
    """None: everybody."""
    effect: Effect
    says: str
    """The verdict in a sentence."""
    relative: Relative | None
    """How much more variants with the tag earn, as a part of what their placements earn."""
    placements: int
    """That have variants with it and without."""
    effective_placements: float
    """How many would tell as much, if all told alike."""
    variants: int
    """That carry it, there."""
    shown_with: int
    """Units that were shown one of them."""
    shown_without: int
    """Units that were shown one of their siblings."""


class Told(NamedTuple):
    """What one line-up tells of T tags; each is T."""

    effect: Floats
    weight: Floats
    """1 / variance; 0 where it tells nothing."""
    shown_with: Floats
    shown_without: Floats
    variants: Floats


class TagSums:
    """What placements tell of T tags, added up."""

    def __init__(self, tags: int) -> None:
        self.weight, self.told = np.zeros(tags), np.zeros(tags)
        """Sums of weights, and of weights times effects."""
        self.told2, self.cross, self.weight2 = (np.zeros(tags) for _ in range(3))
        """Sums over placements of told^2, told x weight, weight^2."""
        self.placements, self.variants = np.zeros(tags), np.zeros(tags)
        self.shown_with, self.shown_without = np.zeros(tags), np.zeros(tags)

    def add(self, several: Sequence[Told]) -> None:
        """Add the line-ups of one placement, which are a cluster."""
        weight = np.sum([one.weight for one in several], axis=0)
        told = np.sum([one.weight * one.effect for one in several], axis=0)
        self.weight += weight
        self.told += told
        self.told2 += told * told
        self.cross += told * weight
        self.weight2 += weight * weight
        self.placements += weight > 0.0
        self.variants += np.max([one.variants for one in several], axis=0)
        self.shown_with += np.sum([one.shown_with for one in several], axis=0)
        self.shown_without += np.sum([one.shown_without for one in several], axis=0)

    def effects(self) -> Effects:
        """What comes out."""
        weight = np.where(self.weight > 0.0, self.weight, 1.0)
        effect = self.told / weight
        residuals = self.told2 - 2.0 * effect * self.cross + effect**2 * self.weight2
        spare = self.placements / np.maximum(self.placements - 1.0, 1.0)
        sandwich = np.maximum(residuals, 0.0) / weight**2 * spare
        told_by = self.weight**2 / np.where(self.weight2 > 0.0, self.weight2, 1.0)
        return Effects(effect, np.maximum(sandwich, 1.0 / weight), told_by, self.placements)


class Effects(NamedTuple):
    """The effects of T tags; each is T."""

    effect: Floats
    variance: Floats
    told_by: Floats
    """How many placements would tell as much, if all told alike."""
    placements: Floats

    def half(self, alpha: float) -> Floats:
        """Half the widths of the intervals; infinite where too few placements speak."""
        wide = radius(self.variance, self.told_by, alpha)
        return np.where(self.placements >= LEAST, wide, np.inf)


def tag_effects(
    placements: Iterable[tuple[Placement, StoredSums]],
    tags: Sequence[str],
    personas: Sequence[str],
) -> list[TagEffect]:
    """The effect of each of ``tags`` on everybody and on each of ``personas``; verdicts first.

    Args:
        placements: as they are now, each with what was counted of it.
        tags: what to ask about: all that variants carry.
        personas: whom to ask about: all that came.
    """
    number = {tag: index for index, tag in enumerate(tags)}
    sums: dict[str | None, TagSums] = {group: TagSums(len(tags)) for group in (None, *personas)}
    for placement, stored in placements:
        for group, told in _told_by(placement, stored, number).items():
            sums[group].add(told)
    found: list[TagEffect] = []
    for group, added in sums.items():
        asked = len(tags) * (1 if group is None else len(personas))
        found += _effects(tags, group, added, ALPHA / 2.0 / max(asked, 1))
    return sorted(found, key=_surest)


def _told_by(
    placement: Placement, stored: StoredSums, number: Mapping[str, int]
) -> dict[str | None, list[Told]]:
    """What the line-ups of a placement tell, by persona; of everybody under None."""
    carried = {variant.arm: variant.tags for variant in placement.variants}
    told: dict[str | None, list[Told]] = {}
    for table in lineups(stored):
        has = _has(table.arms, carried, number)
        for group, rows in _groups(table):
            one = tell(rows, has)
            if one is not None:
                told.setdefault(group, []).append(one)
    return told


def _has(
    arms: Sequence[str], carried: Mapping[str, Sequence[str]], number: Mapping[str, int]
) -> Floats:
    """K x T: 1 where a variant carries a tag, 0 where it does not, nan where nobody knows."""
    found = np.zeros((len(arms), len(number)))
    for row, arm in enumerate(arms):
        if arm not in carried:
            found[row] = np.nan
        for tag in carried.get(arm, ()):
            found[row, number[tag]] = 1.0
    return found


def _groups(table: Table) -> Iterable[tuple[str | None, Floats]]:
    """K x WIDTH of everybody, and of each persona."""
    yield None, table.of_everybody()
    for index, persona in enumerate(table.personas):
        yield persona, table.rows[:, index]


def tell(rows: Floats, has: Floats) -> Told | None:
    """What K variants tell of T tags; None where they earned nothing."""
    totals = counts(merged(rows, axis=0)).sum(axis=0)
    n, earned = totals[N], totals[R]
    if not (n > 0.0 and earned > 0.0):
        return None
    base = earned / n
    spread = max(totals[R2] / n - base * base, 0.0)
    sums = weighted_sums(rows)
    size = effective_n(sums)
    there = (size > 0.0) & ~np.isnan(has[:, 0])
    rates = np.where(there, sums[:, WR] / np.where(there, sums[:, W], 1.0), 0.0) / base
    sampled = spread / (base * base) / np.where(there, size, 1.0)
    weights = np.where(there, 1.0 / (sampled + SPREAD**2), 0.0)
    carries = np.nan_to_num(has)
    within, without = weights @ carries, weights @ (1.0 - carries)
    speaks = (within > 0.0) & (without > 0.0)
    safe_in, safe_out = np.where(speaks, within, 1.0), np.where(speaks, without, 1.0)
    means = (weights * rates) @ carries / safe_in, (weights * rates) @ (1.0 - carries) / safe_out
    shown = counts(rows)[..., SHOWN].sum(axis=1) * there
    return Told(
        effect=np.where(speaks, means[0] - means[1], 0.0),
        weight=np.where(speaks, 1.0 / (1.0 / safe_in + 1.0 / safe_out), 0.0),
        shown_with=np.where(speaks, shown @ carries, 0.0),
        shown_without=np.where(speaks, shown @ (1.0 - carries), 0.0),
        variants=np.where(speaks, there @ carries, 0.0),
    )


def _effects(
    tags: Sequence[str], persona: str | None, sums: TagSums, alpha: float
) -> Iterable[TagEffect]:
    found = sums.effects()
    half = found.half(alpha)
    for index, tag in enumerate(tags):
        placements = int(sums.placements[index])
        if not placements:
            continue
        relative = None
        if np.isfinite(half[index]):
            value, off = float(found.effect[index]), float(half[index])
            relative = Relative(value=value, low=value - off, high=value + off)
        verdict = _verdict(relative)
        yield TagEffect(
            tag=tag,
            persona=persona,
            effect=verdict,
            says=words.tag_effect(tag, persona, verdict, relative),
            relative=relative,
            placements=placements,
            effective_placements=float(found.told_by[index]),
            variants=int(sums.variants[index]),
            shown_with=int(sums.shown_with[index]),
            shown_without=int(sums.shown_without[index]),
        )


def _verdict(relative: Relative | None) -> Effect:
    if relative is None:
        return "too_few"
    return "more" if relative.low > 0.0 else "less" if relative.high < 0.0 else "no_difference"


def _surest(one: TagEffect) -> tuple[bool, float, str, str]:
    """Verdicts first, the strongest by what is sure of it; then by how much is known."""
    sure = 0.0
    if one.relative is not None and one.effect in ("more", "less"):
        sure = min(abs(one.relative.low), abs(one.relative.high))
    return sure == 0.0, -sure or -one.effective_placements, one.tag, one.persona or ""
