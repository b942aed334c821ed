"""Addresses in e-mails: the picture chosen when it is opened, the click that belongs to it, and
what nobody can make of them."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, Final
from urllib.parse import quote

import msgspec
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from bandit_service.catalog.model import PersonasSpec, PlacementSpec
from bandit_service.errors import StorageError
from bandit_service.events.entries import PREFETCHED, Decision, Event
from bandit_service.services import Services
from bandit_service.serving.links import Link, unverified
from tests.conftest import Api, Clock, body_of, error_of, logged

READER: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.0"
GMAIL: Final = "Mozilla/5.0 (Windows NT 5.1) Firefox/11.0 (via ggpht.com GoogleImageProxy)"
APPLE: Final = "Mozilla/5.0"
CRAWLER: Final = "Slackbot-LinkExpanding 1.0"
HOME: Final = "https://shop.example/start"
PICTURES: Final = "https://images.example"
VARIANTS: Final = ("couple", "chase", "joke", "plain")
TARGETS: Final = {name: f"https://shop.example/{name}" for name in VARIANTS}


@pytest.fixture
def mailed(services: Services) -> Services:
    """A site with a placement of four pictures, each of which leads elsewhere."""
    variants = [
        {"id": name, "image_url": f"{PICTURES}/{name}.png", "target_url": to, "status": "live"}
        for name, to in TARGETS.items()
    ]
    editor = services.editor("main", by="test")
    body = {"kind": "thumbnail", "canonical": "plain", "variants": variants}
    editor.put_placement("promo", msgspec.convert(body, PlacementSpec))
    services.refresh()
    return services


class Mail:
    """An e-mail with a picture and a link, as its readers and others open it."""

    def __init__(self, client: FlaskClient, api: Api, services: Services, **spec: Any) -> None:
        self._client = client
        self._services = services
        made = body_of(
            client.post(
                f"/v1/placements/{spec.pop('placement', 'promo')}/links",
                json={"home": HOME, **spec},  # which may name another
                headers=api.auth["editor"],
            )
        )
        self.picture_path, self.click_path = made["picture"], made["click"]
        self.token = self.picture_path.split("/")[2]

    def picture(
        self, reader: str = "ann", *, agent: str = READER, query: str = "", method: str = "GET"
    ) -> TestResponse:
        return self._get(self.picture_path, reader, agent, query, method)

    def click(
        self, reader: str = "ann", *, agent: str = READER, query: str = "", method: str = "GET"
    ) -> TestResponse:
        return self._get(self.click_path, reader, agent, query, method)

    def _get(self, path: str, reader: str, agent: str, query: str, method: str) -> TestResponse:
        address = path.format(reader=quote(reader, safe="")) + query
        return self._client.open(address, method=method, headers={"User-Agent": agent})

    def decisions(self) -> list[Decision]:
        return [entry for entry in logged(self._services) if isinstance(entry, Decision)]

    def events(self) -> list[Event]:
        return [entry for entry in logged(self._services) if isinstance(entry, Event)]

    def learn(self) -> dict[str, int]:
        """Fold the log; the counts of what was learned."""
        learner = self._services.learner("main")
        for _ in range(4):  # the log, a tick where windows are due to end, and that
            learner.step()
        learner.finish()
        found: dict[str, int] = msgspec.to_builtins(self._services.reports("main").counts())
        return found


@pytest.fixture
def mail(client: FlaskClient, api: Api, mailed: Services) -> Mail:
    return Mail(client, api, mailed)


def name_of(response: TestResponse) -> str:
    """The variant whose picture or target a redirect leads to."""
    assert response.status_code == 302, response.text
    return response.headers["Location"].rpartition("/")[2].removesuffix(".png")


# -- readers


def test_a_reader_is_led_to_the_picture_that_was_chosen_and_logged(mail: Mail) -> None:
    response = mail.picture()

    (decision,) = mail.decisions()
    assert response.headers["Location"] == f"{PICTURES}/{decision.arm.partition('@')[0]}.png"
    assert (decision.placement, decision.context["channel"]) == ("promo", "email")
    assert decision.propensity == pytest.approx(0.25)
    assert [(event.decision, event.type) for event in mail.events()] == [
        (decision.id, "impression")
    ]
    assert response.data == b""
    assert response.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in response.headers


def test_a_click_belongs_to_what_its_reader_was_shown_and_leads_there(mail: Mail) -> None:
    readers = [f"r{n}" for n in range(12)]
    shown = {reader: name_of(mail.picture(reader)) for reader in readers}
    assert len(set(shown.values())) > 1

    for reader in readers:
        assert name_of(mail.click(reader)) == shown[reader]

    by_id = {decision.id: decision for decision in mail.decisions()}
    clicks = [event for event in mail.events() if event.type == "click"]
    assert len({by_id[click.decision].visitor for click in clicks}) == len(readers)
    assert mail.learn()["rewarded"] == len(readers)


def test_a_click_counts_once_however_often_it_is_made(mail: Mail) -> None:
    mail.picture()

    for _ in range(3):
        mail.click()

    counts = mail.learn()
    assert (counts["rewarded"], counts["duplicate_events"]) == (1, 2)


def test_a_click_is_tied_by_whichever_process_hears_of_it(
    mail: Mail, mailed: Services, client: FlaskClient, api: Api
) -> None:
    # given a decision of one process, which the learner has noted for all
    from bandit_service.web.app import create_app

    shown = name_of(mail.picture())
    mail.learn()
    other = Services(mailed.settings, mailed.store, clock=mailed.clock)
    other.refresh()

    # when another process is asked
    response = (
        create_app(other)
        .test_client()
        .get(mail.click_path.format(reader="ann"), headers={"User-Agent": READER})
    )

    # then
    assert name_of(response) == shown
    assert [event.type for event in mail.events()] == ["impression", "click"]


def test_opening_again_soon_shows_the_same(mail: Mail) -> None:
    assert len({name_of(mail.picture()) for _ in range(4)}) == 1
    assert len({decision.unit for decision in mail.decisions()}) == 1


@pytest.mark.parametrize("agent", [GMAIL, READER])
def test_proxies_that_come_when_somebody_opens_are_readers(mail: Mail, agent: str) -> None:
    mail.picture(agent=agent)

    assert [event.type for event in mail.events()] == ["impression"]


def test_an_e_mail_for_one_persona_says_so(client: FlaskClient, api: Api, mailed: Services) -> None:
    mail = Mail(client, api, mailed, persona="romantic", channel="push")

    mail.picture()

    (decision,) = mail.decisions()
    assert (decision.persona, decision.context["channel"]) == ("romantic", "push")


def test_the_e_mails_program_may_fill_in_persona_and_traits(mail: Mail) -> None:
    mail.picture("a", query="?persona=romantic&utm_source=mail")
    mail.picture("b", query="?traits.genres=romance,drama&traits.genres=noir&traits.age=40")

    first, second = mail.decisions()
    assert (first.persona, first.traits) == ("romantic", {})
    assert second.persona == "romantic"
    assert second.traits == {"genres": ["romance", "drama", "noir"], "age": ["40"]}


@pytest.mark.parametrize(
    "query",
    [
        "?persona=pirate",
        "?persona=",
        "?persona={{persona}}",
        f"?traits.x={'x' * 300}",
        "?traits.=x",
        "?" + "&".join(f"traits.t{n}=1" for n in range(70)),
        "?traits.x=%00%0d%0a|a%20b:c",
    ],
)
def test_what_was_filled_in_wrongly_costs_no_reader_the_picture(mail: Mail, query: str) -> None:
    assert name_of(mail.picture(query=query)) in VARIANTS
    assert len(mail.decisions()) == 1


# -- who is no reader


def test_what_is_fetched_ahead_of_its_reader_is_marked_and_teaches_nothing(
    mail: Mail, clock: Clock
) -> None:
    # given a machine that fetches, a reader who sees that and clicks, and one who does not
    shown = name_of(mail.picture("ann", agent=APPLE))
    mail.picture("bob", agent=APPLE)
    assert name_of(mail.click("ann")) == shown

    # when everything closes
    clock.advance(3_600)
    counts = mail.learn()

    # then
    assert [decision.flags for decision in mail.decisions()] == [[PREFETCHED], [PREFETCHED]]
    assert [event.type for event in mail.events()] == ["click"]
    assert (counts["rewarded"], counts["defaulted"], counts["censored"]) == (0, 0, 2)
    assert (counts["prefetched_views"], counts["void_events"]) == (2, 1)


def test_a_reader_who_opens_what_was_prefetched_counts(mail: Mail, clock: Clock) -> None:
    mail.picture(agent=APPLE)
    clock.advance(30)
    mail.picture(agent=GMAIL)
    clock.advance(3_600)

    counts = mail.learn()

    assert (counts["defaulted"], counts["censored"]) == (1, 0)


@pytest.mark.parametrize("how", [{"agent": CRAWLER}, {"method": "HEAD"}])
def test_crawlers_and_scanners_get_the_canonical_picture_and_leave_nothing(
    mail: Mail, how: dict[str, str]
) -> None:
    mail.picture("ann")
    before = len(mail.decisions()) + len(mail.events())

    assert name_of(mail.picture("ann", **how)) == "plain"
    assert mail.click("ann", **how).status_code == 302

    assert len(mail.decisions()) + len(mail.events()) == before


NOBODYS: Final = (
    *("{{id}}", "*|ID|*", "%%id%%", "{reader}", "ann@a.example", "a b", "é", "x" * 129),
    *("x" * 10_000, "", "a/b", "/ab", "ab/", "a//b", "../up", "\r\nSet-Cookie: a=b"),
)


@pytest.mark.parametrize("reader", NOBODYS)
def test_an_id_that_is_nobodys_decides_and_counts_nothing(mail: Mail, reader: str) -> None:
    assert name_of(mail.picture(reader)) == "plain"
    assert name_of(mail.click(reader)) == "plain"

    assert mail.decisions() == []
    assert mail.events() == []


def test_what_was_never_opened_leads_on_and_counts_nothing(mail: Mail) -> None:
    assert name_of(mail.click("stranger")) == "plain"
    assert mail.events() == []


# -- where it leads


def test_no_address_in_the_request_is_ever_led_to(mail: Mail) -> None:
    mail.picture()
    evil = "https://evil.example"

    for query in (f"?to={evil}", f"?url={evil}&target_url={evil}&home={evil}", f"?{evil}"):
        assert mail.click(query=query).headers["Location"] in TARGETS.values()
        assert mail.picture(query=query).headers["Location"].startswith(PICTURES)


@pytest.mark.parametrize(
    "reader", ["//evil.example", "..%2f..%2fevil", "evil.example/", "\r\nX: y"]
)
def test_nor_is_one_that_a_readers_id_makes(mail: Mail, reader: str) -> None:
    response = mail.click(reader)

    to = response.headers.get("Location", HOME)
    assert response.status_code in (302, 308, 404)
    assert to in (*TARGETS.values(), HOME) or to.startswith("http://localhost/c/")
    assert "X" not in response.headers


@pytest.mark.parametrize(
    ("target", "leads"),
    [
        (None, HOME),
        ("/titles/1?a=b", "https://shop.example/titles/1?a=b"),
        ("/", "https://shop.example/"),
        ("https://other.example/x", "https://other.example/x"),
        ("/ü", "https://shop.example/%C3%BC"),
        ("https://[F0]/x", HOME),
        ("https://[::1]/x", "https://[::1]/x"),
        (f"https://{'x' * 64}.example/", HOME),
        ("https://a..example/", HOME),
        ("https://bücher.example/ü", "https://xn--bcher-kva.example/%C3%BC"),
        ("https://shop.example:8443?x", "https://shop.example:8443?x"),
    ],
)
def test_paths_begin_at_home_and_what_leads_nowhere_leads_home(
    client: FlaskClient, api: Api, mailed: Services, target: str | None, leads: str
) -> None:
    variant = {"id": "a", "image_url": "/p/a.png", "target_url": target, "status": "live"}
    body = {"kind": "thumbnail", "variants": [variant]}
    body_of(api.put("/v1/placements/paths", body))
    mail = Mail(client, api, mailed, placement="paths")

    assert mail.picture().headers["Location"] == "https://shop.example/p/a.png"
    assert mail.click().headers["Location"] == leads


@pytest.mark.parametrize(
    ("home", "leads"),
    [
        ("https://shop.example", "https://shop.example/x"),
        ("https://shop.example?a=/b", "https://shop.example/x"),
        ("http://[::1]:81/a/b", "http://[::1]:81/x"),
        ("HTTPS://Shop.Example#a/b", "https://shop.example/x"),
    ],
)
def test_a_path_of_any_home_stays_on_its_host(
    client: FlaskClient, api: Api, mailed: Services, home: str, leads: str
) -> None:
    variant = {"id": "a", "image_url": "/x", "target_url": "/x", "status": "live"}
    body_of(api.put("/v1/placements/paths", {"kind": "thumbnail", "variants": [variant]}))
    mail = Mail(client, api, mailed, placement="paths", home=home)

    assert mail.picture().headers["Location"] == leads
    assert mail.click().headers["Location"] == leads


def test_a_variant_that_is_gone_leads_where_it_did_and_a_placement_that_is_gone_leads_home(
    mail: Mail, api: Api
) -> None:
    shown = name_of(mail.picture())
    assert api.delete(f"/v1/placements/promo/variants/{shown}").status_code == 204
    assert name_of(mail.click()) == shown

    assert api.delete("/v1/placements/promo").status_code == 204

    error_of(mail.picture("late"), 404)
    assert mail.click("late").headers["Location"] == HOME


def test_an_address_that_has_ended_still_shows_and_leads_on(
    client: FlaskClient, api: Api, mailed: Services, clock: Clock
) -> None:
    mail = Mail(client, api, mailed, days=1)
    mail.picture()
    clock.advance(86_401)
    before = len(logged(mailed))

    assert name_of(mail.picture()) == "plain"
    assert name_of(mail.click()) == "plain"

    assert len(logged(mailed)) == before


# -- forgeries


def forgeries(token: str) -> dict[str, str]:
    raw = urlsafe_b64decode(token)
    body, tag = raw[:-9], raw[-9:]
    link, _, _ = unverified(token)

    def said(**changes: Any) -> str:
        changed = msgspec.json.encode(msgspec.structs.replace(link, **changes))
        changed += b" " * (-(len(changed) + 9) % 3)
        return urlsafe_b64encode(changed + tag).decode()

    return {
        "another home": said(home="https://evil.example"),
        "another placement": said(placement="poster"),
        "another site": said(site="other"),
        "a site that is none": said(site="../../etc"),
        "a later end": said(until=link.until + 1),
        "another signature": urlsafe_b64encode(body + bytes(9)).decode(),
        "cut": token[:-4],
        "longer": token + "AAAA",
        "another spelling": token[:-1] + chr(ord(token[-1]) ^ 1),
        "nothing": "x",
        "not base64": "!!!!",
        "no JSON": urlsafe_b64encode(b"{" * 30).decode(),
        "deep": urlsafe_b64encode(b"[" * 3_000).decode(),
        "long": "A" * 5_000,
        "beyond ASCII": "é" * 40,
        "too much": urlsafe_b64encode(
            json.dumps(["main", "promo", HOME, "email", None, 1, "more"]).encode() + bytes(9)
        ).decode(),
    }


FORGED: Final = tuple(
    forgeries(
        urlsafe_b64encode(
            msgspec.json.encode(Link("main", "promo", HOME, "email", None, 5)) + bytes(9)
        ).decode()
    )
)


@pytest.mark.parametrize("forgery", FORGED)
def test_a_forged_address_leads_nowhere_and_asks_nothing_of_the_store(
    mail: Mail, mailed: Services, client: FlaskClient, monkeypatch: Any, forgery: str
) -> None:
    forged = forgeries(mail.token)[forgery]
    before = len(logged(mailed))
    sites = mailed.store.sites()
    asked: list[str] = []
    monkeypatch.setattr(mailed.store, "site", asked.append)

    for kind in ("i", "c"):
        response = client.get(f"/{kind}/{quote(forged)}/ann", headers={"User-Agent": READER})
        assert error_of(response, 404)["code"] == "not_found"
        assert "Location" not in response.headers

    assert asked == []
    monkeypatch.undo()
    assert (len(logged(mailed)), mailed.store.sites()) == (before, sites)


def test_addresses_of_one_site_are_nothing_to_another(
    mail: Mail, mailed: Services, client: FlaskClient
) -> None:
    # given another site with the same placement, whose secret is its own
    mailed.keys.create("other", "editor")
    mailed.refresh()
    link, _, tag = unverified(mail.token)
    body = msgspec.json.encode(msgspec.structs.replace(link, site="other"))
    body += b" " * (-(len(body) + 9) % 3)

    error_of(client.get(f"/c/{urlsafe_b64encode(body + tag).decode()}/ann"), 404)


def test_addresses_end_with_the_last_key_of_their_site(
    mail: Mail, mailed: Services, client: FlaskClient
) -> None:
    for record in mailed.keys.records().values():
        mailed.keys.revoke(record.id)
    mailed.refresh()

    error_of(mail.picture(), 404)


# -- making them


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({}, "home"),
        ({"home": "/"}, "home"),
        ({"home": "javascript:alert(1)"}, "home"),
        ({"home": "https://me@evil.example"}, "home"),
        ({"home": f"https://shop.example/{'x' * 3000}"}, "home"),
        ({"home": "https://[F0]"}, "home"),
        ({"home": "https://a..example"}, "home"),
        ({"home": f"https://{'x' * 64}.example"}, "home"),
        ({"home": HOME, "persona": "pirate"}, "persona"),
        ({"home": HOME, "days": 0}, "days"),
        ({"home": HOME, "days": 4000}, "days"),
        ({"home": HOME, "channel": ""}, "channel"),
        ({"home": HOME, "channel": "x" * 65}, "channel"),
    ],
)
def test_addresses_that_could_not_work_are_not_made(
    api: Api, mailed: Services, spec: dict[str, Any], field: str
) -> None:
    response = api.client.post("/v1/placements/promo/links", json=spec, headers=api.auth["editor"])

    error = error_of(response, 400)
    assert field in (error.get("field", ""), *error["message"].split("`"))


@pytest.mark.parametrize(("placement", "status"), [("film", 400), ("nowhere", 404)])
def test_there_are_none_for_what_has_no_pictures(api: Api, placement: str, status: int) -> None:
    response = api.client.post(
        f"/v1/placements/{placement}/links", json={"home": HOME}, headers=api.auth["editor"]
    )

    error_of(response, status)


def test_addresses_hold_no_key_and_nothing_but_what_was_asked_for(mail: Mail) -> None:
    link, _, _ = unverified(mail.token)

    assert (link.site, link.placement, link.home, link.channel) == ("main", "promo", HOME, "email")
    assert "=" not in mail.token
    assert mail.picture_path.endswith("/{reader}")


# -- when the store is away


def test_while_the_store_is_away_readers_are_led_on(
    mail: Mail, mailed: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = name_of(mail.picture())
    view = mailed.view("main")

    def away(*_: object, **__: object) -> Any:
        raise StorageError("Redis is away")

    monkeypatch.setattr(view, "append", away)
    monkeypatch.setattr(view.store, "visits_of", away)

    assert name_of(mail.picture()) == shown
    assert name_of(mail.click()) in VARIANTS


def test_figures_tell_what_came_of_an_e_mail(mail: Mail, client: FlaskClient) -> None:
    mail.picture("a")
    mail.picture("b", agent=APPLE)
    mail.picture("c", agent=CRAWLER)
    mail.click("a")
    mail.click("stranger")

    text = client.get("/metrics").text
    for what in ("opened", "prefetched", "canonical", "clicked", "untied"):
        assert f'bandit_mail_total{{kind="{what}"}} 1.0' in text


def test_no_persona_of_the_site_is_told_to_whoever_reads_the_address(
    client: FlaskClient, api: Api, mailed: Services
) -> None:
    mailed.editor("main", by="test").put_personas(msgspec.convert({"personas": []}, PersonasSpec))
    mailed.refresh()
    mail = Mail(client, api, mailed)

    mail.picture(query="?persona=romantic")

    (decision,) = mail.decisions()
    assert decision.persona == "unknown"
