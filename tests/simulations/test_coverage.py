"""The coverage study: the sums it takes are the package's, and its result is the seed's alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from bandit_service.evaluation.coverage import decode_study
from bandit_service.evaluation.estimators import estimators
from bandit_service.evaluation.folds.estimates import EstimateFold
from bandit_service.evaluation.intervals.chooser import APPLIES
from bandit_service.evaluation.intervals.sequence import SequenceFold
from bandit_service.evaluation.terms import terms_of
from simulations.__main__ import main
from simulations.batches import CHECK_ROWS, batch_of, predictions, ratios_of, sequences_of
from simulations.coverage import (
    CONFIDENCE,
    RANGE,
    SETTINGS,
    Tally,
    Task,
    merged,
    rows_of,
    run,
    tasks,
)
from simulations.worlds import WORLDS

WORLD = WORLDS["returning"]


def one_log() -> tuple:  # type: ignore[type-arg]
    rng = np.random.default_rng(8)
    logs = WORLD.logs(1, rng)
    batch = batch_of(logs, rng)
    policy = WORLD.target("persona")
    model = predictions(logs, batch, blind=False)
    return logs, terms_of(batch, policy[logs.persona].ravel(), model)


@pytest.mark.parametrize("name", list(APPLIES))
def test_the_sums_are_those_of_the_fold(name: str) -> None:
    # given
    logs, terms = one_log()
    estimator = estimators(SETTINGS)[name]
    fold = EstimateFold(estimator)
    # when
    fold.add(terms)
    (found,) = ratios_of(logs, *estimator.pairs(terms), estimator.weights(terms))
    # then
    expected = fold.get()
    assert found.sums == pytest.approx(expected.sums, rel=1e-9)
    assert found.group_num == pytest.approx(expected.group_num, rel=1e-9, abs=1e-9)
    assert found.group_den == pytest.approx(expected.group_den, rel=1e-9, abs=1e-9)
    assert np.array_equal(found.group_n, expected.group_n)
    assert found.ess == pytest.approx(expected.ess)
    assert (found.max_weight, found.clusters) == (expected.max_weight, expected.clusters)


def test_the_confidence_sequence_is_that_of_the_fold() -> None:
    # given
    logs, terms = one_log()
    fold = SequenceFold(block_ms=CHECK_ROWS)
    # when
    fold.add(terms)
    (found,) = sequences_of(logs, terms, RANGE, CONFIDENCE)
    # then
    moments = fold.get(RANGE, CONFIDENCE)
    assert found.low == pytest.approx([moment.low for moment in moments], abs=1e-7)
    assert found.high == pytest.approx([moment.high for moment in moments], abs=1e-7)
    assert found.n.tolist() == [moment.n for moment in moments]


def test_the_model_of_rewards_does_not_see_the_visitor_it_predicts_for() -> None:
    # given
    rng = np.random.default_rng(9)
    logs = WORLD.logs(1, rng)
    batch = batch_of(logs, rng)
    mine = logs.visitor.ravel() == logs.visitor[0, 0]
    other = logs._replace(reward=np.where(mine, 1.0 - logs.reward, logs.reward))
    # when
    plain = predictions(logs, batch, blind=False).reshape(-1, 5)
    flipped = predictions(other, batch_of(other, rng), blind=False).reshape(-1, 5)
    # then
    assert np.array_equal(plain[mine], flipped[mine])
    assert not np.array_equal(plain, flipped)


def test_the_result_does_not_depend_on_how_many_processes_there_are() -> None:
    parts = [Task("uniform-300", 4, 3), Task("uniform-300", 3, 7), Task("unsupported", 2, 3)]
    alone, apart = (rows_of(merged(run(parts, processes=number))) for number in (1, 2))
    assert alone == apart


def test_tallies_add_up() -> None:
    assert Tally(3, 2) + Tally(1, 0) == Tally(4, 2)


def test_the_parts_of_the_study_are_all_its_logs() -> None:
    parts = tasks(130, seed=1)
    assert sum(part.logs for part in parts) == 130 * len(WORLDS)
    assert len({(part.world, part.seed) for part in parts}) == len(parts)


def test_the_command_prints_and_writes_the_table(tmp_path: Path) -> None:
    # when
    out = tmp_path / "coverage.json"
    result = CliRunner().invoke(
        main, ["coverage", "--logs", "2", "--processes", "1", "--out", str(out)]
    )
    # then
    assert result.exit_code == 0, result.output
    assert "uniform choice, 1 % clicks: always the best variant (2,000 rows)" in result.output
    study = decode_study(out.read_bytes(), name="coverage.json")
    assert (study.logs, study.seed) == (2, 1)
    assert {row.estimator for row in study.rows} == set(APPLIES)


def test_a_file_that_cannot_be_written_is_said_before_the_work(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["coverage", "--out", str(tmp_path / "no" / "such.json")])
    assert result.exit_code == 2
    assert "no such folder" in result.output
