from __future__ import annotations

import random

import numpy as np
import pytest

from bandit_service.policy.best import Floats
from bandit_service.policy.cells import Cell, Cells, PersonaSums, Sums
from bandit_service.policy.pooling import Base, Seen, base_of, posterior, seen

PERSONAS, ARMS, SETTINGS = 3, 4, 5


def some(seed: int, *, empty: bool = False) -> Seen:
    """Cells of a few personas and variants, some without any outcome."""
    rng = np.random.default_rng(seed)
    n = rng.integers(0, 400, (PERSONAS, ARMS)).astype(float)
    n[rng.random(n.shape) < 0.3] = 0.0
    n *= not empty
    relative = n * rng.uniform(0.5, 1.6, n.shape)
    return Seen(n, relative, np.zeros_like(n), n, rng.uniform(5.0, 90.0, PERSONAS), 1.0)


def by_hand(cells: Seen, at: int, prior: float, arms: float, own: float) -> tuple[float, float]:
    """Mean and variance of theta of variant ``at`` with the first persona, by linear algebra.

    The unknowns are (arm, own of each persona), a Gaussian; each cell with n outcomes is an
    observation of arm + own of variance noise / n.
    """
    precision = np.diag([arms**-2] + [own**-2] * PERSONAS)
    towards = np.zeros(1 + PERSONAS)
    for z in range(PERSONAS):
        n = cells.n[z, at]
        if n:
            row = np.zeros(1 + PERSONAS)
            row[[0, 1 + z]] = 1.0
            weight = n / cells.noise[z]
            precision += weight * np.outer(row, row)
            towards += weight * row * (cells.relative[z, at] / n - prior)
    covariance = np.linalg.inv(precision)
    asked = np.zeros(1 + PERSONAS)
    asked[:2] = 1.0
    return float(prior + asked @ covariance @ towards), float(asked @ covariance @ asked)


@pytest.mark.parametrize("seed", range(6))
def test_the_posterior_is_that_of_the_two_level_normal_model(seed: int) -> None:
    cells = some(seed)
    rng = np.random.default_rng(seed + 100)
    arms, own = rng.uniform(0.1, 0.8, SETTINGS), rng.uniform(0.03, 0.6, SETTINGS)
    prior = rng.uniform(0.5, 2.0, (SETTINGS, ARMS))

    found = posterior(cells, prior, arms, own)

    for g in range(SETTINGS):
        for a in range(ARMS):
            mean, variance = by_hand(cells, a, prior[g, a], arms[g], own[g])
            assert found.mean[g, a] == pytest.approx(mean, rel=1e-9)
            assert found.variance[g, a] == pytest.approx(variance, rel=1e-9)


def of_one(cells: Seen, arms: float, own: float) -> tuple[Floats, Floats]:
    prior = np.full((1, ARMS), 0.9)
    found = posterior(cells, prior, np.array([arms]), np.array([own]))
    return found.mean[0], found.variance[0]


def test_where_nothing_was_seen_the_prior_is_all_there_is() -> None:
    mean, variance = of_one(some(1, empty=True), 0.4, 0.3)

    assert mean == pytest.approx(np.full(ARMS, 0.9))
    assert variance == pytest.approx(np.full(ARMS, 0.4**2 + 0.3**2))


def test_where_personas_do_not_differ_all_their_outcomes_count() -> None:
    cells = some(2)
    told = 0.5**-2 + (cells.n / cells.noise[:, None]).sum(axis=0)
    sums = (cells.relative / cells.noise[:, None]).sum(axis=0)

    mean, variance = of_one(cells, 0.5, 1e-5)

    assert mean == pytest.approx((0.9 * 0.5**-2 + sums) / told, rel=1e-5)
    assert variance == pytest.approx(1.0 / told, rel=1e-5)


def test_where_they_differ_without_bound_each_has_its_own_outcomes_alone() -> None:
    cells = some(3)
    met = cells.n[0] > 0
    assert 0 < met.sum() < ARMS

    mean, variance = of_one(cells, 0.5, 1e4)

    assert mean[met] == pytest.approx((cells.relative / np.maximum(cells.n, 1.0))[0, met], rel=1e-5)
    assert variance[met] == pytest.approx(cells.noise[0] / cells.n[0, met], rel=1e-5)
    assert (variance[~met] > 1e7).all()


# -- what a placement earns


def lived(rewards: list[float], *, persona: str = "z", placement: str = "film") -> Cells:
    """Sums after these rewards, all on one placement and with one persona."""
    cells = Cells()
    place = cells.placement(placement)
    own = place.personas[persona] = Sums()
    everywhere = cells.personas[persona] = PersonaSums()
    for reward in rewards:
        everywhere.expected += base_of(cells, place, persona, 0.02).everybody
        everywhere.a += abs(reward)
        for sums in (cells.site, place.total, own):
            sums.n += 1.0
            sums.add(1.0, reward)
    return cells


def drawn(seed: int, count: int, rates: dict[float, float]) -> list[float]:
    """Rewards that come with these probabilities; the rest are 0."""
    rng = random.Random(seed)
    values, weights = [*rates, 0.0], [*rates.values(), 1.0 - sum(rates.values())]
    return rng.choices(values, weights, k=count)


def base(cells: Cells) -> Base:
    return base_of(cells, cells.placements["film"], "z", 0.02)


@pytest.mark.parametrize(
    ("rates", "worth"),
    [
        pytest.param({1.0: 0.01}, 1.0, id="one click in a hundred"),
        pytest.param({1.0: 0.5}, 1.0, id="every second clicks"),
        pytest.param({30.0: 0.1, 300.0: 0.1}, None, id="seconds watched"),
        pytest.param({0.001: 0.05}, 0.001, id="thousandths"),
        pytest.param({1.0: 0.06, -1.0: 0.02}, 1.0, id="likes and dislikes"),
        pytest.param({-1.0: 0.1}, 1.0, id="dislikes alone"),
    ],
)
def test_the_base_is_mean_level_and_variance_of_the_rewards(
    rates: dict[float, float], worth: float | None
) -> None:
    rewards = np.array(drawn(1, 20_000, rates))
    unit = np.abs(rewards).mean()

    found = base(lived(rewards.tolist()))

    assert found.unit == pytest.approx(unit, rel=0.05)
    assert found.everybody == pytest.approx(unit, rel=0.05)
    assert found.level == pytest.approx(rewards.mean() / unit, abs=0.05)
    assert found.noise == pytest.approx((rewards / unit).var(), rel=0.06)
    typical = (rewards**2).sum() / np.abs(rewards).sum()
    assert found.worth == pytest.approx(typical if worth is None else worth)


def test_rewards_in_another_unit_make_the_same_base_in_it() -> None:
    rewards = drawn(2, 5_000, {1.0: 0.05})

    clicks, cents = base(lived(rewards)), base(lived([100.0 * r for r in rewards]))

    assert (cents.unit, cents.worth) == pytest.approx((100.0 * clicks.unit, 100.0), rel=0.02)
    assert (cents.level, cents.noise) == pytest.approx((clicks.level, clicks.noise), rel=0.02)


def test_before_anything_was_seen_a_site_earns_what_the_settings_say() -> None:
    found = base_of(Cells(), None, "z", 0.02)

    assert (found.unit, found.level) == (0.02, 1.0)
    assert found.noise == pytest.approx(49.0)


def test_a_new_placement_earns_what_the_site_does_and_a_new_persona_what_its_placement_does() -> (
    None
):
    cells = lived([1.0, 0.0] * 2_000)
    known = base(cells).unit

    elsewhere = base_of(cells, None, "z", 0.02).unit
    stranger = base_of(cells, cells.placements["film"], "stranger", 0.02).unit

    assert elsewhere == pytest.approx(known, rel=0.05)
    assert stranger == pytest.approx(known, rel=0.05)


def test_a_persona_that_earns_twice_as_much_everywhere_does_so_on_a_new_placement() -> None:
    cells = Cells()
    cells.site.n, cells.site.a, cells.site.r, cells.site.s = 40_000.0, 800.0, 800.0, 800.0
    cells.personas["keen"] = PersonaSums(a=800.0, expected=400.0)

    keen, usual = (base_of(cells, None, persona, 0.02).unit for persona in ("keen", "usual"))

    assert keen / usual == pytest.approx(820.0 / 420.0)


def test_cells_are_read_in_relative_rewards_with_the_persona_in_question_first() -> None:
    cells = lived([1.0, 0.0] * 500, persona="comedy")
    place = cells.placements["film"]
    place.personas["romance"] = Sums(n=100.0, r=10.0, a=10.0, s=10.0)
    arm = cells.arm(place, "joke@1")
    arm.cells["comedy"] = Cell(n=40.0, r=30.0, f=2.0, closed=38.0)
    arm.cells["romance"] = Cell(n=10.0, r=1.0, f=-1.0, closed=10.0)

    _, found = seen(cells, place, ["new@1", "joke@1"], "romance", 0.02)

    romance = base_of(cells, place, "romance", 0.02)
    comedy = base_of(cells, place, "comedy", 0.02)
    assert found.n.tolist() == [[0.0, 10.0], [0.0, 40.0]]
    assert found.relative[:, 1] == pytest.approx([1.0 / romance.unit, 30.0 / comedy.unit])
    assert found.predicted[:, 1].tolist() == [-1.0, 2.0]
    assert found.closed[:, 1].tolist() == [10.0, 38.0]
    assert found.noise.tolist() == [romance.noise, comedy.noise]
