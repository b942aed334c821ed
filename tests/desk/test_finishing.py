"""How a placement ends, and its history: errors at the field, and the way back."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bandit_service.services import Services
from bandit_service.serving.editing import etag
from tests.conftest import Api, Clock, body_of
from tests.desk.counting import settled
from tests.desk.forms import FILM, form_of, problem_at, said_after, send, status_of, variant
from tests.desk.people import Person, hidden, text_of


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
