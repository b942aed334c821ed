"""The editor on a store: what is undone, what changed, and that several things change as one.

Each store in turn: in memory, and a real Redis.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from bandit_service.catalog.document import CatalogDocument, spec_of
from bandit_service.catalog.edit import put_variants
from bandit_service.catalog.model import Finish, Placement, PlacementSpec, VariantSpec
from bandit_service.catalog.moments import moment_of
from bandit_service.errors import Conflict, InvalidCatalog, InvalidInput, NotFound
from bandit_service.events.entries import Event, Position, encode
from bandit_service.serving import airings
from bandit_service.serving.editing import CatalogEditor, Condition, Replacement, etag
from bandit_service.serving.revisions import history
from bandit_service.storage.memory import MemoryStore
from bandit_service.storage.ports import Archived, SiteStore
from tests.world import START_MS, a_decision

STORES = ["memory", pytest.param("redis", marks=pytest.mark.redis)]


@pytest.fixture(params=STORES)
def site(request: pytest.FixtureRequest) -> Iterator[SiteStore]:
    if request.param == "memory":
        yield MemoryStore().site("main")
    else:
        yield request.getfixturevalue("redis_store").site("main")


@pytest.fixture
def now(site: SiteStore) -> list[int]:
    """The time, to be moved; it begins where the store's own clock stands."""
    return [site.append(b'{"t":"tick","at":0}').ms]


@pytest.fixture
def editor(site: SiteStore, now: list[int]) -> CatalogEditor:
    return CatalogEditor(site, by="ann", clock=lambda: now[0])


def put(editor: CatalogEditor, variant: str, headline: str, status: str = "live") -> None:
    """Put a variant of ``film``, which is made with the first."""
    if all(placement.id != "film" for placement in editor.placements()):
        editor.put_placement("film", PlacementSpec(kind="headline"))
    spec = msgspec.convert({"headline": headline, "status": status}, VariantSpec)
    editor.put_variant("film", variant, spec)


def show(site: SiteStore, arm: str, placement: str = "film") -> None:
    site.append(encode(a_decision(placement=placement, arms=["other@1", arm], chosen=1)))


def statuses(placement: Placement) -> dict[str, str]:
    return {variant.arm: variant.status for variant in placement.variants}


# -- undoing


def test_going_live_is_undone_where_the_log_has_nobody_who_saw_it(
    site: SiteStore, editor: CatalogEditor
) -> None:
    # given visitors of other variants and other placements
    put(editor, "a", "One", "draft")
    put(editor, "a", "One", "live")
    show(site, "b@1")
    show(site, "a@1", placement="other")
    site.append(encode(Event(decision="film a@1", type="click", at=1, received=1)))

    # when
    back = editor.revert("film", 2)

    # then
    assert statuses(back) == {"a@1": "draft"}
    assert editor.placement("film") == back


def test_going_live_is_no_more_undone_once_somebody_saw_it(
    site: SiteStore, editor: CatalogEditor
) -> None:
    put(editor, "a", "One", "draft")
    put(editor, "a", "One", "live")
    show(site, "a@1")

    assert statuses(editor.revert("film", 2)) == {"a@1": "paused"}


def test_a_variant_is_removed_unless_somebody_saw_it(
    site: SiteStore, editor: CatalogEditor
) -> None:
    # given
    for name in ("a", "b", "c"):
        put(editor, name, name, "draft" if name == "c" else "live")
    show(site, "a@1")

    # when
    for name in ("b", "c"):
        editor.remove("film", name)
    with pytest.raises(Conflict):
        editor.remove("film", "a")

    # then
    assert statuses(editor.placement("film")) == {"a@1": "live"}
    with pytest.raises(NotFound):
        editor.remove("film", "b")
    with pytest.raises(NotFound):
        editor.remove("nowhere", "a")


def test_where_there_is_too_much_to_read_it_may_have_been_seen(
    site: SiteStore, editor: CatalogEditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(editor, "a", "One")
    site.append_many([encode(a_decision(placement="other"))] * 50)
    monkeypatch.setattr(airings, "_BATCH", 10)
    monkeypatch.setattr(airings, "MAX_READ", 40)

    with pytest.raises(Conflict):
        editor.remove("film", "a")


def test_where_the_log_is_no_longer_in_the_store_it_may_have_been_seen(now: list[int]) -> None:
    # given a log that was archived and trimmed up to now

    site = MemoryStore(clock=lambda: now[0]).site("main")
    editor = CatalogEditor(site, by="ann", clock=lambda: now[0])
    put(editor, "a", "One")
    site._archived = Archived("x", Position(now[0], 0), Position(now[0], 0))

    # then
    with pytest.raises(Conflict):
        editor.remove("film", "a")


def test_a_revision_that_never_was_is_not_gone_back_to(editor: CatalogEditor) -> None:
    put(editor, "a", "One")

    for revision in (0, 99):
        with pytest.raises(NotFound) as caught:
            editor.revert("film", revision)
        assert caught.value.field == "revision"
    with pytest.raises(NotFound):
        editor.revert("nowhere", 1)


def test_undoing_keeps_to_what_was_read(editor: CatalogEditor) -> None:
    put(editor, "a", "One")
    stale = Condition(match=etag(editor.placement("film")))
    put(editor, "a", "Two")

    for change in (
        lambda: editor.revert("film", 1, stale),
        lambda: editor.put_finish("film", Finish(winner="a"), stale),
        lambda: editor.remove("film", "a", stale),
    ):
        with pytest.raises(Conflict, match="changed"):
            change()


def test_a_field_of_a_variant_is_changed_by_putting_its_spec_back(editor: CatalogEditor) -> None:
    put(editor, "a", "One")
    spec = msgspec.structs.replace(spec_of(editor.variant("film", "a")), status="paused")

    editor.put_variant("film", "a", spec)

    assert statuses(editor.placement("film")) == {"a@1": "paused"}


# -- history


def said(change: Any) -> list[str]:
    """The differences of a change, each in a few words."""
    return [
        " ".join(str(part) for part in (d.variant, d.field, d.before, d.after) if part is not None)
        for d in change.differences
    ]


def test_the_history_says_who_changed_what_and_when(
    editor: CatalogEditor, site: SiteStore, now: list[int]
) -> None:
    # given
    begin = now[0]
    body = {
        "kind": "headline",
        "name": "Film",
        "variants": [{"id": "a", "headline": "One", "tags": ["warm"]}],
    }
    editor.put_placement("film", msgspec.convert(body, PlacementSpec))
    now[0] += 1000
    put(editor, "a", "Two", "live")
    now[0] += 1000
    other = CatalogEditor(site, by="bob", clock=lambda: now[0])
    put(other, "a", "Three", "live")
    other.put_finish("film", Finish(winner="a"))
    put(other, "b", "Other", "draft")
    other.remove("film", "b")

    # when
    changes = history(site, "film")

    # then
    assert [change.revision for change in changes] == [6, 5, 4, 3, 2, 1]
    assert [change.by for change in changes] == ["bob"] * 4 + ["ann"] * 2
    assert [change.at for change in changes] == [
        moment_of(begin + ms) for ms in (2000, 2000, 2000, 2000, 1000, 0)
    ]
    assert [said(change) for change in reversed(changes)] == [
        ["created headline", "name Film", "a created draft", "a headline One", "a tags ('warm',)"],
        ["a status draft live", "a headline One Two", "a tags ('warm',)"],
        ["a version 1 2", "a headline Two Three"],
        ["finish Finish(winner='a', at=None, when_clear=False, since=None)"],
        ["b created draft", "b headline Other"],
        ["b removed"],
    ]


def test_the_history_is_read_in_parts(editor: CatalogEditor, site: SiteStore) -> None:
    # given
    for n in range(7):
        put(editor, "a", f"Headline {n}", "draft")

    # when
    first = history(site, "film", limit=3)
    second = history(site, "film", before=first[-1].revision, limit=3)
    third = history(site, "film", before=second[-1].revision, limit=100)

    # then
    parts = [[change.revision for change in part] for part in (first, second, third)]
    assert parts == [[8, 7, 6], [5, 4, 3], [2, 1]]
    assert history(site, "film", before=1) == []
    assert history(site, "film", before=999, limit=1)[0].revision == 8


@pytest.mark.parametrize("limit", [0, -1, 101])
def test_a_history_of_no_length_is_refused(
    editor: CatalogEditor, site: SiteStore, limit: int
) -> None:
    put(editor, "a", "One")

    with pytest.raises(InvalidInput):
        history(site, "film", limit=limit)
    with pytest.raises(NotFound):
        history(site, "nowhere")


def test_a_change_of_very_much_says_how_much_more_there_was(
    editor: CatalogEditor, site: SiteStore
) -> None:
    variants = [{"id": f"v{n}", "headline": "H"} for n in range(150)]
    body = {"kind": "headline", "variants": variants}
    editor.put_placement("film", msgspec.convert(body, PlacementSpec))

    (change,) = history(site, "film")

    assert (len(change.differences), change.more) == (200, 101)


# -- several things as one


def document(*placements: str) -> CatalogDocument:
    body = [
        {"id": p, "kind": "headline", "variants": [{"id": "a", "headline": p}]} for p in placements
    ]
    return msgspec.convert({"placements": body, "personas": [{"id": "fan"}]}, CatalogDocument)


def test_a_document_is_put_as_a_whole(editor: CatalogEditor, site: SiteStore) -> None:
    length = site.length()

    assert editor.put_document(document("x", "y")) == 2

    assert [placement.id for placement in editor.placements()] == ["x", "y"]
    assert editor.personas().revision == 1
    assert site.length() == length + 3
    assert editor.put_document(document("x", "y")) == 2
    assert site.length() == length + 3


def test_what_was_read_and_changed_meanwhile_is_not_stored_and_neither_is_the_rest(
    editor: CatalogEditor, site: SiteStore
) -> None:
    # given two placements as they were read, of which one changes
    editor.put_document(document("x", "y"))
    spec = msgspec.convert({"id": "b", "headline": "B"}, VariantSpec)
    known = editor.several(["x", "y", "z"])
    assert sorted(known) == ["x", "y"]
    replacements = [
        Replacement(
            known.get(name), put_variants(known.get(name), name, "headline", [spec], now=START_MS)
        )
        for name in "xyz"
    ]
    editor.put_variant("y", "c", msgspec.structs.replace(spec, id="c"))
    length = site.length()

    # when
    with pytest.raises(Conflict):
        editor.put_all(replacements)

    # then
    assert site.length() == length
    assert [p.id for p in editor.placements()] == ["x", "y"]
    assert statuses(editor.placement("x")) == {"a@1": "draft"}

    # and without the one that changed, all goes
    editor.put_all([replacements[0], replacements[2]])
    assert [p.id for p in editor.placements()] == ["x", "y", "z"]
    assert statuses(editor.placement("x")) == {"a@1": "draft", "b@1": "draft"}


def test_a_document_can_be_checked_without_being_put(
    editor: CatalogEditor, site: SiteStore
) -> None:
    editor.put_document(document("x"))
    length = site.length()

    drafts = editor.check_document(document("x", "y"))

    assert [(draft.old is draft.new, draft.new.id) for draft in drafts] == [
        (True, "x"),
        (False, "y"),
    ]
    with pytest.raises(InvalidCatalog, match="twice"):
        editor.check_document(document("x", "x"))
    assert site.length() == length
