"""Two sites in one service: whatever one does with its own keys, the other never notices.

Both have a placement, a variant and a visitor of the same name, since that is where they could
meet. All that is theirs carries a mark that no request of ours holds: an answer with it is a leak.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import msgspec
import pytest
import redis
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from bandit_service.access import ROLES
from bandit_service.catalog.document import CatalogDocument
from bandit_service.outcomes.rewards import RewardSettings
from bandit_service.policy.settings import PolicySettings, SiteSettings
from bandit_service.runtime import now_ms
from bandit_service.services import Services
from bandit_service.settings import ServiceSettings
from bandit_service.storage.memory import MemorySite, MemoryStore
from bandit_service.storage.ports import Store
from bandit_service.storage.redis_store import RedisStore
from bandit_service.web.app import create_app
from tests.conftest import START_MS, Clock, body_of

OURS: Final = "ours"
THEIRS: Final = "theirs"
MARK: Final = "quagga"
"""In everything of theirs, and in nothing that we send."""
QUICK: Final = SiteSettings(
    rewards=RewardSettings(window_seconds=1.0),
    policy=PolicySettings(typical_reward=0.2, learning_rate=0.05, bits=10, slot_seconds=5.0),
)
SHOP: Final = "https://shop.example"
Headers = dict[str, str]


def catalog_of(mark: str, *placements: str) -> CatalogDocument:
    """Placements of two headlines and a persona, marked."""
    variants = [
        {"id": name, "headline": f"{mark} {name}", "tags": [mark], "status": "live"}
        for name in ("a", "b")
    ]
    body = {
        "personas": [{"id": f"{mark}-fan", "rules": [{"trait": "genres", "any": ["drama"]}]}],
        "placements": [
            {"id": name, "kind": "headline", "name": mark, "variants": variants}
            for name in placements
        ],
    }
    return msgspec.convert(body, CatalogDocument)


BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
"""What asks from a page is no crawler."""


class Neighbours:
    """One service with both sites, of which theirs has learned something already."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.clock = clock
        self.store = store
        self.entropy = random.Random(5)
        self.services = Services(
            ServiceSettings(site=OURS),
            store,
            clock=clock,
            entropy=self.entropy.randbytes,
            site_settings=QUICK,
        )
        for site, catalog in (
            (OURS, catalog_of("plain", "film", "mine")),
            (THEIRS, catalog_of(MARK, "film", "hidden")),
        ):
            self.services.ensure_snapshot(site)
            self.services.editor(site, by="test").put_document(catalog)
        self.client: FlaskClient = create_app(self.services).test_client()
        self.our_keys: dict[str, Headers] = {role: self._key(OURS, role) for role in ROLES}
        self.our_keys["page"] = self._key(OURS, "site", SHOP) | {"Origin": SHOP, **BROWSER}
        self.their_keys: dict[str, Headers] = {role: self._key(THEIRS, role) for role in ROLES}
        self.services.refresh()
        self.theirs = [self._their_visit(n) for n in range(4)]
        self.ours: list[str] = []
        self.clock.advance(3)
        self.learn(THEIRS)

    def _key(self, site: str, role: Any, *origins: str) -> Headers:
        key, _ = self.services.keys.create(site, role, label=site, origins=origins)
        return {"Authorization": f"Bearer {key}"}

    def _their_visit(self, number: int) -> str:
        body = {"placement": "film", "visitor": "ann", "traits": {"genres": [MARK]}}
        answer = self.client.post("/v1/decide", json=body, headers=self.their_keys["site"])
        decision = str(body_of(answer)["decision"])
        event = {"decision": decision, "type": "click", "id": f"{MARK}-{number}"}
        self.client.post("/v1/events", json={"events": [event]}, headers=self.their_keys["site"])
        self.clock.advance(0.5)
        return decision

    def learn(self, site: str) -> None:
        """Learn what there is to learn of one site, and leave a checkpoint."""
        learner = self.services.learner(site)
        while learner.step():
            pass
        learner.finish()
        self.services.refresh()

    def ask(self, holder: str, method: str, path: str, body: Any = None) -> TestResponse:
        """A request of ours."""
        response = self.client.open(path, method=method, json=body, headers=self.our_keys[holder])
        assert response.status_code < 500
        for leak in (MARK, *self.theirs, self.store.site(THEIRS).head().name):  # type: ignore[union-attr]
            assert leak not in response.text
            assert leak not in str(response.headers)
        if response.status_code == 200 and path == "/v1/decide":
            self.ours.append(body_of(response)["decision"])
        return response

    def their_next(self) -> list[bytes]:
        """What they are answered at a certain moment and with certain randomness."""
        self.clock.now = START_MS + 10_000_000
        self.entropy.seed(11)
        self.services.refresh()
        bodies = [{"placement": "film", "visitor": v} for v in ("ann", "bob", None)]
        paths = ("/v1/placements", "/v1/personas", "/v1/reports/placements/film")
        hot = [
            self.client.post("/v1/decide", json=body, headers=self.their_keys["site"])
            for body in bodies
        ]
        read = [self.client.get(path, headers=self.their_keys["editor"]) for path in paths]
        assert {response.status_code for response in (*hot, *read)} == {200}
        return [response.data for response in (*hot, *read)]


# -- what we may do

Operation = Callable[[Neighbours], object]

names = st.sampled_from(["film", "mine", "hidden", "nowhere"])
visitors = st.sampled_from(["ann", "bob", None])
holders = st.sampled_from([*ROLES, "page"])
editors = st.sampled_from(["editor", "admin", "site"])
types = st.sampled_from(["click", "impression", "like", "convert"])


@st.composite
def deciding(draw: st.DrawFn) -> Operation:
    holder, page = draw(holders), draw(st.booleans())
    slots = [{"placement": draw(names), "exclude": draw(st.sampled_from([[], ["a"]]))}]
    shared = {"visitor": draw(visitors), "traits": {"genres": [draw(st.sampled_from("xy"))]}}
    if page:
        return lambda n: n.ask(holder, "POST", "/v1/decide/page", {"slots": slots, **shared})
    return lambda n: n.ask(holder, "POST", "/v1/decide", {**slots[0], **shared})


@st.composite
def reporting(draw: st.DrawFn) -> Operation:
    holder, kind, which = draw(holders), draw(types), draw(st.integers(0, 3))

    def report(n: Neighbours) -> None:
        decisions = [n.theirs[which], *n.ours[-2:]]
        events = [{"decision": decision, "type": kind} for decision in decisions]
        answer = body_of(n.ask(holder, "POST", "/v1/events", {"events": events}), 202)
        assert [(r["index"], r["code"]) for r in answer["rejected"]] == [(0, "unknown_decision")]
        assert answer["accepted"] == len(decisions) - 1

    return report


@st.composite
def editing(draw: st.DrawFn) -> Operation:
    holder, name, method = draw(editors), draw(names), draw(st.sampled_from(["PUT", "DELETE"]))
    variant = {"headline": draw(st.sampled_from(["one", "two"])), "status": "live"}
    paths: dict[str, Any] = {
        f"/v1/placements/{name}": {"kind": "headline", "variants": [{"id": "a", **variant}]},
        f"/v1/placements/{name}/variants/a": variant,
        "/v1/personas": {"personas": [{"id": "changed"}]},
    }
    path = draw(st.sampled_from(sorted(paths)))
    return lambda n: n.ask(holder, method, path, paths[path] if method == "PUT" else None)


@st.composite
def reading(draw: st.DrawFn) -> Operation:
    holder, name = draw(editors), draw(names)
    path = draw(
        st.sampled_from(
            [
                "/v1/placements",
                f"/v1/placements/{name}",
                f"/v1/placements/{name}/variants/a",
                "/v1/personas",
                "/v1/reports/overview",
                "/v1/reports/personas",
                "/v1/reports/tags",
                f"/v1/reports/placements/{name}",
                "/v1/reports/learning",
                "/readyz",
                "/metrics",
            ]
        )
    )
    return lambda n: n.ask(holder, "GET", path)


def _learn(n: Neighbours) -> None:
    n.clock.advance(3)
    n.learn(OURS)


def _rotate(n: Neighbours) -> None:
    own = [r for r in n.services.keys.records().values() if r.site == OURS and r.expires is None]
    n.services.keys.rotate(own[0].id, overlap_ms=86_400_000)
    n.ours.clear()  # forced often enough, a rotation refuses what was issued before
    n.services.mac_keys.rotate(OURS, QUICK, forced=True)
    n.clock.advance(11)
    n.services.refresh()


OPERATIONS: Final = st.lists(
    deciding() | reporting() | editing() | reading() | st.sampled_from([_learn, _rotate]),
    min_size=1,
    max_size=12,
)


# -- nothing of theirs is read, changed or influenced


def keys_of(store: Store, site: str) -> dict[str, bytes]:
    mark = f'"site":"{site}"'.encode()
    return {digest: record for digest, record in store.keys().items() if mark in record}


def in_memory(site: MemorySite) -> dict[str, Any]:
    """Everything that a site in memory holds, whatever fields it comes to have."""
    shared = ("_clock", "_shared", "_changed")
    return {name: copy.deepcopy(v) for name, v in vars(site).items() if name not in shared}


@cache
def undisturbed() -> list[bytes]:
    """What they are answered where we have done nothing at all."""
    clock = Clock()
    return Neighbours(MemoryStore(clock=clock), clock).their_next()


@settings(max_examples=40)
@given(OPERATIONS)
def test_whatever_we_do_all_that_is_theirs_stays_as_it_is_to_the_bit(
    operations: list[Operation],
) -> None:
    # given
    clock = Clock()
    store = MemoryStore(clock=clock)
    neighbours = Neighbours(store, clock)
    before = in_memory(store.site(THEIRS)), keys_of(store, THEIRS), store.site(THEIRS).secret()

    # when
    for operation in operations:
        operation(neighbours)

    # then
    after = in_memory(store.site(THEIRS)), keys_of(store, THEIRS), store.site(THEIRS).secret()
    assert after == before
    assert len(before[1]) == len(ROLES)

    # and what they are answered from then on is what it would have been without us
    assert neighbours.their_next() == undisturbed()


@pytest.mark.redis
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(operations=OPERATIONS)
def test_in_a_real_redis_nothing_of_theirs_is_touched_either(
    redis_store: RedisStore, redis_url: str, operations: list[Operation]
) -> None:
    with redis.Redis.from_url(redis_url) as client:
        # given
        client.flushall()
        neighbours = Neighbours(RedisStore(redis_url), Clock(now_ms()))

        def held() -> dict[bytes, Any]:
            names: Any = client.keys("bandit:{theirs}:*")
            return {name: client.dump(name) for name in names}

        before = held(), keys_of(neighbours.store, THEIRS)
        assert len(before[0]) > 8

        # when
        for operation in operations:
            operation(neighbours)

        # then
        assert (held(), keys_of(neighbours.store, THEIRS)) == before
        neighbours.services.close()


def test_what_they_have_and_what_nobody_has_look_the_same_to_us() -> None:
    """No answer says whether a placement, variant or decision exists elsewhere."""
    clock = Clock()
    neighbours = Neighbours(MemoryStore(clock=clock), clock)

    for method, path, body in (
        ("GET", "/v1/placements/{}", None),
        ("DELETE", "/v1/placements/{}", None),
        ("GET", "/v1/placements/{}/variants/a", None),
        ("PUT", "/v1/placements/{}/variants/a", {"headline": "x"}),
        ("GET", "/v1/reports/placements/{}", None),
        ("POST", "/v1/decide", {"placement": "{}"}),
    ):
        answers = [
            neighbours.ask(
                "admin",
                method,
                path.format(name),
                msgspec.json.decode(msgspec.json.encode(body).replace(b"{}", name.encode())),
            )
            for name in ("hidden", "absent")
        ]
        assert [a.status_code for a in answers] == [404, 404]
        assert answers[0].text.replace("hidden", "absent") == answers[1].text


def test_the_test_would_notice_a_leak_and_a_change() -> None:
    clock = Clock()
    store = MemoryStore(clock=clock)
    neighbours = Neighbours(store, clock)
    before = in_memory(store.site(THEIRS))

    # with their keys in our hands, everything above would fail
    neighbours.our_keys = neighbours.their_keys
    with pytest.raises(AssertionError):
        neighbours.ask("editor", "GET", "/v1/placements/film")
    with pytest.raises(AssertionError):
        neighbours.ask("site", "POST", "/v1/decide", {"placement": "film"})
    assert in_memory(store.site(THEIRS)) != before
    changed = {"personas": [{"id": "changed"}]}
    neighbours.client.put("/v1/personas", json=changed, headers=neighbours.their_keys["editor"])
    assert neighbours.their_next() != undisturbed()
