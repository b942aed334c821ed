"""Signing in and out, tokens, roles: nobody reaches a page or changes a thing who should not."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import pytest
from flask import Flask

from bandit_service.access import ROLES
from bandit_service.services import Services
from bandit_service.web.app import create_app
from bandit_service.web.desk import routes
from bandit_service.web.desk.gate import inside
from bandit_service.web.desk.routes import DeskRoute
from bandit_service.web.desk.session import COOKIE, SESSION_SECONDS, VISIT_COOKIE
from tests.conftest import Clock, Headers
from tests.desk.people import HTTPS, Person, hidden, text_of

Keys = Callable[[str], Person]
CLOSED: Final = [route for route in routes.ROUTES if route.role is not None]


def called(route: DeskRoute) -> str:
    return f"{route.method} {route.rule}"


def path_of(route: DeskRoute) -> str:
    rule = route.rule.replace("<placement>", "film").replace("<variant>", "kiss")
    return re.sub(r"<(\w+:)?\w+>", "x", rule)


def ask(person: Person, route: DeskRoute, token: str = "") -> Any:
    if route.method == "POST":
        data = {"status": "paused", "revision": "1"}
        return person.post(path_of(route), data, token=token)
    return person.get(path_of(route))


def holdings(services: Services) -> tuple[Any, ...]:
    site = services.store.site("main")
    return (site.length(), site.catalog(0), site.head())


# -- the table


def test_the_table_names_exactly_the_addresses_there_are(app: Flask) -> None:
    served = {
        (method, rule.rule, rule.endpoint)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD"}
        if rule.endpoint.startswith("desk.")
    }

    assert served == {(r.method, r.rule, f"desk.{r.name}") for r in routes.ROUTES}
    assert len(served) == len(routes.ROUTES)
    for route in routes.ROUTES:
        assert route.summary
        assert route.role in (None, "editor", "admin")
        assert (route.what == "act") == (route.method == "POST" or route.name == "home")
    assert {r.name for r in routes.ROUTES if r.role is None} == {
        "sign_in",
        "signed_in",
        "file",
        "home",
    }


# -- signing in


def test_an_editor_signs_in_and_the_browser_keeps_no_key(
    person: Person, services: Services, auth: Headers
) -> None:
    key, record = services.keys.create("main", "editor", label="Ada")
    services.refresh()

    response = person.sign_in(key)

    assert (response.status_code, response.location) == (303, "/desk")
    assert int(response.headers["Content-Length"]) == len(response.data)
    cookie = person.cookie(COOKIE) or ""
    assert key not in cookie
    assert key.rpartition("_")[2] not in bytes.fromhex(cookie.rpartition(".")[0]).decode()
    page = person.get("/desk")
    assert page.status_code == 200
    assert "Ada, editor" in text_of(page)
    assert record.id not in text_of(page)


def test_cookies_are_for_this_host_over_safe_connections_and_for_no_script(
    person: Person, services: Services
) -> None:
    key, _ = services.keys.create("main", "editor")
    services.refresh()

    asked = person.get("/desk/sign-in")
    given = person.sign_in(key)

    for response, name in ((asked, VISIT_COOKIE), (given, COOKIE)):
        (cookie,) = (c for c in response.headers.getlist("Set-Cookie") if c.startswith(f"{name}="))
        assert name.startswith("__Host-")
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
        assert "Domain" not in cookie


def test_a_websites_key_is_refused_with_the_reason(person: Person, services: Services) -> None:
    key, _ = services.keys.create("main", "site")
    services.refresh()

    response = person.sign_in(key)

    assert response.status_code == 403
    assert "website's key" in text_of(response)
    assert "editor's or an admin's key" in text_of(response)
    assert not person.is_in


@pytest.mark.parametrize("key", ["", "nonsense", "bk_main_" + "x" * 43, "k" * 100_000, "\x00é"])
def test_what_is_no_key_is_refused_in_words(person: Person, key: str) -> None:
    response = person.sign_in(key)

    assert response.status_code == 401
    assert "key" in text_of(response)
    assert key[:50] not in response.text or not key
    assert not person.is_in


def test_a_browser_that_keeps_no_cookie_is_told_so(person: Person, services: Services) -> None:
    key, _ = services.keys.create("main", "editor")
    services.refresh()
    token = hidden(person.get("/desk/sign-in"), "token")
    person.client.delete_cookie(VISIT_COOKIE, domain="desk.example")

    response = person.post("/desk/sign-in", {"key": key}, token=token)

    assert response.status_code == 400
    assert "did not keep the cookie" in text_of(response)
    assert "http://localhost" in text_of(response)


def test_a_form_from_elsewhere_signs_nobody_in(person: Person, services: Services) -> None:
    key, _ = services.keys.create("main", "editor")
    services.refresh()
    person.get("/desk/sign-in")

    assert person.post("/desk/sign-in", {"key": key}, token="0" * 32).status_code == 400
    assert not person.is_in


def test_whoever_is_not_signed_in_is_led_to_the_form_and_back(
    person: Person, services: Services
) -> None:
    key, _ = services.keys.create("main", "editor")
    services.refresh()

    led = person.get("/desk/placements/film?x=1")
    form = person.get(led.location)
    back = person.sign_in(key, to=hidden(form, "to"))

    assert led.status_code == 303
    assert back.location == "/desk/placements/film?x=1"


@pytest.mark.parametrize(
    "to",
    [
        "https://evil.example/desk",
        "//evil.example/desk",
        "/\\evil.example",
        "/desk//evil.example",
        "/desk/../v1/placements",
        "/deskx",
        "javascript:alert(1)",
        "/desk/sign-in",
        "/desk\r\nSet-Cookie: a=b",
        "/desk?x=\r\nSet-Cookie: a=b",
        "desk",
        "",
        None,
    ],
)
def test_the_way_back_never_leads_elsewhere(to: str | None) -> None:
    assert inside(to) == "/desk"


@pytest.mark.parametrize("to", ["/desk", "/desk/placements/film", "/desk?q=a+b&tag=c%C3%A9"])
def test_the_way_back_leads_to_where_one_came_from(to: str) -> None:
    assert inside(to) == to


def test_attempts_are_limited_by_where_they_come_from(app: Flask, services: Services) -> None:
    key, _ = services.keys.create("main", "editor")
    services.refresh()
    answers = [Person(app).sign_in("bk_main_wrong") for _ in range(21)]

    assert [a.status_code for a in answers] == [401] * 20 + [429]
    assert "Try again in" in text_of(answers[-1])
    assert int(answers[-1].headers["Retry-After"]) >= 1
    # the right key has to wait too, from there; from elsewhere it has not
    assert Person(app).sign_in(key).status_code == 429
    other = Person(app)
    token = hidden(other.get("/desk/sign-in"), "token")
    response = other.client.post(
        "/desk/sign-in",
        base_url=HTTPS,
        data={"key": key, "token": token},
        environ_overrides={"REMOTE_ADDR": "192.0.2.7"},
    )
    assert response.status_code == 303


# -- being signed in


def test_a_sign_in_holds_in_every_worker(services: Services, editor: Person) -> None:
    other = Services(
        services.settings,
        services.store,
        clock=services.clock,
        site_settings=services.site_settings,
    )
    other.refresh()
    elsewhere = Person(create_app(other))
    elsewhere.client.set_cookie(COOKIE, editor.cookie(COOKIE) or "", domain="desk.example")

    assert elsewhere.is_in
    assert elsewhere.post("/desk/sign-out", token=editor.token()).location.endswith("why=bye")


def test_a_revoked_key_is_signed_out_at_the_next_request(
    services: Services, editor: Person
) -> None:
    assert editor.is_in
    (record,) = services.keys.records().values()
    services.keys.revoke(record.id)
    services.refresh()

    led = editor.get("/desk")

    assert led.status_code == 303
    assert "why=gone" in led.location
    assert "revoked" in text_of(editor.get(led.location))
    assert editor.get("/desk/live").status_code == 401


@pytest.mark.parametrize(
    ("path", "to"),
    [("/desk/placements/film/variants/kiss",) * 2, ("/desk/placements/film/retire", "/desk")],
)
def test_what_is_sent_after_a_sign_in_ended_is_said_not_to_be_saved(
    services: Services, editor: Person, path: str, to: str
) -> None:
    token = editor.token()
    (record,) = services.keys.records().values()
    services.keys.revoke(record.id)
    services.refresh()

    led = editor.post(path, {"headline": "Lost"}, token=token)

    page = editor.get(led.location)
    assert "was not saved" in text_of(page)
    assert hidden(page, "to") == to


def test_a_rotated_key_is_signed_out_when_it_ends(
    services: Services, editor: Person, clock: Clock
) -> None:
    (record,) = services.keys.records().values()
    services.keys.rotate(record.id, overlap_ms=60_000)
    services.refresh()

    clock.advance(59)
    assert editor.is_in
    clock.advance(1)
    assert not editor.is_in


def test_a_sign_in_ends_after_a_working_day(editor: Person, clock: Clock) -> None:
    clock.advance(SESSION_SECONDS)
    assert editor.is_in
    clock.advance(0.001)
    assert "why=signed_out" in editor.get("/desk").location


def test_a_form_that_waited_can_be_sent_after_signing_in_again(
    services: Services, app: Flask, clock: Clock
) -> None:
    # given a form that stayed open over night
    key, _ = services.keys.create("main", "editor")
    services.refresh()
    somebody = Person(app)
    somebody.sign_in(key)
    token = somebody.token()
    clock.advance(SESSION_SECONDS + 1)
    assert not somebody.is_in

    # when its owner signs in again, in another window
    somebody.sign_in(key)

    # then it is theirs still, and nobody else's
    assert somebody.token() == token
    other, _ = services.keys.create("main", "editor")
    services.refresh()
    somebody.sign_in(other)
    assert somebody.token() != token


def test_whoever_signed_out_is_out(editor: Person) -> None:
    response = editor.post("/desk/sign-out")

    assert response.status_code == 303
    assert not editor.is_in


@pytest.mark.parametrize("spoil", ["", "x", "00.00", "longer", "byte", "of another site"])
def test_a_cookie_that_is_not_ours_opens_nothing(
    services: Services, editor: Person, spoil: str
) -> None:
    cookie = editor.cookie(COOKIE) or ""
    text, _, mac = cookie.rpartition(".")
    if spoil == "of another site":
        key, _ = services.keys.create("other", "admin")
        services.refresh()
        assert editor.sign_in(key).status_code == 303
        forged = (editor.cookie(COOKIE) or "").rpartition(".")[0]
        cookie = f"{forged}.{mac}"  # signed with this site's secret
    else:
        cookie = {
            "longer": cookie + "A" * 3000,
            "byte": text[:-2] + ("aa" if text[-2:] != "aa" else "bb") + "." + mac,
        }.get(spoil, spoil)
    editor.client.set_cookie(COOKIE, cookie, domain="desk.example")

    assert not editor.is_in


# -- roles and tokens, on every view


@pytest.mark.parametrize("route", CLOSED, ids=called)
@pytest.mark.parametrize("role", [None, *ROLES])
def test_a_view_answers_those_whose_role_reaches_and_nobody_else(
    app: Flask, services: Services, auth: Headers, route: DeskRoute, role: str | None
) -> None:
    # given
    somebody = Person(app)
    if role is not None:
        key, _ = services.keys.create("main", role)  # type: ignore[arg-type]
        services.refresh()
        somebody.sign_in(key)
    token = somebody.token() if role in ("editor", "admin") else ""
    before = holdings(services)

    # when
    response = ask(somebody, route, token)

    # then
    if role in (None, "site"):
        assert response.status_code == (401 if route.what == "part" else 303)
        assert route.what == "part" or response.location.startswith("/desk/sign-in")
        assert holdings(services) == before
    elif ROLES.index(role) < ROLES.index(route.role or "site"):
        assert response.status_code == 403
        assert "role" in text_of(response)
        assert holdings(services) == before
    else:
        refused = {"go_back": 404, "import_apply": 400}.get(route.name)
        assert response.status_code in (200, 303, 412, 422, refused)


@pytest.mark.parametrize("route", [r for r in CLOSED if r.method == "POST"], ids=called)
@pytest.mark.parametrize("token", ["", "0" * 64, "another's", "\ud800"])
def test_a_form_without_the_token_of_its_sign_in_changes_nothing(
    services: Services, signed_in: Keys, route: DeskRoute, token: str
) -> None:
    somebody, other = signed_in("admin"), signed_in("admin")
    before = holdings(services)
    sent = other.token() if token == "another's" else token

    response = ask(somebody, route, sent.encode("utf-8", "surrogatepass"))  # type: ignore[arg-type]

    assert response.status_code == 403
    assert "nothing was changed" in text_of(response)
    assert "key does not reach" not in text_of(response)
    assert holdings(services) == before


def test_an_editor_of_one_site_sees_none_of_another(app: Flask, services: Services) -> None:
    key, _ = services.keys.create("other", "admin")
    services.refresh()
    stranger = Person(app)
    stranger.sign_in(key)

    assert "A kiss" not in stranger.get("/desk").text
    assert stranger.get("/desk/placements/film").status_code == 404
    sent = stranger.post("/desk/placements/film/variants/kiss/status", {"status": "paused"})
    assert sent.status_code == 404
    assert services.editor("main", by="t").variant("film", "kiss").status == "live"


# -- headers


@pytest.mark.parametrize("route", routes.ROUTES, ids=called)
def test_every_answer_tells_browsers_to_run_nothing_inline_and_to_frame_nothing(
    admin: Person, route: DeskRoute
) -> None:
    for path in (path_of(route), "/desk/nowhere"):
        response = admin.client.open(path, method=route.method, base_url=HTTPS)
        policy = response.headers["Content-Security-Policy"]
        rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
        assert rules["default-src"] == "'none'"
        assert rules.get("script-src", "'none'") in ("'self'", "'none'")
        assert rules["frame-ancestors"] == "'none'"
        assert rules["base-uri"] == "'none'"
        assert rules["form-action"] in ("'self'", "'none'")
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        if route.what in ("page", "part"):
            assert response.headers["Cache-Control"] == "no-store"


def test_no_page_has_a_script_or_a_style_of_its_own(admin: Person) -> None:
    for route in routes.ROUTES:
        if route.method == "GET" and route.what in ("page", "part"):
            page = admin.get(path_of(route)).text
            for attributes in re.findall(r"<script([^>]*)>", page):
                assert "src=" in attributes or 'type="application/json"' in attributes
            assert "<style" not in page
            assert not re.search(r'\s(on\w+|style)="', page)


# -- errors are pages


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/desk/nowhere", 404),
        ("/desk/placements/nothing", 404),
        ("/desk/placements/film/variants/nothing", 404),
        ("/desk/files/x/nothing.css", 404),
        ("/desk/placements/a%2f..", 404),
        ("/desk/sign-out", 405),
    ],
)
def test_an_error_is_a_page_that_says_what_to_do(editor: Person, path: str, status: int) -> None:
    response = editor.get(path)

    assert response.status_code == status
    assert response.mimetype == "text/html"
    assert f"Error {status}" in text_of(response)
    assert "To the placements" in text_of(response)


def test_a_failure_inside_is_a_page_too(
    editor: Person, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(services, "refresh", broken)
    response = editor.get("/desk")

    assert response.status_code == 500
    assert response.mimetype == "text/html"
    assert "ZeroDivision" not in response.text


def test_the_api_answers_as_ever(editor: Person) -> None:
    response = editor.get("/v1/placements")

    assert response.status_code == 401  # a cookie opens no API
    assert response.mimetype == "application/json"
