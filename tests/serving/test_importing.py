"""Spreadsheets on both stores: all of a file or nothing, and nothing that was not looked at."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from bandit_service.catalog.model import PlacementSpec, VariantSpec
from bandit_service.catalog.moments import moment_of
from bandit_service.catalog.sheets.writing import write_sheet
from bandit_service.errors import Conflict, InvalidCatalog, InvalidInput
from bandit_service.serving.editing import CatalogEditor
from bandit_service.serving.importing import Importer, Look
from bandit_service.storage.memory import MemoryStore
from bandit_service.storage.ports import SiteStore
from tests.world import START_MS

STORES = ["memory", pytest.param("redis", marks=pytest.mark.redis)]
FILE = (
    "placement;kind;variant;headline;status\r\n"
    "film;headline;a;One;live\r\n"
    "film;;b;Two;live\r\n"
    "other;headline;a;Other;\r\n"
).encode("utf-8-sig")
WRONG = FILE + b"film;;c;<b>Three</b>;live\r\nfilm;;d;Four;online\r\n"


@pytest.fixture(params=STORES)
def site(request: pytest.FixtureRequest) -> Iterator[SiteStore]:
    if request.param == "memory":
        yield MemoryStore().site("main")
    else:
        yield request.getfixturevalue("redis_store").site("main")


class Time:
    def __init__(self) -> None:
        self.now = START_MS

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def editor(site: SiteStore, time: Time) -> CatalogEditor:
    return CatalogEditor(site, by="ann", clock=time)


@pytest.fixture
def importer(editor: CatalogEditor, time: Time) -> Importer:
    return Importer(editor, clock=time)


def headlines(editor: CatalogEditor) -> dict[str, list[str | None]]:
    return {p.id: [v.headline for v in p.variants] for p in editor.placements()}


def test_what_was_looked_at_is_what_is_done(
    site: SiteStore, editor: CatalogEditor, importer: Importer
) -> None:
    # when
    look = importer.look(FILE)
    assert site.length() == 0
    done = importer.apply(FILE, tag=look.tag)

    # then
    assert done == look.preview
    assert headlines(editor) == {"film": ["One", "Two"], "other": ["Other"]}
    assert site.length() == 2
    assert editor.placement("film").edited is not None

    # and the same again does nothing
    again = importer.look(FILE)
    assert again.tag != look.tag
    assert again.preview.counts["nothing"] == 3
    importer.apply(FILE, tag=again.tag)
    assert site.length() == 2


def test_a_file_with_one_wrong_row_changes_nothing(
    site: SiteStore, editor: CatalogEditor, importer: Importer
) -> None:
    # given
    look = importer.look(WRONG)
    assert [(p.row, p.column) for p in look.preview.problems] == [(5, "headline"), (6, "status")]

    # when
    with pytest.raises(InvalidCatalog) as caught:
        importer.apply(WRONG, tag=look.tag)

    # then
    assert caught.value.message.startswith("row 5, column 'headline': has markup")
    assert "(1 more)" in caught.value.message
    assert (caught.value.field, bool(caught.value.hint)) == ("rows.5.headline", True)
    assert (headlines(editor), site.length()) == ({}, 0)


def put(editor: CatalogEditor, variant: str, headline: str) -> None:
    spec = msgspec.convert({"headline": headline, "status": "live"}, VariantSpec)
    editor.put_variant("film", variant, spec)


@pytest.mark.parametrize("where", ["a placement of the file", "one that the file would make"])
def test_an_edit_between_the_look_and_the_import_is_noticed(
    site: SiteStore, editor: CatalogEditor, importer: Importer, where: str
) -> None:
    # given
    editor.put_placement("film", PlacementSpec(kind="headline"))
    look = importer.look(FILE)
    if where == "a placement of the file":
        put(editor, "z", "Another editor's")
    else:
        editor.put_placement("other", PlacementSpec(kind="headline"))
    before = (headlines(editor), site.length())

    # when
    with pytest.raises(Conflict) as caught:
        importer.apply(FILE, tag=look.tag)

    # then
    assert caught.value.hint
    assert (headlines(editor), site.length()) == before


def test_another_file_than_the_one_that_was_looked_at_is_noticed(
    site: SiteStore, importer: Importer
) -> None:
    look = importer.look(FILE)

    with pytest.raises(Conflict):
        importer.apply(FILE + b"film;;c;Three;live\r\n", tag=look.tag)

    assert site.length() == 0


def test_an_edit_of_another_placement_disturbs_nobody(
    editor: CatalogEditor, importer: Importer
) -> None:
    look = importer.look(FILE)
    editor.put_placement("elsewhere", PlacementSpec(kind="headline"))

    importer.apply(FILE, tag=look.tag)

    assert headlines(editor)["film"] == ["One", "Two"]


def test_what_time_has_changed_since_the_look_is_noticed(
    editor: CatalogEditor, importer: Importer, time: Time
) -> None:
    # given a version that nobody can have seen yet when it is looked at
    editor.put_placement("film", PlacementSpec(kind="headline"))
    begin = moment_of(START_MS + 3_600_000)
    spec = VariantSpec(headline="Zero", status="live", live_from=begin)
    editor.put_variant("film", "a", spec)
    look = importer.look(FILE)
    assert [plan.action for plan in look.preview.rows][:1] == ["change"]

    # when it is imported once it has gone out
    time.now += 7_200_000
    with pytest.raises(Conflict):
        importer.apply(FILE, tag=look.tag)

    # then looking again says what would happen now
    assert [plan.action for plan in importer.look(FILE).preview.rows][:1] == ["new_version"]


def test_an_edit_within_the_import_itself_is_noticed(
    site: SiteStore, editor: CatalogEditor, importer: Importer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given another editor who is faster than the last step
    editor.put_placement("film", PlacementSpec(kind="headline"))
    look = importer.look(FILE)
    real = CatalogEditor.put_all

    def late(self: CatalogEditor, replacements: object) -> None:
        put(editor, "z", "Another editor's")
        real(self, replacements)  # type: ignore[arg-type]

    monkeypatch.setattr(CatalogEditor, "put_all", late)

    # then neither placement is stored
    with pytest.raises(Conflict):
        importer.apply(FILE, tag=look.tag)
    assert headlines(editor) == {"film": ["Another editor's"]}


def test_without_a_tag_a_file_does_what_it_does_now(
    editor: CatalogEditor, importer: Importer
) -> None:
    importer.apply(FILE)
    put(editor, "a", "Changed")

    importer.apply(FILE)

    assert headlines(editor)["film"] == ["One", "Two"]


def test_what_is_no_table_is_refused(importer: Importer) -> None:
    for use in (importer.look, importer.apply):
        with pytest.raises(InvalidInput):
            use(b"no table")


def test_many_placements_are_imported_at_once(
    site: SiteStore, editor: CatalogEditor, importer: Importer
) -> None:
    # given more placements than are read one by one
    rows = [f"p{n},headline,a,Headline {n}\n" for n in range(300)]
    data = ("placement,kind,variant,headline\n" + "".join(rows)).encode()

    # when
    importer.apply(data)
    look: Look = importer.look(write_sheet(editor.placements()))

    # then
    assert len(editor.placements()) == site.length() == 300
    assert (len(look.preview.untouched), look.preview.problems) == (300, [])
