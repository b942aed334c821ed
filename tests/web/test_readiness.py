"""What ``/readyz`` says of trouble that visitors do not notice, and that it asks nobody."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from bandit_service.errors import SpoolError, StorageError
from bandit_service.policy.settings import SiteSettings
from bandit_service.services import Services
from bandit_service.storage.identity import STORE_REPLACED
from bandit_service.storage.memory import MemoryStore
from bandit_service.storage.outbox import Outbox
from bandit_service.storage.spool import Spool
from bandit_service.web.app import create_app
from tests.conftest import Api, Clock, Headers, body_of, error_of


class Leaving(MemoryStore):
    """A store that can be told to be away."""

    gone = False

    @property
    def away(self) -> bool:
        return self.gone


class Spooling:
    """A serving process with an outbox, and its client."""

    def __init__(self, services: Services, folder: Path, clock: Clock) -> None:
        self.store = Leaving(clock=clock)
        self.spool = Spool(folder / "here.spool", max_bytes=4_000_000)
        self.services = Services(
            services.settings,
            self.store,
            clock=clock,
            entropy=random.Random(3).randbytes,
            site_settings=SiteSettings(),
            outbox=Outbox(self.store, self.spool, clock=clock),
        )
        key, _ = self.services.keys.create("main", "site")
        self.services.refresh()
        auth: Headers = {"site": {"Authorization": f"Bearer {key}"}}
        self.client = create_app(self.services).test_client()
        self.api = Api(self.client, auth)

    def decide(self) -> bool:
        """Whether a decision was logged."""
        candidates = [{"id": "a", "headline": "A"}, {"id": "b", "headline": "B"}]
        answer = body_of(self.api.decide(placement="free", candidates=candidates))
        return bool(answer.get("logged", True))

    def away(self) -> bool:
        """Whether the metric says so."""
        return "bandit_redis_away 1.0" in self.client.get("/metrics").text


@pytest.fixture
def process(services: Services, tmp_path: Path, clock: Clock) -> Iterator[Spooling]:
    made = Spooling(services, tmp_path, clock)
    yield made
    made.services.close()
    made.spool.close()


def test_a_process_whose_redis_was_replaced_is_ready_and_says_so(process: Spooling) -> None:
    assert not process.away()
    process.services.trouble = StorageError("it is another one", code=STORE_REPLACED)

    answer = body_of(process.client.get("/readyz"))

    assert (answer["status"], answer["problem"]) == ("spooling", "store_replaced")
    assert process.away()


def test_a_process_that_cannot_log_says_so_until_it_can(
    process: Spooling, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given that Redis is away
    process.store.gone = True
    assert process.decide()
    answer = body_of(process.client.get("/readyz"))
    assert answer["status"] == "spooling"
    assert "problem" not in answer

    # when the disk is full
    def full(*_: object, **__: object) -> None:
        raise SpoolError("full")

    with monkeypatch.context() as patch:
        patch.setattr(process.spool, "put", full)
        patch.setattr(process.spool, "count", full)
        assert not process.decide()
        answer = body_of(process.client.get("/readyz"))
        assert (answer["status"], answer["problem"]) == ("spooling", "spool_unavailable")
        assert process.away()

    # and has room again
    assert process.decide()
    assert "problem" not in body_of(process.client.get("/readyz"))


def test_readiness_asks_nobody(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = Services(services.settings, MemoryStore())
    monkeypatch.setattr(empty.store, "site", pytest.fail)

    answer = create_app(empty).test_client().get("/readyz")

    assert error_of(answer, 503)["code"] == "not_ready"
