"""What rivals are made of: counting, drawing, columns, and what waits for its outcome."""

from __future__ import annotations

import numpy as np
import pytest

from simulations.bandits.base import Batch
from simulations.bandits.rivals.columns import WIDTH, Columns
from simulations.bandits.rivals.counts import Counts
from simulations.bandits.rivals.drawing import drawn, uniform
from simulations.bandits.rivals.waiting import Waiting
from tests.simulations.bandits.small_world import ROWS, STEP_MS, SmallWorld, a_spot

ALL = np.arange(ROWS)


@pytest.fixture
def batches() -> list[Batch]:
    return [*SmallWorld({"film": ("x", "z"), "series": ("z", "x")}, batches=40).batches()]


def test_arms_are_drawn_with_their_probabilities() -> None:
    # given
    n = 200_000
    p = np.array([0.5, 0.0, 0.2, 0.3, 0.0])
    # when
    draw = np.random.default_rng(1).random(n)
    shown = np.bincount(drawn(np.tile(p, (n, 1)), draw), minlength=5) / n
    # then within 5 standard errors, and never what has none
    assert np.all(np.abs(shown - p) <= 5 * np.sqrt(p * (1 - p) / n))


@pytest.mark.parametrize("total", [1.0, 1.0000001, 0.9999999])
def test_no_draw_leaves_the_arms_or_finds_one_without_a_probability(total: float) -> None:
    p = np.array([[0.0, 0.25, 0.75, 0.0]]) * total
    ends = np.array([5e-324, np.nextafter(1.0, 0.0)])
    assert drawn(np.repeat(p, 2, axis=0), ends).tolist() == [1, 2]


def test_a_uniform_choice_is_one_of_the_arms(batches: list[Batch]) -> None:
    last = batches[0]._replace(draw=np.full(ROWS, np.nextafter(1.0, 0.0)))
    for arms in range(1, 30):
        spot = a_spot(arms="abcdefghijklmnopqrstuvwxyzABCD"[:arms])
        assert np.all(uniform(last._replace(spot=spot)) == arms - 1)


def test_outcomes_are_counted_by_placement_variant_and_persona(batches: list[Batch]) -> None:
    # given
    counts = Counts(personas=2)
    film, series = batches[:2]
    rewards = np.tile([1.0, 0.0], ROWS // 2)
    # when
    counts.add(film, ALL, np.full(ROWS, 3), rewards)
    # then
    clicks, misses = counts.of(film.spot)
    for persona in (0, 1):
        mine = rewards[film.persona == persona]
        assert (clicks[persona, 3], misses[persona, 3]) == (mine.sum(), (1 - mine).sum())
    assert clicks.sum() + misses.sum() == ROWS
    assert not np.any(counts.of(series.spot))


def test_a_variant_that_comes_back_is_remembered_wherever_it_is_listed(
    batches: list[Batch],
) -> None:
    counts = Counts()
    counts.add(batches[0], ALL, np.full(ROWS, 3), np.ones(ROWS))
    assert counts.of(a_spot(arms="ab")).clicks.tolist() == [[0.0, 0.0]]
    assert counts.of(a_spot(arms="ybv")).clicks.tolist() == [[ROWS, 0.0, 0.0]]


def test_there_is_room_for_any_number_of_variants(batches: list[Batch]) -> None:
    # given
    counts = Counts()
    for number in range(200):
        spot = a_spot(str(number), "abc")
        counts.add(batches[0]._replace(spot=spot), ALL, ALL % 3, np.ones(ROWS))
    # then
    everywhere = counts.everywhere().clicks
    assert everywhere.shape == (1, 600)
    assert everywhere.sum() == 200 * ROWS
    assert counts.of(a_spot("7", "abc")).clicks.tolist() == [[14.0, 13.0, 13.0]]


def test_columns_are_one_persona_and_one_value_a_key(batches: list[Batch]) -> None:
    # given
    world = SmallWorld({"film": ("x", "z")}, keys=("device", "hour"))
    columns = Columns(world)
    batch = next(world.batches())
    # when
    found = columns.of(batch, ALL)
    # then
    assert found.shape == (ROWS, 2 + 2 * WIDTH)
    assert np.array_equal(found[:, :2], np.eye(2)[batch.persona])
    assert np.all(found[:, 2 : 2 + WIDTH].sum(axis=1) == 1)
    phone = np.array([device == "phone" for device, _ in batch.context])
    assert len(np.unique(found[phone][:, 2:], axis=0)) == 1
    assert not np.any(np.all(found[phone][:, 2:] == found[~phone][0, 2:], axis=1))


def test_values_of_a_key_beyond_its_columns_share_the_last(batches: list[Batch]) -> None:
    columns = Columns(SmallWorld({"film": "x"}))
    many = batches[0]._replace(
        persona=np.zeros(ROWS, dtype=np.int64), context=[(f"hour {n}",) for n in range(ROWS)]
    )
    places = np.argmax(columns.of(many, ALL)[:, 1:], axis=1)
    assert places.tolist() == [min(n, WIDTH - 1) for n in range(ROWS)]


def test_notes_are_kept_until_all_are_recalled(batches: list[Batch]) -> None:
    # given
    waiting = Waiting(10 * STEP_MS)
    waiting.note(batches[0], ALL * 2)
    waiting.note(batches[1], ALL * 3)
    # then
    assert waiting.recall(batches[0], ALL[5:]).tolist() == [2 * n for n in range(5, ROWS)]
    assert len(waiting) == 2
    assert waiting.recall(batches[0], ALL[:5]).tolist() == [0, 2, 4, 6, 8]
    assert len(waiting) == 1
    with pytest.raises(KeyError):
        waiting.recall(batches[0], ALL[:1])


def test_notes_that_nobody_asks_for_go_after_two_windows(batches: list[Batch]) -> None:
    # given a window of five batches of each placement
    waiting = Waiting(10 * STEP_MS)
    for batch in batches:
        waiting.note(batch, ALL)
    # then those of the last two windows are there
    since = batches[-1].at[0] - 20 * STEP_MS
    assert len(waiting) == sum(batch.at[-1] >= since for batch in batches) == 21
