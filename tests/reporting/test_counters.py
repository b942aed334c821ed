import pytest
from scipy.stats import binomtest

from bandit_service.events.entries import START, Decision
from bandit_service.outcomes.join import Outcome
from bandit_service.reporting import counters
from bandit_service.reporting.counters import (
    Cell,
    CellKey,
    by_persona,
    by_variant,
    by_variant_and_persona,
    estimate,
)
from tests.world import a_decision


def shown(placement: str) -> Decision:
    return a_decision(placement=placement, revision=0)


def cell(*rewards: float) -> Cell:
    made = Cell()
    for reward in rewards:
        made.add(reward, views=2)
    return made


def test_an_empty_cell_shows_no_rate() -> None:
    shown = estimate(Cell())

    assert (shown.rate, shown.low, shown.high, shown.n) == (None, None, None, 0)


@pytest.mark.parametrize(("clicks", "n"), [(0, 10), (3, 40), (40, 40), (7, 1_000)])
def test_the_interval_of_clicks_is_wilsons(clicks: int, n: int) -> None:
    shown = estimate(cell(*[1.0] * clicks, *[0.0] * (n - clicks)))

    wilson = binomtest(clicks, n).proportion_ci(method="wilson")
    assert shown.rate == clicks / n
    assert shown.low == pytest.approx(wilson.low, abs=1e-12)
    assert shown.high == pytest.approx(wilson.high, abs=1e-12)


def test_the_interval_of_other_rewards_is_normal_and_needs_two_of_them() -> None:
    one, some = estimate(cell(0.4)), estimate(cell(0.2, 0.4, 0.9))

    assert (one.low, one.high) == (None, None)
    assert some.rate == pytest.approx(0.5)
    assert some.low is not None
    assert some.high is not None
    assert some.high - 0.5 == pytest.approx(0.5 - some.low) == pytest.approx(0.408, abs=1e-3)


def test_cells_add_up() -> None:
    assert cell(1.0, 0.0) + cell(0.5) == cell(1.0, 0.0, 0.5)


def test_the_cells_are_bounded_and_what_comes_after_is_counted_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counters, "MAX_CELLS", 3)
    fold = counters.Counters()

    for n in range(10):
        fold.count(Outcome(shown(f"film-{n}"), "defaulted", 0.0, 1, START))

    assert len(fold.cells) == 4
    assert fold.cells[CellKey("*", "*", "unknown", holdout=False)].n == 7
    assert sum(cell.n for cell in fold.cells.values()) == 10


def test_rows_keep_policy_and_holdout_apart_and_groups_together() -> None:
    cells = [
        (CellKey("film", "a@1", "romantic", holdout=False), cell(1.0, 0.0)),
        (CellKey("film", "a@1", "comedy", holdout=False), cell(1.0)),
        (CellKey("film", "a@1", "comedy", holdout=True), cell(0.0)),
        (CellKey("other", "a@1", "comedy", holdout=False), cell(1.0)),
    ]

    personas = {row.group: row for row in by_persona(cells)}
    (variant,) = by_variant(cells, "film")
    crossed = [row.group for row in by_variant_and_persona(cells, "film")]

    assert personas["comedy"].policy.n == 2
    assert personas["comedy"].holdout.n == 1
    assert (variant.policy.n, variant.holdout.n, variant.views) == (3, 1, 8)
    assert crossed == ["a@1 comedy", "a@1 romantic"]
