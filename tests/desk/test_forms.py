"""Registering creatives: errors at the field, nothing lost or half-saved, and the way back."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape

import msgspec
import pytest
from flask import Flask

from bandit_service.catalog.model import PlacementSpec
from bandit_service.services import Services
from bandit_service.serving.editing import etag
from tests.conftest import Api, Clock, body_of
from tests.desk.forms import (
    CARD,
    FILM,
    POSTER,
    form_of,
    problem_at,
    said_after,
    send,
    status_of,
    value_of,
    variant,
)
from tests.desk.people import Person, hidden, text_of

# -- placements


def test_a_placement_is_made_from_its_name(editor: Person, services: Services) -> None:
    response = send(
        editor, "/desk/new-placement", name="Summer Ménu", kind="headline", more_tags="food, sun"
    )

    assert "The placement is there" in said_after(editor, response)
    made = services.editor("main", by="test").placement("summer-menu")
    assert (made.name, made.kind, made.tags) == ("Summer Ménu", "headline", ("food", "sun"))


@pytest.mark.parametrize(
    ("data", "field", "words"),
    [
        ({"id": "film"}, "id", "There is a placement “film” already"),
        ({"id": "a b"}, "id", "not a valid id"),
        ({"id": "../x"}, "id", "not a valid id"),
        ({"name": "", "id": ""}, "id", "not a valid id"),
        ({"name": "x" * 1001, "id": "x"}, "name", "1001 characters"),
        ({"kind": "video"}, "kind", "no such kind"),
        ({"more_tags": "t" * 65}, "tags", "too long"),
        ({"more_tags": ",".join(f"t{n}" for n in range(33))}, "tags", "too many"),
    ],
)
def test_a_placement_that_breaks_a_rule_is_refused_at_the_field_and_nothing_is_lost(
    editor: Person, services: Services, data: dict[str, str], field: str, words: str
) -> None:
    before = services.store.site("main").length()
    sent = {"name": "A <b>name</b>", "id": "new", "kind": "thumbnail", "more_tags": "x", **data}

    response = send(editor, "/desk/new-placement", **sent)

    assert response.status_code in (412, 422)
    assert words in problem_at(response, field)
    assert "Nothing was saved yet" in text_of(response)
    for name in ("name", "id", "more_tags"):
        assert value_of(response, name) == sent[name]
    assert services.store.site("main").length() == before


def test_settings_change_what_they_speak_of_alone(editor: Person, services: Services) -> None:
    before = services.editor("main", by="test").placement("film")

    response = send(editor, f"{FILM}/edit", name="Film", kind="headline", canonical="joke")

    assert "was changed" in said_after(editor, response)
    after = services.editor("main", by="test").placement("film")
    assert (after.name, after.canonical, after.tags) == ("Film", "joke", ())
    assert after.variants == before.variants


def test_a_placement_is_retired_and_brought_back(editor: Person, services: Services) -> None:
    response = editor.post(f"{FILM}/retire", form_of(editor, f"{FILM}/edit"))
    assert "retired" in said_after(editor, response)
    assert services.editor("main", by="t").placement("film").retired

    editor.post(f"{FILM}/restore", form_of(editor, f"{FILM}/edit"))
    assert not services.editor("main", by="t").placement("film").retired


# -- creatives


def test_a_creative_is_a_draft_until_it_is_published(
    editor: Person, services: Services, api: Api
) -> None:
    response = send(editor, f"{POSTER}/new-variant", **CARD)

    assert "added as a draft" in said_after(editor, response)
    stored = variant(services, "the-second-one", "poster")
    assert (stored.status, stored.tags) == ("draft", ("couple", "new"))
    assert stored.attributes == {"faces": 2, "bright": True, "ratio": 1.5, "by": "Ada"}
    assert (stored.min_share, stored.max_share) == (0.1, 0.5)

    page = editor.get(POSTER).text
    assert "the-second-one" in page
    response = status_of(editor, "poster", "the-second-one", "live")
    assert "is live" in said_after(editor, response)
    seen = {body_of(api.decide(placement="poster"))["variant"]["id"] for _ in range(40)}
    assert seen == {"only", "the-second-one"}


@pytest.mark.parametrize(
    ("data", "field", "words"),
    [
        ({"headline": ""}, "headline", "needs a headline"),
        ({"headline": "x" * 10_000}, "headline", "10000 characters"),
        ({"headline": "<script>alert(1)</script>"}, "headline", "markup"),
        ({"image_url": ""}, "image_url", "needs an image"),
        ({"image_url": "javascript:alert(1)"}, "image_url", "not a web address"),
        ({"image_url": "http://[::1"}, "image_url", "not a web address"),
        ({"image_url": "//evil.example/x"}, "image_url", "not a web address"),
        ({"target_url": "data:text/html,x"}, "target_url", "not a web address"),
        ({"more_tags": "t" * 65}, "tags", "too long"),
        ({"attributes": "faces 2"}, "attributes", "Line 1"),
        ({"attributes": "= 2"}, "attributes", "Line 1"),
        ({"attributes": f"n = {'9' * 400}"}, "attributes", ""),
        ({"min_share": "lots"}, "min_share", "not a number"),
        ({"min_share": "60", "max_share": "50"}, "min_share", "more than the largest share"),
        ({"max_share": "101"}, "min_share", "no share from 0 to 100"),
        ({"min_share": "-5"}, "min_share", "no share from 0 to 100"),
        ({"min_share": "", "max_share": "0"}, "min_share", "pause it"),
        ({"id": "only"}, "id", "There is a variant “only” already"),
        ({"id": "a b"}, "id", "not a valid id"),
        ({"live_from": "tomorrow"}, "live_from", "no date"),
        ({"live_from": "2030-01-02T00:00", "zone": "Mars/Base"}, "live_from", "not known"),
        ({"live_from": "9999-01-02T00:00"}, "live_from", "year"),
        ({"live_from": "2030-01-02T00:00", "live_until": "2030-01-01T00:00"}, "live_until", ""),
    ],
)
def test_a_creative_that_breaks_a_rule_is_refused_at_the_field_and_nothing_is_lost(
    editor: Person, services: Services, data: dict[str, str], field: str, words: str
) -> None:
    before = services.store.site("main").length()
    sent = {**CARD, **data}

    response = send(editor, f"{POSTER}/new-variant", then="live", **sent)

    assert response.status_code in (412, 422)
    assert words in problem_at(response, field)
    for name in set(sent) - {"tags", "id", "zone"}:
        assert value_of(response, name) == sent[name], name
    assert re.search(r'name="tags" value="couple" checked', response.text)
    assert services.store.site("main").length() == before
    assert "<script>alert" not in response.text


def test_everything_that_is_wrong_is_said_at_once(editor: Person) -> None:
    wrong = {"headline": " ", "image_url": "ftp://x", "min_share": "90", "max_share": "10"}

    response = send(editor, f"{POSTER}/new-variant", **{**CARD, **wrong})

    for field in ("headline", "image_url", "min_share"):
        assert problem_at(response, field)
        assert f'href="#{field}"' in response.text


def test_shares_are_read_in_the_visitors_locale(editor: Person, services: Services) -> None:
    fields = form_of(editor, f"{POSTER}/new-variant")
    editor.client.post(
        f"{POSTER}/new-variant",
        base_url="https://desk.example",
        headers={"Accept-Language": "de-DE"},
        data={**CARD, **fields, "min_share": "12,5"},
    )

    assert variant(services, "the-second-one", "poster").min_share == 0.125
    page = editor.get(f"{POSTER}/variants/the-second-one", Accept_Language="de")
    assert value_of(page, "min_share") == "12,5"


def test_an_edit_of_what_visitors_saw_is_a_new_version(editor: Person, services: Services) -> None:
    fields = {"tags": ["couple"], "headline": "A longer kiss"}
    page = editor.get(f"{FILM}/variants/kiss")
    assert "makes version 2" in text_of(page)

    response = send(editor, f"{FILM}/variants/kiss", **fields)

    assert "new version" in said_after(editor, response)
    assert variant(services, "kiss").arm == "kiss@2"


def test_an_edit_that_changes_nothing_is_said_to(editor: Person, services: Services) -> None:
    before = variant(services, "kiss")

    response = send(editor, f"{FILM}/variants/kiss", headline="A kiss", tags=["couple"])

    assert "nothing changed" in said_after(editor, response)
    assert variant(services, "kiss") == before


def test_whoever_was_slower_is_shown_what_the_other_made_and_keeps_what_was_typed(
    editor: Person, services: Services, signed_in: Callable[[str], Person]
) -> None:
    # given two people with the same form open
    mine = form_of(editor, f"{FILM}/variants/joke")
    send(signed_in("editor"), f"{FILM}/variants/joke", headline="Their joke")

    # when the second one sends it
    sent = {"headline": "My joke", **mine}
    response = editor.post(f"{FILM}/variants/joke", sent, token=mine["token"])

    # then nothing is overwritten unseen
    assert response.status_code == 412
    assert "Somebody else changed this variant" in text_of(response)
    assert "Their joke" in text_of(response)
    assert value_of(response, "headline") == "My joke"
    assert variant(services, "joke").headline == "Their joke"

    # and sending again replaces it
    again = {**sent, "match": hidden(response, "match")}
    assert editor.post(f"{FILM}/variants/joke", again, token=mine["token"]).status_code == 303
    assert variant(services, "joke").headline == "My joke"


def test_two_settings_forms_do_not_overwrite_each_other(
    editor: Person, services: Services, signed_in: Callable[[str], Person]
) -> None:
    mine = form_of(editor, f"{FILM}/edit")
    send(signed_in("editor"), f"{FILM}/edit", name="Theirs", kind="headline")

    data = {"name": "Mine", "kind": "headline", **mine}
    response = editor.post(f"{FILM}/edit", data, token=mine["token"])

    assert response.status_code == 412
    assert "Somebody else changed this placement" in text_of(response)
    assert value_of(response, "name") == "Mine"
    assert services.editor("main", by="t").placement("film").name == "Theirs"


@pytest.mark.parametrize("button", ["variants/kiss/status", "variants/idea/remove", "retire"])
def test_a_button_of_a_page_that_is_out_of_date_says_so_to_people(
    editor: Person, services: Services, button: str
) -> None:
    # given a page that was opened before the placement changed
    page = editor.get(f"{FILM}/edit" if button == "retire" else FILM)
    found = re.search(rf'action="{FILM}/{button}".*?name="match" value="([^"]*)"', page.text)
    match = unescape(found[1]) if found else hidden(page, "match")
    for name in ("kiss", "idea"):
        send(editor, f"{FILM}/variants/{name}", headline="Another", tags=["couple"])
    before = services.editor("main", by="t").placement("film")

    # when its button is pressed
    response = editor.post(f"{FILM}/{button}", {"match": match, "status": "paused"})

    # then nothing changed, and the words are for people, with the way back
    assert response.status_code == 412
    assert "Somebody else changed this since you opened the page" in text_of(response)
    assert "ETag" not in text_of(response)
    assert f'href="{FILM}">Back to the placement' in response.text
    assert services.editor("main", by="t").placement("film") == before


def test_what_was_paused_is_gone_from_decisions_and_back_by_one_button(
    editor: Person, services: Services, api: Api
) -> None:
    response = status_of(editor, "film", "kiss", "paused")
    page = editor.get(response.location)
    assert "kiss is paused" in text_of(page)
    seen = {body_of(api.decide())["variant"]["id"] for _ in range(60)}
    assert seen == {"joke", "chase"}

    undo = {
        "match": etag(services.editor("main", by="t").placement("film")),
        "revision": hidden(page, "revision"),
    }
    response = editor.post(f"{FILM}/undo", undo)

    assert "as it was before" in said_after(editor, response)
    assert variant(services, "kiss").status == "live"


def test_the_way_back_is_not_offered_once_something_else_changed(
    editor: Person, services: Services
) -> None:
    response = status_of(editor, "film", "kiss", "paused")
    assert ">Undo<" in editor.get(response.location).text

    status_of(editor, "film", "joke", "paused")

    assert ">Undo<" not in editor.get(response.location).text


def test_what_nobody_saw_can_be_removed(editor: Person, services: Services) -> None:
    fields = form_of(editor, f"{FILM}/variants/idea")

    response = editor.post(f"{FILM}/variants/idea/remove", fields, token=fields["token"])

    assert "was removed" in said_after(editor, response)
    assert services.editor("main", by="t").placement("film").variant("idea") is None


def test_what_somebody_saw_cannot_be_removed(
    editor: Person, services: Services, api: Api, clock: Clock
) -> None:
    while body_of(api.decide())["variant"]["id"] != "kiss":
        clock.advance(1)
    fields = form_of(editor, f"{FILM}/variants/kiss")

    response = editor.post(f"{FILM}/variants/kiss/remove", fields, token=fields["token"])

    assert response.status_code in (409, 412)
    assert services.editor("main", by="t").placement("film").variant("kiss") is not None


def test_a_schedule_is_in_the_zone_of_whoever_set_it(editor: Person, services: Services) -> None:
    response = send(
        editor,
        f"{FILM}/variants/kiss",
        headline="A kiss",
        tags=["couple"],
        live_from="2030-07-01T09:00",
        zone="Europe/Lisbon",
    )

    assert response.status_code == 303
    stored = variant(services, "kiss").live_from
    assert stored is not None
    assert stored.isoformat() == "2030-07-01T08:00:00+00:00"
    assert value_of(editor.get(f"{FILM}/variants/kiss"), "live_from") == "2030-07-01T08:00"
    assert "Scheduled" in text_of(editor.get(FILM))


@pytest.mark.parametrize(
    ("at", "zone", "words"),
    [
        ("0001-01-01T00:00", "Asia/Tokyo", "no date with a time"),
        ("9999-12-31T23:59", "America/New_York", "no date with a time"),
        ("0001-01-01T00:00", "", "year 1"),
        ("2030-05-17T09:30", "Nowhere/Land", "“Nowhere/Land”, is not known here"),
        ("2030-05-17T09:30", "../etc/passwd", "is not known here"),
    ],
)
def test_a_time_that_cannot_be_is_refused_at_the_field(
    editor: Person, services: Services, at: str, zone: str, words: str
) -> None:
    before = variant(services, "kiss")

    sent = {"headline": "A kiss", "tags": ["couple"], "live_from": at, "zone": zone}
    scheduled = send(editor, f"{FILM}/variants/kiss", **sent)
    ending = {**form_of(editor, f"{FILM}/edit"), "ends": "date", "at": at, "zone": zone}
    ended = editor.post(f"{FILM}/finish", ending, token=ending["token"])

    assert (scheduled.status_code, ended.status_code) == (422, 422)
    assert words in problem_at(scheduled, "live_from")
    assert words in problem_at(ended, "at")
    assert variant(services, "kiss") == before


# -- what editors see of what others may have put there


def test_names_from_outside_are_text(app: Flask, services: Services, editor: Person) -> None:
    mean = "\"><img src=x onerror=alert(1)>'&{{7*7}}"
    spec = {
        "kind": "card",
        "name": mean,
        "tags": [mean[:60]],
        "variants": [
            {
                "id": "v",
                "headline": "plain",
                "image_url": "https://x.example/'\"><svg/onload=alert(1)>",
                "tags": [mean[:60]],
                "attributes": {"a": mean},
                "status": "live",
            }
        ],
    }
    services.editor("main", by=mean).put_placement("mean", msgspec.convert(spec, PlacementSpec))
    services.refresh()

    for path in ("", "/placements/mean", "/placements/mean/edit", "/placements/mean/variants/v"):
        page = editor.get(f"/desk{path}").text
        assert "<img src=x" not in page
        assert "<svg/onload" not in page
        assert "49" not in page.replace("&#39;", "")
        assert 'onerror="' not in page
