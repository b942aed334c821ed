"""Registering creatives: errors at the field, nothing lost or half-saved, and the way back."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from html import unescape
from typing import Any, Final

import msgspec
import pytest
from flask import Flask
from PIL import Image
from werkzeug.test import TestResponse

from bandit_service.catalog.model import PlacementSpec, Variant
from bandit_service.services import Services
from bandit_service.serving.editing import etag
from tests.conftest import Api, Clock, body_of
from tests.desk.people import Person, hidden, text_of
from tests.desk.test_heat import settled

FILM = "/desk/placements/film"
POSTER = "/desk/placements/poster"


def variant(services: Services, name: str, placement: str = "film") -> Variant:
    return services.editor("main", by="test").variant(placement, name)


def value_of(response: TestResponse, name: str) -> str:
    """What a field of a form holds."""
    page = response.text
    found = re.search(rf'<input id="{name}"[^>]* value="([^"]*)"', page) or re.search(
        rf'<textarea id="{name}"[^>]*>\n?([^<]*)</textarea>', page
    )
    assert found is not None, name
    return unescape(found[1])


def problem_at(response: TestResponse, name: str) -> str:
    """What stands beside a field as its problem."""
    pattern = rf'<p class="problem" id="problem-{name}">(.*?)</p>'
    found = re.search(pattern, response.text, re.DOTALL)
    assert found is not None, text_of(response)
    return unescape(re.sub("<[^>]*>", "", found[1]))


def form_of(person: Person, path: str) -> dict[str, str]:
    """The hidden fields of a form, as a browser would send them."""
    page = person.get(path)
    return {"token": hidden(page, "token"), "match": hidden(page, "match")}


def send(person: Person, path: str, **data: Any) -> TestResponse:
    fields = form_of(person, path)
    return person.post(path, {**fields, **data}, token=fields["token"])


def said_after(person: Person, response: TestResponse) -> str:
    assert response.status_code == 303, text_of(response)
    return text_of(person.get(response.location))


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


CARD: Final[dict[str, Any]] = {
    "headline": "The second one",
    "image_url": "https://images.example/two.jpg",
    "alt": "Two doors",
    "target_url": "/two",
    "tags": ["couple"],
    "more_tags": "new, couple",
    "attributes": "faces = 2\nbright = true\n\nratio = 1.5\nby = Ada",
    "min_share": "10",
    "max_share": "50 %",
}


def status_of(person: Person, placement: str, name: str, status: str) -> TestResponse:
    """Press the button that sets a status."""
    fields = form_of(person, f"/desk/placements/{placement}/variants/{name}")
    path = f"/desk/placements/{placement}/variants/{name}/status"
    return person.post(path, {**fields, "status": status}, token=fields["token"])


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


# -- finishing


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        ({"ends": "none"}, None),
        ({"ends": "now", "winner": "kiss"}, {"winner": "kiss"}),
        ({"ends": "clear"}, {"when_clear": True}),
        ({"ends": "date", "at": "2031-01-01T10:00"}, {"at": "2031-01-01T10:00:00Z"}),
        (
            {"ends": "clear_or_date", "at": "2031-01-01T10:00", "zone": "Asia/Tokyo"},
            {"when_clear": True, "at": "2031-01-01T01:00:00Z"},
        ),
    ],
)
def test_a_placement_is_finished_in_each_of_its_ways(
    editor: Person, services: Services, data: dict[str, str], kept: Any
) -> None:
    fields = form_of(editor, f"{FILM}/edit")

    response = editor.post(f"{FILM}/finish", {**fields, **data}, token=fields["token"])

    assert "ends was changed" in said_after(editor, response)
    stored = services.editor("main", by="t").placement("film").finish
    assert (None if stored is None else msgspec.to_builtins(stored)) == kept


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"ends": "now"}, "winner"),
        ({"ends": "now", "winner": "nobody"}, "winner"),
        ({"ends": "now", "winner": "idea"}, "winner"),
        ({"ends": "date"}, "at"),
        ({"ends": "date", "at": "soon"}, "at"),
        ({"ends": "never"}, "ends"),
        ({}, "ends"),
    ],
)
def test_an_end_that_cannot_be_is_refused_at_the_field(
    editor: Person, services: Services, data: dict[str, str], field: str
) -> None:
    fields = form_of(editor, f"{FILM}/edit")

    response = editor.post(f"{FILM}/finish", {**fields, **data}, token=fields["token"])

    assert response.status_code == 422
    assert problem_at(response, field)
    assert services.editor("main", by="t").placement("film").finish is None


def test_a_finished_placement_shows_its_winner_and_says_so(
    editor: Person, services: Services, api: Api
) -> None:
    fields = form_of(editor, f"{FILM}/edit")
    editor.post(
        f"{FILM}/finish", {**fields, "ends": "now", "winner": "joke"}, token=fields["token"]
    )

    assert {body_of(api.decide())["variant"]["id"] for _ in range(30)} == {"joke"}
    assert "Finished: shows joke" in text_of(editor.get(FILM))
    assert "Finished: shows joke" in text_of(editor.get("/desk?state=finished"))


def test_a_placement_whose_others_are_paused_is_not_called_finished(
    editor: Person, api: Api, services: Services, clock: Clock
) -> None:
    for _ in range(20):
        body_of(api.decide())
    settled(services, clock)

    for name in ("kiss", "chase"):
        status_of(editor, "film", name, "paused")

    assert "One variant is live, and the others rest" in text_of(editor.get(FILM))
    assert "Finished:" not in text_of(editor.get(FILM))


# -- history


def test_the_history_says_who_did_what(editor: Person, services: Services) -> None:
    status_of(editor, "film", "kiss", "paused")
    send(editor, f"{FILM}/variants/joke", headline="Another joke", tags=["laughing"])

    page = text_of(editor.get(FILM))
    history = page[page.index("History") :]

    assert "the editor paused kiss" in history
    assert "began version 2 of joke" in history
    assert "test made the placement" in history
    assert history.index("version 2 of joke") < history.index("paused kiss")


def test_an_older_change_can_be_taken_back(editor: Person, services: Services) -> None:
    status_of(editor, "film", "kiss", "paused")
    status_of(editor, "film", "joke", "paused")
    first = editor.get(FILM)
    placement = services.editor("main", by="t").placement("film")

    data = {"match": etag(placement), "revision": str(placement.revision - 2)}
    assert editor.post(f"{FILM}/undo", data, token=hidden(first, "token")).status_code == 303

    assert variant(services, "kiss").status == "live"
    assert variant(services, "joke").status == "live"


@pytest.mark.parametrize("revision", ["", "-1", "x", "9" * 30, "99"])
def test_a_revision_that_there_never_was_changes_nothing(
    editor: Person, services: Services, revision: str
) -> None:
    before = services.editor("main", by="t").placement("film")

    response = editor.post(f"{FILM}/undo", {"match": etag(before), "revision": revision})

    assert response.status_code in (400, 404)
    assert services.editor("main", by="t").placement("film") == before


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


# -- pictures


def picture(kind: str = "PNG", size: tuple[int, int] = (640, 360)) -> bytes:
    """A picture of two colours."""
    drawn = Image.new("RGB", size, "teal")
    drawn.paste("orange", (0, 0, size[0] // 2, size[1]))
    out = io.BytesIO()
    drawn.save(out, kind)
    return out.getvalue()


def upload(person: Person, path: str, data: bytes, name: str, **typed: Any) -> TestResponse:
    """Send a creative's form with a file."""
    fields = {**CARD, "tags": "couple", "image_url": "", **typed, **form_of(person, path)}
    return person.client.post(
        path,
        base_url="https://desk.example",
        data=multipart(fields, name, data),
        content_type=f"multipart/form-data; boundary={BOUNDARY}",
    )


BOUNDARY = "----a-boundary"


def multipart(fields: dict[str, str], name: str, data: bytes) -> bytes:
    """A form with a file, as browsers send it."""
    head = 'Content-Disposition: form-data; name="{}"'.format
    parts = [f"{head(key)}\r\n\r\n{value}".encode() for key, value in fields.items()]
    parts.append(f'{head("picture")}; filename="{name}"\r\n\r\n'.encode() + data)
    mark = f"--{BOUNDARY}".encode()
    return b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts) + mark + b"--\r\n"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_picture_is_uploaded_and_shown_from_here(
    editor: Person, services: Services, kind: str
) -> None:
    response = upload(editor, f"{POSTER}/new-variant", picture(kind), "two.bin")

    assert "added as a draft" in said_after(editor, response)
    address = variant(services, "the-second-one", "poster").image_url or ""
    assert address.startswith("https://desk.example/media/")
    shown = editor.get(address.removeprefix("https://desk.example"))
    assert shown.status_code == 200
    assert (shown.mimetype or "").startswith("image/")
    assert "immutable" in shown.headers["Cache-Control"]
    assert Image.open(io.BytesIO(shown.data)).size == (640, 360)


def test_a_picture_names_a_creative_that_has_no_name(editor: Person, services: Services) -> None:
    upload(editor, f"{POSTER}/new-variant", picture(), "x.png", headline="Named by headline")

    assert variant(services, "named-by-headline", "poster").image_url


@pytest.mark.parametrize(
    ("file", "alt", "name"),
    [
        ("Two Spoons.jpg", "", "two-spoons"),
        ("写真.jpg", "A pier", "a-pier"),
        ("写真.jpg", "", "variant"),
    ],
)
def test_a_picture_without_words_is_named_as_its_file_was(
    editor: Person, services: Services, file: str, alt: str, name: str
) -> None:
    send(editor, "/desk/new-placement", name="Spot", kind="thumbnail")

    for wanted in (name, f"{name}-2"):
        sent = {"headline": "", "alt": alt}
        upload(editor, "/desk/placements/spot/new-variant", picture(), file, **sent)
        assert variant(services, wanted, "spot").image_url


def test_a_refused_form_keeps_the_name_of_its_file(editor: Person) -> None:
    send(editor, "/desk/new-placement", name="Spot", kind="thumbnail")
    wrong = {"headline": "", "target_url": "javascript:x"}

    response = upload(editor, "/desk/placements/spot/new-variant", picture(), "Pier.jpg", **wrong)

    assert problem_at(response, "target_url")
    assert value_of(response, "id") == "pier"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "SVG"),
        (b"%PDF-1.4", "PDF"),
        (b"", "empty"),
        (b"not a picture", ""),
        (b"x" * (11 * 1_048_576), "11.0 MB"),
    ],
)
def test_what_is_no_picture_is_refused_at_the_field_and_nothing_is_lost(
    editor: Person, services: Services, data: bytes, words: str
) -> None:
    before = services.store.site("main").length()

    response = upload(editor, f"{POSTER}/new-variant", data, "evil.svg")

    assert response.status_code == 422
    assert words in problem_at(response, "picture")
    assert value_of(response, "headline") == "The second one"
    assert services.store.site("main").length() == before


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(editor: Person) -> None:
    bomb = io.BytesIO()
    Image.new("1", (20_000, 10_000)).save(bomb, "PNG")

    response = upload(editor, f"{POSTER}/new-variant", bomb.getvalue(), "bomb.png")

    assert response.status_code == 422
    assert "pixels" in problem_at(response, "picture")


def test_a_picture_is_kept_where_the_rest_of_the_form_is_refused(editor: Person) -> None:
    response = upload(editor, f"{POSTER}/new-variant", picture(), "a.png", headline="")

    assert response.status_code == 422
    assert value_of(response, "image_url").startswith("https://desk.example/media/")


def test_a_form_beyond_all_bounds_is_refused_in_words(editor: Person) -> None:
    fields = form_of(editor, f"{POSTER}/new-variant")
    response = editor.client.post(
        f"{POSTER}/new-variant",
        base_url="https://desk.example",
        data=fields,
        environ_overrides={"CONTENT_LENGTH": str(10**9)},
    )

    assert response.status_code == 413
    assert "too large" in text_of(response)
