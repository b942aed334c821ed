import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from bandit_service.errors import InvalidInput
from bandit_service.policy.sampling import bounded, held_out, mixed, race

SALT = b"s" * 32
ARMS = ["a@1", "b@1", "c@2", "d@1"]

weights = st.lists(st.floats(0.0, 1.0, allow_subnormal=False), min_size=1, max_size=12)


@st.composite
def bounds(draw: st.DrawFn) -> tuple[list[float], list[float], list[float]]:
    """Weights and bounds that can be kept: the lower ones sum to less than 1, the upper to more."""
    given_weights = draw(weights)
    count = len(given_weights)
    lower = draw(st.lists(st.floats(0.0, 0.9 / count), min_size=count, max_size=count))
    upper = [draw(st.floats(max(low, 1e-3), 1.0)) for low in lower]
    assume(sum(given_weights) > 1e-6 and sum(upper) > 1.001)
    return given_weights, lower, upper


@given(bounds())
@settings(max_examples=400, deadline=None)
def test_bounded_keeps_every_bound_and_sums_to_one(
    case: tuple[list[float], list[float], list[float]],
) -> None:
    given_weights, lower, upper = case

    p = bounded(given_weights, lower, upper)

    assert math.isclose(sum(p), 1.0, abs_tol=1e-12)
    assert all(low - 1e-9 <= x <= high + 1e-9 for x, low, high in zip(p, lower, upper, strict=True))


@given(bounds())
@settings(max_examples=200, deadline=None)
def test_bounded_keeps_the_proportions_of_what_no_bound_holds(
    case: tuple[list[float], list[float], list[float]],
) -> None:
    given_weights, lower, upper = case

    p = bounded(given_weights, lower, upper)

    free = [
        x / w
        for x, w, low, high in zip(p, given_weights, lower, upper, strict=True)
        if w > 1e-6 and low + 1e-9 < x < high - 1e-9
    ]
    assert all(math.isclose(ratio, free[0], rel_tol=1e-6) for ratio in free)


def test_bounds_that_nothing_holds_leave_the_distribution_as_it_is() -> None:
    assert bounded([0.1, 0.2, 0.7], [0.0] * 3, [1.0] * 3) == pytest.approx([0.1, 0.2, 0.7])


def test_a_cap_hands_its_excess_to_the_others_in_proportion() -> None:
    assert bounded([0.8, 0.1, 0.1], [0.0] * 3, [0.5, 1.0, 1.0]) == pytest.approx([0.5, 0.25, 0.25])


def test_lower_bounds_that_cannot_all_be_kept_are_scaled_down() -> None:
    assert bounded([0.5, 0.5], [0.9, 0.6], [1.0, 1.0]) == pytest.approx([0.6, 0.4])


def test_caps_that_cannot_fill_the_traffic_share_the_rest_in_proportion() -> None:
    assert bounded([0.5, 0.5], [0.0, 0.0], [0.3, 0.1]) == pytest.approx([0.75, 0.25])


def test_a_cap_on_the_only_candidate_with_weight_leaves_the_rest_to_the_others() -> None:
    assert bounded([1.0, 0.0, 0.0], [0.0] * 3, [0.4, 1.0, 1.0]) == pytest.approx([0.4, 0.3, 0.3])


@pytest.mark.parametrize("nothing", [[0.0, 0.0], [math.nan, 1.0], [math.inf, 1.0]])
def test_weights_that_are_no_distribution_are_refused(nothing: list[float]) -> None:
    with pytest.raises(InvalidInput):
        bounded(nothing, [0.0, 0.0], [1.0, 1.0])


def test_100_000_draws_match_their_probabilities() -> None:
    p = [0.5, 0.3, 0.15, 0.05]
    counts = [0] * 4

    for n in range(100_000):
        counts[race(SALT, f"unit-{n}", ARMS, p)] += 1

    assert chisquare(counts, [100_000 * x for x in p]).pvalue > 1e-3


def test_the_holdout_takes_its_share_of_units() -> None:
    held = sum(held_out(SALT, f"unit-{n}", 0.05) for n in range(100_000))

    assert chisquare([held, 100_000 - held], [5_000, 95_000]).pvalue > 1e-3


def test_the_coin_and_the_race_of_a_unit_are_independent() -> None:
    counts = [0, 0]
    for n in range(60_000):
        if held_out(SALT, f"unit-{n}", 0.5):
            counts[race(SALT, f"unit-{n}", ["a@1", "b@1"], [0.5, 0.5])] += 1

    assert chisquare(counts).pvalue > 1e-3


def test_a_draw_is_a_function_of_salt_and_unit() -> None:
    first = [race(SALT, f"u{n}", ARMS, [0.25] * 4) for n in range(50)]

    assert first == [race(SALT, f"u{n}", ARMS, [0.25] * 4) for n in range(50)]
    assert first != [race(b"t" * 32, f"u{n}", ARMS, [0.25] * 4) for n in range(50)]


def test_candidates_that_come_or_go_move_only_the_units_that_drew_them() -> None:
    for n in range(2_000):
        four = race(SALT, f"u{n}", ARMS, [0.25] * 4)
        three = race(SALT, f"u{n}", ARMS[:3], [1 / 3] * 3)
        assert four in (three, 3)


def test_a_small_change_of_probabilities_changes_few_choices() -> None:
    before, after = [0.4, 0.3, 0.2, 0.1], [0.45, 0.3, 0.17, 0.08]
    distance = sum(abs(x - y) for x, y in zip(before, after, strict=True)) / 2

    changed = sum(
        race(SALT, f"u{n}", ARMS, before) != race(SALT, f"u{n}", ARMS, after) for n in range(20_000)
    )

    assert changed / 20_000 <= 2 * distance / (1 + distance) + 0.01


def test_a_candidate_of_probability_zero_is_never_drawn() -> None:
    assert all(race(SALT, f"u{n}", ARMS, [0.0, 1.0, 0.0, 0.0]) == 1 for n in range(100))
    with pytest.raises(InvalidInput):
        race(SALT, "u", ARMS, [0.0] * 4)


def test_mixing_weighs_the_two_distributions_by_the_holdout() -> None:
    assert mixed([1.0, 0.0], [0.5, 0.5], 0.1) == pytest.approx([0.95, 0.05])
