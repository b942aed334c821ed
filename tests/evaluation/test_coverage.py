"""The shipped study of coverage is one of this program, and bears out what is claimed."""

from __future__ import annotations

import pytest

from bandit_service.errors import EvaluationError
from bandit_service.evaluation.coverage import (
    FORMAT,
    Study,
    coverage_table,
    decode_study,
    encode_study,
)
from bandit_service.evaluation.intervals.chooser import APPLIES
from bandit_service.evaluation.results import Coverage

ROW = Coverage(
    world="a world",
    estimator="ips",
    interval="normal",
    logs=10,
    n=20,
    coverage=0.9,
    claimed=True,
    note="",
)
STUDY = Study(confidence=0.95, logs=10, seed=1, rows=[ROW, ROW])


def test_a_study_is_read_as_it_was_written() -> None:
    assert decode_study(encode_study(STUDY), name="x") == STUDY
    empty = Study(confidence=0.95, logs=1, seed=1, rows=[])
    assert decode_study(encode_study(empty), name="x") == empty


@pytest.mark.parametrize("data", [b"", b"{}", b'{"format": 1, "rows": 3}', b"\xff"])
def test_anything_else_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(EvaluationError, match=r"^x\.json is not a study of coverage") as caught:
        decode_study(data, name="x.json")
    assert "python -m simulations coverage" in (caught.value.hint or "")


def test_another_version_is_refused() -> None:
    other = Study(format=FORMAT + 1, confidence=0.95, logs=1, seed=1, rows=[])
    with pytest.raises(EvaluationError, match="of format 2"):
        decode_study(encode_study(other), name="x")


def test_the_shipped_study_has_every_interval_of_every_estimator() -> None:
    found = {(row.estimator, row.interval) for row in coverage_table()}
    assert found == {(name, kind) for name, kinds in APPLIES.items() for kind in kinds}


def test_what_may_be_shown_was_claimed_in_some_world() -> None:
    shown = {(row.estimator, row.interval) for row in coverage_table() if row.claimed}
    assert shown == {
        (name, kind) for name, kinds in APPLIES.items() for kind in kinds if name != "dm"
    }


def test_what_is_claimed_held_on_93_of_100_logs() -> None:
    short = [row for row in coverage_table() if row.claimed and row.coverage < 0.93]
    assert short == []


def test_the_confidence_sequence_failed_on_5_of_100_logs_at_most() -> None:
    sequences = [row for row in coverage_table() if row.interval == "anytime"]
    assert len(sequences) >= 8
    assert all(row.coverage >= 0.95 for row in sequences)


def test_what_is_held_back_for_its_bias_is_so_with_reason() -> None:
    """Somewhere it held on fewer than 9 of 10 logs; a rule that refuses for nothing is no rule."""
    for estimator in ("dm", "clipped-ips", "switch-dr", "dr-os"):
        worst = min(
            row.coverage
            for row in coverage_table()
            if row.estimator == estimator and row.interval == "bootstrap" and not row.claimed
        )
        assert worst < 0.9, estimator
