"""A whole catalog as one document: read, refused, written and read back, put into a site."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bandit_service.catalog.document import CatalogDocument, read_document, write_document
from bandit_service.catalog.model import Finish, Personas, PlacementSpec, VariantSpec
from bandit_service.errors import InvalidCatalog
from bandit_service.serving.editing import CatalogEditor
from bandit_service.storage.memory import MemorySite, MemoryStore

TOML = b"""
threshold = 0.6

[[personas]]
id = "romantic"
name = "Romantics"
[[personas.rules]]
trait = "genres"
any = ["romance", "drama"]
weight = 3
[[personas.rules]]
trait = "children"
at_least = 1

[[placements]]
id = "film"
kind = "card"
name = "A film"
tags = ["drama"]
[[placements.variants]]
id = "kiss"
headline = "A kiss"
image_url = "/kiss.jpg"
attributes = { faces = 2, warm = true, light = 0.5, mood = "soft" }
status = "live"
min_share = 0.1
max_share = 0.9
[[placements.variants]]
id = "joke"
headline = "A joke | with : syntax"
image_url = "https://images.example/joke.jpg"
alt = "Laughing"
target_url = "/film"
tags = ["laughing"]
"""


def editor(site: MemorySite | None = None) -> CatalogEditor:
    return CatalogEditor(site or MemoryStore().site("main"), by="test", clock=lambda: 1)


def document(*placements: dict[str, Any], **fields: Any) -> CatalogDocument:
    return msgspec.convert({"placements": list(placements), **fields}, CatalogDocument)


def film(*variants: dict[str, Any], placement_id: str = "film") -> dict[str, Any]:
    return {"id": placement_id, "kind": "headline", "variants": list(variants)}


def test_a_document_is_the_same_in_toml_and_in_json() -> None:
    from_toml = read_document(TOML, name="catalog.toml")
    from_json = read_document(msgspec.json.encode(from_toml), name="catalog.json")

    assert from_json == from_toml
    assert from_toml.placements[0].id == "film"
    assert from_toml.personas_spec() is not None


def test_what_was_exported_and_imported_elsewhere_is_the_same_catalog() -> None:
    # given a site with a placement of several variants, one of them retired
    here = editor()
    here.put_document(read_document(TOML, name="catalog.toml"))
    here.retire("film", "joke")

    # when
    exported = write_document(here.personas(), here.placements())
    there = editor()
    there.put_document(read_document(exported, name="catalog.json"))

    # then
    assert write_document(there.personas(), there.placements()) == exported
    assert [v.status for v in there.placement("film").variants] == ["live", "retired"]
    assert there.personas().personas == here.personas().personas


def test_importing_an_export_into_its_own_site_changes_nothing() -> None:
    # given
    site = MemoryStore().site("main")
    here = editor(site)
    here.put_document(read_document(TOML, name="catalog.toml"))
    entries = site.length()

    # when
    exported = write_document(here.personas(), here.placements())
    here.put_document(read_document(exported, name="catalog.json"))

    # then
    assert site.length() == entries


def test_the_canonical_variant_travels_with_its_placement() -> None:
    here = editor()
    here.put_document(read_document(TOML, name="catalog.toml"))
    spec = PlacementSpec(kind="headline", canonical="joke")
    here.put_placement("film", spec)

    exported = read_document(write_document(Personas(), here.placements()), name="c.json")

    assert exported.placements[0].canonical == "joke"


def test_a_placement_whose_winner_was_paused_since_is_the_same_elsewhere() -> None:
    # given
    here = editor()
    here.put_document(document(film({"id": "a", "headline": "A", "status": "live"})))
    here.put_finish("film", Finish(winner="a"))
    here.put_variant("film", "a", VariantSpec(headline="A", status="paused"))

    # when
    exported = write_document(Personas(), here.placements())
    there = editor()
    there.put_document(read_document(exported, name="catalog.json"))

    # then
    assert write_document(Personas(), there.placements()) == exported
    assert there.placement("film").finish == Finish(winner="a")


def test_schedules_and_finishes_travel_with_their_placements() -> None:
    # given times as TOML writes them
    toml = b"""
    [[placements]]
    id = "film"
    kind = "headline"
    finish = { when_clear = true, at = 2030-06-01T00:00:00+02:00 }
    [[placements.variants]]
    id = "a"
    headline = "A"
    status = "live"
    live_from = 2030-05-01T00:00:00Z
    live_until = 2030-05-31T18:30:00.25-03:00
    """
    here, there = editor(), editor()
    here.put_document(read_document(toml, name="catalog.toml"))

    # when
    exported = write_document(Personas(), here.placements())
    there.put_document(read_document(exported, name="catalog.json"))

    # then
    assert b'"live_until": "2030-05-31T21:30:00.250000Z"' in exported
    assert b'"at": "2030-05-31T22:00:00Z"' in exported
    assert there.placement("film").variants == here.placement("film").variants
    assert there.placement("film").finish == here.placement("film").finish


def test_a_time_without_its_offset_is_refused() -> None:
    with pytest.raises(InvalidCatalog, match="timezone"):
        read_document(
            b"[[placements]]\nid='a'\nkind='card'\nfinish={at=2030-06-01T00:00:00}", name="c.toml"
        )


def test_retired_placements_are_not_exported() -> None:
    here = editor()
    here.put_document(document(film(), film(placement_id="old")))
    here.retire("old")

    exported = read_document(write_document(Personas(), here.placements()), name="c.json")

    assert [placement.id for placement in exported.placements] == ["film"]


@pytest.mark.parametrize(
    ("name", "data", "named"),
    [
        ("catalog.toml", b"personas = [", "catalog.toml"),
        ("catalog.toml", b'name = "\xff"', "catalog.toml"),
        ("catalog.toml", b"pesonas = []", "pesonas"),
        ("catalog.toml", b'[[placements]]\nid = "a"\nkind = "banner"', "kind"),
        ("catalog.toml", b'[[placements]]\nid = "a"\nkind = "card"\nsize = 1', "size"),
        ("catalog.json", b"{", "catalog.json"),
        ("catalog.json", b'{"placements": [{"id": "\xff", "kind": "card"}]}', "catalog.json"),
        ("catalog.json", b"[]", "object"),
        ("catalog.json", b'{"threshold": "high"}', "threshold"),
    ],
)
def test_a_document_that_cannot_be_read_is_refused_by_name(
    name: str, data: bytes, named: str
) -> None:
    with pytest.raises(InvalidCatalog, match=named) as caught:
        read_document(data, name=name)

    assert caught.value.message.startswith(name)


def test_a_document_without_personas_leaves_them_as_they_are() -> None:
    # given
    here = editor()
    here.put_document(read_document(TOML, name="catalog.toml"))
    before = here.personas()

    # when
    here.put_document(document(film()))

    # then
    assert before.revision == 1
    assert here.personas() == before


def test_an_empty_list_of_personas_removes_them() -> None:
    here = editor()
    here.put_document(read_document(TOML, name="catalog.toml"))

    here.put_document(document(personas=[]))

    assert here.personas().personas == ()


@pytest.mark.parametrize(
    ("mistake", "field"),
    [
        (film({"id": "a"}, placement_id="poster"), "placements.poster.variants.a.headline"),
        (film(placement_id="no good"), "placements.no good.id"),
        (film(), "placements"),
    ],
    ids=["a missing headline", "a wrong id", "a second film"],
)
def test_a_document_with_one_mistake_names_it_and_changes_nothing(
    mistake: dict[str, Any], field: str
) -> None:
    # given
    site = MemoryStore().site("main")
    wrong = document(film(), mistake, personas=[{"id": "romantic"}])

    # when
    with pytest.raises(InvalidCatalog) as caught:
        editor(site).put_document(wrong)

    # then
    assert caught.value.field == field
    assert site.length() == 0


def test_a_document_with_a_wrong_persona_changes_nothing() -> None:
    site = MemoryStore().site("main")

    with pytest.raises(InvalidCatalog, match="unknown"):
        editor(site).put_document(document(film(), personas=[{"id": "unknown"}]))

    assert site.length() == 0


def test_a_placement_without_an_id_is_refused() -> None:
    with pytest.raises(InvalidCatalog, match="id"):
        editor().put_document(document({"kind": "headline"}))
