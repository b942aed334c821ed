"""The worlds of the coverage study: their truth is what their logs show."""

from __future__ import annotations

import numpy as np
import pytest

from simulations.worlds import ARMS, PERSONAS, TARGETS, WORLDS, World


@pytest.fixture(params=list(WORLDS))
def world(request: pytest.FixtureRequest) -> World:
    return WORLDS[request.param]


def test_a_log_follows_from_the_generator(world: World) -> None:
    one, two = (world.logs(2, np.random.default_rng(3)) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_choices_are_drawn_with_the_probabilities_that_are_logged(world: World) -> None:
    # given
    logs = world.logs(20, np.random.default_rng(4))
    assert np.allclose(logs.logged.sum(axis=2), 1.0)
    # then shown and logged differ by less than 5 standard errors, of each arm
    shown = np.eye(ARMS)[logs.chosen]
    error = np.sqrt((logs.logged * (1 - logs.logged)).sum(axis=(0, 1)))
    assert np.all(np.abs((shown - logs.logged).sum(axis=(0, 1))) < 5 * error)


def test_weighted_rewards_average_to_the_truth(world: World) -> None:
    # given
    logs = world.logs(40, np.random.default_rng(5))
    p = np.take_along_axis(logs.logged, logs.chosen[..., None], axis=2)[..., 0]
    for name in world.targets:
        target = world.target(name)
        assert np.allclose(target.sum(axis=1), 1.0)
        # when
        pi = np.take_along_axis(target[logs.persona], logs.chosen[..., None], axis=2)[..., 0]
        means = (pi / p * logs.reward).mean(axis=1)
        # then within 5 standard errors of 40 logs
        off = abs(means.mean() - logs.truth(target))
        assert off < 5 * means.std(ddof=1) / np.sqrt(len(means)) + 1e-9


def test_the_running_truth_ends_near_the_truth(world: World) -> None:
    logs = world.logs(40, np.random.default_rng(6))
    target = world.target("persona")
    ends = logs.running(target)[:, -1]
    assert abs(ends.mean() - logs.truth(target)) < 5 * ends.std(ddof=1) / np.sqrt(40) + 1e-9


def test_targets_are_named_and_known(world: World) -> None:
    assert set(world.targets) <= set(TARGETS)
    assert all(world.target(name).shape == (PERSONAS, ARMS) for name in world.targets)


def test_visitors_return_where_they_should() -> None:
    logs = WORLDS["returning"].logs(3, np.random.default_rng(7))
    assert np.all(np.unique(logs.visitor, return_counts=True)[1] == 5)
