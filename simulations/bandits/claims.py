"""What a policy's behaviour under change comes to: how soon it adapts, and what readiness costs.

    watched(world, player, …) ──▶ Record ──▶ adaptation   after ``drift:flip``
                                         ├─▶ retreat      after ``drift:break``
                                         └─▶ price        in ``drift:still``, against another policy

A record keeps what the chosen variant was expected to earn at every impression, so that visitors'
luck is no part of it; what is left of chance is the policy's own. Captured headroom is
(chosen - uniform) / (best - uniform), sums over impressions. Units are placements of a world with a
seed. Intervals are of 95 %, by bootstrap over units: they say how much depends on which placements
there happened to be.

Everything is counted in impressions of one placement, not in hours: what a policy needs to change
its mind is traffic.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from bandit_service.errors import EvaluationError
from simulations.bandits.base import Batch, Floats, Player, Whole, World
from simulations.bandits.race import race

BLOCK: Final = 50
"""Impressions of a placement over which headroom is taken together."""
HOLD: Final = 10
"""Blocks over which a level must hold, together, to count as reached."""
AGAIN: Final = 0.8
"""Share of the level before a change at which a policy has adapted."""
LEAST_LEVEL: Final = 0.1
"""Captured headroom below which there is nothing that a change could take away."""
WINDOW: Final = 200
"""Impressions of a placement over which the share of a variant is taken."""
BEFORE: Final = 1_000
"""Impressions before a break over which a variant's usual share is taken."""
LIKED: Final = 0.3
"""Least usual share of a variant that was found to be good."""
REPLICATES: Final = 1_000


class Shown(NamedTuple):
    """n impressions of a placement, in the order of time."""

    at: Whole
    """ms since the Unix epoch."""
    gained: Floats
    """Expected reward of what was chosen, less that of uniform choice."""
    room: Floats
    """That of the best, less that of uniform choice."""
    arm: Whole
    """What was chosen: an index into ``arms``."""
    arms: tuple[str, ...]


class Record:
    """What was shown in one race, by placement; of reported impressions."""

    def __init__(self) -> None:
        self._parts: defaultdict[str, list[tuple[Whole, Floats, Floats, Whole]]] = defaultdict(list)
        self._arms: defaultdict[str, dict[str, int]] = defaultdict(dict)

    def add(self, batch: Batch, chosen: Whole) -> None:
        """Keep what was chosen for a batch."""
        if not batch.spot.reported:
            return
        known = self._arms[batch.spot.id]
        numbers = np.array([known.setdefault(arm.id, len(known)) for arm in batch.spot.arms])
        uniform = batch.truth.mean(axis=1)
        gained = batch.truth[np.arange(len(chosen)), chosen] - uniform
        room = batch.truth.max(axis=1) - uniform
        self._parts[batch.spot.id].append((batch.at, gained, room, numbers[chosen]))

    @property
    def placements(self) -> tuple[str, ...]:
        """In the order in which they came."""
        return tuple(self._parts)

    def shown(self, placement: str) -> Shown:
        """What was shown on a placement."""
        columns = zip(*self._parts[placement], strict=True)
        at, gained, room, arm = (np.concatenate(parts) for parts in columns)
        return Shown(at, gained, room, arm, tuple(self._arms[placement]))


class Watched:
    """A player whose choices are recorded."""

    def __init__(self, player: Player, record: Record) -> None:
        self._player = player
        self._record = record
        self.learn = player.learn
        self.refresh = player.refresh
        self.close = player.close

    def choose(self, batch: Batch) -> Whole:
        """What the player chooses."""
        chosen = self._player.choose(batch)
        self._record.add(batch, chosen)
        return chosen


def watched(world: World, player: Player, *, policy: str, seed: int) -> Record:
    """The record of one race; the player is closed after it."""
    record = Record()
    player = Watched(player, record)
    try:
        race(world, player, policy=policy, seed=seed)
    finally:
        player.close()
    return record


class Estimate(NamedTuple):
    """A number with its interval of 95 % and the number of units it is of."""

    value: float
    low: float
    high: float
    units: int


class Adaptation(NamedTuple):
    """How soon a policy learned, and how soon it learned anew after preferences reversed."""

    level: float
    """Captured headroom over the last quarter of the impressions before the change."""
    learned: int | None
    """Impressions of a placement until ``AGAIN`` of that level was earned first; None: never."""
    recovered: int | None
    """The same, from the change on."""
    multiple: Estimate | None
    """``recovered`` / ``learned``; infinite where it never recovered in the time there was. None
    where nothing was learned first."""


class Retreat(NamedTuple):
    """How often a variant that earns nothing any more was still shown."""

    units: int
    """Placements where it was liked before, see ``LIKED``; the others say nothing."""
    left_out: int
    never: int
    """Of the units, where its share never fell that far in the time there was."""
    median: float
    """Impressions of the variant after the break, until its share over ``WINDOW`` had fallen;
    infinite where it mostly never did, not a number where there is no unit."""
    worst_tenth: float
    """What it was at least, in the worst tenth of units."""


Change = tuple[Record, Mapping[str, int]]
"""A record, and when each placement of its world changed, in ms since the Unix epoch."""


def adaptation(changes: Sequence[Change], *, rng: np.random.Generator) -> Adaptation:
    """How a policy coped with reversed preferences, over several seeds together.

    Raises:
        EvaluationError: if a placement has too few impressions before or after its change.
    """
    units = [
        _parted(record.shown(placement), at_ms)
        for record, when in changes
        for placement, at_ms in when.items()
    ]
    if not units:
        raise EvaluationError("nothing changes in these worlds", hint="adaptation is of drift:flip")
    first = _blocks([before for before, _ in units])
    second = _blocks([after for _, after in units])
    late = np.array([_sums(_last_quarter(before)) for before, _ in units])
    level, learned, recovered = _adapted(first, second, late)
    if learned is None:
        return Adaptation(level, None, recovered, None)
    draws = rng.integers(len(units), size=(REPLICATES, len(units)))
    again = [_adapted(first[drawn], second[drawn], late[drawn]) for drawn in draws]
    multiples = [_ratio(*reached) for _, *reached in again]
    low, high = np.quantile(multiples, [0.025, 0.975], method="inverted_cdf")
    multiple = Estimate(_ratio(learned, recovered), float(low), float(high), len(units))
    return Adaptation(level, learned, recovered, multiple)


def retreat(
    changes: Sequence[Change],
    broken: Sequence[Mapping[str, str]],
    *,
    below: Callable[[float], float],
) -> Retreat:
    """How soon a policy stopped showing what broke, over several seeds together.

    ``broken`` is of each record the variant that broke on each placement. ``below`` makes, of the
    variant's usual share, the share that counts as having stopped: ``lambda usual: usual / 2``, or
    twice the floor that a policy keeps: ``lambda _: 0.02``.
    """
    found = [
        _shown_again(record.shown(placement), at_ms, variants[placement], below)
        for (record, when), variants in zip(changes, broken, strict=True)
        for placement, at_ms in when.items()
    ]
    counts = np.sort([count for count in found if count is not None])
    never = int(np.isinf(counts).sum())
    if not len(counts):
        return Retreat(0, len(found), 0, np.nan, np.nan)
    median, tenth = np.quantile(counts, [0.5, 0.9], method="inverted_cdf")
    return Retreat(len(counts), len(found) - len(counts), never, float(median), float(tenth))


def price(
    ours: Sequence[Record], reference: Sequence[Record], *, rng: np.random.Generator
) -> Estimate:
    """Captured headroom of a reference less that of a policy, on the same placements and seeds.

    Raises:
        EvaluationError: if the two did not meet the same impressions.
    """
    pairs = [
        (_whole(one.shown(placement)), _whole(two.shown(placement)))
        for one, two in zip(ours, reference, strict=True)
        for placement in one.placements
    ]
    mine, theirs = (np.array(side) for side in zip(*pairs, strict=True))
    if not np.array_equal(mine[:, 1], theirs[:, 1]):
        raise EvaluationError(
            "the two policies did not meet the same impressions",
            hint="let both play the same worlds, with the same seeds and of the same size",
        )
    draws = rng.integers(len(mine), size=(REPLICATES, len(mine)))
    lost = (theirs - mine)[:, 0]
    replicates = lost[draws].sum(axis=1) / mine[draws, 1].sum(axis=1)
    low, high = np.quantile(replicates, [0.025, 0.975])
    return Estimate(float(lost.sum() / mine[:, 1].sum()), float(low), float(high), len(mine))


def _parted(shown: Shown, at_ms: int) -> tuple[Floats, Floats]:
    """What was gained and what there was (n x 2), before and after a change."""
    split = int(np.searchsorted(shown.at, at_ms))
    both = np.stack([shown.gained, shown.room], axis=1)
    least = BLOCK * HOLD
    if min(split, len(both) - split) < least:
        raise EvaluationError(
            f"a placement has {split:,} impressions before its change and {len(both) - split:,} "
            f"after it, and {least:,} of each are needed",
            hint="take a larger world: leave out --quick",
        )
    return both[:split], both[split:]


def _blocks(parts: Sequence[Floats]) -> Floats:
    """Units x blocks x 2, sums; as many blocks as every unit has."""
    count = min(len(part) for part in parts) // BLOCK
    return np.array([part[: count * BLOCK].reshape(count, BLOCK, 2).sum(axis=1) for part in parts])


def _last_quarter(part: Floats) -> Floats:
    return part[len(part) * 3 // 4 :]


def _sums(part: Floats) -> tuple[float, float]:
    gained, room = part.sum(axis=0)
    return float(gained), float(room)


def _whole(shown: Shown) -> tuple[float, float]:
    return float(shown.gained.sum()), float(shown.room.sum())


def _adapted(first: Floats, second: Floats, late: Floats) -> tuple[float, int | None, int | None]:
    """The level before the change, and when it was reached first and again."""
    gained, room = late.sum(axis=0)
    level = float(gained / room)
    if level < LEAST_LEVEL:
        return level, None, None
    return level, _reached(first, AGAIN * level), _reached(second, AGAIN * level)


def _reached(blocks: Floats, level: float) -> int | None:
    """Impressions up to the end of the first block of HOLD that earn ``level`` together."""
    totals = np.concatenate([np.zeros((1, 2)), np.cumsum(blocks.sum(axis=0), axis=0)])
    gained, room = (totals[HOLD:] - totals[:-HOLD]).T
    holds = np.flatnonzero(gained >= level * room)
    return (int(holds[0]) + 1) * BLOCK if len(holds) else None


def _ratio(once: int | None, again: int | None) -> float:
    """Infinite where either was not reached."""
    return np.inf if once is None or again is None else again / once


def _shown_again(
    shown: Shown, at_ms: int, broken: str, below: Callable[[float], float]
) -> float | None:
    """Displays of a variant after its break; None if it was not liked before."""
    split = int(np.searchsorted(shown.at, at_ms))
    mine = shown.arm == shown.arms.index(broken)
    before, after = mine[max(0, split - BEFORE) : split], mine[split:]
    usual = float(before.mean()) if len(before) else 0.0
    if usual < LIKED:
        return None
    displays = np.concatenate([[0], np.cumsum(after)])
    few = np.flatnonzero(displays[WINDOW:] - displays[:-WINDOW] < below(usual) * WINDOW)
    return float(displays[few[0] + WINDOW]) if len(few) else np.inf
