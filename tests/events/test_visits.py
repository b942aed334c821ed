from hypothesis import given
from hypothesis import strategies as st

from bandit_service.events.visits import (
    Visit,
    advance,
    decode_visit,
    encode_visit,
    features,
    seen_in,
)

views = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 10**9)), max_size=12)


def folded(history: list[tuple[int, int]]) -> Visit | None:
    visit = None
    for slot, at in history:
        visit = advance(visit, slot, at, "a@1")
    return visit


@given(views)
def test_reading_a_stretch_of_the_log_again_changes_nothing(history: list[tuple[int, int]]) -> None:
    in_order = sorted(history)

    assert folded(in_order + in_order) == folded(in_order)


@given(views)
def test_a_memory_counts_the_slots_before_the_newest(history: list[tuple[int, int]]) -> None:
    visit = folded(sorted(history))

    if visit is not None:
        assert visit.earlier == len({slot for slot, _ in history}) - 1
        assert decode_visit(encode_visit(visit)) == visit


def test_features_do_not_change_within_a_slot() -> None:
    before = folded([(1, 1_000), (2, 5_000)])
    during = folded([(1, 1_000), (2, 5_000), (3, 9_000), (3, 9_500)])

    assert (
        features(before, 3, 10_000)
        == features(during, 3, 10_000)
        == {
            "seen": "2",
            "last": "hour",
        }
    )
    assert not seen_in(before, 3, "a@1")
    assert seen_in(during, 3, "a@1")
    assert not seen_in(during, 3, "b@1")


def test_a_stranger_has_seen_nothing() -> None:
    assert features(None, 1, 0) == {"seen": "0"}
    assert features(folded([(1, 0)]), 1, 0) == {"seen": "0"}
    assert decode_visit(None) is None


def test_bands_widen_with_time_and_count() -> None:
    day = 86_400_000
    many = folded([(slot, slot) for slot in range(12)])

    assert features(many, 20, 30)["seen"] == "11+"
    lasts = [features(folded([(1, 0)]), 2, at)["last"] for at in (0, day // 2, day, 8 * day)]
    assert lasts == ["hour", "day", "week", "longer"]


def test_a_clock_that_went_back_is_the_shortest_time_ago() -> None:
    assert features(folded([(1, 10_000)]), 2, 5_000)["last"] == "hour"
