"""From an editor's body to the next revision: what makes a version, what makes a revision."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit_service.catalog import edit
from bandit_service.catalog.edit import put_personas
from bandit_service.catalog.limits import MAX_TAGS, MAX_TEXT, MAX_URL, MAX_VARIANTS
from bandit_service.catalog.model import (
    Personas,
    PersonasSpec,
    Placement,
    PlacementSpec,
    Variant,
    VariantSpec,
)
from bandit_service.errors import InvalidCatalog, InvalidInput, NotFound

NOW = 1_900_000_000_000
"""A Wednesday in March 2030, in ms."""


def put_placement(
    old: Placement | None, placement_id: str, body: PlacementSpec, *, now: int = NOW
) -> Placement:
    return edit.put_placement(old, placement_id, body, now=now)


def put_variant(
    old: Placement | None, placement_id: str, variant_id: str, body: VariantSpec, *, now: int = NOW
) -> Placement:
    return edit.put_variant(old, placement_id, variant_id, body, now=now)


def retire_variant(old: Placement, variant_id: str) -> Placement:
    return edit.retire_variant(old, variant_id, now=NOW)


def retire_placement(old: Placement) -> Placement:
    return edit.retire_placement(old, now=NOW)


def spec(**fields: Any) -> PlacementSpec:
    return msgspec.convert({"kind": "headline", **fields}, PlacementSpec)


def creative(variant_id: str = "a", **fields: Any) -> dict[str, Any]:
    return {"id": variant_id, "headline": f"Headline {variant_id}", "status": "live", **fields}


def variant_spec(**fields: Any) -> VariantSpec:
    return msgspec.convert({"headline": "Headline a", "status": "live", **fields}, VariantSpec)


def placement(*variants: dict[str, Any], **fields: Any) -> Placement:
    return put_placement(None, "film", spec(variants=list(variants), **fields))


def out_of_draft(status: str) -> Placement:
    """A placement whose variant was live, and has this status now."""
    return put_variant(placement(creative()), "film", "a", variant_spec(status=status))


def found(in_placement: Placement, variant_id: str = "a") -> Variant:
    variant = in_placement.variant(variant_id)
    assert variant is not None
    return variant


# -- revisions


def test_a_new_placement_has_revision_one_and_its_variants_version_one() -> None:
    made = placement(creative("a"), creative("b"), name="Film", tags=["drama"])

    assert (made.id, made.revision, made.name, made.tags) == ("film", 1, "Film", ("drama",))
    assert [variant.arm for variant in made.variants] == ["a@1", "b@1"]
    assert not made.retired


def test_putting_the_same_again_is_the_same_object() -> None:
    # given
    body = spec(variants=[creative("a"), creative("b", tags=["x"])], tags=["drama"])
    old = put_placement(None, "film", body)

    # then
    assert put_placement(old, "film", body) is old
    assert put_variant(old, "film", "a", variant_spec()) is old
    retired = retire_placement(old)
    assert retire_placement(retired) is retired
    assert retire_variant(retired, "a") is retired


def test_attributes_in_another_order_are_the_same() -> None:
    old = placement(creative(attributes={"faces": 1, "mood": "warm"}))

    again = put_variant(old, "film", "a", variant_spec(attributes={"mood": "warm", "faces": 1}))

    assert again is old


@pytest.mark.parametrize(("before", "after"), [(1, True), (1, 1.0), (0, False), (0.0, -0.0)])
def test_values_that_only_python_takes_for_equal_are_a_change(before: Any, after: Any) -> None:
    # given
    old = placement(creative(attributes={"faces": before}))

    # when
    new = put_variant(old, "film", "a", variant_spec(attributes={"faces": after}))

    # then
    assert new.revision == 2
    assert repr(found(new).attributes["faces"]) == repr(after)


@pytest.mark.parametrize(
    "change",
    [
        {"tags": ["new"]},
        {"attributes": {"faces": 2}},
        {"status": "paused"},
        {"min_share": 0.1},
        {"max_share": 0.5},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_visitors_do_not_see_makes_a_revision_but_no_version(change: dict[str, Any]) -> None:
    old = placement(creative())

    new = put_variant(old, "film", "a", variant_spec(**change))

    assert new.revision == 2
    assert found(new).version == 1


@pytest.mark.parametrize(
    "change",
    [
        {"headline": "Another"},
        {"image_url": "/another.jpg"},
        {"alt": "another"},
        {"target_url": "/another"},
    ],
    ids=lambda change: next(iter(change)),
)
@pytest.mark.parametrize("status", ["live", "paused", "retired"])
def test_what_visitors_see_makes_a_version_once_out_of_draft(
    change: dict[str, Any], status: str
) -> None:
    old = out_of_draft(status)

    new = put_variant(old, "film", "a", variant_spec(**change))

    assert new.revision == old.revision + 1
    assert found(new).arm == "a@2"


def test_a_draft_is_edited_without_a_new_version() -> None:
    # given
    old = placement(creative(status="draft"))

    # when
    edited = put_variant(old, "film", "a", variant_spec(headline="Better", status="draft"))
    live = put_variant(edited, "film", "a", variant_spec(headline="Best", status="live"))

    # then
    assert found(live).arm == "a@1"
    assert found(live).headline == "Best"


@pytest.mark.parametrize("status", ["live", "paused", "retired"])
def test_what_was_shown_cannot_be_a_draft_again(status: str) -> None:
    old = out_of_draft(status)

    with pytest.raises(InvalidCatalog) as caught:
        put_variant(old, "film", "a", variant_spec(status="draft"))

    assert caught.value.field == "variants.a.status"


# -- nothing is removed


def test_variants_left_out_of_the_body_stay_as_they_are() -> None:
    old = placement(creative("a"), creative("b"))

    new = put_placement(old, "film", spec(name="Renamed"))

    assert new.variants == old.variants
    assert new.revision == 2


def test_variants_left_out_of_the_list_are_retired_and_come_back_as_a_new_version() -> None:
    # given
    old = placement(creative("a"), creative("b"))

    # when
    without = put_placement(old, "film", spec(variants=[creative("b")]))
    again = put_placement(
        without, "film", spec(variants=[creative("a", headline="Other"), creative("b")])
    )

    # then
    assert [v.id for v in without.live(NOW)] == ["b"]
    assert found(without).status == "retired"
    assert found(again).arm == "a@2"
    assert found(again, "b").arm == "b@1"


def test_a_variant_is_added_at_the_end() -> None:
    new = put_variant(placement(creative("a")), "film", "b", variant_spec())

    assert [v.id for v in new.variants] == ["a", "b"]


def test_a_retired_variant_is_not_live_and_keeps_its_content() -> None:
    old = placement(creative("a"), creative("b"))

    new = retire_variant(old, "a")

    assert [v.id for v in new.live(NOW)] == ["b"]
    assert found(new).content == found(old).content


def test_a_retired_placement_shows_nothing_and_a_put_revives_it() -> None:
    # given
    old = placement(creative("a"))

    # when
    retired = retire_placement(old)
    revived = put_placement(retired, "film", spec(variants=[creative("a")]))

    # then
    assert (retired.retired, retired.live(NOW), retired.revision) == (True, (), 2)
    assert (revived.retired, [v.arm for v in revived.live(NOW)], revived.revision) == (
        False,
        ["a@1"],
        3,
    )


def test_putting_one_variant_revives_its_placement_alone() -> None:
    retired = retire_placement(placement(creative("a"), creative("b")))

    revived = put_variant(retired, "film", "a", variant_spec())

    assert not revived.retired
    assert [v.id for v in revived.live(NOW)] == ["a"]


def test_a_variant_of_no_placement_and_a_missing_variant_are_not_found() -> None:
    with pytest.raises(NotFound, match="film"):
        put_variant(None, "film", "a", variant_spec())
    with pytest.raises(NotFound, match="'z'"):
        retire_variant(placement(creative()), "z")


contents = st.sampled_from(["One", "Two", "Three"])
edits = st.one_of(
    st.tuples(
        st.just("variant"),
        st.sampled_from("ab"),
        contents,
        st.sampled_from(["draft", "live", "paused", "retired"]),
    ),
    st.tuples(st.just("list"), st.lists(st.sampled_from("ab"), unique=True), contents),
    st.tuples(st.just("retire"), st.sampled_from("ab")),
    st.tuples(st.just("remove")),
)


def edited(old: Placement, edit: tuple[Any, ...]) -> Placement:
    match edit:
        case ("variant", variant_id, headline, status):
            return put_variant(
                old, "film", variant_id, variant_spec(headline=headline, status=status)
            )
        case ("list", ids, headline):
            variants = [creative(variant_id, headline=headline) for variant_id in ids]
            return put_placement(old, "film", spec(variants=variants))
        case ("retire", variant_id):
            return retire_variant(old, variant_id)
        case _:
            return retire_placement(old)


@given(st.lists(edits, max_size=25))
def test_an_arm_that_was_ever_shown_never_changes_what_it_shows(steps: list[Any]) -> None:
    # given
    present = placement(creative("a", status="draft"), creative("b", headline="One"))
    shown: dict[str, Any] = {}

    for step in steps:
        # when
        before = present
        try:
            present = edited(before, step)
        except InvalidCatalog:
            continue

        # then
        assert present is before or present.revision == before.revision + 1
        assert {v.id for v in before.variants} <= {v.id for v in present.variants}
        for old in before.variants:
            assert found(present, old.id).version >= old.version
        for live in present.live(NOW):
            assert shown.setdefault(live.arm, live.content) == live.content


# -- the limits


def refused(**fields: Any) -> InvalidCatalog:
    with pytest.raises(InvalidCatalog) as caught:
        put_placement(None, "film", spec(**fields))
    return caught.value


NO_ADDRESSES = [
    "",
    "JavaScript:alert(1)",
    " javascript:alert(1)",
    "java\nscript:alert(1)",
    "\x01javascript:alert(1)",
    "javascript://host.example/%0aalert(1)",
    "vbscript:msgbox(1)",
    "data:image/svg+xml,<svg onload=alert(1)>",
    "blob:https://shop.example/1",
    "file:///etc/passwd",
    "ftp://files.example/a.jpg",
    "about:blank",
    "//evil.example/a.jpg",
    "/\\evil.example/a.jpg",
    "\\\\evil.example/a.jpg",
    "/\t/evil.example",
    "https:evil.example",
    "https:/evil.example",
    "https:///evil.example",
    "https://",
    "https://:443/",
    "https://@evil.example/",
    "https://shop.example@evil.example/",
    "https://user:password@shop.example/",
    "https://shop.example\\@evil.example/",
    "https://shop.example%2eevil.example/",
    "https://shop.example:port/",
    "https://shop.example:0/",
    "https://shop.example:65536/",
    "https://[::1/",
    "https://shop.example/\x00",
    "https://shop.example/\x7f",
    "https://shop.example/\x85",
    "https://shop.example/\u202egpj.exe",
    "https://shop.example/\u2028",
    "https://shop.example/\ud800",
    "https://shop\u00a0.example/",
]
"""What an image or a target must not be: it would run, hide where it leads, or mean two things."""


@pytest.mark.parametrize(
    ("variant", "field"),
    [
        ({"headline": None}, "variants.a.headline"),
        ({"headline": "  "}, "variants.a.headline"),
        ({"headline": "x" * (MAX_TEXT + 1)}, "variants.a.headline"),
        ({"alt": "x" * (MAX_TEXT + 1)}, "variants.a.alt"),
        ({"image_url": "/" + "x" * MAX_URL}, "variants.a.image_url"),
        ({"image_url": "javascript:alert(1)"}, "variants.a.image_url"),
        ({"image_url": "//elsewhere.example/x"}, "variants.a.image_url"),
        ({"image_url": "images/x.jpg"}, "variants.a.image_url"),
        ({"target_url": "data:text/html,x"}, "variants.a.target_url"),
        ({"target_url": "https://"}, "variants.a.target_url"),
        ({"target_url": "https://[::1"}, "variants.a.target_url"),
        ({"target_url": "/with space"}, "variants.a.target_url"),
        ({"target_url": "/new\nline"}, "variants.a.target_url"),
        *[({"target_url": url}, "variants.a.target_url") for url in NO_ADDRESSES],
        *[({"image_url": url}, "variants.a.image_url") for url in NO_ADDRESSES],
        ({"tags": [" "]}, "variants.a.tags"),
        ({"tags": ["x" * 65]}, "variants.a.tags"),
        ({"tags": ["x", "x"]}, "variants.a.tags"),
        ({"tags": [f"t{n}" for n in range(MAX_TAGS + 1)]}, "variants.a.tags"),
        ({"attributes": {"": 1}}, "variants.a.attributes"),
        ({"attributes": {"x" * 65: 1}}, "variants.a.attributes"),
        ({"attributes": {f"n{n}": n for n in range(33)}}, "variants.a.attributes"),
        ({"attributes": {"long": "x" * (MAX_TEXT + 1)}}, "variants.a.attributes.long"),
        ({"attributes": {"odd": float("nan")}}, "variants.a.attributes.odd"),
        ({"attributes": {"odd": float("inf")}}, "variants.a.attributes.odd"),
        ({"attributes": {"huge": 10**30}}, "variants.a.attributes.huge"),
        ({"attributes": {"huge": -(10**30)}}, "variants.a.attributes.huge"),
        ({"min_share": -0.1}, "variants.a.min_share"),
        ({"min_share": 0.6, "max_share": 0.5}, "variants.a.min_share"),
        ({"max_share": 0.0}, "variants.a.min_share"),
        ({"max_share": 1.1}, "variants.a.min_share"),
        ({"min_share": float("nan")}, "variants.a.min_share"),
    ],
)
def test_a_variant_out_of_bounds_is_refused_by_the_name_of_its_field(
    variant: dict[str, Any], field: str
) -> None:
    assert refused(variants=[creative(**variant)]).field == field


@pytest.mark.parametrize(
    "variant",
    [
        {"headline": "x" * MAX_TEXT},
        {"headline": "a | b : c\nd 🎬"},
        {"image_url": "https://images.example/a.jpg?x=1#y", "target_url": "/relative/path"},
        {"image_url": "HTTP://images.example:8080/é.jpg", "target_url": "/?to=//x@y:1%5C"},
        {"image_url": "https://[2001:db8::1]/a", "target_url": "https://bücher.example/a@b"},
        {"tags": ["x" * 64, "with space", "a|b:c"]},
        {"attributes": {"faces": 2, "bright": True, "share": 0.25, "mood": "warm"}},
        {"attributes": {"most": 2**63 - 1, "least": -(2**63) + 1}},
        {"min_share": 1.0},
        {"max_share": 1e-9},
    ],
)
def test_a_variant_within_bounds_is_accepted(variant: dict[str, Any]) -> None:
    made = placement(creative(**variant))

    for name, value in variant.items():
        kept = getattr(found(made), name)
        assert (list(kept) if name == "tags" else kept) == value


@pytest.mark.parametrize(
    ("kind", "missing"),
    [("headline", "headline"), ("thumbnail", "image_url"), ("card", "headline")],
)
def test_a_placement_of_a_kind_needs_what_it_shows(kind: str, missing: str) -> None:
    error = refused(kind=kind, variants=[{"id": "a"}])

    assert error.field == f"variants.a.{missing}"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x" * (MAX_TEXT + 1)}, "name"),
        ({"tags": ["x", "x"]}, "tags"),
        ({"variants": [creative("a"), creative("a")]}, "variants"),
        ({"variants": [creative(f"v{n}") for n in range(MAX_VARIANTS + 1)]}, "variants"),
        ({"variants": [creative("a b")]}, "variants.id"),
        ({"variants": [creative("x" * 65)]}, "variants.id"),
        (
            {"variants": [creative("a", min_share=0.6), creative("b", min_share=0.5)]},
            "variants.min_share",
        ),
    ],
)
def test_a_placement_out_of_bounds_is_refused_by_the_name_of_its_field(
    body: dict[str, Any], field: str
) -> None:
    assert refused(**body).field == field


def test_shares_of_variants_that_are_not_live_are_not_reserved() -> None:
    made = placement(creative("a", min_share=0.9), creative("b", min_share=0.9, status="paused"))

    assert [v.id for v in made.live(NOW)] == ["a"]


@pytest.mark.parametrize("placement_id", ["", "-a", "a b", "a/b", "*", "é", "x" * 65, "a\n"])
def test_a_name_that_is_no_id_is_refused(placement_id: str) -> None:
    with pytest.raises(InvalidCatalog) as caught:
        put_placement(None, placement_id, spec())

    assert caught.value.field == "placement"
    assert len(caught.value.message) < 200


def test_a_body_that_names_another_id_than_its_path_is_refused() -> None:
    with pytest.raises(InvalidInput, match="other"):
        put_placement(None, "film", spec(id="other"))
    with pytest.raises(InvalidInput, match="other"):
        put_variant(placement(creative()), "film", "a", variant_spec(id="other"))


def test_a_variant_of_a_list_needs_an_id() -> None:
    with pytest.raises(InvalidInput) as caught:
        put_placement(None, "film", spec(variants=[{"headline": "x"}]))

    assert caught.value.field == "variants.id"


# -- personas


def personas_spec(*rules: dict[str, Any], **fields: Any) -> PersonasSpec:
    body = {"personas": [{"id": "romantic", "rules": list(rules)}], **fields}
    return msgspec.convert(body, PersonasSpec)


RULE: dict[str, Any] = {"trait": "genres", "any": ["romance"]}


def test_personas_get_a_revision_with_every_change_and_none_without() -> None:
    first = put_personas(Personas(), personas_spec(RULE))
    again = put_personas(first, personas_spec(RULE))
    second = put_personas(first, personas_spec(RULE, threshold=0.6))

    assert (first.revision, second.revision) == (1, 2)
    assert again is first


def test_a_rule_on_true_is_another_than_a_rule_on_one() -> None:
    old = put_personas(Personas(), personas_spec({"trait": "child", "any": [1]}))

    new = put_personas(old, personas_spec({"trait": "child", "any": [True]}))

    assert new.personas[0].rules[0].any == (True,)
    assert new.revision == 2


@pytest.mark.parametrize(
    "rule",
    [
        {"trait": "genres"},
        {"trait": "", "any": ["x"]},
        {"trait": "t", "any": ["x"], "tagged": ["y"]},
        {"trait": "t", "any": ["x"], "at_least": 1},
        {"trait": "t", "any": ["x"], "weight": 0},
        {"trait": "t", "any": ["x"], "weight": -1},
        {"trait": "t", "any": ["x"], "weight": float("inf")},
        {"trait": "t", "any": ["x"], "weight": float("nan")},
        {"trait": "t", "at_least": float("nan")},
        {"trait": "t", "at_most": float("inf")},
        {"trait": "t", "any": [float("nan")]},
    ],
)
def test_a_rule_that_cannot_be_used_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(InvalidCatalog) as caught:
        put_personas(Personas(), personas_spec(rule))

    assert caught.value.field == "personas.romantic.rules"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"personas": [{"id": "unknown"}]}, "personas.id"),
        ({"personas": [{"id": "a"}, {"id": "a"}]}, "personas.id"),
        ({"personas": [{"id": "a b"}]}, "personas.id"),
        ({"personas": [], "threshold": 1.1}, "threshold"),
        ({"personas": [], "threshold": float("nan")}, "threshold"),
        ({"personas": [], "prior_weight": -1}, "prior_weight"),
        ({"personas": [], "prior_weight": float("inf")}, "prior_weight"),
    ],
)
def test_personas_that_cannot_be_used_are_refused(body: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidCatalog) as caught:
        put_personas(Personas(), msgspec.convert(body, PersonasSpec))

    assert caught.value.field == field


def test_a_placement_names_one_of_its_variants_as_canonical() -> None:
    variants = [VariantSpec(id=i, headline=i, status="live") for i in ("a", "b")]
    made = put_placement(
        None, "spot", PlacementSpec(kind="headline", canonical="b", variants=variants)
    )

    assert made.canonical == "b"
    moved = put_placement(made, "spot", PlacementSpec(kind="headline", canonical="a"))
    assert (moved.canonical, moved.revision) == ("a", 2)
    assert put_placement(moved, "spot", PlacementSpec(kind="headline")).canonical is None
    assert retire_variant(moved, "a").canonical == "a"


def test_a_canonical_variant_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InvalidCatalog) as caught:
        put_placement(None, "spot", PlacementSpec(kind="headline", canonical="x"))

    assert caught.value.field == "canonical"
    assert "first live" in (caught.value.hint or "")
