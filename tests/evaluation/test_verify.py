from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

import numpy as np
import pytest

from bandit_service.archive.history import History
from bandit_service.evaluation.batch import Batch
from bandit_service.evaluation.logs.base import Violation
from bandit_service.evaluation.logs.kinds import READING_KINDS
from bandit_service.evaluation.logs.ours import SiteLog
from bandit_service.evaluation.logs.sources import LiveSource
from bandit_service.evaluation.results import Finding, Verification
from bandit_service.evaluation.verification.kinds import KINDS
from bandit_service.evaluation.verification.repeated_rows import RepeatedRows
from bandit_service.evaluation.verification.row_checks import BARRED
from bandit_service.evaluation.verification.verify import (
    FIRST,
    TWO_PARTS,
    WHOLE,
    Verifier,
    verify_log,
)
from tests.evaluation.batches import (
    Row,
    a_batch,
    batch_of,
    changed,
    cut,
    without_distributions,
)
from tests.evaluation.ratio_logs import drawn_log, scored, the_best
from tests.world import QUICK, World

nan, inf = float("nan"), float("inf")


def verified(*batches: Batch, **options: Any) -> Verification:
    verifier = Verifier(**options)
    for batch in batches:
        verifier.add(batch)
    return verifier.get()


def kinds_of(verification: Verification) -> dict[str, int]:
    return {finding.kind: finding.count for finding in verification.findings}


def only(verification: Verification) -> Finding:
    assert len(verification.findings) == 1, verification.findings
    return verification.findings[0]


def with_row(batch: Batch, column: str, value: float, *, row: int = 7) -> Batch:
    """The batch with one row's value of a column changed."""
    values = getattr(batch, column).copy()
    values[row] = value
    return changed(batch, **{column: values})


@pytest.mark.parametrize("distributions", [True, False])
def test_a_sound_log_has_no_findings(distributions: bool) -> None:
    batch = a_batch(2000, fewest=1, distributions=distributions)

    verification = verified(batch, reward_range=(0.0, 1.0))

    assert verification.findings == []
    assert not verification.fatal
    assert verification.rows == 2000
    assert verification.sample_ratio[0].name == "all"


@pytest.mark.parametrize(
    ("column", "value", "kind", "said"),
    [
        ("propensity", nan, "propensity_missing", "no propensity"),
        ("propensity", 0.0, "propensity_range", "is 0.0"),
        ("propensity", -0.25, "propensity_range", "is -0.25"),
        ("propensity", 25.0, "propensity_range", "is 25.0"),
        ("propensity", inf, "propensity_range", "is inf"),
        ("propensity", 1e-9, "propensity_mismatch", "is 1e-09, the probability of what was shown"),
        ("reward", nan, "reward_not_finite", "is nan"),
        ("reward", -inf, "reward_not_finite", "is -inf"),
        ("reward", 1.5, "reward_range", r"1.5 is not within (0.0, 1.0)"),
        ("chosen", -1, "chosen_unknown", "candidate -1 of 4"),
        ("chosen", 4, "chosen_unknown", "candidate 4 of 4"),
    ],
)
def test_what_is_wrong_with_a_row_is_found_and_says_where(
    column: str, value: float, kind: str, said: str
) -> None:
    batch = with_row(a_batch(400), column, value)

    finding = only(verified(batch, reward_range=(0.0, 1.0)))

    assert (finding.kind, finding.severity, finding.count) == (kind, "fatal", 1)
    assert finding.first[0].place == "test:8"
    assert said in finding.first[0].message
    assert KINDS[kind].remedy in finding.meaning


@pytest.mark.parametrize(
    ("logged", "kinds"),
    [
        ({"a": 0.5, "b": 0.25, "c": 0.2}, {"probabilities_sum"}),
        ({"a": 0.5, "b": 0.250002, "c": 0.25}, {"probabilities_sum"}),
        ({"a": 0.5, "b": -0.25, "c": 0.75}, {"probabilities_range"}),
        ({"a": 0.5, "b": 50.0, "c": 25.0}, {"probabilities_range"}),
        ({"a": 0.5, "b": inf, "c": 0.25}, {"probabilities_range"}),
        ({"a": 0.5, "b": np.float32(0.3), "c": np.float32(0.2)}, set()),
        ({"a": 0.5, "b": 0.5, "c": 0.0}, set()),
    ],
)
def test_probabilities_must_be_those_of_a_draw(logged: dict[str, float], kinds: set[str]) -> None:
    rows = [Row(logged, "a", reward=n % 2) for n in range(2)]

    assert set(kinds_of(verified(batch_of(rows)))) == kinds


def test_an_arm_that_is_listed_twice_is_named() -> None:
    batch = a_batch(100)
    arms = batch.arms.copy()
    arms[4 * 7 + 1] = arms[4 * 7 + 3]

    finding = only(verified(changed(batch, arms=arms)))

    assert finding.kind == "candidates_twice"
    assert finding.first[0].message == f"{batch.names.arms[int(arms[29])]} is listed twice"


def test_a_row_can_be_wrong_in_several_ways_and_each_is_listed() -> None:
    batch = with_row(with_row(a_batch(100), "propensity", 0.0), "reward", nan)

    assert kinds_of(verified(batch)) == {"propensity_range": 1, "reward_not_finite": 1}


def test_every_violation_is_counted_and_told_and_the_first_are_kept() -> None:
    told: list[Violation] = []
    batch = a_batch(300)
    verifier = Verifier(sink=told.append)
    for part in cut(changed(batch, propensity=np.zeros(300)), at=[50, 51, 200]):
        verifier.add(part)

    finding = only(verifier.get())

    assert (finding.count, len(told)) == (300, 300)
    assert [violation.place for violation in told] == list(batch.places)
    assert finding.first == told[:FIRST]


def test_what_reading_finds_is_counted_beside_it_fatal_first() -> None:
    verifier = Verifier()
    verifier.add(a_batch(100))
    for kind in ("event_late", "time_backwards", "event_late"):
        verifier.blame(Violation(kind, "log:3", "said"))

    verification = verifier.get()

    assert list(kinds_of(verification).items()) == [("time_backwards", 1), ("event_late", 2)]
    assert verification.fatal


def test_warnings_are_not_fatal() -> None:
    verifier = Verifier()
    verifier.add(a_batch(100))
    for kind, (severity, _, _) in KINDS.items():
        if severity == "warning":
            verifier.blame(Violation(kind, "log:3", "said"))

    assert not verifier.get().fatal
    assert len(verifier.get().findings) > 5


def test_a_kind_that_is_not_declared_is_refused() -> None:
    with pytest.raises(KeyError):
        Verifier().blame(Violation("unheard_of", "log:1", "said"))


def test_every_kind_that_readers_find_is_declared() -> None:
    assert set(READING_KINDS) <= set(KINDS)


def test_every_kind_says_what_it_means_and_what_to_do() -> None:
    for severity, meaning, remedy in KINDS.values():
        assert severity in ("fatal", "warning")
        for sentence in (meaning, remedy):
            assert sentence[0].isupper()
            assert sentence.endswith(".")


# -- of the log as a whole


def certain(n: int) -> Batch:
    """Rows that had a choice and say that there was none."""
    return batch_of([Row({"a": 1.0, "b": 0.0}, "a", reward=i % 2) for i in range(n)])


@pytest.mark.parametrize(
    ("batch", "kind", "severity"),
    [
        (a_batch(0), "no_rows", "fatal"),
        (a_batch(50, arms=1), "one_variant", "warning"),
        (a_batch(50, click_rate=0.0), "no_rewards", "warning"),
        (certain(9), "no_exploration", "fatal"),
        (drawn_log(scored(2000), the_best), "sample_ratio_mismatch", "fatal"),
    ],
)
def test_what_is_wrong_with_the_log_as_a_whole_is_found(
    batch: Batch, kind: str, severity: str
) -> None:
    verifier = Verifier()
    verifier.add(batch)

    finding = only(verifier.get())

    assert (finding.kind, finding.severity, finding.count) == (kind, severity, 1)
    assert verifier.whole() == finding.first
    assert verifier.get() == verifier.get()


def test_a_mismatch_names_the_placement_and_the_numbers() -> None:
    finding = only(verified(drawn_log(scored(2000), the_best)))

    assert finding.first[0].place == "placement film0"
    assert "expected" in finding.first[0].message
    assert "(p = " in finding.first[0].message


def test_a_mismatch_with_estimated_propensities_is_a_warning() -> None:
    batch = drawn_log(scored(2000), the_best)

    verification = verified(batch, propensities="estimated")

    assert kinds_of(verification) == {"sample_ratio_estimated": 1}
    assert not verification.fatal


def test_rows_that_are_wrong_are_not_held_against_the_draw() -> None:
    # given a log in which all rows of one arm lost their propensity
    batch = a_batch(4000, uniform=True)
    lost = batch.take(np.flatnonzero(batch.chosen != 0))
    broken = changed(batch, propensity=np.where(batch.chosen == 0, nan, batch.propensity))

    assert "propensity_missing" in kinds_of(verified(broken))
    assert kinds_of(verified(lost)) == {"sample_ratio_mismatch": 2}


def test_the_log_of_a_service_that_learns_was_drawn_as_it_says() -> None:
    # given returning visitors, sticky choices, a holdout, and learning that goes on meanwhile
    world = World()
    learner = world.learner(publish_seconds=5.0)
    for n in range(1500):
        world.pass_time(0.3)
        traits = {"genres": [("comedy", "romantic", "other")[n % 3]]}
        world.visit({"h1": 0.5, "h2": 0.1}, visitor=f"v{n % 70}", traits=traits)
        if n % 20 == 0:
            learner.step()
    world.pass_time(60.0)
    world.decide()
    log = SiteLog(LiveSource(History(world.log, None), "main"), QUICK)

    verification = verify_log(log, progress=lambda _: None).get()

    assert verification.rows > 500
    assert not verification.fatal, verification.findings
    assert verification.sample_ratio[0].p_value > 0.01


# -- rows that are there twice


def test_a_file_that_is_read_twice_is_found() -> None:
    batch = a_batch(500)

    finding = only(verified(batch, batch))

    assert (finding.kind, finding.count) == ("row_twice", 500)
    assert finding.first[0].place == "test:1"


def test_parts_that_hold_the_same_rows_are_found_when_they_are_added_up() -> None:
    one, two = Verifier(), Verifier()
    one.add(a_batch(500))
    two.add(a_batch(500).take(np.arange(400, 500)))

    finding = only((one + two).get())

    assert (finding.kind, finding.count) == ("row_twice", 100)
    assert finding.first == [Violation("row_twice", TWO_PARTS, "100 rows are in both")]


def test_repeated_rows_are_all_found_while_few_and_sampled_beyond_within_bounded_memory() -> None:
    keys = np.random.default_rng(1).integers(0, 2**63, 20_000).astype(np.uint64)
    few, many = RepeatedRows(), RepeatedRows(kept=1000)

    assert len(few.add(keys)) == 0
    assert len(few.add(keys)) == 20_000
    for start in range(0, 20_000, 500):
        assert len(many.add(keys[start : start + 500])) == 0
        assert len(many._seen) <= 1000
    found = len(many.add(keys))
    assert 300 < found <= 1000
    assert 300 < many.merged(few)[1] <= 1000


def test_a_row_that_is_repeated_within_a_batch_is_found_at_its_second_place() -> None:
    keys = np.array([5, 6, 5, 7, 6, 5], np.uint64)

    assert RepeatedRows().add(keys).tolist() == [2, 4, 5]


# -- the fold


def broken_log() -> Batch:
    rng = np.random.default_rng(4)
    batch = a_batch(1200, fewest=2)
    propensity = batch.propensity.copy()
    propensity[rng.integers(0, 1200, 50)] = nan
    propensity[rng.integers(0, 1200, 50)] = 2.0
    return with_row(changed(batch, propensity=propensity), "reward", 9.0)


def test_parts_add_up_to_the_whole_however_they_are_cut() -> None:
    batch = broken_log()
    whole = verified(batch, reward_range=(0.0, 1.0))

    for at in ([1], [400, 800], list(range(100, 1200, 100))):
        parts = []
        for part in cut(batch, at=at):
            verifier = Verifier(reward_range=(0.0, 1.0))
            verifier.add(part)
            parts.append(verifier)
        assert reduce(add, parts).get() == whole
        assert verified(*cut(batch, at=at), reward_range=(0.0, 1.0)) == whole
    assert len(whole.findings) == 3


# -- what can be evaluated all the same


def test_usable_leaves_out_the_rows_that_cannot_be_evaluated_and_they_are_counted() -> None:
    batch = with_row(with_row(broken_log(), "reward", inf, row=3), "chosen", -1, row=5)
    verifier = Verifier()
    verifier.add(batch)

    rows = Verifier.usable(batch)

    assert len(rows) + sum(verifier.excluded.values()) == len(batch)
    assert set(verifier.excluded) <= set(BARRED)
    assert verifier.excluded["chosen_unknown"] == 1
    assert np.all((rows.propensity > 0) & (rows.propensity <= 1))
    assert np.all(np.isfinite(rows.reward))
    assert np.all(rows.chosen >= 0)


def test_usable_keeps_a_sound_batch_as_it_is_and_rows_that_are_only_doubtful() -> None:
    batch = without_distributions(a_batch(50))
    doubtful = batch_of([Row({"a": 0.5, "b": 0.4}, "a")])

    assert Verifier.usable(batch) is batch
    assert len(Verifier.usable(doubtful)) == 1
    assert len(Verifier.usable(a_batch(0))) == 0


def test_no_rows_is_said_of_the_log_as_a_whole() -> None:
    assert Verifier().whole() == [Violation("no_rows", WHOLE, "there is nothing to evaluate")]
