import numpy as np

from bandit_service.evaluation.batch import Vocabulary, hash_of, hashes_of
from tests.evaluation.batches import Row, a_batch, a_target, batch_of, cut


def test_a_drawn_batch_is_consistent() -> None:
    batch = a_batch(500, arms=5, fewest=2, visitors=40)

    assert np.allclose(batch.row_sums(batch.logged), 1.0)
    assert (batch.logged[batch.shown] == batch.propensity).all()
    assert (batch.chosen >= 0).all()
    assert (batch.chosen < batch.counts).all()
    assert len(np.unique(batch.cluster)) <= 40
    assert np.allclose(batch.row_sums(a_target(batch)), 1.0)


def test_the_same_seed_gives_the_same_batch_and_another_gives_another() -> None:
    assert (a_batch(50, seed=3).logged == a_batch(50, seed=3).logged).all()
    assert not (a_batch(50, seed=3).logged == a_batch(50, seed=4).logged).all()


def test_batches_may_be_empty() -> None:
    assert len(a_batch(0)) == 0
    assert len(batch_of([])) == 0


def test_rows_written_out_become_columns() -> None:
    names = Vocabulary()
    rows = [
        Row({"a": 0.25, "b": 0.75}, "b", 1.0, visitor="v"),
        Row({"c": 1.0}, "c", placement="list", visitor="v"),
        Row({"a": 1.0}, "x"),
    ]

    batch = batch_of(rows, names=names, first=10)

    assert batch.places == ["test:11", "test:12", "test:13"]
    assert [names.arms[code] for code in batch.arms] == ["a", "b", "c", "a"]
    assert batch.chosen.tolist() == [1, 0, -1]
    assert batch.propensity[:2].tolist() == [0.75, 1.0]
    assert np.isnan(batch.propensity[2])
    assert batch.cluster[0] == batch.cluster[1] != batch.cluster[2] == batch.key[2]


def test_texts_hashed_together_have_the_hashes_that_each_has() -> None:
    texts = ["", "v1", "Ünïcode", "\ud800", "v" * 500]

    assert hashes_of(texts).tolist() == [hash_of(text) for text in texts]
    assert hashes_of([]).tolist() == []


def test_a_batch_cut_in_parts_keeps_its_rows() -> None:
    batch = a_batch(30, arms=5, fewest=1)

    parts = cut(batch, at=[0, 7, 7, 20])

    assert [len(part) for part in parts] == [0, 7, 0, 13, 10]
    assert np.concatenate([part.arms for part in parts]).tolist() == batch.arms.tolist()
    assert [place for part in parts for place in part.places] == list(batch.places)
