"""What was seen of every placement, variant and persona, as sums that forget.

Vowpal Wabbit says how features speak for a variant; these sums say what the variant itself has
earned. They are all that the posterior in ``pooling`` needs:

    site        outcomes, rewards, |rewards|, squared rewards; and of each persona |rewards|, beside
                what its placements earn on average
    placement   the four of everybody, and of each persona that came
    cell        of a variant and a persona: how often shown, rewards, and what VW had predicted

What is shown is counted as it is shown, what it earns when that comes; see ``learning.trainer``.

*Forgetting.* A placement remembers about ``memory`` rewards: each new one counts a little more than
all before, which is the same as discounting those, and costs nothing. Stored sums are in inflated
units; ``Placement.weight`` is what the next outcome counts.

*Alarms.* A variant that earns much less than it did (its picture no longer loads, its story is
over) is noticed by cumulative sums (Page 1954, Biometrika 41), one for each of ``DROPS``: the log
likelihood of so much less against what was expected, started again whenever it falls to 0. At
``alarm`` the variant keeps only what was seen since that sum began to rise, and the rest of the
placement is remembered faintly, so that it is explored anew. Where what was expected is right,
false alarms come about once in exp(alarm) rewards, or less often.

*Bounds.* Candidates may come with a request, under ids that never come again: placements and
variants that were not shown for longest are let go beyond ``MAX_ARMS``, and beyond ``MOST_OF_ONE``
those of their own placement, so that one that has new ids all the time costs no other its sums.

Everything is a function of the outcomes in their order, so that a fold may stop and go on anywhere.
"""

from __future__ import annotations

import math
from bisect import insort
from typing import Final

import msgspec

DROPS: Final = (0.2, 0.6)
"""What is left of a variant's reward in each of the changes looked for."""
AFTER_ALARM: Final = 50.0
"""Rewards of a placement that are remembered after an alarm."""
MAX_ARMS: Final = 100_000
"""Variants of a site with sums of their own."""
MOST_OF_ONE: Final = 1_000
"""Variants of a placement with sums of their own."""
MOST_WAITING: Final = 256
"""Rewards of a variant that wait for what was shown before them."""
_HEAVY: Final = 1e9
"""Weight beyond which a placement's sums are brought back to units of 1."""
_ARM_PRIOR: Final = 10.0
"""Rewards' worth of doubt about a variant, where an alarm asks what was expected of it."""
_FEW: Final = 1e-12


class Sums(msgspec.Struct, array_like=True):
    """Of some outcomes."""

    n: float = 0.0
    """How many."""
    r: float = 0.0
    """The sum of their rewards."""
    a: float = 0.0
    """The sum of the rewards' absolute values."""
    s: float = 0.0
    """The sum of the rewards' squares."""

    def add(self, weight: float, reward: float) -> None:
        """Add a reward; what was shown for it is counted in ``n`` already."""
        self.r += weight * reward
        self.a += weight * abs(reward)
        self.s += weight * reward * reward

    def scale(self, by: float) -> None:
        """Multiply all sums."""
        self.n *= by
        self.r *= by
        self.a *= by
        self.s *= by


class Cell(msgspec.Struct, array_like=True):
    """Of a variant and a persona."""

    n: float = 0.0
    """How often it was shown."""
    r: float = 0.0
    """The sum of rewards."""
    f: float = 0.0
    """The sum of what VW predicted when outcomes closed."""
    closed: float = 0.0
    """How many outcomes that is of."""

    def tell(self, weight: float, predicted: float) -> None:
        """Add what VW predicted of an outcome that closes."""
        self.f += weight * predicted
        self.closed += weight

    def scale(self, by: float) -> None:
        """Multiply all sums."""
        self.n *= by
        self.r *= by
        self.f *= by
        self.closed *= by


class Alarm(msgspec.Struct, array_like=True):
    """A cumulative sum, and what was seen since it began to rise."""

    sum: float = 0.0
    expected: float = 0.0
    r: float = 0.0


class Arm(msgspec.Struct, array_like=True):
    """A variant: its cells by persona, and whether it still earns what it did."""

    cells: dict[str, Cell] = {}
    expected: float = 0.0
    """What the placement would have earned where the variant was shown, in typical rewards."""
    r: float = 0.0
    """What it did earn, in typical rewards."""
    alarms: list[Alarm] = []
    waiting: list[tuple[int, float, float]] = []
    """Rewards that alarms do not count yet: when shown (ms), what was expected, what was earned."""

    def cell(self, persona: str) -> Cell:
        """The cell of a persona."""
        found = self.cells.get(persona)
        if found is None:
            found = self.cells[persona] = Cell()
        return found


class Placement(msgspec.Struct, array_like=True):
    """A placement: its personas and its variants, those shown last at the end."""

    weight: float = 1.0
    shown: int = 0
    """Outcomes, none forgotten."""
    total: Sums = msgspec.field(default_factory=Sums)
    """Of all personas."""
    personas: dict[str, Sums] = {}
    arms: dict[str, Arm] = {}

    def scale(self, by: float) -> None:
        """Multiply all sums."""
        self.total.scale(by)
        for sums in self.personas.values():
            sums.scale(by)
        for arm in self.arms.values():
            arm.expected *= by
            arm.r *= by
            for cell in arm.cells.values():
                cell.scale(by)

    def persona(self, name: str) -> Sums:
        """The sums of a persona."""
        found = self.personas.get(name)
        if found is None:
            found = self.personas[name] = Sums()
        return found

    @property
    def rewards(self) -> float:
        """Absolute rewards that are remembered, in units of 1."""
        return self.total.a / self.weight


class PersonaSums(msgspec.Struct, array_like=True):
    """A persona on the whole site."""

    a: float = 0.0
    """The sum of its absolute rewards."""
    expected: float = 0.0
    """What its placements' visitors in general would have earned."""


class Cells(msgspec.Struct, array_like=True):
    """All sums of a site."""

    site: Sums = msgspec.field(default_factory=Sums)
    personas: dict[str, PersonaSums] = {}
    placements: dict[str, Placement] = {}
    arms: int = 0
    shown: int = 0
    shown_squared: int = 0
    """Of the placements' ``shown``, the sum of squares."""

    def placement(self, name: str) -> Placement:
        """The placement, now the one that was shown last."""
        found = self.placements.pop(name, None) or Placement()
        self.placements[name] = found
        return found

    def persona(self, name: str) -> PersonaSums:
        """A persona on the whole site."""
        found = self.personas.get(name)
        if found is None:
            found = self.personas[name] = PersonaSums()
        return found

    def arm(self, placement: Placement, name: str) -> Arm:
        """The variant, now the one of its placement that was shown last."""
        found = placement.arms.pop(name, None)
        if found is None:
            found = Arm(alarms=[Alarm() for _ in DROPS])
            self.arms += 1
        placement.arms[name] = found
        while len(placement.arms) > MOST_OF_ONE:
            self._forget_one_of(placement)
        while self.arms > MAX_ARMS:
            oldest = next(iter(self.placements))
            self._forget_one_of(self.placements[oldest])
            if not self.placements[oldest].arms:
                del self.placements[oldest]
        return found

    def _forget_one_of(self, placement: Placement) -> None:
        """Let go of the variant that was not shown for longest."""
        placement.arms.pop(next(iter(placement.arms)))
        self.arms -= 1

    def seen(self, placement: Placement) -> None:
        """Count one more outcome of a placement."""
        self.shown += 1
        self.shown_squared += 2 * placement.shown + 1
        placement.shown += 1


def fade(placement: Placement, rewards: float, memory: float) -> None:
    """Let ``rewards`` typical rewards more fade what was before, so that ``memory`` are left."""
    placement.weight *= 1.0 + min(rewards, 1.0) / memory
    if placement.weight > _HEAVY:
        placement.scale(1.0 / placement.weight)
        placement.weight = 1.0


def closed(
    placement: Placement, arm: Arm, at: int, expected: float, reward: float, alarm: float
) -> None:
    """Let the alarms of a variant know what came of having shown it ``at``.

    A reward is known at once, that there was none only a window later: taken as they come, a
    variant whose traffic falls would look broken. So a reward waits until something that was shown
    after it is known to have earned nothing, or until many wait.
    """
    if reward:
        insort(arm.waiting, (at, expected, reward))  # by when shown; rewards come in any order
    while arm.waiting and (len(arm.waiting) > MOST_WAITING or not reward):
        if not reward and arm.waiting[0][0] > at:
            break
        _, due, earned = arm.waiting.pop(0)
        watch(placement, arm, due, earned, alarm)
    if not reward:
        watch(placement, arm, expected, 0.0, alarm)


def watch(placement: Placement, arm: Arm, expected: float, reward: float, alarm: float) -> bool:
    """Compare an outcome with what was expected, both in typical rewards; True after an alarm.

    ``alarm`` is the log likelihood ratio at which a change is believed.

    Neither is negative. ``expected`` is what the placement earns with this persona; how much better
    or worse the variant is than that, the arm's own sums say.

    Source: Page (1954), with the log likelihood ratio of Poisson counts,
    ``reward * ln(drop) + (1 - drop) * expected``.
    """
    weight = placement.weight
    ratio = (arm.r + _ARM_PRIOR * weight) / (arm.expected + _ARM_PRIOR * weight)
    own = expected * max(ratio, 0.0)
    raised = False
    for watched, drop in zip(arm.alarms, DROPS, strict=True):
        watched.sum += reward * math.log(drop) + (1.0 - drop) * own
        watched.expected += expected
        watched.r += reward
        if watched.sum <= 0.0:
            watched.sum = watched.expected = watched.r = 0.0
        raised = raised or watched.sum > alarm
    if raised:
        _start_again(placement, arm)
    return raised


def _start_again(placement: Placement, arm: Arm) -> None:
    """Keep of the variant what was seen since its reward fell, and little of the others."""
    since = max(arm.alarms, key=lambda alarm: alarm.sum)
    placement.scale(min(1.0, AFTER_ALARM / max(placement.rewards, _FEW)))
    left = since.expected * placement.weight / max(arm.expected, _FEW)
    rate = since.r * arm.expected / max(since.expected * arm.r, _FEW)
    left, rate = min(left, 1.0), min(rate, 1.0)
    arm.expected *= left
    arm.r *= left * rate
    for cell in arm.cells.values():
        cell.scale(left)
        cell.r *= rate
    for other in placement.arms.values():
        other.alarms = [Alarm() for _ in DROPS]
