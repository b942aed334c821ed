"""Many creatives at once: looked at first, every problem at its row, all of it or nothing."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import TestResponse

from bandit_service.services import Services
from bandit_service.web.desk.sheets import packed, unpacked
from tests.desk.people import HTTPS, Person, hidden, text_of

GOOD = """placement,kind,variant,headline,tags,status
film,,kiss,A longer kiss,"couple, warm",live
film,,new-one,Something else,question,draft
menu,headline,soup,Eleven soups,food,live
menu,headline,oven,What the oven is for,,paused
"""


def look(person: Person, data: bytes | str, zone: str = "") -> TestResponse:
    """Send a file to be looked at."""
    raw = data.encode() if isinstance(data, str) else data
    token = hidden(person.get("/desk/import"), "token")
    return person.client.post(
        "/desk/import",
        base_url=HTTPS,
        data={"token": token, "zone": zone, "sheet": (io.BytesIO(raw), "creatives.csv")},
    )


def agree(person: Person, page: TestResponse, **changes: Any) -> TestResponse:
    """Press the button that imports what was looked at."""
    data = {name: hidden(page, name) for name in ("token", "zone", "tag", "packed")}
    return person.client.post("/desk/import/apply", base_url=HTTPS, data={**data, **changes})


def test_a_file_is_looked_at_and_then_imported(editor: Person, services: Services) -> None:
    before = services.store.site("main").length()

    page = look(editor, GOOD)

    assert page.status_code == 200
    words = text_of(page)
    assert "New 3 Changed 0 New version 1 As it is 0 New placements 1" in words
    assert "creatives.csv, read as UTF-8 with commas" in words
    assert services.store.site("main").length() == before

    response = agree(editor, page)
    assert "was imported" in text_of(editor.get(response.location))
    catalog = services.editor("main", by="t")
    assert catalog.variant("film", "kiss").arm == "kiss@2"
    assert catalog.variant("film", "joke").status == "live"
    assert [v.id for v in catalog.placement("menu").variants] == ["soup", "oven"]


def test_a_byte_order_mark_and_semicolons_are_taken(editor: Person) -> None:
    text = "placement;variant;headline\r\nfilm;kiss;Küsse; wirklich\r\n"
    quoted = text.replace("Küsse; wirklich", '"Küsse; wirklich"')

    page = look(editor, b"\xef\xbb\xbf" + quoted.encode())

    assert "with semicolons" in text_of(page)
    assert "New version 1" in text_of(page)


def test_every_problem_is_shown_at_its_row_and_nothing_is_changed(
    editor: Person, services: Services
) -> None:
    before = services.store.site("main").length()
    bad = GOOD + (
        "film,,a b,Bad id,,live\n"
        f"film,,long,{'x' * 10_000},,live\n"
        "film,,markup,<script>alert(1)</script>,,live\n"
        "menu,headline,status,Fine,,alive\n"
    )

    page = look(editor, bad)

    assert page.status_code == 422
    assert "4 problems to mend" in text_of(page)
    rows = re.findall(r'<th scope="row" class="number">(\d+)</th>', page.text)
    assert rows[:4] == ["6", "7", "8", "9"]
    assert "Import all of it" not in page.text
    assert "<script>alert" not in page.text
    assert services.store.site("main").length() == before


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", ""),
        (b"PK\x03\x04 a workbook", ""),
        (b"placement,variant\n" + b"film,x\n" * 50_002, ""),
        (b"\x00\xff\xfe\x00", ""),
        ("placement,variant,colour\nfilm,kiss,red\n", "colour"),
    ],
)
def test_what_is_no_table_is_refused_in_words(
    editor: Person, services: Services, data: bytes | str, words: str
) -> None:
    before = services.store.site("main").length()

    page = look(editor, data)

    assert page.status_code == 422
    assert words in text_of(page)
    assert "Import all of it" not in page.text
    assert services.store.site("main").length() == before


def test_no_file_is_said_to_be_none(editor: Person) -> None:
    token = hidden(editor.get("/desk/import"), "token")
    response = editor.post("/desk/import", {"zone": ""}, token=token)

    assert "No file was chosen" in text_of(response)


def test_a_catalog_that_changed_meanwhile_is_not_overwritten(
    editor: Person, services: Services, signed_in: Callable[[str], Person]
) -> None:
    page = look(editor, GOOD)
    other = services.editor("main", by="other")
    other.retire("film", "kiss")
    before = services.store.site("main").length()

    response = agree(editor, page)

    assert response.status_code == 422
    assert "catalog has changed since you looked" in text_of(response)
    assert services.store.site("main").length() == before
    # and what would happen now can be agreed to
    assert agree(editor, response).status_code == 303


@pytest.mark.parametrize("spoil", [{"packed": "!"}, {"packed": "AAAA"}, {"packed": ""}])
def test_what_did_not_come_back_whole_is_refused(
    editor: Person, services: Services, spoil: dict[str, str]
) -> None:
    page = look(editor, GOOD)

    assert agree(editor, page, **spoil).status_code in (400, 422)
    assert services.editor("main", by="t").variant("film", "kiss").version == 1


def test_another_file_than_the_one_looked_at_is_refused(editor: Person, services: Services) -> None:
    page = look(editor, GOOD)

    response = agree(editor, page, packed=packed(GOOD.replace("kiss", "joke").encode()))

    assert response.status_code == 422
    assert services.editor("main", by="t").variant("film", "joke").version == 1


def test_a_file_comes_back_to_the_byte_and_not_larger_than_it_may_be() -> None:
    assert unpacked(packed(GOOD.encode())) == GOOD.encode()


def test_times_are_read_in_the_zone_of_the_viewer(editor: Person, services: Services) -> None:
    sheet = "placement,variant,headline,from\nfilm,kiss,A kiss,2030-07-01 09:00\n"
    page = look(editor, sheet, zone="Europe/Lisbon")
    assert "times without an offset are in Europe/Lisbon" in text_of(page)
    unknown = look(editor, sheet, zone="Europe/Nowhere")
    assert "times without an offset are in UTC" in text_of(unknown)

    agree(editor, page)

    stored = services.editor("main", by="t").variant("film", "kiss").live_from
    assert stored is not None
    assert stored.isoformat() == "2030-07-01T08:00:00+00:00"


def test_what_is_exported_is_read_back_as_no_change(editor: Person) -> None:
    exported = editor.get("/desk/export.csv")
    assert exported.headers["Content-Disposition"] == 'attachment; filename="main.csv"'

    page = look(editor, exported.data)

    assert "as it is here already" in text_of(page)


def test_a_cell_that_a_spreadsheet_would_run_is_exported_as_text(
    editor: Person, services: Services
) -> None:
    sheet = 'placement,variant,headline\nfilm,kiss,"=HYPERLINK(""http://evil"")"\n'
    agree(editor, look(editor, sheet))

    exported = editor.get("/desk/export.csv").data.decode("utf-8-sig")

    assert "=HYPERLINK" not in [
        cell[:10] for line in exported.splitlines() for cell in line.split(",")
    ]
