"""What may be shown when: schedules and finishes, as functions of a placement and the time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit_service.catalog.edit import put_finish, put_placement, put_variant
from bandit_service.catalog.model import Finish, Placement, PlacementSpec, VariantSpec
from bandit_service.catalog.moments import ms_of
from bandit_service.errors import InvalidCatalog

NOON = datetime(2030, 3, 20, 12, tzinfo=UTC)
NOW = ms_of(NOON)
HOUR = timedelta(hours=1)
HOUR_MS = 3_600_000


def placement(*variants: dict[str, Any], **fields: Any) -> Placement:
    """A placement of headlines, live unless they say otherwise."""
    specs = [{"headline": v["id"], "status": "live", **v} for v in variants]
    body = {"kind": "headline", "variants": specs, **fields}
    return put_placement(None, "film", msgspec.convert(body, PlacementSpec), now=NOW)


def shown(at: Placement, now: int) -> str:
    return "".join(variant.id for variant in at.live(now))


def refused(*variants: dict[str, Any], **fields: Any) -> InvalidCatalog:
    with pytest.raises(InvalidCatalog) as caught:
        placement(*variants, **fields)
    assert caught.value.hint
    return caught.value


# -- schedules


def test_a_variant_is_live_from_its_first_moment_and_before_its_last() -> None:
    one = placement({"id": "a"}, {"id": "b", "live_from": NOON, "live_until": NOON + HOUR})

    assert [shown(one, NOW + ms) for ms in (-1, 0, HOUR_MS - 1, HOUR_MS)] == ["a", "ab", "ab", "a"]
    assert one.turns() == [NOW, NOW + HOUR_MS]


@pytest.mark.parametrize("status", ["draft", "paused", "retired"])
def test_a_schedule_makes_nothing_live_that_is_not(status: str) -> None:
    one = placement({"id": "a"}, {"id": "b", "status": status, "live_from": NOON - HOUR})

    assert shown(one, NOW) == "a"
    assert one.turns() == []


def test_moments_are_kept_in_utc_and_whole_milliseconds() -> None:
    # given a moment of another zone, with microseconds
    body = b'{"id": "a", "headline": "A", "live_from": "2030-03-20T14:00:00.123456+02:00"}'

    # when
    one = put_variant(
        placement(), "film", "a", msgspec.json.decode(body, type=VariantSpec), now=NOW
    )

    # then
    assert b'"live_from":"2030-03-20T12:00:00.123000Z"' in msgspec.json.encode(one)
    again = msgspec.json.decode(msgspec.json.encode(one), type=Placement)
    assert again == one
    assert (
        put_variant(one, "film", "a", msgspec.json.decode(body, type=VariantSpec), now=NOW) is one
    )


@pytest.mark.parametrize(
    ("schedule", "field"),
    [
        ({"live_from": NOON, "live_until": NOON}, "variants.a.live_until"),
        ({"live_from": NOON, "live_until": NOON - HOUR}, "variants.a.live_until"),
        ({"live_from": NOON.replace(year=1999)}, "variants.a.live_from"),
        ({"live_until": NOON.replace(year=3000)}, "variants.a.live_until"),
        ({"live_from": datetime.min.replace(tzinfo=UTC)}, "variants.a.live_from"),
        ({"live_until": datetime.max.replace(tzinfo=UTC)}, "variants.a.live_until"),
    ],
)
def test_a_schedule_that_cannot_be_meant_is_refused_by_its_field(
    schedule: dict[str, Any], field: str
) -> None:
    assert refused({"id": "a", **schedule}).field == field


def test_a_moment_without_an_offset_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="timezone"):
        msgspec.json.decode(b'{"live_from": "2030-03-20T14:00:00"}', type=VariantSpec)


def test_shares_must_fit_at_every_moment_and_not_over_all_time() -> None:
    # given variants that take turns
    early = {"id": "a", "min_share": 0.7, "live_until": NOON}
    late = {"id": "b", "min_share": 0.7, "live_from": NOON}

    # then they fit one after another, and not together
    assert shown(placement(early, late), NOW) == "b"
    together = refused(early, {**late, "live_from": NOON - HOUR})
    assert together.field == "variants.min_share"
    assert "1.4" in together.message


schedules = st.lists(
    st.tuples(
        st.sampled_from(["draft", "live", "paused"]),
        st.none() | st.integers(0, 9),
        st.none() | st.integers(10, 19),
    ),
    min_size=1,
    max_size=5,
)
finishes = st.none() | st.tuples(st.none() | st.integers(0, 19), st.integers(0, 4))


@given(schedules, finishes)
def test_between_two_turns_what_is_live_stays(
    variants: list[tuple[str, int | None, int | None]], finish: tuple[int | None, int] | None
) -> None:
    # given
    def moment(hours: int | None) -> datetime | None:
        return None if hours is None else NOON + hours * HOUR

    one = placement(
        *(
            {"id": str(n), "status": status, "live_from": moment(a), "live_until": moment(b)}
            for n, (status, a, b) in enumerate(variants)
        )
    )
    if finish is not None:
        winner = str(finish[1] % len(variants))
        if one.variant(winner) is not None and one.variant(winner).status == "live":  # type: ignore[union-attr]
            one = put_finish(one, Finish(winner=winner, at=moment(finish[0])), now=NOW)

    # when the hours go by, a quarter at a time
    seen: dict[int, str] = {}
    for quarter in range(-4, 84):
        now = NOW + quarter * HOUR_MS // 4
        live = shown(one, now)

        # then within a period nothing changes, and a finished placement shows its winner alone
        assert seen.setdefault(one.period(now), live) == live
        if one.finished(now):
            assert one.finish is not None
            assert live == one.finish.winner


# -- finishes


def test_a_placement_that_is_finished_by_hand_shows_its_winner_alone() -> None:
    one = put_finish(placement({"id": "a"}, {"id": "b"}), Finish(winner="b"), now=NOW)

    assert (shown(one, NOW), one.finished(NOW), one.revision) == ("b", True, 2)
    again = put_finish(one, None, now=NOW)
    assert (shown(again, NOW), again.finished(NOW)) == ("ab", False)


def test_a_placement_finishes_at_its_moment_without_anybody_changing_it() -> None:
    ends = Finish(winner="a", at=NOON + HOUR)
    one = put_finish(placement({"id": "a"}, {"id": "b"}), ends, now=NOW)

    assert [shown(one, NOW + ms) for ms in (0, HOUR_MS - 1, HOUR_MS)] == ["ab", "ab", "a"]
    assert [one.finished(NOW + ms) for ms in (0, HOUR_MS - 1, HOUR_MS)] == [False, False, True]


@pytest.mark.parametrize("finish", [Finish(when_clear=True), Finish(at=NOON - HOUR)])
def test_a_finish_without_a_winner_goes_on_until_one_is_found(finish: Finish) -> None:
    one = put_finish(placement({"id": "a"}, {"id": "b"}), finish, now=NOW)

    assert shown(one, NOW + 999 * HOUR_MS) == "ab"


def test_while_the_winner_is_not_live_the_others_are_shown() -> None:
    # given
    variants = ({"id": "a", "live_until": NOON + HOUR}, {"id": "b"}, {"id": "c", "status": "draft"})
    one = put_finish(placement(*variants), Finish(winner="a"), now=NOW)

    # then when its time is over, and when somebody pauses it
    assert [shown(one, NOW + ms) for ms in (0, HOUR_MS)] == ["a", "b"]
    paused = put_variant(one, "film", "a", VariantSpec(headline="a", status="paused"), now=NOW)
    assert (shown(paused, NOW), paused.finished(NOW)) == ("b", False)


@pytest.mark.parametrize(
    ("finish", "field"),
    [
        (Finish(), "finish"),
        (Finish(since=NOON), "finish"),
        (Finish(when_clear=True, since=NOON), "finish.since"),
        (Finish(when_clear=True, winner="a"), "finish.winner"),
        (Finish(winner="z"), "finish.winner"),
        (Finish(winner="c"), "finish.winner"),
        (Finish(winner="a", at=NOON.replace(year=1999)), "finish.at"),
    ],
)
def test_a_finish_that_cannot_be_meant_is_refused_by_its_field(finish: Finish, field: str) -> None:
    with pytest.raises(InvalidCatalog) as caught:
        put_finish(placement({"id": "a"}, {"id": "c", "status": "paused"}), finish, now=NOW)

    assert caught.value.field == field
    assert caught.value.hint


def test_asking_for_the_same_finish_again_keeps_the_winner_that_was_found() -> None:
    # given a placement whose winner was found
    asked = Finish(when_clear=True, at=NOON + HOUR)
    one = put_finish(placement({"id": "a"}, {"id": "b"}), asked, now=NOW)
    found = put_finish(one, msgspec.structs.replace(asked, winner="b", since=NOON), now=NOW)
    assert shown(found, NOW) == "b"

    # then the same again changes nothing, and another one begins anew
    assert put_finish(found, asked, now=NOW) is found
    body = PlacementSpec(kind="headline", finish=asked)
    assert put_placement(found, "film", body, now=NOW) is found
    assert shown(put_finish(found, Finish(when_clear=True), now=NOW), NOW) == "ab"


def test_a_retired_placement_shows_nothing_at_any_time() -> None:
    one = placement({"id": "a", "live_from": NOON}, finish={"winner": "a"})

    gone = msgspec.structs.replace(one, retired=True)

    assert (gone.live(NOW), gone.finished(NOW)) == ((), False)
