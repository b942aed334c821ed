"""Every world keeps the promises of ``base``, and is what its own words say."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from bandit_service.errors import InvalidInput
from simulations.bandits.base import NEVER, Batch, World
from simulations.bandits.worlds import WORLDS, Setup, world
from simulations.bandits.worlds.archive import LAST_TUNED, read
from simulations.bandits.worlds.personas import SHARES

NAMES = (
    "newsroom:300",
    "newsroom:tune",
    "newsroom:200:history=10",
    "personas:0.3:300",
    "personas:0",
    "null:200",
    "duel",
)


def made(name: str, tests_file: Path, *, seed: int = 1) -> World:
    return world(name, Setup(seed, quick=True, upworthy=tests_file))


def equal(one: Batch, two: Batch) -> bool:
    return one.spot == two.spot and all(
        np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(one[1:], two[1:], strict=True)
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_world_keeps_its_promises(name: str, tests_file: Path) -> None:
    # given
    place = made(name, tests_file)
    batches = list(place.batches())
    assert (place.name, batches != []) == (name, True)
    # then
    at = np.concatenate([batch.at for batch in batches])
    assert np.all(np.diff(at) >= 0)
    for batch in batches:
        n, arms = batch.truth.shape
        assert (n, arms) == (len(batch.at), len(batch.spot.arms))
        assert {len(batch[part]) for part in range(1, 9)} == {n}
        assert len({arm.id for arm in batch.spot.arms}) == arms > 1
        assert np.all((batch.truth >= 0) & (batch.truth <= 1))
        assert np.all((batch.luck > 0) & (batch.luck < 1) & (batch.draw > 0) & (batch.draw < 1))
        assert np.all((batch.persona >= 0) & (batch.persona < len(place.personas)))
        assert {len(said) for said in batch.context} == {len(place.keys)}
        came = batch.delay[batch.delay != NEVER]
        assert np.all((came >= 0) & (came <= place.window_ms))
    luck = np.concatenate([batch.luck for batch in batches])
    draw = np.concatenate([batch.draw for batch in batches])
    assert abs(np.corrcoef(luck, draw)[0, 1]) < 5 / np.sqrt(len(luck))


@pytest.mark.parametrize("name", NAMES)
def test_a_world_is_the_same_twice_and_another_with_another_seed(
    name: str, tests_file: Path
) -> None:
    place = made(name, tests_file)
    again = zip(place.batches(), place.batches(), strict=True)
    anew = zip(place.batches(), made(name, tests_file).batches(), strict=True)
    assert all(equal(one, two) for one, two in again)
    assert all(equal(one, two) for one, two in anew)
    other = next(iter(made(name, tests_file, seed=2).batches()))
    assert not equal(next(iter(place.batches())), other)


def test_the_newsroom_reports_on_later_weeks_and_tunes_on_earlier_ones(tests_file: Path) -> None:
    # given
    weeks = {test.id: test.week for test in read(tests_file).tests}
    ran = {
        name: Counter(
            (weeks[batch.spot.id] <= LAST_TUNED, batch.spot.reported)
            for batch in made(name, tests_file).batches()
        )
        for name in ("newsroom:100", "newsroom:100:tune", "newsroom:100:history=10")
    }
    # then
    assert ran["newsroom:100"] == {(False, True): 24}
    assert ran["newsroom:100:tune"] == {(True, True): 24}
    assert ran["newsroom:100:history=10"] == {(False, True): 24, (True, False): 10}
    assert "settings tuned on weeks up to 201426" in made("newsroom", tests_file).words


def test_a_history_of_the_tuning_weeks_has_none_of_the_tests_that_are_reported(
    tests_file: Path,
) -> None:
    batches = list(made("newsroom:100:tune:history=24", tests_file).batches())
    before = {batch.spot.id for batch in batches if not batch.spot.reported}
    after = {batch.spot.id for batch in batches if batch.spot.reported}
    assert len(before) == len(after) == 24
    assert not before & after


def test_with_another_horizon_the_same_visitors_come_with_the_same_luck(tests_file: Path) -> None:
    # given
    def of(horizon: int) -> dict[str, Batch]:
        batches = made(f"newsroom:{horizon}", tests_file).batches()
        return {batch.spot.id: batch for batch in reversed(list(batches))}

    short, long = of(200), of(800)
    # then
    assert short.keys() == long.keys()
    for name, batch in short.items():
        assert equal(batch._replace(at=long[name].at), long[name])


def test_variants_are_shuffled_and_keep_their_headline_image_and_rate(tests_file: Path) -> None:
    # given
    archive = read(tests_file)
    tests = {test.id: test for test in archive.tests}
    first = Counter[int]()
    # then
    for seed in range(20):
        for batch in made("newsroom:100", tests_file, seed=seed).batches():
            test = tests[batch.spot.id]
            order = [test.headlines.index(arm.headline) for arm in batch.spot.arms]
            assert np.array_equal(batch.truth[0], test.rates(archive.k)[order])
            assert [arm.tags for arm in batch.spot.arms] == [
                (f"image:{test.images[row]}",) if test.images[row] else () for row in order
            ]
            first[order[0]] += 1
    # 480 tests: each of four rows comes first 120 times, give or take 5 standard deviations of 9.5
    assert all(72 <= first[row] <= 168 for row in range(4))


def test_the_tests_of_a_week_take_turns(tests_file: Path) -> None:
    batches = list(made("newsroom:500", tests_file).batches())
    weeks = {test.id: test.week for test in read(tests_file).tests}
    week = [batch.spot.id for batch in batches if weeks[batch.spot.id] == 201430]
    names = set(week)
    for turn in range(0, len(week), len(names)):
        assert set(week[turn : turn + len(names)]) == names


def test_clicks_come_minutes_later_and_before_the_window_ends(tests_file: Path) -> None:
    place = made("newsroom:1000", tests_file)
    delays = np.concatenate([batch.delay for batch in place.batches()])
    assert delays.min() >= 1
    assert delays.max() < place.window_ms
    # An exponential of mean 3 minutes, cut at 9, has mean 2.53; of 24,000 the error is some 0.02.
    assert delays.mean() / 60_000 == pytest.approx(2.53, abs=0.1)


@pytest.mark.parametrize("strength", [0.0, 0.15, 0.3])
def test_personas_leave_every_arm_its_newsroom_rate(strength: float, tests_file: Path) -> None:
    # given
    plain = {b.spot.id: b for b in made("newsroom:100", tests_file).batches()}
    several = list(made(f"personas:{strength}:100", tests_file).batches())
    # then
    ratios = []
    for batch in several:
        known = plain[batch.spot.id]
        assert batch.spot == known.spot
        _, first = np.unique(batch.persona, return_index=True)
        if len(first) == len(SHARES):
            assert np.allclose(np.array(SHARES) @ batch.truth[first], known.truth[0])
        ratios.append(np.log(batch.truth[first] / known.truth[0]))
    spread = np.concatenate([(r - r.mean(axis=1, keepdims=True)).ravel() for r in ratios])
    # Centring over personas and arms takes away some of the strength, never adds to it.
    assert (
        spread.std() == pytest.approx(0.0, abs=1e-12)
        if strength == 0
        else (0.5 * strength < spread.std() < 1.1 * strength)
    )


def test_personas_are_of_unequal_shares_and_eagerness(tests_file: Path) -> None:
    batches = list(made("personas:0:1000", tests_file).batches())
    who = np.bincount(np.concatenate([batch.persona for batch in batches]))
    assert np.allclose(who / who.sum(), SHARES, atol=0.02)  # of 24,000: 5 standard errors are 0.016
    some = next(batch for batch in batches if len(set(batch.persona.tolist())) == len(SHARES))
    _, first = np.unique(some.persona, return_index=True)
    levels = some.truth[first, 0]
    assert 1.02 < levels.max() / levels.min() < 1.5


def test_nothing_is_to_be_gained_where_there_is_no_difference(tests_file: Path) -> None:
    batches = list(made("null:100", tests_file).batches())
    assert all(np.ptp(batch.truth) == 0.0 for batch in batches)
    assert len({(len(b.spot.arms), float(b.truth[0, 0])) for b in batches}) == 20


@pytest.mark.parametrize("name", ["null", "duel"])
def test_outcomes_of_a_batch_are_known_before_the_next_of_its_placement(
    name: str, tests_file: Path
) -> None:
    place = made(name, tests_file)
    ended: dict[str, int] = {}
    for batch in place.batches():
        known = ended.get(batch.spot.id, 0)
        assert known <= batch.at[0]
        ended[batch.spot.id] = int(batch.at[-1]) + place.window_ms


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere", "there is no world 'nowhere'"),
        ("newsroom:-5", "'-5' means nothing in the world 'newsroom:-5'"),
        ("newsroom:0", "'0' in 'newsroom:0' is not a number from 1 to 1,000,000"),
        ("newsroom:2000:later", "'later' means nothing"),
        ("newsroom:2000:tune:history=x", "'x' in 'newsroom:2000:tune:history=x' is not a number"),
        ("newsroom:\u0665", "'\u0665' in"),
        ("personas", "'personas' does not say how strong"),
        ("personas:strong", "does not say how strong"),
        ("personas:nan", "does not say how strong"),
        ("personas:9", "does not say how strong"),
        ("null:many", "'many' in 'null:many' is not a number"),
        ("null:5:6", "'6' means nothing"),
        ("duel:1:2", "'2' means nothing"),
    ],
)
def test_a_name_that_means_nothing_is_refused_with_how_to_write_it(
    name: str, words: str, tests_file: Path
) -> None:
    with pytest.raises(InvalidInput) as told:
        made(name, tests_file)
    assert words in told.value.message
    assert told.value.hint


def test_every_world_of_the_table_says_what_it_is() -> None:
    for name, entry in WORLDS.items():
        assert entry.form.partition("[")[0].partition(":")[0] == name
        assert entry.words
