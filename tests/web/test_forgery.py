"""Decision ids that nobody issued here are refused by their MAC: no store is asked."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit_service.errors import StorageError
from bandit_service.events.entries import Event
from bandit_service.events.identity import DECISION_LENGTH, SiteSecret
from bandit_service.services import Services
from bandit_service.serving.intake import take_events
from bandit_service.serving.requests import EventsAnswer, EventsRequest
from bandit_service.serving.view import SiteView
from tests.conftest import Api, body_of, logged
from tests.world import START_MS, World


class Untouchable:
    """A store of which every use is an error."""

    def __getattribute__(self, name: str) -> Any:
        raise StorageError(f"somebody asked the store for {name}")


def world_without_a_store() -> tuple[SiteView, str]:
    """A site's view whose store is gone, and an id that it issued before."""
    world = World()
    decision = world.decide(visitor="ann").decision
    world.view.store = Untouchable()
    world.view.append = lambda _: world.view.store.append_many([])
    return world.view, decision


VIEW, ISSUED = world_without_a_store()
OTHER = SiteSecret(b"another site's secret of 32 byte")


def report(*decisions: str) -> EventsAnswer:
    """Report a click of each, all at once."""
    events = [msgspec.json.encode({"decision": d, "type": "click"}) for d in decisions]
    request = EventsRequest(events=[msgspec.Raw(event) for event in events])
    return take_events(VIEW, request, now=START_MS)


def refused(*decisions: str) -> bool:
    """Whether each was refused, without a look at the store."""
    answer = report(*decisions)
    codes = [rejection.code for rejection in answer.rejected]
    return answer.accepted == 0 and codes == ["unknown_decision"] * len(decisions)


def test_what_was_issued_here_would_have_reached_for_the_store() -> None:
    with pytest.raises(StorageError, match="append_many"):
        report(ISSUED)


@given(st.binary(min_size=24, max_size=24))
def test_a_random_id_is_refused(raw: bytes) -> None:
    assert refused(urlsafe_b64encode(raw).decode())


@given(st.text(max_size=2 * DECISION_LENGTH))
def test_any_text_is_refused(text: str) -> None:
    assert refused(text)


@given(st.integers(0, DECISION_LENGTH - 1))
def test_a_part_of_an_id_is_refused(length: int) -> None:
    assert refused(ISSUED[:length], ISSUED[length + 1 :], ISSUED[:length] + ISSUED[length + 1 :])


@given(st.integers(0, 24 * 8 - 1))
def test_an_id_with_one_bit_turned_is_refused(bit: int) -> None:
    raw = int.from_bytes(urlsafe_b64decode(ISSUED), "big") ^ (1 << bit)

    assert refused(urlsafe_b64encode(raw.to_bytes(24, "big")).decode())


@given(st.integers(0, 2**48 - 1), st.binary(min_size=9, max_size=9))
def test_an_id_of_another_site_is_refused(at: int, entropy: bytes) -> None:
    assert refused(OTHER.new_decision(at, entropy))


@given(st.binary(min_size=15, max_size=15))
def test_the_mac_of_one_id_vouches_for_no_other(body: bytes) -> None:
    tag = urlsafe_b64decode(ISSUED)[-9:]

    assert refused(urlsafe_b64encode(body + tag).decode())


def test_over_http_a_forged_id_touches_no_store(
    api: Api, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    decision = body_of(api.decide())["decision"]
    store = services.view("main").store
    monkeypatch.setattr(services.view("main"), "store", Untouchable())
    monkeypatch.setattr(services, "store", Untouchable())
    forged = decision[:-1] + ("A" if decision[-1] != "A" else "B")

    # when
    answer = body_of(api.events({"decision": forged, "type": "click"}), 202)

    # then
    assert [rejection["code"] for rejection in answer["rejected"]] == ["unknown_decision"]
    monkeypatch.undo()
    assert store.length() == services.store.site("main").length()
    assert not [entry for entry in logged(services) if isinstance(entry, Event)]
