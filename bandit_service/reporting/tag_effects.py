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

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from bandit_service.catalog.model import Placement
from bandit_service.reporting import words
from bandit_service.reporting.columns import R2, SHOWN, WR, N, R, W, counts
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
    """What one line-up tells of T tags to each of some groups of visitors; each is groups x T."""

    effect: Floats
    weight: Floats
    """1 / variance; 0 where it tells nothing."""
    shown_with: Floats
    shown_without: Floats
    variants: Floats


class Effects(NamedTuple):
    """The effects of T tags on groups of visitors; each is groups x T."""

    effect: Floats
    variance: Floats
    told_by: Floats
    """How many placements would tell as much, if all told alike."""
    placements: Floats

    def half(self, alpha: Floats | float) -> Floats:
        """Half the widths of the intervals; infinite where too few placements speak."""
        wide = radius(self.variance, self.told_by, alpha)
        return np.where(self.placements >= LEAST, wide, np.inf)


class TagSums:
    """What placements tell, added up: groups of visitors x T tags."""

    def __init__(self, groups: int, tags: int) -> None:
        """Nothing was told yet."""
        shape = (groups, tags)
        self._weight, self._told = np.zeros(shape), np.zeros(shape)
        """Sums of weights, and of weights times effects."""
        self._told2, self._cross, self._weight2 = (np.zeros(shape) for _ in range(3))
        """Sums over placements of told^2, told x weight, weight^2."""
        self.placements, self.variants = np.zeros(shape), np.zeros(shape)
        self.shown_with, self.shown_without = np.zeros(shape), np.zeros(shape)

    def add(self, several: Sequence[Told], groups: Sequence[int]) -> None:
        """Add the line-ups of one placement, which are a cluster; of some groups, by number."""
        at = np.array(groups, np.intp)
        weight = np.sum([one.weight for one in several], axis=0)
        told = np.sum([one.weight * one.effect for one in several], axis=0)
        self._weight[at] += weight
        self._told[at] += told
        self._told2[at] += told * told
        self._cross[at] += told * weight
        self._weight2[at] += weight * weight
        self.placements[at] += weight > 0.0
        self.variants[at] += np.max([one.variants for one in several], axis=0)
        self.shown_with[at] += np.sum([one.shown_with for one in several], axis=0)
        self.shown_without[at] += np.sum([one.shown_without for one in several], axis=0)

    def effects(self) -> Effects:
        """What comes out."""
        weight = np.where(self._weight > 0.0, self._weight, 1.0)
        effect = self._told / weight
        residuals = self._told2 - 2.0 * effect * self._cross + effect**2 * self._weight2
        spare = self.placements / np.maximum(self.placements - 1.0, 1.0)
        sandwich = np.maximum(residuals, 0.0) / weight**2 * spare
        told_by = self._weight**2 / np.where(self._weight2 > 0.0, self._weight2, 1.0)
        return Effects(effect, np.maximum(sandwich, 1.0 / weight), told_by, self.placements)


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
    if not tags:
        return []
    groups: list[str | None] = [None, *personas]
    tag_number = {tag: index for index, tag in enumerate(tags)}
    group_number = {group: index for index, group in enumerate(groups)}
    sums = TagSums(len(groups), len(tags))
    for placement, stored in placements:
        carried = {variant.arm: variant.tags for variant in placement.variants}
        came: list[str | None] = [None, *stored.personas]
        asked = [index for index, group in enumerate(came) if group in group_number]
        told = [
            tell(groups_of(table)[asked], _has(table.arms, carried, tag_number))
            for table in lineups(stored)
        ]
        if told:
            sums.add(told, [group_number[came[index]] for index in asked])
    return sorted(_effects(tags, groups, sums), key=_surest)


def _has(
    arms: Sequence[str], carried: Mapping[str, Sequence[str]], number: Mapping[str, int]
) -> Floats:
    """K x T: 1 where a variant carries a tag, 0 where it does not, nan where nobody knows."""
    found = np.zeros((len(arms), len(number)))
    for row, arm in enumerate(arms):
        if arm not in carried:
            found[row] = np.nan
        known = [number[tag] for tag in carried.get(arm, ()) if tag in number]
        found[row, known] = 1.0
    return found


def groups_of(table: Table) -> Floats:
    """(1 + G) x K x WIDTH: of everybody, then of each persona."""
    everybody = table.of_everybody()[:, None]
    return np.concatenate([everybody, table.rows], axis=1).swapaxes(0, 1)


def tell(rows: Floats, has: Floats) -> Told:
    """What K variants tell of T tags to groups of visitors.

    Args:
        rows: groups x K x WIDTH, over the same visits.
        has: K x T, see ``_has``.
    """
    totals = counts(rows).sum(axis=(1, 2))  # groups x 6
    n = np.maximum(totals[:, N], 1.0)
    earns = totals[:, R] > 0.0
    base = np.where(earns, totals[:, R] / n, 1.0)[:, None]
    spread = np.maximum(totals[:, R2] / n - (totals[:, R] / n) ** 2, 0.0)[:, None]
    sums = weighted_sums(rows)
    size = effective_n(sums)  # groups x K
    there = (size > 0.0) & ~np.isnan(has[:, 0]) & earns[:, None]
    rates = np.where(there, sums[..., WR] / np.where(there, sums[..., W], 1.0), 0.0) / base
    sampled = spread / base**2 / np.where(there, size, 1.0)
    weights = np.where(there, 1.0 / (sampled + SPREAD**2), 0.0)
    carries = np.nan_to_num(has)
    within, without = weights @ carries, weights @ (1.0 - carries)
    speaks = (within > 0.0) & (without > 0.0)
    inside, outside = np.where(speaks, within, 1.0), np.where(speaks, without, 1.0)
    earned = weights * rates
    effect = earned @ carries / inside - earned @ (1.0 - carries) / outside
    shown = counts(rows)[..., SHOWN].sum(axis=-1) * there
    return Told(
        effect=np.where(speaks, effect, 0.0),
        weight=np.where(speaks, 1.0 / (1.0 / inside + 1.0 / outside), 0.0),
        shown_with=np.where(speaks, shown @ carries, 0.0),
        shown_without=np.where(speaks, shown @ (1.0 - carries), 0.0),
        variants=np.where(speaks, there @ carries, 0.0),
    )


def shared(groups: int, tags: int) -> Floats:
    """Groups x 1: how often an interval may fail, ever, so that all hold together."""
    everybody = ALPHA / 2.0 / tags
    return np.array([everybody, *[everybody / max(groups - 1, 1)] * (groups - 1)])[:, None]


def _effects(
    tags: Sequence[str], groups: Sequence[str | None], sums: TagSums
) -> Iterator[TagEffect]:
    found = sums.effects()
    half = found.half(shared(len(groups), len(tags)))
    for at in map(tuple, np.argwhere(sums.placements > 0.0).tolist()):
        persona, tag = groups[at[0]], tags[at[1]]
        relative = None
        if np.isfinite(half[at]):
            value, off = float(found.effect[at]), float(half[at])
            relative = Relative(value=value, low=value - off, high=value + off)
        verdict = _verdict(relative)
        yield TagEffect(
            tag=tag,
            persona=persona,
            effect=verdict,
            says=words.tag_effect(tag, persona, verdict, relative),
            relative=relative,
            placements=int(sums.placements[at]),
            effective_placements=float(found.told_by[at]),
            variants=int(sums.variants[at]),
            shown_with=int(sums.shown_with[at]),
            shown_without=int(sums.shown_without[at]),
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
