"""The wire, call by call: what a website, an editor and a monitor send and are answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient

from bandit_service.catalog.document import CatalogDocument
from bandit_service.errors import StorageError
from bandit_service.events.entries import (
    START,
    Decision,
    Event,
    PlacementChanged,
    Tick,
    decode,
    encode,
)
from bandit_service.policy.snapshot import SnapshotName
from bandit_service.services import Services
from bandit_service.storage.memory import MemoryStore
from bandit_service.storage.ports import entries_of
from bandit_service.web.app import create_app
from tests.conftest import CATALOG, START_MS, Api, Clock, Headers, body_of, error_of, logged

FILM_LIVE = {"kiss", "joke", "chase"}


@pytest.fixture
def learn(services: Services, clock: Clock) -> Callable[[], None]:
    """Let a learner read all there is, close every window, and let the service see the result."""

    def work() -> None:
        clock.advance(3600)
        services.store.site("main").append(encode(Tick(at=clock.now)))
        learner = services.learner("main")
        while learner.step():
            pass
        learner.finish()
        services.refresh()

    return work


# -- decide


def test_a_decision_says_what_to_show_and_why(api: Api, services: Services) -> None:
    # when
    answer = body_of(api.decide())

    # then
    assert set(answer) == {
        *("decision", "placement", "variant", "persona", "persona_confidence"),
        *("probability", "match", "snapshot", "reason", "logged"),
    }
    assert answer["placement"] == "film"
    assert answer["variant"]["id"] in FILM_LIVE
    assert answer["variant"]["kind"] == "headline"
    assert answer["variant"]["version"] == 1
    assert 0 < answer["probability"] <= 1
    assert answer["reason"] in ("learned", "explored", "holdout")
    assert answer["snapshot"] == services.view("main").chooser.name  # type: ignore[union-attr]


def test_a_decision_is_in_the_log_as_it_was_answered(api: Api, services: Services) -> None:
    # given
    before = len(logged(services))

    # when
    answer = body_of(api.decide(visitor="ann", context={"device": "Phone"}, exclude=["joke"]))

    # then
    *_, entry = logged(services)
    assert len(logged(services)) == before + 1
    assert isinstance(entry, Decision)
    assert entry.id == answer["decision"]
    assert entry.arm == f"{answer['variant']['id']}@{answer['variant']['version']}"
    assert entry.propensity == answer["probability"]
    assert entry.snapshot == answer["snapshot"]
    assert entry.reason == answer["reason"]
    assert entry.context["device"] == "phone"
    assert entry.exclude == ["joke"]
    assert sum(entry.probabilities) == pytest.approx(1.0)
    assert entry.visitor not in (None, "ann")


def test_a_variant_comes_with_all_its_content(api: Api) -> None:
    variant = body_of(api.decide(placement="poster"))["variant"]

    assert variant == {
        "id": "only",
        "version": 1,
        "kind": "card",
        "headline": "The one",
        "image_url": "https://images.example/one.jpg",
        "alt": "A door",
        "target_url": "/one",
        "attributes": {"faces": 2},
    }


def test_where_there_is_one_variant_it_is_shown_for_sure(api: Api) -> None:
    answer = body_of(api.decide(placement="poster"))

    assert (answer["reason"], answer["probability"]) == ("only", 1.0)


@pytest.mark.parametrize(
    ("body", "persona", "confidence"),
    [
        ({}, "unknown", 0.0),
        ({"traits": {}}, "unknown", 0.0),
        ({"traits": {"genres": ["western"]}}, "unknown", 0.0),
        ({"traits": {"genres": ["Romance"]}}, "romantic", 0.75),
        ({"traits": {"favourites": ["film"]}}, "comedy", 0.75),
        ({"traits": {"genres": "romance", "favourites": "film"}}, "unknown", 3 / 7),
        ({"persona": "comedy"}, "comedy", 1.0),
        ({"persona": "comedy", "traits": {"genres": ["romance"]}}, "comedy", 1.0),
        ({"persona": "unknown", "traits": {"genres": ["romance"]}}, "unknown", 1.0),
        ({"persona": None, "traits": {"genres": None}}, "unknown", 0.0),
    ],
)
def test_a_persona_is_named_or_resolved_or_unknown(
    api: Api, services: Services, body: dict[str, Any], persona: str, confidence: float
) -> None:
    answer = body_of(api.decide(**body))

    assert answer["persona"] == persona
    assert answer["persona_confidence"] == pytest.approx(confidence)
    entry = logged(services)[-1]
    assert isinstance(entry, Decision)
    assert (entry.persona, entry.confidence) == (persona, answer["persona_confidence"])


def test_a_persona_that_nobody_declared_is_refused(api: Api) -> None:
    error = error_of(api.decide(persona="pirate"), 400)

    assert error["field"] == "persona"
    assert "pirate" in error["message"]


def test_excluded_variants_are_never_shown(api: Api) -> None:
    for _ in range(40):
        answer = body_of(api.decide(exclude=["joke", "chase", "nobody"]))
        assert answer["variant"]["id"] == "kiss"
        assert answer["probability"] == 1.0


def test_a_draft_is_never_shown(api: Api) -> None:
    shown = {body_of(api.decide())["variant"]["id"] for _ in range(60)}

    assert shown == FILM_LIVE


def test_a_visitor_keeps_its_variant_for_the_slot(api: Api, services: Services) -> None:
    # given a slot that has just begun
    first = body_of(api.decide(visitor="ann"))

    # when
    others = [body_of(api.decide(visitor="ann")) for _ in range(20)]

    # then
    assert {answer["variant"]["id"] for answer in others} == {first["variant"]["id"]}
    assert len({answer["decision"] for answer in others}) == 20


def test_visitors_differ_in_what_they_are_shown(api: Api) -> None:
    shown = {body_of(api.decide(visitor=f"v{n}"))["variant"]["id"] for n in range(60)}

    assert shown == FILM_LIVE


def test_what_a_visitor_saw_before_makes_a_repeated_view_sticky(
    api: Api, services: Services, clock: Clock
) -> None:
    # given a visitor whose first view was learned from
    visitor = next(
        f"v{n}"
        for n in range(100)
        if body_of(api.decide(visitor=f"v{n}"))["reason"] in ("learned", "explored")
    )
    learner = services.learner("main")
    learner.step()
    learner.finish()

    # when
    again = body_of(api.decide(visitor=visitor))

    # then
    assert again["reason"] == "sticky"


def test_without_a_snapshot_decisions_fall_back(clock: Clock, services: Services) -> None:
    # given a process whose snapshot could not be loaded
    editor = services.editor("new", by="test")
    editor.put_document(msgspec.convert(CATALOG, CatalogDocument))
    key, _ = services.keys.create("new", "site")
    services.refresh()
    services.view("new").chooser = None
    client = create_app(services).test_client()

    # when
    response = client.post(
        "/v1/decide", json={"placement": "film"}, headers={"Authorization": f"Bearer {key}"}
    )

    # then
    answer = body_of(response)
    assert answer["snapshot"] == "none"
    assert answer["reason"] in ("fallback", "holdout")
    assert answer["probability"] == pytest.approx(1 / 3)


# -- inline candidates

INLINE = [
    {"id": "x", "headline": "X", "tags": ["couple"], "attributes": {"faces": 1}},
    {"id": "y", "image_url": "/y.jpg"},
    {"id": "z|:\n z", "headline": "Z", "image_url": "/z.jpg", "mood": "a field of the future"},
]


def test_candidates_may_come_with_the_request(api: Api, services: Services) -> None:
    # when
    answers = [
        body_of(api.decide(placement="anywhere", candidates=INLINE, visitor=f"v{n}"))
        for n in range(60)
    ]

    # then
    assert {(a["variant"]["id"], a["variant"]["kind"]) for a in answers} == {
        ("x", "headline"),
        ("y", "thumbnail"),
        ("z|:\n z", "card"),
    }
    entry = logged(services)[-1]
    assert isinstance(entry, Decision)
    assert entry.revision == 0
    assert [variant.id for variant in entry.inline or []] == ["x", "y", "z|:\n z"]


def test_the_version_of_inline_content_changes_with_the_content(api: Api) -> None:
    def version(**content: Any) -> int:
        answer = body_of(api.decide(candidates=[{"id": "x", **content}]))
        return int(answer["variant"]["version"])

    assert version(headline="A") == version(headline="A", tags=["t"])
    assert len({version(headline="A"), version(headline="B"), version(alt="A")}) == 3


def test_candidates_win_over_the_placements_own(api: Api) -> None:
    answer = body_of(api.decide(candidates=[{"id": "x", "headline": "X"}]))

    assert answer["variant"]["id"] == "x"


def test_inline_candidates_may_be_excluded(api: Api) -> None:
    shown = {
        body_of(api.decide(candidates=INLINE, exclude=["x", "z|:\n z"]))["variant"]["id"]
        for _ in range(10)
    }

    assert shown == {"y"}


def test_inline_shares_are_kept(api: Api) -> None:
    candidates = [{"id": "x", "headline": "X", "min_share": 0.9}, {"id": "y", "headline": "Y"}]

    for n in range(20):
        answer = body_of(api.decide(candidates=candidates, visitor=f"v{n}"))
        share = answer["probability"]
        assert share >= 0.899 if answer["variant"]["id"] == "x" else share <= 0.101


# -- pages


def test_a_page_is_answered_slot_by_slot(api: Api, services: Services) -> None:
    # given
    before = len(logged(services))

    # when
    answer = body_of(
        api.page(
            visitor="ann",
            traits={"genres": ["romance"]},
            context={"device": "phone", "country": "fr"},
            slots=[
                {"placement": "film"},
                {"placement": "poster", "persona": "comedy", "context": {"device": "tv"}},
                {"placement": "film", "traits": {}, "exclude": ["joke", "chase"]},
                {"placement": "free", "candidates": [{"id": "x", "headline": "X"}]},
            ],
        )
    )

    # then
    first, second, third, fourth = answer["slots"]
    assert [slot["placement"] for slot in answer["slots"]] == ["film", "poster", "film", "free"]
    assert [slot["persona"] for slot in answer["slots"]] == [
        "romantic",
        "comedy",
        "unknown",
        "romantic",
    ]
    assert first["variant"]["id"] in FILM_LIVE
    assert second["variant"]["id"] == "only"
    assert third["variant"]["id"] == "kiss"
    assert fourth["variant"]["id"] == "x"
    entries = logged(services)[before:]
    assert [e.id for e in entries if isinstance(e, Decision)] == [
        slot["decision"] for slot in answer["slots"]
    ]
    contexts = [e.context for e in entries if isinstance(e, Decision)]
    assert [(c["device"], c["country"]) for c in contexts] == [
        ("phone", "fr"),
        ("tv", "fr"),
        ("phone", "fr"),
        ("phone", "fr"),
    ]


def test_a_slot_is_answered_as_if_it_were_asked_alone(api: Api) -> None:
    alone = body_of(api.decide(visitor="ann", context={"device": "tv"}))

    (slot,) = body_of(
        api.page(visitor="ann", context={"device": "tv"}, slots=[{"placement": "film"}])
    )["slots"]

    differing = {"decision", "reason"}
    assert slot["reason"] == "sticky"
    assert {k: v for k, v in slot.items() if k not in differing} == {
        k: v for k, v in alone.items() if k not in differing
    }


def test_a_page_without_slots_is_empty(api: Api, services: Services) -> None:
    before = len(logged(services))

    assert body_of(api.page(slots=[])) == {"slots": []}
    assert len(logged(services)) == before


def test_one_wrong_slot_refuses_the_page_and_logs_nothing(api: Api, services: Services) -> None:
    before = len(logged(services))

    error_of(api.page(slots=[{"placement": "film"}, {"placement": "nowhere"}]), 404)
    assert len(logged(services)) == before


# -- events


def test_events_are_accepted_and_logged(api: Api, services: Services, clock: Clock) -> None:
    # given
    decision = body_of(api.decide())["decision"]
    clock.advance(2)

    # when
    answer = body_of(
        api.events(
            {"decision": decision, "type": "impression"},
            {"decision": decision, "type": "watch", "value": 0.5, "at": START_MS / 1000 + 1},
            {"decision": decision, "type": "click", "at": "2030-03-17T17:46:41Z", "id": "c1"},
        ),
        202,
    )

    # then
    assert answer == {"accepted": 3, "rejected": []}
    events = [e for e in logged(services) if isinstance(e, Event)]
    assert [(e.type, e.value, e.id, e.at, e.received, e.flags) for e in events] == [
        ("impression", None, None, START_MS + 2000, START_MS + 2000, []),
        ("watch", 0.5, None, START_MS + 1000, START_MS + 2000, []),
        ("click", None, "c1", START_MS + 1000, START_MS + 2000, []),
    ]


def test_each_event_is_accepted_or_rejected_by_itself(api: Api, services: Services) -> None:
    # given
    decision = body_of(api.decide())["decision"]
    before = len(logged(services))

    # when
    answer = body_of(
        api.events(
            {"decision": decision, "type": "click"},
            {"decision": "made-up", "type": "click"},
            {"decision": decision, "type": "no such thing!"},
            "not an object",
            {"type": "click"},
            {"decision": decision, "type": "watch", "value": 1.5},
            {"decision": decision, "type": "click", "at": "yesterday"},
            {"decision": decision, "type": "click", "at": -5},
            {"decision": decision, "type": "click", "id": ""},
            {"decision": decision, "type": "click", "value": 1e9},
            {"decision": decision, "type": "like", "mood": "unknown fields are ignored"},
        ),
        202,
    )

    # then
    assert answer["accepted"] == 2
    assert [rejection["index"] for rejection in answer["rejected"]] == list(range(1, 10))
    assert answer["rejected"][0]["code"] == "unknown_decision"
    for rejection in answer["rejected"]:
        assert set(rejection) <= {"index", "code", "message", "hint"}
        assert rejection["message"]
    assert [type(entry) for entry in logged(services)[before:]] == [Event, Event]


def test_no_events_are_nothing_to_log(api: Api, services: Services) -> None:
    before = len(logged(services))

    assert body_of(api.events(), 202) == {"accepted": 0, "rejected": []}
    assert len(logged(services)) == before


def test_a_type_of_the_sites_own_is_accepted_and_marked(api: Api, services: Services) -> None:
    decision = body_of(api.decide())["decision"]

    assert body_of(api.events({"decision": decision, "type": "dwell"}), 202)["accepted"] == 1
    entry = logged(services)[-1]
    assert isinstance(entry, Event)
    assert entry.flags == ["unknown_type"]


# -- the catalog

FILM = "/v1/placements/film"
KISS = FILM + "/variants/kiss"


def test_placements_are_listed_by_id(api: Api) -> None:
    placements = body_of(api.get("/v1/placements"))["placements"]

    assert [placement["id"] for placement in placements] == ["dark", "film", "poster"]


def test_a_placement_is_created_read_changed_and_retired(api: Api, services: Services) -> None:
    # when it is created
    path = "/v1/placements/new"
    body = {"kind": "headline", "name": "New", "variants": [{"id": "a", "headline": "A"}]}
    created = body_of(api.put(path, body))
    assert (created["id"], created["revision"], created["variants"][0]["version"]) == ("new", 1, 1)

    # then it is there, and its draft is not shown
    assert body_of(api.get(path)) == created
    assert error_of(api.decide(placement="new"), 409)["code"] == "nothing_to_show"

    # when its variant goes live
    variant = body_of(api.put(path + "/variants/a", {"headline": "A", "status": "live"}))
    assert (variant["id"], variant["version"], variant["status"]) == ("a", 1, "live")

    # then this process shows it at once
    assert body_of(api.decide(placement="new"))["variant"]["headline"] == "A"

    # when it is retired
    response = api.delete(path)
    assert (response.status_code, response.data) == (204, b"")

    # then it is gone from decisions, and still to be read
    error_of(api.decide(placement="new"), 404)
    assert body_of(api.get(path))["retired"] is True
    changes = [e for e in logged(services) if isinstance(e, PlacementChanged)]
    assert [e.placement.revision for e in changes if e.placement.id == "new"] == [1, 2, 3]


def test_changes_are_logged_with_the_key_that_made_them(api: Api, services: Services) -> None:
    # given
    (editor,) = [record for record in services.keys.records().values() if record.role == "editor"]

    # when
    body_of(api.put(KISS, {"headline": "Changed", "status": "live"}))

    # then
    entry = logged(services)[-1]
    assert isinstance(entry, PlacementChanged)
    assert entry.by == editor.id


def test_putting_the_same_again_changes_nothing(api: Api, services: Services) -> None:
    # given
    body = {"kind": "headline", "variants": [{"id": "a", "headline": "A", "min_share": 0}]}
    first = api.put("/v1/placements/new", body)
    before = len(logged(services))

    # when
    again = api.put("/v1/placements/new", body)

    # then
    assert body_of(again) == body_of(first)
    assert again.headers["ETag"] == first.headers["ETag"]
    assert len(logged(services)) == before


def test_new_content_is_a_new_version_in_decisions(api: Api) -> None:
    path = "/v1/placements/poster/variants/only"
    present = body_of(api.get(path))
    del present["version"]

    body_of(api.put(path, {**present, "headline": "The other"}))

    answer = body_of(api.decide(placement="poster"))
    assert (answer["variant"]["version"], answer["variant"]["headline"]) == (2, "The other")


def test_a_retired_variant_is_not_shown_any_more(api: Api, services: Services) -> None:
    # when
    assert api.delete(KISS).status_code == 204
    entries = len(logged(services))
    assert api.delete(KISS).status_code == 204

    # then
    assert len(logged(services)) == entries
    shown = {body_of(api.decide())["variant"]["id"] for _ in range(40)}
    assert shown == {"joke", "chase"}
    assert body_of(api.get(KISS))["status"] == "retired"


@pytest.mark.parametrize("path", ["/v1/placements/nowhere", FILM + "/variants/nobody"])
def test_what_does_not_exist_is_not_found(api: Api, path: str) -> None:
    for response in (api.get(path), api.delete(path)):
        error = error_of(response, 404)
        assert error["code"] == "not_found"
        assert error["field"] in ("placement", "variant")


def test_a_variant_of_no_placement_cannot_be_put(api: Api) -> None:
    error = error_of(api.put("/v1/placements/nowhere/variants/a", {"headline": "A"}), 404)

    assert "PUT /v1/placements/nowhere" in error["hint"]


# -- ETags


@pytest.mark.parametrize("path", [FILM, KISS, "/v1/personas"])
def test_what_is_read_carries_an_etag_that_stays_while_it_does(api: Api, path: str) -> None:
    first, second = api.get(path), api.get(path)

    assert first.headers["ETag"] == second.headers["ETag"]
    assert first.headers["ETag"].startswith('"')


CHANGED = [
    (FILM, {"kind": "headline", "name": "Changed"}),
    (KISS, {"headline": "Changed", "status": "live"}),
    ("/v1/personas", {"personas": [], "threshold": 0.4}),
]


@pytest.mark.parametrize(("path", "body"), CHANGED)
def test_a_change_with_the_present_etag_is_made(api: Api, path: str, body: Any) -> None:
    # given
    tag = api.get(path).headers["ETag"]

    # when
    response = api.put(path, body, If_Match=f'"other", W/{tag}')

    # then
    body_of(response)
    assert response.headers["ETag"] != tag
    assert api.get(path).headers["ETag"] == response.headers["ETag"]


@pytest.mark.parametrize(("path", "body"), CHANGED)
def test_a_change_with_a_stale_etag_is_refused(
    api: Api, services: Services, path: str, body: Any
) -> None:
    # given
    tag = api.get(path).headers["ETag"]
    body_of(api.put(path, body))
    before = (api.get(path).json, len(logged(services)))

    # when
    response = api.put(path, {**body, "name": "x"} if path == FILM else body, If_Match=tag)

    # then
    assert error_of(response, 412)["code"] == "conflict"
    assert (api.get(path).json, len(logged(services))) == before


@pytest.mark.parametrize("path", [FILM, KISS])
def test_a_stale_etag_refuses_a_deletion_too(api: Api, path: str) -> None:
    error_of(api.delete(path, If_Match='"stale"'), 412)
    tag = api.get(path).headers["ETag"]
    assert api.delete(path, If_Match=tag).status_code == 204


def test_a_star_means_it_must_exist_or_must_not(api: Api) -> None:
    # given
    body = {"kind": "headline"}
    variant = {"headline": "A"}

    # then
    error_of(api.put("/v1/placements/new", body, If_Match="*"), 412)
    error_of(api.put(FILM, body, If_None_Match="*"), 412)
    error_of(api.put(FILM + "/variants/new", variant, If_Match="*"), 412)
    error_of(api.put(KISS, variant, If_None_Match="*"), 412)
    body_of(api.put("/v1/placements/new", body, If_None_Match="*"))
    body_of(api.put("/v1/placements/new", {**body, "name": "N"}, If_Match="*"))
    body_of(api.put(FILM + "/variants/new", variant, If_None_Match="*"))


# -- personas and reports


def test_personas_are_read_and_replaced(api: Api) -> None:
    # given
    before = body_of(api.get("/v1/personas"))
    assert [persona["id"] for persona in before["personas"]] == ["romantic", "comedy"]

    # when
    rules = [{"trait": "age", "at_most": 30, "weight": 4}]
    after = body_of(api.put("/v1/personas", {"personas": [{"id": "young", "rules": rules}]}))

    # then
    assert after["revision"] == before["revision"] + 1
    assert body_of(api.get("/v1/personas")) == after
    assert body_of(api.decide(traits={"age": 20}))["persona"] == "young"
    error_of(api.decide(persona="romantic"), 400)


def test_before_anything_was_learned_reports_are_empty(api: Api, services: Services) -> None:
    overview = body_of(api.get("/v1/reports/overview"))
    film = body_of(api.get("/v1/reports/placements/film"))

    assert overview["as_of"] is None
    assert {line["placement"]: line["state"] for line in overview["placements"]}["film"] == "unused"
    assert (film["state"], film["says"]) == ("unused", "No traffic yet.")
    assert [(line["arm"], line["live"], line["shown"]) for line in film["variants"]] == [
        (f"{variant}@1", True, 0) for variant in ("kiss", "joke", "chase")
    ]
    assert film["cells"] == film["personas"] == film["hours"]["starts"] == []
    assert body_of(api.get("/v1/reports/personas")) == {"as_of": None, "personas": []}
    assert body_of(api.get("/v1/reports/tags")) == {"as_of": None, "effects": [], "gaps": []}
    learning = body_of(api.get("/v1/reports/learning"))
    assert learning["snapshot"] == services.view("main").chooser.name  # type: ignore[union-attr]
    assert set(learning["counts"].values()) == {0}


def test_reports_count_what_was_shown_and_what_came_of_it(
    api: Api, services: Services, learn: Callable[[], None]
) -> None:
    # given ten decisions for romantics, of which four were clicked
    decisions = [body_of(api.decide(persona="romantic")) for _ in range(10)]
    clicked = [{"decision": d["decision"], "type": "click"} for d in decisions[:4]]
    body_of(api.events(*clicked), 202)
    before = body_of(api.get("/v1/reports/learning"))["snapshot"]

    # when
    learn()

    # then every report has them
    shown = Counter(f"{d['variant']['id']}@1" for d in decisions)
    film = body_of(api.get("/v1/reports/placements/film"))
    (persona,) = film["personas"]
    assert (persona["persona"], persona["shown"], persona["rewarded"]) == ("romantic", 10, 4)
    assert persona["policy"]["n"] + persona["holdout"]["n"] == 10
    assert {line["arm"]: line["shown"] for line in film["variants"] if line["shown"]} == shown
    assert {cell["arm"]: cell["shown"] for cell in film["cells"]} == shown
    assert sum(map(sum, film["hours"]["shown"])) == sum(map(sum, film["days"]["settled"])) == 10
    assert sum(map(sum, film["days"]["earned"])) == 4.0
    for estimate in (film["policy"], film["holdout"], film["variants"][0]["estimate"]):
        assert set(estimate) == {
            *("rate", "low", "high", "n", "effective_n", "largest_weight", "held_back"),
        }
    (line,) = [
        one
        for one in body_of(api.get("/v1/reports/overview"))["placements"]
        if one["placement"] == "film"
    ]
    assert (line["state"], line["shown"], line["rewarded"], line["shown_24h"]) == (
        *("learning", 10, 4, 10),
    )
    (worth,) = body_of(api.get("/v1/reports/personas"))["personas"]
    assert (worth["persona"], worth["shown"], worth["worth"]) == ("romantic", 10, "too_few")
    learning = body_of(api.get("/v1/reports/learning"))
    assert learning["counts"]["rewarded"] == 4
    assert learning["counts"]["defaulted"] == 6
    assert learning["snapshot"] != before
    assert SnapshotName.parse(learning["snapshot"]).position.ms > 0


def test_there_is_no_report_of_a_placement_that_never_was(api: Api) -> None:
    error = error_of(api.get("/v1/reports/placements/nowhere"), 404)

    assert error["field"] == "placement"


def test_placements_of_inline_candidates_are_reported_too(
    api: Api, learn: Callable[[], None]
) -> None:
    body_of(api.decide(placement="free", candidates=[{"id": "x", "headline": "X"}]))

    learn()

    report = body_of(api.get("/v1/reports/placements/free"))
    assert (report["state"], report["shown"]) == ("sent", 1)
    assert [line["shown"] for line in report["variants"]] == [1]


def test_counters_of_another_version_are_refused_with_the_remedy(
    api: Api, services: Services, learn: Callable[[], None]
) -> None:
    body_of(api.decide())
    learn()
    site = services.store.site("main")
    site._report = msgspec.json.encode({"cells": [], "join": {}})  # type: ignore[attr-defined]

    error = error_of(api.get("/v1/reports/overview"), 503)

    assert error["code"] == "snapshot_unusable"
    assert "rebuild" in error["hint"]


# -- operations


def test_a_process_says_that_it_runs_and_that_it_can_decide(
    client: FlaskClient, services: Services
) -> None:
    assert body_of(client.get("/healthz"))["status"] == "ok"
    ready = body_of(client.get("/readyz"))
    chooser = services.view("main").chooser
    assert chooser is not None
    assert ready == {"status": "ready", "snapshot": chooser.name}


def test_a_process_without_a_snapshot_is_not_ready(clock: Clock, services: Services) -> None:
    empty = Services(services.settings, MemoryStore(clock=clock), clock=clock)
    client = create_app(empty).test_client()

    assert error_of(client.get("/readyz"), 503)["code"] == "not_ready"
    assert client.get("/healthz").status_code == 200
    empty.close()


def test_metrics_count_decisions_events_and_errors(api: Api, client: FlaskClient) -> None:
    # given
    decision = body_of(api.decide(placement="poster"))["decision"]
    body_of(api.page(slots=[{"placement": "poster"}, {"placement": "poster"}]))
    body_of(api.events({"decision": decision, "type": "click"}, {}), 202)
    error_of(api.decide(placement="nowhere"), 404)
    error_of(api.get("/v1/placements/nowhere"), 404)

    # when
    response = client.get("/metrics")

    # then
    assert response.mimetype == "text/plain"
    lines = response.text.splitlines()
    assert 'bandit_decisions_total{reason="only"} 3.0' in lines
    assert 'bandit_events_total{answer="accepted"} 1.0' in lines
    assert 'bandit_events_total{answer="rejected"} 1.0' in lines
    assert 'bandit_errors_total{code="not_found"} 2.0' in lines
    assert "bandit_decide_seconds_count 1.0" in lines
    assert any(line.startswith("bandit_staleness_seconds ") for line in lines)
    assert decision not in response.text


def test_two_applications_do_not_count_for_each_other(services: Services, auth: Headers) -> None:
    one, two = create_app(services).test_client(), create_app(services).test_client()

    one.post("/v1/decide", json={"placement": "poster"}, headers=auth["site"])

    assert 'reason="only"} 1.0' in one.get("/metrics").text
    assert 'reason="only"} 0.0' in two.get("/metrics").text


def test_a_path_that_leads_nowhere_says_where_the_paths_are(client: FlaskClient) -> None:
    error = error_of(client.get("/v2/decide"), 404)

    assert "/v2/decide" in error["message"]
    assert "/openapi.json" in error["hint"]


def test_a_method_that_a_path_does_not_take_says_which_it_does(client: FlaskClient) -> None:
    response = client.post("/v1/placements")

    assert error_of(response, 405)["code"] == "method_not_allowed"
    assert "GET" in response.headers["Allow"]


@pytest.mark.parametrize("path", ["/v1/decide", "/v1/decide/page", "/v1/events"])
def test_the_calls_of_websites_take_post_alone(client: FlaskClient, path: str) -> None:
    response = client.get(path)

    assert error_of(response, 405)["code"] == "method_not_allowed"
    assert response.headers["Allow"] == "OPTIONS, POST"


def test_answers_of_hot_calls_are_never_cached(api: Api) -> None:
    assert api.decide().headers["Cache-Control"] == "no-store"
    assert api.decide(placement="nowhere").headers["Cache-Control"] == "no-store"


def test_a_store_that_fails_is_said_to_be_unavailable(
    api: Api, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    def fail(*_: object, **__: object) -> None:
        raise StorageError("Redis: gone", hint="wait")

    decision = body_of(api.decide())["decision"]
    log = services.view("main").store
    before = len(logged(services))

    # when
    with monkeypatch.context() as patched:
        patched.setattr(services.view("main"), "append", fail)
        patched.setattr(log, "commit", fail)
        shown = [body_of(api.decide()), *body_of(api.page(slots=[{"placement": "film"}]))["slots"]]
        answers = [
            api.events({"decision": decision, "type": "click"}),
            api.put(KISS, {"headline": "Changed", "status": "live"}),
        ]
        figures = api.client.get("/metrics").text

    # then visitors see something, marked as not logged, and nothing was half done
    assert [(one["reason"], one["logged"]) for one in shown] == [("fallback", False)] * 2
    assert "bandit_unlogged_decisions_total 2.0" in figures
    for answer in answers:
        assert error_of(answer, 503)["code"] == "storage_unavailable"
    assert len(logged(services)) == before
    assert body_of(api.decide())["logged"]


def test_an_error_inside_is_told_apart_from_errors_of_the_caller(
    api: Api, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    with monkeypatch.context() as patched:
        patched.setattr(services.view("main").store, "append", fail)
        patched.setattr(services.store.site("main"), "catalog", fail)
        hot = api.decide()
        managed = api.get("/v1/placements")

    for response in (hot, managed):
        assert error_of(response, 500)["code"] == "error"
        assert "secret detail" not in response.text


def test_the_whole_log_of_a_session_can_be_read_again(api: Api, services: Services) -> None:
    # given
    body_of(api.decide(candidates=INLINE))
    body_of(api.put(KISS, {"headline": "Changed", "status": "live"}))
    log = services.store.site("main")

    # then
    rows = list(entries_of(log, after=START, upto=log.tail()))
    assert len(rows) == log.length()
    for _, data in rows:
        decode(data)
