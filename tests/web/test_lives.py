"""The life of a placement over HTTP: scheduled, finished, looked back at, and taken back."""

from __future__ import annotations

from typing import Any

import pytest

from bandit_service.catalog.document import read_document, write_document
from bandit_service.services import Services
from tests.conftest import Api, Clock, body_of, error_of

FILM = "/v1/placements/film"
LATER = "2030-03-17T17:47:40Z"
"""A minute after the clock begins."""


def shown(api: Api, count: int = 30) -> set[str]:
    return {body_of(api.decide())["variant"]["id"] for _ in range(count)}


def test_a_scheduled_variant_is_shown_in_its_time(api: Api, clock: Clock) -> None:
    # given
    body = {"headline": "Late", "status": "live", "live_from": LATER, "min_share": 0.5}
    stored = body_of(api.put(f"{FILM}/variants/late", body))
    assert stored["live_from"] == LATER
    before = shown(api)

    # when
    clock.advance(60)

    # then
    assert "late" not in before
    assert "late" in shown(api)


def test_a_placement_is_finished_and_goes_on(api: Api, clock: Clock) -> None:
    # when
    response = api.put(f"{FILM}/finish", {"winner": "joke", "at": LATER})
    finished = body_of(response)

    # then
    assert finished["finish"] == {"winner": "joke", "at": LATER}
    assert body_of(api.get(FILM)) == finished
    assert shown(api) == {"kiss", "joke", "chase"}
    clock.advance(60)
    assert shown(api) == {"joke"}
    assert body_of(api.decide())["reason"] == "only"

    # and with the tag that was read it goes on
    tag = response.headers["ETag"]
    assert api.delete(f"{FILM}/finish", If_Match='"0000000000000000"').status_code == 412
    assert api.delete(f"{FILM}/finish", If_Match=tag).status_code == 204
    assert shown(api) == {"kiss", "joke", "chase"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "finish"),
        ({"winner": "nobody"}, "finish.winner"),
        ({"winner": "idea"}, "finish.winner"),
        ({"at": "0030-03-17T17:47:40Z"}, "finish.at"),
    ],
)
def test_a_finish_that_cannot_be_is_refused_by_its_field(
    api: Api, body: dict[str, Any], field: str
) -> None:
    assert error_of(api.put(f"{FILM}/finish", body), 422)["field"] == field
    assert body_of(api.get(FILM))["finish"] is None


@pytest.mark.parametrize(
    "at", ["soon", "2030-03-17", "2030-03-17T17:47:40", 5, "2030-02-30T00:00:00Z"]
)
def test_a_moment_is_written_with_its_offset(api: Api, at: Any) -> None:
    error = error_of(api.put(f"{FILM}/finish", {"winner": "joke", "at": at}), 400)

    assert error["field"] == "at"


def test_the_history_tells_what_changed_and_an_earlier_revision_comes_back(api: Api) -> None:
    # given an edit of the content, and a draft that nobody sees
    body_of(api.put(f"{FILM}/variants/kiss", {"headline": "Another kiss", "status": "live"}))
    body_of(api.put(f"{FILM}/variants/new", {"headline": "New"}))

    # when
    told = body_of(api.get(f"{FILM}/history"))
    back = body_of(api.edit(f"{FILM}/revert", {"revision": 1}))

    # then
    assert [change["revision"] for change in told["changes"]] == [3, 2, 1]
    newest, second, first = told["changes"]
    assert newest["differences"] == [
        {"field": "created", "variant": "new", "after": "draft"},
        {"field": "headline", "variant": "new", "after": "New"},
    ]
    assert {"field": "version", "variant": "kiss", "before": 1, "after": 2} in second["differences"]
    assert (first["by"], first["at"]) == ("test", "2030-03-17T17:46:40Z")
    assert (back["revision"], [v["id"] for v in back["variants"]]) == (
        4,
        ["kiss", "joke", "chase", "idea"],
    )
    assert back["variants"][0]["version"] == 1
    assert "A kiss" in {body_of(api.decide())["variant"]["headline"] for _ in range(30)}


def test_what_visitors_saw_is_not_taken_back(api: Api) -> None:
    # given a variant that was made live and shown
    new = {"headline": "New", "status": "live", "min_share": 0.9}
    body_of(api.put(f"{FILM}/variants/new", new))
    assert "new" in shown(api)

    # when
    back = body_of(api.edit(f"{FILM}/revert", {"revision": 1}))

    # then
    assert {v["id"]: v.get("status") for v in back["variants"]}["new"] == "retired"


def test_the_history_is_read_in_pages(api: Api) -> None:
    for n in range(5):
        body_of(api.put(f"{FILM}/variants/idea", {"headline": f"Idea {n}"}))

    page = body_of(api.get(f"{FILM}/history?limit=2&before=4"))

    assert [change["revision"] for change in page["changes"]] == [3, 2]


@pytest.mark.parametrize("placement", ["%2A", "*", "nowhere", "..", "a%00b"])
@pytest.mark.parametrize(
    ("method", "below", "body"),
    [
        ("GET", "", None),
        ("DELETE", "", None),
        ("GET", "/history", None),
        ("POST", "/revert", {"revision": 1}),
        ("PUT", "/finish", {"winner": "a"}),
        ("DELETE", "/finish", None),
        ("GET", "/variants/kiss", None),
    ],
)
def test_what_no_placement_is_called_is_not_found(
    api: Api, method: str, below: str, placement: str, body: Any
) -> None:
    # given personas, which are kept beside the placements
    path = f"/v1/placements/{placement}{below}"

    response = api.client.open(path, method=method, json=body, headers=api.auth["editor"])

    error_of(response, 404)


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "before=-1", "before=1e3"])
def test_a_page_that_cannot_be_is_refused(api: Api, query: str) -> None:
    error = error_of(api.get(f"{FILM}/history?{query}"), 400)

    assert error["field"] == query.partition("=")[0]


@pytest.mark.parametrize(
    ("headline", "refused"),
    [
        ("A <b>kiss</b>", True),
        ("A kiss<!-- here -->", True),
        ("Tom &amp; Jerry", True),
        ("It&#39;s here", True),
        ("x" * 1001, True),
        ("I <3 you & 2 < 3 > 1; R&B", False),
    ],
)
def test_a_headline_is_plain_text(api: Api, headline: str, refused: bool) -> None:
    response = api.put(f"{FILM}/variants/new", {"headline": headline})

    if refused:
        assert error_of(response, 422)["field"] == "variants.new.headline"
    else:
        assert body_of(response)["headline"] == headline


def test_headlines_that_come_with_a_request_are_shown_as_they_always_were(api: Api) -> None:
    candidates = [{"id": "a", "headline": "A <b>kiss</b>", "live_from": "whenever"}]

    assert body_of(api.decide(candidates=candidates))["variant"]["headline"] == "A <b>kiss</b>"


def test_a_finish_is_found_in_an_export_and_comes_back(api: Api, services: Services) -> None:

    body_of(api.put(f"{FILM}/finish", {"winner": "joke", "at": LATER}))
    editor = services.editor("main", by="test")
    exported = write_document(editor.personas(), editor.placements())

    length = services.store.site("main").length()
    editor.put_document(read_document(exported, name="x.json"))

    assert b'"winner": "joke"' in exported
    assert services.store.site("main").length() == length
