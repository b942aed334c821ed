from hypothesis import given
from hypothesis import strategies as st

from bandit_service.reporting.series import HOUR_MS, MOST, OTHERS, Series, Stretch


def rows(series: Series) -> dict[int, list[tuple[int, int, int, float]]]:
    return {stretch.start: stretch.rows() for stretch in series.dump()}


def test_units_belong_to_the_stretch_in_which_they_were_opened() -> None:
    series = Series(HOUR_MS, 48)

    series.show(5 * HOUR_MS + 1, 0)
    series.show(6 * HOUR_MS, 1)
    series.show(6 * HOUR_MS + 5, 0)
    series.settle(5 * HOUR_MS + 1, 0, 1.0)
    series.show(6 * HOUR_MS + 5, 0, -1)

    assert rows(series) == {5: [(0, 1, 1, 1.0)], 6: [(1, 1, 0, 0.0), (0, 0, 0, 0.0)]}
    assert series.shown() == [(5 * HOUR_MS, 1), (6 * HOUR_MS, 1)]


def test_the_oldest_stretches_are_let_go_and_what_comes_too_late_for_them_is_in_none() -> None:
    series = Series(1_000, 3)
    for second in range(10):
        series.show(second * 1_000, 0)

    series.settle(2_000, 0, 1.0)

    assert list(rows(series)) == [7, 8, 9]
    assert sum(shown for _, shown in series.shown()) == 3


def test_what_waited_on_disk_finds_its_stretch_though_others_came_before() -> None:
    series = Series(1_000, 5)
    series.show(9_000, 0)

    series.show(6_500, 1)

    assert rows(series) == {6: [(1, 1, 0, 0.0)], 9: [(0, 1, 0, 0.0)]}


def test_of_a_stretch_that_is_over_the_variants_shown_most_stay_apart() -> None:
    series = Series(1_000, 5)
    for arm in range(40):
        for _ in range(1 + arm):
            series.show(500, arm)

    series.show(1_500, 3)
    series.settle(500, 39, 1.0)
    series.settle(500, 2, 2.0)
    series.settle(500, 77, 3.0)

    over = rows(series)[0]
    assert [arm for arm, *_ in over] == [*range(40 - MOST, 40), OTHERS]
    assert sum(shown for _, shown, _, _ in over) == sum(range(1, 41))
    assert over[-2] == (39, 40, 1, 1.0)
    assert over[-1] == (OTHERS, sum(range(1, 41 - MOST)), 2, 5.0)


def test_a_variant_that_is_late_in_a_stretch_with_room_stays_apart() -> None:
    series = Series(1_000, 5)
    series.show(500, 0)
    series.show(1_500, 0)

    series.settle(500, 4, 1.0)

    assert rows(series)[0] == [(0, 1, 0, 0.0), (4, 0, 1, 1.0)]


@given(
    st.lists(st.tuples(st.integers(0, 9_000), st.integers(0, 30)), max_size=60), st.integers(0, 60)
)
def test_stopping_and_going_on_changes_nothing(units: list[tuple[int, int]], cut: int) -> None:
    whole, pieces = Series(1_000, 4), Series(1_000, 4)
    for number, (at, arm) in enumerate(units):
        if number == cut:
            stored, pieces = pieces.dump(), Series(1_000, 4)
            pieces.restore(stored)
        for series in (whole, pieces):
            series.show(at, arm)
            series.settle(at, arm, 0.5)

    assert pieces.dump() == whole.dump()
    assert all(isinstance(stretch, Stretch) for stretch in whole.dump())
