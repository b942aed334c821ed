from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bandit_service.errors import EvaluationError, InvalidInput, LogError
from bandit_service.evaluation.evaluate import EvaluationSettings, result
from bandit_service.evaluation.logs.base import LoggedData
from bandit_service.evaluation.report.sweep_door import write_sweep
from bandit_service.evaluation.survey import usable_rows
from bandit_service.evaluation.sweeping.grid import Plan, Point, Unreadable
from bandit_service.evaluation.sweeping.passes import Cut
from bandit_service.evaluation.sweeping.results import SweepResult
from bandit_service.evaluation.sweeping.sweep import SweepSettings, check_sweep, cut_of, sweep
from bandit_service.evaluation.targets.learning import Learning
from bandit_service.policy.settings import SiteSettings
from tests.evaluation.batches import START_MS, a_batch
from tests.evaluation.sweeping import (
    BASE,
    EVEN,
    GOOD,
    HARMFUL,
    POOR,
    RATES,
    a_log,
    opened,
    opener,
    settings,
    surveyed,
    swept,
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_log(tmp_path_factory.mktemp("sweep"), visits=2_500)


@pytest.fixture(scope="module")
def found(path: Path) -> SweepResult:
    """The base, a better policy, a worse one and a harmful one; two processes."""
    return swept(path, POOR, HARMFUL, GOOD, processes=2)


def value_of(point: Point, path: Path, *, after: int) -> float:
    """What a policy truly earns per row on the rows from ``after`` on: the rates are known."""
    target = Learning(point.name, point.settings, evaluated=BASE, blind=point.blind)
    earned: list[float] = []
    with opened(path) as log:
        for batch in log.batches(blame=print, progress=lambda _: None, watch=target.watch):
            given = target.probabilities(batch)
            rates = np.array([RATES[name.partition("@")[0]] for name in batch.names.arms.texts])
            earned += batch.row_sums(given * rates[batch.arms]).tolist()
    target.close()
    return float(np.mean(earned[after:]))


def test_policies_are_ranked_as_the_truth_ranks_them(found: SweepResult, path: Path) -> None:
    order = [one.name for one in found.tried]

    assert order == ["greedy", "base", "timid", "harmful"]
    truth = [value_of(p, path, after=0) for p in (GOOD, Point("base", BASE), POOR, HARMFUL)]
    assert truth == sorted(truth, reverse=True)
    assert [one.rank for one in found.tried] == [1, 2, 3, 4]


def test_the_better_policy_is_adopted_by_the_held_out_rows_alone(
    found: SweepResult, path: Path
) -> None:
    held = found.held_out

    assert (found.winner, found.advised) == ("greedy", "adopt")
    assert held is not None
    assert held.rows + found.ranked_rows == found.log.rows
    assert held.winner.n == held.rows
    assert held.over_base is not None
    lead = held.over_base.intervals[0]
    truth = value_of(GOOD, path, after=found.ranked_rows)
    base = value_of(Point("base", BASE), path, after=found.ranked_rows)
    assert lead.low <= truth - base <= lead.high
    assert held.winner.intervals[0].low <= truth <= held.winner.intervals[0].high
    assert found.verdict[0].startswith("Adopt greedy: on the 500 held-out rows")
    assert any("3 policies were compared with base" in said for said in found.verdict)


def test_leads_over_the_base_are_corrected_for_how_many_were_compared(found: SweepResult) -> None:
    leads = {one.name: one.lead for one in found.tried}

    assert leads["base"] is None
    for name, sign in (("greedy", 1), ("timid", -1), ("harmful", -1)):
        lead = leads[name]
        assert lead is not None
        assert lead.intervals[0].confidence == pytest.approx(1.0 - 0.05 / 3)
        assert sign * lead.intervals[0].low > 0.0
        assert sign * lead.intervals[0].high > 0.0
    assert found.held_out is not None
    assert found.held_out.over_base is not None
    assert found.held_out.over_base.intervals[0].confidence == 0.95  # a single comparison


def test_one_process_gives_the_same_bytes_as_two(found: SweepResult, path: Path) -> None:
    alone = swept(path, POOR, HARMFUL, GOOD, processes=1)

    assert write_sweep(alone) == write_sweep(found)


def test_where_the_base_is_best_it_is_kept(path: Path) -> None:
    found = swept(path, POOR, HARMFUL)

    assert (found.winner, found.advised) == ("base", "base")
    assert found.verdict[0] == "Keep base: of 2 others none was ranked above it."
    assert found.held_out is not None
    assert found.held_out.over_base is None


def guesses() -> Plan:
    """Policies that run after chance, each after another part of it."""
    crosses = ("visitor", "persona", "traits", "situation")
    found = [
        Point(f"{rate} {cross}", settings(gamma=60.0, learning_rate=rate, cross=(cross,)))
        for rate in (0.1, 0.3)
        for cross in crosses
    ]
    return Plan(found, [])


@pytest.mark.slow
def test_what_the_winner_earns_on_held_out_rows_is_right_on_average_though_it_was_chosen(
    tmp_path: Path,
) -> None:
    held, adopted = [], 0
    for seed in range(10):
        path = a_log(tmp_path, visits=1_000, seed=100 + seed, rates=EVEN)
        found = swept(path, plan=guesses())
        assert found.held_out is not None
        assert found.held_out.winner.value is not None
        held.append(found.held_out.winner.value - 0.25)
        adopted += found.advised == "adopt"

    error = np.std(held, ddof=1) / np.sqrt(len(held))
    # An unbiased mean of 10 is beyond four of its standard errors once in some 300 times.
    assert abs(np.mean(held)) < 4.0 * error
    # One in 40 would be by chance: of 10, four or more once in 15,000 times.
    assert adopted < 4


def test_a_winner_that_the_held_out_rows_do_not_confirm_is_not_adopted(tmp_path: Path) -> None:
    path = a_log(tmp_path, visits=1_000, seed=100, rates=EVEN)

    found = swept(path, plan=guesses())

    assert found.winner != found.base
    assert found.advised in ("untold", "keep")
    assert f"Keep {found.base}" in found.verdict[0]
    assert any("do not tell it from" in said for said in found.verdict)


def test_a_file_without_settings_has_its_row_and_costs_no_other(path: Path) -> None:
    plan = Plan([Point("base", BASE), GOOD], [Unreadable("bad.toml", "bad.toml: floor is 3.0")])

    found = swept(path, plan=plan)

    assert [one.name for one in found.tried] == ["greedy", "base", "bad.toml"]
    failed = found.tried[-1]
    assert (failed.rank, failed.estimate, failed.lead) == (None, None, None)
    assert failed.failed == "bad.toml: floor is 3.0"


@contextmanager
def failing_for(name: str, path: Path) -> Iterator[LoggedData]:
    """The log, until the policy ``name`` reads it (they are read in order of the plan)."""
    marker = path.with_suffix(f".{name}")
    turn = int(marker.read_text()) if marker.exists() else 0
    marker.write_text(str(turn + 1))
    if turn == 1:
        raise EvaluationError("the second policy cannot answer")
    with opened(path) as log:
        yield log


def test_a_policy_that_cannot_be_scored_has_its_row_with_the_reason(path: Path) -> None:
    found = swept_by(partial(failing_for, "fails", path), path, POOR, GOOD)

    assert [one.name for one in found.tried] == ["greedy", "base", "timid"]
    assert found.tried[-1].failed == "the second policy cannot answer"
    assert found.tried[-1].changed == ["policy.floor = 1.0"]
    assert found.advised == "adopt"


def test_where_the_base_cannot_be_scored_nothing_is_adopted(path: Path) -> None:
    found = swept_by(partial(failing_for, "base", path), path, GOOD, first=POOR)

    assert found.advised == "adopt"  # the second to be read failed, and that is not the base

    only = swept_by(partial(failing_first, path), path, GOOD)
    assert (only.winner, only.advised) == ("greedy", "untold")
    assert "base could not be scored" in only.verdict[0]
    assert all(one.lead is None for one in only.tried)


@contextmanager
def failing_first(path: Path) -> Iterator[LoggedData]:
    marker = path.with_suffix(".first")
    if not marker.exists():
        marker.touch()
        raise EvaluationError("the first policy cannot answer")
    with opened(path) as log:
        yield log


def swept_by(
    open_log: object, path: Path, *points: Point, first: Point | None = None, processes: int = 1
) -> SweepResult:
    """A sweep whose passes open the log in some other way."""
    found = surveyed(path)
    ahead = [] if first is None else [first]
    with opened(path) as log:
        return sweep(
            log,
            Plan([Point("base", BASE), *ahead, *points], []),
            found,
            SweepSettings(processes=processes),
            open_log=open_log,  # type: ignore[arg-type]
            evaluated=BASE,
            progress=lambda _: None,
            whole=result(log, [], found, [], EvaluationSettings(), forced=False, now_ms=0),
        )


@contextmanager
def killed(path: Path) -> Iterator[LoggedData]:
    os.kill(os.getpid(), signal.SIGKILL)
    yield from ()


def test_a_killed_process_is_told(path: Path) -> None:
    with pytest.raises(EvaluationError, match="was killed"):
        swept_by(partial(killed, path), path, GOOD, processes=2)


@contextmanager
def gone(path: Path) -> Iterator[LoggedData]:
    raise LogError(f"{path} is not there any more")
    yield  # type: ignore[unreachable]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_log_that_cannot_be_read_is_no_policys_fault(path: Path, processes: int) -> None:
    with pytest.raises(LogError, match="not there any more"):
        swept_by(partial(gone, path), path, GOOD, processes=processes)


@pytest.mark.parametrize(("ms", "row"), [(None, 3), (START_MS + 2_500, 0)])
def test_a_cut_is_at_a_moment_or_at_a_row(ms: int | None, row: int) -> None:
    batch = a_batch(5)  # a second apart

    first, second = (batch.take(np.arange(*part)) for part in ((0, 2), (2, 5)))

    cut = Cut(row, ms)
    assert cut.before(batch, 0).tolist() == [True, True, True, False, False]
    assert cut.before(first, 0).tolist() == [True, True]
    assert cut.before(second, 2).tolist() == [True, False, False]


def test_the_cut_of_our_own_log_is_a_moment_that_no_reward_moves(tmp_path: Path) -> None:
    """Rows come in the order of closing, and what is clicked closes sooner: cut by that order, the
    rows before would have too many clicks and those after too few.
    """
    path = a_log(tmp_path, visits=2_000, gap=0.01)  # of 20 s, in windows of 5
    with opened(path) as log:
        cut = cut_of(log, surveyed(path), 0.2)
        batches = list(log.batches(blame=print, progress=lambda _: None))
    rewards = np.concatenate([batch.reward for batch in batches])
    ms = np.concatenate([batch.ms for batch in batches])
    assert cut.ms is not None
    held = ms >= cut.ms

    assert held.mean() == pytest.approx(0.2, abs=0.01)
    # 320 rows and more at 18 % clicks: their mean is right within 0.09, but for once in 15,000.
    assert rewards[held].mean() == pytest.approx(rewards.mean(), abs=0.09)
    assert rewards[cut.row :].mean() < rewards.mean() - 0.1


def test_a_log_that_lost_rows_is_refused(path: Path) -> None:
    with opened(path) as log, pytest.raises(LogError, match=r"had 9,999 rows .* has 2,500 now"):
        list(usable_rows(log, 9_999, watch=lambda *_: None, progress=lambda _: None))


def test_a_log_of_a_row_is_too_short(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="the log has 1 rows, too few"):
        swept(a_log(tmp_path, visits=1), GOOD)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"held_out": 0.01}, "held_out is 0.01"),
        ({"held_out": float("nan")}, "held_out is nan"),
        ({"processes": 0}, "processes is 0"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(changes: dict[str, float], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        check_sweep(msgspec.structs.replace(SweepSettings(), **changes))


def test_what_a_log_answers_weakly_is_never_the_winner(path: Path) -> None:
    sure = Point("sure", settings(gamma=20_000.0, learning_rate=0.5))

    found = swept_by(opener(path), path, sure, GOOD)

    weak = next(one for one in found.tried if one.name == "sure")
    assert weak.estimate is not None
    if weak.estimate.status != "ok":
        assert weak.rank is None
        assert found.tried[-1].name == "sure"
    assert found.winner == "greedy" or weak.estimate.status == "ok"


def test_the_settings_of_the_evaluation_say_what_rows_earn_not_those_of_a_policy(
    found: SweepResult,
) -> None:
    """The harmful policy learns from other rewards, and is judged by clicks like all others."""
    harmful = next(one for one in found.tried if one.name == "harmful")

    assert harmful.estimate is not None
    assert harmful.estimate.value is not None
    assert 0.05 < harmful.estimate.value < 0.2
    assert any(change.startswith("rewards.worth") for change in harmful.changed)
    assert isinstance(HARMFUL.settings, SiteSettings)
