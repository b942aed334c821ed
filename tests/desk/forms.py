"""Forms of the desk, as people send them, and what stands in their answers."""

from __future__ import annotations

import re
from html import unescape
from typing import Any, Final

from werkzeug.test import TestResponse

from bandit_service.catalog.model import Variant
from bandit_service.services import Services
from tests.desk.people import Person, hidden, text_of

FILM = "/desk/placements/film"
POSTER = "/desk/placements/poster"
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


def status_of(person: Person, placement: str, name: str, status: str) -> TestResponse:
    """Press the button that sets a status."""
    fields = form_of(person, f"/desk/placements/{placement}/variants/{name}")
    path = f"/desk/placements/{placement}/variants/{name}/status"
    return person.post(path, {**fields, "status": status}, token=fields["token"])
