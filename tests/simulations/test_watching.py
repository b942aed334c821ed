"""The study of claims: its sums are sound, its result is the seed's, and it can see a fault."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from bandit_service.reporting.columns import (
    ASKED,
    R2,
    SHOWN,
    SPREAD,
    W2,
    W2R,
    W2R2,
    WR,
    N,
    R,
    W,
    counts,
    halves,
    weighted,
)
from bandit_service.reporting.estimates import Estimates
from bandit_service.reporting.sequences import Bounds
from simulations import watching
from simulations.__main__ import main
from simulations.watched import WORLDS, Day, made
from simulations.watching import CLAIMS, Tally, Task, run, tasks, together, watched


def day_of(world: str, count: int = 3) -> Day:
    rng = np.random.default_rng(5)
    *_, last = made(WORLDS[world], 20, rng).days(count, rng)
    return last


def test_the_sums_of_a_simulated_day_are_those_that_placements_keep() -> None:
    day = day_of("differ-0.1")
    sums, parts = weighted(day.rows), halves(day.rows)

    both = counts(day.rows).sum(axis=3)
    assert (both[..., SHOWN] == both[..., N]).all()
    assert both[..., N].sum(axis=(1, 2)) == pytest.approx(day.visits.sum(axis=1))
    assert parts[..., ASKED].sum(axis=-1) == pytest.approx(
        np.broadcast_to(day.visits[:, None], sums.shape[:-1])
    )
    assert (sums[..., W2R] == sums[..., W2R2]).all()  # rewards are 0 or 1
    assert (sums[..., W] >= both[..., N]).all()
    assert (sums[..., SPREAD] >= sums[..., ASKED]).all()
    shown = both[..., N] > 0
    assert (sums[..., W2] * both[..., N] >= sums[..., W] ** 2 * (1 - 1e-12))[shown].all()
    # every visit counts once, and what weighs as much as it should is right on average
    total = sums.sum(axis=(0, 1, 2))
    assert total[W] == pytest.approx(total[ASKED], rel=0.05)
    assert total[W2] == pytest.approx(total[SPREAD], rel=0.3)
    assert total[WR] == pytest.approx(day.due.sum(), rel=0.1)
    assert both[..., R].sum() == pytest.approx(day.expected.sum(), rel=0.1)


@pytest.mark.parametrize("world", ["watched", "disliked"])
def test_rewards_that_are_no_clicks_have_squares_of_their_own(world: str) -> None:
    day = day_of(world)
    total = counts(day.rows).sum(axis=(0, 1, 2, 3))

    if world == "watched":  # evenly from 0 to 1
        assert total[R2] == pytest.approx(total[R] * 2 / 3, rel=0.05)
    else:  # three of five are 1, the others -1
        assert total[R] == pytest.approx(total[R2] * 0.2, rel=0.3)
        assert day.scale.least == -1.0


def test_the_result_is_the_seeds_and_not_the_processes() -> None:
    parts = [Task("quiet", 3), Task("quiet", 4), Task("two", 3)]

    alone, apart = (together(run(parts, processes=number)) for number in (1, 2))

    assert alone == apart
    assert {claim for _, claim in alone} == set(CLAIMS)
    assert alone != together(run([Task("quiet", 5)], processes=1))


def test_intervals_hold_on_a_few_sites_of_an_adaptive_policy() -> None:
    """The whole study takes an hour; this much of it is enough to see a mistake."""
    found = together(map(watched, tasks(2, seed=9, worlds=["hidden-0.1", "growth"])))

    for claim in ("cell", "variant", "policy", "holdout", "gain", "pair"):
        tally = sum((found[world, claim] for world in ("hidden-0.1", "growth")), Tally())
        assert tally.failed <= 0.05 * tally.places + 2.0, claim


def test_intervals_without_what_could_have_come_fail_where_somebody_is_hardly_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The study can see a fault: intervals of one look, taken every day, fail far too often."""

    def of_one_look(sums: np.ndarray, scale: object, alpha: float = 0.05) -> Estimates:
        w = np.where(sums[..., W] > 0.0, sums[..., W], 1.0)
        rate = np.where(sums[..., W] > 0.0, sums[..., WR] / w, np.nan)
        n = np.where(sums[..., W2] > 0.0, w**2 / np.where(sums[..., W2] > 0, sums[..., W2], 1), 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            half = 1.96 * np.sqrt(rate * (1.0 - rate) / n)
        return Estimates(rate, Bounds(rate - half, rate + half), n, w)

    monkeypatch.setattr(watching, "weighted", of_one_look)

    found = watched(Task("hidden-0.1", 9))

    tally = found["hidden-0.1", "cell"]
    assert tally.failed > 0.3 * tally.places


def test_tallies_add_up() -> None:
    assert Tally(1, 0, 5, 4) + Tally(2, 1, 5, 5) == Tally(3, 1, 10, 9)


def test_a_verdict_that_is_hardly_ever_given_is_judged_among_all_places() -> None:
    interval, verdict = watching._Claim(verdict=False), watching._Claim(verdict=True)
    for claim in (interval, verdict):
        claim.note(np.array([True, False, False]), np.array([True, True, False]))
        claim.note(np.array([True, False, False]), np.array([False, True, False]))

    assert interval.tally() == Tally(1, 1, 6, 2)
    assert verdict.tally() == Tally(3, 1, 6, 2)


def test_the_command_prints_a_row_for_each_world() -> None:
    result = CliRunner().invoke(
        main, ["watching", "--quick", "--world", "quiet", "--processes", "1"]
    )

    assert result.exit_code == 0, result.output
    assert "10%, ten visits a day" in result.output
    assert "a claim ever failed" in " ".join(result.output.split())


def test_an_unknown_world_is_refused_with_those_that_there_are() -> None:
    result = CliRunner().invoke(main, ["watching", "--world", "moon"])

    assert result.exit_code == 2
    assert "hidden-0.1" in result.output
