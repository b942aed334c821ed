"""Editing in place, and undoing: what nobody has seen goes, what visitors saw stays on record."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit_service.catalog import edit
from bandit_service.catalog.model import Edited, Placement, PlacementSpec, Variant, VariantSpec
from bandit_service.catalog.moments import LONG_AGO, moment_of
from bandit_service.catalog.undo import reverted, without
from bandit_service.errors import Conflict, InvalidCatalog, NotFound

NOW = 1_900_000_000_000
HOUR = 3_600_000


class Desk:
    """A placement under an editor's hands; every revision is kept, and the time moves by hand."""

    def __init__(self) -> None:
        self.now = NOW
        self.revisions: list[Placement] = []
        self.present: Placement | None = None
        self.asked = 0

    def commit(self, new: Placement) -> Placement:
        if new is not self.present:
            self.present = msgspec.structs.replace(
                new, edited=Edited(at=moment_of(self.now), by="test")
            )
            self.revisions.append(self.present)
        return self.the

    @property
    def the(self) -> Placement:
        assert self.present is not None
        return self.present

    def put(self, variant_id: str, headline: str, status: str = "draft", **fields: Any) -> Variant:
        spec = msgspec.convert({"headline": headline, "status": status, **fields}, VariantSpec)
        named = msgspec.structs.replace(spec, id=variant_id)
        self.commit(edit.put_variants(self.present, "film", "headline", [named], now=self.now))
        return self.variant(variant_id)

    def variant(self, variant_id: str) -> Variant:
        found = self.the.variant(variant_id)
        assert found is not None
        return found

    def revert(self, revision: int, shown: str = "") -> Placement:
        """Back to a revision; visitors were shown the variants in ``shown`` since."""
        then = self.revisions[revision - 1]
        return self.commit(reverted(self.the, then, served=self._served(shown), now=self.now))

    def remove(self, variant_id: str, shown: str = "") -> Placement:
        return self.commit(without(self.the, variant_id, served=self._served(shown), now=self.now))

    def _served(self, shown: str) -> Any:
        def served(variant_id: str) -> bool:
            self.asked += 1
            return variant_id in shown

        return served


@pytest.fixture
def desk() -> Desk:
    return Desk()


# -- edited in place


@pytest.mark.parametrize("status", ["draft", "paused", "retired"])
def test_a_version_that_was_never_live_is_edited_in_place(desk: Desk, status: str) -> None:
    desk.put("a", "One", status)

    assert desk.put("a", "Two", status).arm == "a@1"
    assert desk.put("a", "Three", "live").arm == "a@1"
    assert desk.put("a", "Four", "live").arm == "a@2"


def test_a_new_version_that_was_never_live_is_edited_in_place(desk: Desk) -> None:
    # given a version that visitors saw, and a new one that is not out yet
    desk.put("a", "One", "live")
    assert desk.put("a", "Two", "paused").arm == "a@2"

    # then
    assert desk.put("a", "Three", "paused").arm == "a@2"
    assert desk.put("a", "Four", "draft").arm == "a@2"


def test_a_scheduled_version_is_edited_in_place_until_shortly_before_its_first_moment(
    desk: Desk,
) -> None:
    # given
    begin = moment_of(NOW + HOUR)
    assert desk.put("a", "One", "live", live_from=begin).arm == "a@1"

    # when
    desk.now = NOW + HOUR - edit.SKEW_MS - 1
    in_time = desk.put("a", "Two", "live", live_from=begin)
    desk.now += 1
    late = desk.put("a", "Three", "live", live_from=begin)

    # then
    assert (in_time.arm, late.arm) == ("a@1", "a@2")


def test_a_schedule_that_was_taken_back_in_time_leaves_no_trace(desk: Desk) -> None:
    # given a variant that was to be live in an hour, and was paused before
    desk.put("a", "One", "live", live_from=moment_of(NOW + HOUR))
    desk.put("a", "One", "paused", live_from=moment_of(NOW + HOUR))
    assert desk.the.aired == {}

    # then it is still unseen when that hour has passed
    desk.now = NOW + 2 * HOUR
    assert desk.put("a", "Two", "paused").arm == "a@1"


def test_records_of_before_this_was_kept_count_as_seen_unless_they_are_drafts(desk: Desk) -> None:
    # given
    for name, status in (("a", "draft"), ("b", "paused"), ("c", "live")):
        desk.put(name, "One", status)
    old = msgspec.structs.replace(desk.the, aired=None, edited=None)
    desk.present = old

    # then putting the same again is no change
    same = msgspec.convert({"headline": "One", "status": "paused", "id": "b"}, VariantSpec)
    assert edit.put_variants(old, "film", "headline", [same], now=NOW) is old

    # and new content is a new version of all but the draft
    assert [desk.put(v, "Two", "live").arm for v in "abc"] == ["a@1", "b@2", "c@2"]


# -- removed


def test_a_variant_that_was_never_live_is_removed_without_asking_the_log(desk: Desk) -> None:
    desk.put("a", "One", "live")
    desk.put("b", "Two")

    removed = desk.remove("b", shown="b")

    assert [v.id for v in removed.variants] == ["a"]
    assert (removed.numbers, desk.asked) == ({}, 0)
    assert desk.put("b", "Other").arm == "b@1"


def test_one_that_was_live_and_not_shown_is_removed_and_its_number_is_not_used_again(
    desk: Desk,
) -> None:
    desk.put("a", "One", "live")
    desk.put("b", "Two", "live")

    removed = desk.remove("b")

    assert [v.id for v in removed.variants] == ["a"]
    assert removed.numbers == {"b": 1}
    assert desk.put("b", "Other").arm == "b@2"
    assert desk.the.numbers == {}


def test_one_that_was_shown_is_not_removed(desk: Desk) -> None:
    desk.put("b", "Two", "live")

    with pytest.raises(Conflict, match="shown") as caught:
        desk.remove("b", shown="b")

    assert caught.value.hint
    assert desk.the.revision == 1


def test_one_that_had_an_earlier_version_is_not_removed(desk: Desk) -> None:
    desk.put("b", "One", "live")
    desk.put("b", "Two", "paused")

    with pytest.raises(Conflict):
        desk.remove("b")


def test_what_the_placement_needs_is_not_removed(desk: Desk) -> None:
    desk.put("a", "One")
    body = PlacementSpec(kind="headline", canonical="a")
    desk.commit(edit.put_placement(desk.the, "film", body, now=NOW))

    with pytest.raises(InvalidCatalog) as caught:
        desk.remove("a")
    assert caught.value.field == "canonical"

    with pytest.raises(NotFound):
        desk.remove("z")


# -- reverted


def test_undoing_an_edit_brings_back_the_arm_and_what_it_learned(desk: Desk) -> None:
    # given a version that was seen, and one that took its place and was seen too
    desk.put("a", "One", "live", tags=["warm"])
    desk.put("a", "Two", "live", tags=["cold"])

    # when
    back = desk.revert(1, shown="a")

    # then it is the same arm, and the number of the other is spent
    assert desk.variant("a") == desk.revisions[0].variant("a")
    assert (back.revision, back.numbers) == (3, {"a": 2})
    assert desk.put("a", "Three", "live").arm == "a@3"


def test_undoing_the_undoing_brings_the_other_one_back(desk: Desk) -> None:
    desk.put("a", "One", "live")
    desk.put("a", "Two", "live")
    desk.revert(1, shown="a")

    desk.revert(2, shown="a")

    assert (desk.variant("a").arm, desk.variant("a").headline) == ("a@2", "Two")
    assert desk.the.numbers == {}


def test_undoing_going_live_makes_a_draft_again_of_what_nobody_saw(desk: Desk) -> None:
    # given
    desk.put("a", "One", "draft")
    desk.put("a", "One", "live")

    # when
    desk.revert(1)

    # then it was live, so its content gets another number
    assert (desk.variant("a").arm, desk.variant("a").status) == ("a@1", "draft")
    assert desk.put("a", "Two", "draft").arm == "a@2"


def test_what_somebody_saw_is_paused_instead(desk: Desk) -> None:
    desk.put("a", "One", "draft")
    desk.put("a", "One", "live")

    desk.revert(1, shown="a")

    assert desk.variant("a").status == "paused"


def test_undoing_a_new_variant_removes_it_or_retires_it_if_it_was_shown(desk: Desk) -> None:
    # given three that came later: one a draft, one live, one live and shown
    desk.put("a", "One", "live")
    for name, status in (("b", "draft"), ("c", "live"), ("d", "live")):
        desk.put(name, name, status)

    # when
    back = desk.revert(1, shown="d")

    # then
    assert [(v.id, v.status) for v in back.variants] == [("a", "live"), ("d", "retired")]
    assert back.numbers == {"c": 1}


def test_undoing_a_removal_brings_the_variant_back(desk: Desk) -> None:
    desk.put("a", "One", "live")
    desk.put("b", "Two", "live")
    desk.remove("b")

    desk.revert(2)

    assert (desk.variant("b").headline, desk.variant("b").arm) == ("Two", "b@1")


def test_content_that_was_never_settled_gets_a_number_of_its_own(desk: Desk) -> None:
    # given a draft that was edited before it went out as version 1
    desk.put("a", "Sketch")
    desk.put("a", "Final", "live")

    # when going back to the sketch after visitors saw the final one
    desk.revert(1, shown="a")

    # then version 1 still means what they saw
    assert (desk.variant("a").headline, desk.variant("a").arm) == ("Sketch", "a@2")


def test_content_that_was_scheduled_and_never_came_out_gets_a_number_of_its_own(
    desk: Desk,
) -> None:
    # given content that was to come out, and gave way to other content before it did
    begin = moment_of(NOW + HOUR)
    desk.put("a", "Planned", "live", live_from=begin)
    assert desk.put("a", "Final", "live", live_from=begin).arm == "a@1"
    desk.now += 2 * HOUR

    # when going back to the plan after the other was out
    desk.revert(1, shown="a")

    # then version 1 still means what visitors saw
    assert (desk.variant("a").headline, desk.variant("a").arm) == ("Planned", "a@2")


def test_all_else_of_the_placement_comes_back_too(desk: Desk) -> None:
    # given
    desk.put("a", "One", "live")
    before = desk.the
    body = {"kind": "headline", "name": "New", "tags": ["t"], "finish": {"winner": "a"}}
    desk.commit(edit.put_placement(before, "film", msgspec.convert(body, PlacementSpec), now=NOW))
    desk.commit(edit.retire_placement(desk.the, now=NOW))

    # when
    back = desk.revert(1, shown="a")

    # then
    assert back == msgspec.structs.replace(before, revision=4)


def test_going_back_to_what_is_there_is_no_change(desk: Desk) -> None:
    desk.put("a", "One", "live")

    assert desk.revert(1) is desk.revisions[0]


def test_an_old_record_can_be_gone_back_to(desk: Desk) -> None:
    # given a record of before it was kept when versions were live
    desk.put("a", "One", "live")
    desk.put("b", "Two", "draft")
    desk.revisions[1] = desk.present = msgspec.structs.replace(desk.the, aired=None, edited=None)
    desk.put("a", "Three", "live")
    assert desk.the.aired is not None

    # when
    desk.revert(2, shown="ab")

    # then
    assert (desk.variant("a").arm, desk.variant("b").status) == ("a@1", "draft")
    assert desk.the.aired == {"a": LONG_AGO}


steps = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "put", "revert", "remove", "retire", "wait"]),
        st.sampled_from("ab"),
        st.sampled_from(["One", "Two", "Three"]),
        st.sampled_from(["draft", "live", "live later", "paused"]),
        st.integers(0, 30),
    ),
    max_size=30,
)


@given(steps)
def test_whatever_is_edited_and_undone_an_arm_that_was_live_never_changes_what_it_shows(
    plan: list[tuple[str, str, str, str, int]],
) -> None:
    # given
    desk = Desk()
    desk.put("a", "One")
    shown: dict[str, Any] = {}

    for what, name, headline, status, number in plan:
        # when
        later = {"live_from": moment_of(desk.now) + timedelta(hours=1)}
        try:
            if what == "put":
                live = status.split(" ", maxsplit=1)[0]
                desk.put(name, headline, live, **(later if status == "live later" else {}))
            elif what == "revert":
                desk.revert(1 + number % len(desk.revisions), shown="ab"[: number % 3])
            elif what == "remove":
                desk.remove(name, shown="ab"[: number % 3])
            elif what == "retire":
                desk.commit(edit.retire_variant(desk.the, name, now=desk.now))
            else:
                desk.now += number * HOUR // 10
        except (InvalidCatalog, Conflict, NotFound):
            continue

        # then
        for variant in desk.the.live(desk.now):
            assert shown.setdefault(variant.arm, variant.content) == variant.content
        for variant in desk.the.variants:
            assert desk.the.numbers.get(variant.id, variant.version + 1) > variant.version
