"""A large site: 500 placements of 100 variants each, read in well under a second."""

from __future__ import annotations

import time
from collections.abc import Iterator
from random import Random
from typing import Any, Final

import msgspec
import pytest

from bandit_service.catalog.document import CatalogDocument
from bandit_service.policy.settings import SiteSettings
from bandit_service.services import Services
from bandit_service.serving.decide import decide
from bandit_service.serving.intake import take_events
from bandit_service.serving.requests import DecideRequest, EventsRequest
from bandit_service.settings import ServiceSettings
from bandit_service.storage.redis_store import RedisStore
from bandit_service.web.app import create_app
from tests.conftest import Clock
from tests.desk.people import Person

PLACEMENTS: Final = 500
VARIANTS: Final = 100
PERSONAS: Final = ("romantic", "comedy", "action", "thriller", "family")
SECOND: Final = 1.0
"""What a page may take, in seconds, on the machine of the issue; it takes some tenths of that."""


def catalog() -> CatalogDocument:
    rng = Random(5)
    tags = [f"tag-{n}" for n in range(30)]
    document: dict[str, Any] = {
        "personas": [{"id": p, "rules": [{"trait": "genres", "any": [p]}]} for p in PERSONAS],
        "placements": [
            {
                "id": f"title-{n}",
                "kind": "card",
                "name": f"The title number {n}",
                "tags": rng.sample(tags, 2),
                "variants": [
                    {
                        "id": f"creative-{m}",
                        "headline": f"What title {n} says in its creative number {m}",
                        "image_url": f"https://images.example/{n}/{m}.jpg",
                        "tags": rng.sample(tags, 3),
                        "status": "live",
                    }
                    for m in range(VARIANTS)
                ],
            }
            for n in range(PLACEMENTS)
        ],
    }
    return msgspec.convert(document, CatalogDocument)


@pytest.fixture(scope="module")
def large(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """An editor of a large site that some visitors have seen, on a real Redis."""
    clock, rng = Clock(), Random(7)
    store = RedisStore(redis_url)
    store._client.flushall()
    services = Services(
        ServiceSettings(config_dir=str(tmp_path_factory.mktemp("config"))),
        store,
        clock=clock,
        entropy=rng.randbytes,
        site_settings=SiteSettings(),
    )
    services.ensure_snapshot("main")
    services.editor("main", by="test").put_document(catalog())
    services.refresh()
    view = services.view("main")
    for number in range(4 * PLACEMENTS):
        clock.advance(0.1)
        request = DecideRequest(
            placement=f"title-{number % PLACEMENTS}", persona=rng.choice(PERSONAS)
        )
        answer = decide(view, request, now=clock(), entropy=rng.randbytes(9))
        kind = rng.choice(("impression", "click"))
        raw = msgspec.Raw(msgspec.json.encode({"decision": answer.decision, "type": kind}))
        take_events(view, EventsRequest(events=[raw]), now=clock())
    learner = services.learner("main")
    while learner.step():
        pass
    learner.finish()
    key, _ = services.keys.create("main", "editor")
    services.refresh()
    person = Person(create_app(services))
    person.sign_in(key)
    yield person
    services.close()


def seconds(person: Person, path: str) -> tuple[float, float]:
    """How long a page takes by the clock, and of the processor's time in this process."""
    clock, work = time.perf_counter(), time.process_time()
    assert person.get(path).status_code == 200, path
    return time.perf_counter() - clock, time.process_time() - work


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        "/desk",
        "/desk?q=creative+number+99&tag=tag-3&kind=card",
        "/desk?page=9",
        "/desk/live?p=title-1&p=title-2",
        "/desk/placements/title-7",
        "/desk/placements/title-7/live",
        "/desk/placements/title-7/new-variant",
        "/desk/personas",
        "/desk/next",
        "/desk/policies",
    ],
)
def test_a_page_of_a_large_site_takes_less_than_a_second(large: Person, path: str) -> None:
    taken = [seconds(large, path) for _ in range(3)]

    # others use the machine: the best of three by the clock, and the first time by its own work
    assert min(clock for clock, _ in taken) < SECOND
    assert taken[0][1] < SECOND
