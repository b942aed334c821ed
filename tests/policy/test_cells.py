from __future__ import annotations

import math
import random

import pytest

from bandit_service.policy import cells as sums
from bandit_service.policy.cells import (
    AFTER_ALARM,
    DROPS,
    MOST_WAITING,
    Arm,
    Cell,
    Cells,
    Placement,
    closed,
    fade,
    watch,
)

RATE = 0.1
ALARM = 8.0


class Spot:
    """A placement and its variants, kept as the model keeps them, and counted on."""

    def __init__(self, memory: float = 2_000.0) -> None:
        self.cells = Cells()
        self.memory = memory
        self.alarms: list[int] = []
        """After how many outcomes there was an alarm."""
        self.outcomes = 0

    @property
    def placement(self) -> Placement:
        return self.cells.placements["film"]

    def learn(self, name: str, reward: float, *, expected: float = RATE) -> None:
        """An outcome of a variant where the placement would have earned ``expected``."""
        placement = self.cells.placement("film")
        arm = self.cells.arm(placement, name)
        self.outcomes += 1
        if watch(placement, arm, expected, reward, ALARM):
            self.alarms.append(self.outcomes)
        weight = placement.weight
        placement.total.n += weight
        placement.total.add(weight, reward)
        cell = arm.cells.setdefault("z", Cell())
        cell.n += weight
        cell.r += weight * reward
        arm.expected += weight * expected
        arm.r += weight * reward
        self.cells.seen(placement)
        fade(placement, abs(reward), self.memory)

    def rate(self, name: str) -> float:
        """Mean reward of a variant, as remembered."""
        cell = self.placement.arms[name].cells["z"]
        return cell.r / cell.n


# -- forgetting


def test_no_more_rewards_are_remembered_than_memory_says() -> None:
    spot = Spot(memory=100.0)

    for n in range(1, 3_001):
        spot.learn("a", 1.0, expected=1.0)
        if n in (10, 100, 3_000):
            # A reward k rewards ago counts (1 + 1 / memory) ** -k: a geometric series.
            left = 100.0 * (1.0 - (1.0 + 1.0 / 100.0) ** -n)
            assert spot.placement.rewards == pytest.approx(left)
    assert spot.placement.rewards == pytest.approx(100.0)
    assert spot.placement.shown == 3_000


def test_outcomes_without_a_reward_make_nothing_fade() -> None:
    spot = Spot(memory=10.0)
    spot.learn("a", 1.0)
    weight = spot.placement.weight

    for _ in range(1_000):
        spot.learn("b", 0.0, expected=0.0)

    assert spot.placement.weight == weight


def test_what_a_variant_earns_now_replaces_what_it_earned_before() -> None:
    spot = Spot(memory=50.0)
    chance = random.Random(1)
    for rate in (0.1, 0.3):
        for _ in range(6_000):
            spot.learn("a", float(chance.random() < rate), expected=0.2)

    # 50 rewards of 0.3 are about 170 outcomes: within 4 standard errors
    assert spot.rate("a") == pytest.approx(0.3, abs=0.16)
    assert spot.placement.total.n / spot.placement.weight < 300


def test_bringing_sums_back_to_small_units_changes_nothing_that_is_read_from_them() -> None:
    spot = Spot(memory=10.0)
    heaviest, fell = 1.0, 0
    for n in range(600):
        before = spot.placement.weight if n else 1.0
        spot.learn("a" if n % 3 else "b", 1.0, expected=1.0)
        fell += spot.placement.weight < before
        heaviest = max(heaviest, spot.placement.weight)
        arm = spot.placement.arms["a" if n % 3 else "b"]
        assert arm.r == pytest.approx(arm.expected)
        assert spot.rate("a" if n % 3 else "b") == pytest.approx(1.0)
    assert fell >= 2
    assert heaviest < 2e9
    assert spot.placement.rewards == pytest.approx(10.0)
    scale = spot.placement.weight
    parts = [arm.cells["z"].n / scale for arm in spot.placement.arms.values()]
    assert math.fsum(parts) == pytest.approx(10.0)
    assert parts[0] + parts[1] == pytest.approx(spot.placement.total.n / scale)


# -- alarms


def established(rewards: float = 1_000.0) -> tuple[Placement, Arm]:
    """A variant that earned what was expected of it."""
    cells = Cells()
    placement = cells.placement("film")
    arm = cells.arm(placement, "a")
    arm.expected = arm.r = rewards
    arm.cells["z"] = Cell(n=10.0 * rewards, r=rewards)
    placement.total.n = 10.0 * rewards
    placement.total.add(rewards, 1.0)
    return placement, arm


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5])
def test_a_variant_that_earns_nothing_is_noticed_after_the_promised_rewards(rate: float) -> None:
    placement, arm = established()
    outcomes = 1

    while not watch(placement, arm, rate, 0.0, ALARM):
        outcomes += 1

    promised = ALARM / (1.0 - min(DROPS))
    assert outcomes * rate == pytest.approx(promised, abs=rate + 1e-9)


def test_a_better_variant_is_held_to_what_it_earned_itself() -> None:
    placement, arm = established()
    arm.r *= 3.0
    outcomes = 1

    while not watch(placement, arm, RATE, 0.0, ALARM):
        outcomes += 1

    promised = ALARM / (1.0 - min(DROPS)) / 3.0
    assert outcomes * RATE == pytest.approx(promised, rel=0.05)


@pytest.mark.parametrize(("left", "within"), [(0.0, 14.0), (0.2, 60.0), (0.6, 400.0)])
def test_a_variant_that_breaks_is_noticed(left: float, within: float) -> None:
    for seed in range(8):
        spot, chance = Spot(), random.Random(seed)
        for _ in range(6_000):
            spot.learn("a", float(chance.random() < RATE))
        before = len(spot.alarms)
        for _ in range(round(within / RATE)):
            spot.learn("a", float(chance.random() < RATE * left))

        assert len(spot.alarms) > before, seed


def test_without_cause_there_is_hardly_ever_an_alarm() -> None:
    spot, chance = Spot(), random.Random(4)
    expected = 20_000.0

    for _ in range(round(expected / RATE)):
        spot.learn("a", float(chance.random() < RATE))

    # Once in exp(ALARM) expected rewards each, by Page's bound; Poisson, with room.
    promised = len(DROPS) * expected / math.exp(ALARM)
    assert len(spot.alarms) <= promised + 3.0 * math.sqrt(promised)


def test_after_an_alarm_the_variant_keeps_what_it_earned_since_and_others_a_little() -> None:
    spot, chance = Spot(), random.Random(6)
    for n in range(20_000):
        spot.learn("ab"[n % 2], float(chance.random() < RATE))
    calm = spot.placement.rewards
    while not spot.alarms:
        spot.learn("a", 0.0)

    placement = spot.placement
    assert calm > 500
    assert placement.rewards == pytest.approx(AFTER_ALARM, rel=0.02)
    assert spot.rate("a") < 0.2 * RATE
    assert spot.rate("b") == pytest.approx(RATE, rel=0.25)
    assert all(alarm.sum <= 1.0 * RATE for arm in placement.arms.values() for alarm in arm.alarms)


def test_a_variant_that_gets_better_raises_no_alarm() -> None:
    spot, chance = Spot(), random.Random(2)

    for n in range(30_000):
        spot.learn("a", float(chance.random() < RATE * (1.0 + n / 10_000)))

    assert spot.alarms == []


@pytest.mark.parametrize("window", [1, 100, 2_000])
@pytest.mark.parametrize("delayed", [False, True], ids=["at once", "in any order"])
def test_rewards_that_are_known_before_the_lack_of_others_raise_no_alarm(
    window: int, *, delayed: bool
) -> None:
    """A reward is known within ``window`` outcomes, that there was none when they are over."""
    for seed in range(3):
        placement, arm = established()
        chance = random.Random(seed)
        known = []
        for at in range(10_000):  # then the traffic ends, and only the last windows do
            reward = float(chance.random() < RATE)
            wait = chance.randrange(window) if reward and delayed else window * (not reward)
            known.append((at + wait, at, reward))
        for _, at, reward in sorted(known):
            closed(placement, arm, at, RATE, reward, ALARM)

        assert placement.rewards == 1_000.0, seed  # an alarm would leave a few


def test_a_variant_that_breaks_is_noticed_however_many_rewards_wait() -> None:
    placement, arm = established()
    for at in range(MOST_WAITING):
        closed(placement, arm, at, RATE, 1.0, ALARM)
    assert len(arm.waiting) == MOST_WAITING

    for at in range(MOST_WAITING, 20_000):
        closed(placement, arm, at, RATE, 0.0, ALARM)

    assert arm.waiting == []
    assert placement.rewards == pytest.approx(AFTER_ALARM, rel=0.5)


def test_no_more_rewards_wait_than_the_most() -> None:
    placement, arm = established()

    for at in range(3 * MOST_WAITING):
        closed(placement, arm, at, RATE, 1.0, ALARM)

    assert len(arm.waiting) == MOST_WAITING
    assert arm.waiting[0][0] == 2 * MOST_WAITING


# -- bounds


def test_the_variants_not_shown_for_longest_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums, "MAX_ARMS", 3)
    cells = Cells()

    for placement, arm in (("p", "a"), ("p", "b"), ("q", "c"), ("p", "a"), ("r", "d"), ("p", "e")):
        cells.arm(cells.placement(placement), arm)

    # The placement not shown for longest goes first: "q" with its only variant, then "r".
    assert {name: [*found.arms] for name, found in cells.placements.items()} == {
        "p": ["b", "a", "e"]
    }
    cells.arm(cells.placement("s"), "f")
    assert [*cells.placements["p"].arms] == ["a", "e"]
    assert cells.arms == 3


def test_a_placement_of_ever_new_variants_costs_no_other_its_sums(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sums, "MAX_ARMS", 30)
    monkeypatch.setattr(sums, "MOST_OF_ONE", 10)
    cells = Cells()
    cells.arm(cells.placement("quiet"), "a").r = 5.0

    for n in range(1_000):
        cells.arm(cells.placement("busy"), f"a{n}")

    assert [*cells.placements["busy"].arms] == [f"a{n}" for n in range(990, 1_000)]
    assert cells.arm(cells.placement("quiet"), "a").r == 5.0
    assert cells.arms == 11


def test_variants_that_never_come_again_take_no_more_than_the_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sums, "MAX_ARMS", 20)
    cells, chance = Cells(), random.Random(1)

    for n in range(3_000):
        placement = cells.placement(f"p{chance.randrange(40)}")
        cells.arm(placement, f"a{n}")
        assert cells.arms <= 20
    assert cells.arms == sum(len(one.arms) for one in cells.placements.values())
    assert all(one.arms for one in cells.placements.values())


def test_a_variant_that_was_let_go_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums, "MAX_ARMS", 1)
    cells = Cells()
    cells.arm(cells.placement("p"), "a").r = 5.0

    cells.arm(cells.placement("p"), "b")

    assert cells.arm(cells.placement("p"), "a").r == 0.0


def test_how_long_placements_are_shown_is_the_sum_of_squares() -> None:
    cells = Cells()
    for name, count in (("p", 3), ("q", 5), ("p", 2)):
        for _ in range(count):
            cells.seen(cells.placement(name))

    assert (cells.shown, cells.shown_squared) == (10, 5 * 5 + 5 * 5)
