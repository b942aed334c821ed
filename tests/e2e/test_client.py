"""The Python client with the service as it runs: real processes, real Redis, HTTP."""

from __future__ import annotations

import doctest
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import pytest

import bandit_service.client
from bandit_service.client import Client, DecideAnswer, Default, InlineVariant, Slot, Visitor
from bandit_service.errors import (
    InvalidCatalog,
    InvalidInput,
    NoAnswer,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    NothingToShow,
    PayloadTooLarge,
)
from bandit_service.runtime import now_ms
from tests.client.servers import Server, passes, passes_and_resets
from tests.e2e.processes import Program, until

pytestmark = [pytest.mark.redis, pytest.mark.slow]

VARIANTS = [
    {"id": name, "headline": f"A {name}", "tags": [name], "status": "live"}
    for name in ("joke", "kiss")
]
FILM = {"kind": "headline", "variants": VARIANTS[1:]}
"""A placement of one variant, so that it is known what is shown."""
CHOICE = {"kind": "headline", "variants": VARIANTS}
DARK = {"kind": "headline", "variants": [{"id": "off", "headline": "Off", "status": "paused"}]}
ALWAYS = "the one that is shown"
SITE_TOML = """
[rewards]
window_seconds = 2.0
[policy]
slot_seconds = 1800.0
"""
WINDOW_MS = 2_000
PATIENT = 10.0
"""A deadline that a busy machine keeps, in seconds."""


class Service(NamedTuple):
    """A service that runs, and who may ask it."""

    program: Program
    process: Any
    site_key: str
    editor_key: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.program.port}"

    def client(self, **arguments: Any) -> Client:
        return Client(self.url, self.site_key, **{"deadline": PATIENT, **arguments})

    def is_known(self) -> bool:
        """Whether the process that a new connection meets knows key and placements."""
        with self.client() as client:
            try:
                client.check("film", "choice")
            except (NotFound, NotAuthenticated):
                return False
            return True

    def learned(self) -> dict[str, int]:
        """What learning has counted so far."""
        status, report = self.program.caller(self.editor_key).call("GET", "/v1/reports/learning")
        assert status == 200
        counts: dict[str, int] = report["counts"]
        return counts

    def settled(self) -> dict[str, int]:
        """What learning has counted, once everything until now has closed."""
        with self.client() as client:
            client.decide("film", strict=True)
        now = now_ms()
        until(lambda: self._folded_until() >= now + WINDOW_MS, 30)
        until(lambda: _all_closed(self.learned()), 30)  # counts are published after the position
        return self.learned()

    def has_learned(self, expected: dict[str, int], *, since: dict[str, int]) -> None:
        """Wait until this, and nothing else, was learned."""

        def news() -> dict[str, int]:
            return {name: n - since[name] for name, n in self.learned().items() if n != since[name]}

        with suppress(AssertionError):
            until(lambda: news() == expected, 15)
        assert news() == expected

    def _folded_until(self) -> int:
        """Up to which time of the log learning has come, in ms."""
        _, report = self.program.caller(self.editor_key).call("GET", "/v1/reports/learning")
        return int(report["snapshot"].partition("-")[0])


def _all_closed(counts: dict[str, int]) -> bool:
    views = counts["repeated_views"] + counts["switched_views"]
    closed = counts["rewarded"] + counts["defaulted"] + counts["censored"]
    return counts["decisions"] - views == closed


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    program = Program(tmp_path_factory.mktemp("client"))
    (program.folder / "config" / "site.toml").write_text(SITE_TOML)
    try:
        process = program.serve("--no-seed-catalog", "--no-archive")
        made = Service(program, process, program.key("site"), program.key("editor"))
        editor = program.caller(made.editor_key)
        until(lambda: editor.call("GET", "/v1/placements")[0] == 200, 10)
        for name, body in (("film", FILM), ("choice", CHOICE), ("dark", DARK)):
            assert editor.call("PUT", f"/v1/placements/{name}", body)[0] == 200
        until(lambda: all(made.is_known() for _ in range(12)), 20)  # to every process
        yield made
    finally:
        program.stop()


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with service.client() as made:
        yield made


def test_the_example_of_the_package_runs_as_it_stands(service: Service) -> None:
    example = doctest.DocTestParser().get_doctest(
        bandit_service.client.__doc__ or "",
        {"url": service.url, "key": service.site_key},
        "bandit_service.client",
        None,
        None,
    )
    told: list[str] = []
    before = service.settled()

    result = doctest.DocTestRunner().run(example, out=told.append)

    assert result.attempted > 5
    assert result.failed == 0, "".join(told)
    service.has_learned({"decisions": 1, "events": 1, "defaulted": 1}, since=before)


def test_what_is_decided_and_reported_is_learned(service: Service, client: Client) -> None:
    before = service.settled()

    page = client.decide_page(["film", Slot("choice")], Visitor("learned"), strict=True)
    events = [client.event(slot, "impression", strict=True) for slot in page.slots]
    clicked = client.event(page.slots[1].decision, "click", strict=True)

    assert [type(slot) for slot in page.slots] == [DecideAnswer, DecideAnswer]
    assert {slot.logged for slot in page.slots} == {True}
    assert [each.accepted for each in (*events, clicked)] == [1, 1, 1]
    service.has_learned(
        {
            "decisions": 2,
            "events": 3,
            "rewarded": 1,
            "defaulted": 1,
        },
        since=before,
    )


def test_an_event_whose_answer_was_lost_is_sent_again_and_counts_once(service: Service) -> None:
    # given somebody between client and service who breaks off after the service has answered
    port = service.program.port
    between = Server([passes(port), passes_and_resets(port), passes_and_resets(port), passes(port)])
    before = service.settled()
    try:
        with Client(between.url, service.site_key, deadline=PATIENT) as client:
            answer = client.decide("choice", Visitor("once"), strict=True)
            told = client.event(answer, "impression", deadline=PATIENT, strict=True)
    finally:
        between.close()

    # then it was sent three times and is there once
    assert told.accepted == 1
    assert [request.path for request in between.requests[1:]] == ["/v1/events"] * 3
    service.has_learned(
        {
            "decisions": 1,
            "events": 3,
            "duplicate_events": 2,
            "defaulted": 1,
        },
        since=before,
    )


def test_a_decision_whose_answer_was_lost_is_made_again_and_learned_once(
    service: Service,
) -> None:
    port = service.program.port
    between = Server([passes_and_resets(port), passes(port)])
    before = service.settled()
    try:
        with Client(between.url, service.site_key, deadline=PATIENT) as client:
            answer = client.decide("choice", Visitor("again"), strict=True)
            client.event(answer, "click", strict=True)
    finally:
        between.close()

    # then the second is a repeated view of what the first would have shown
    service.has_learned(
        {
            "decisions": 2,
            "repeated_views": 1,
            "events": 1,
            "rewarded": 1,
        },
        since=before,
    )


def test_queued_events_arrive(service: Service, client: Client) -> None:
    answer = client.decide("choice", strict=True)

    with client.queue() as queue:
        for _ in range(300):
            assert queue.event(answer, "impression")

    assert (client.counts.events_accepted, client.counts.events_lost) == (300, 0)


def test_a_check_is_not_logged(service: Service, client: Client) -> None:
    before = service.settled()

    for _ in range(5):
        client.check("film", "choice")
    client.event(client.decide("film", strict=True), "impression", strict=True)

    service.has_learned({"decisions": 1, "events": 1, "defaulted": 1}, since=before)


def test_a_crawler_gets_the_canonical_variant_and_nothing_of_it_is_reported(
    service: Service, client: Client
) -> None:
    googlebot = Visitor.of({"User-Agent": "Mozilla/5.0 (compatible; Googlebot/2.1)"})

    answer = client.decide("choice", googlebot, strict=True)
    told = client.event(answer, "impression")

    assert (answer.reason, answer.variant.id, answer.logged) == ("canonical", "joke", False)
    assert [each.code for each in told.rejected] == ["not_a_decision"]


@pytest.mark.parametrize(
    ("ask", "kind", "field", "told"),
    [
        (lambda c: c.check("nope"), NotFound, "placement", "register it"),
        (lambda c: c.check("dark"), NothingToShow, "placement", "make a variant live"),
        (
            lambda c: c.decide("film", Visitor(context={"hour": 25})),
            InvalidInput,
            "context.hour",
            "0 to 23",
        ),
        (
            lambda c: c.decide("film", Visitor(persona="pirate")),
            InvalidInput,
            "persona",
            "lists them",
        ),
        (
            lambda c: c.decide("film", Visitor(7)),  # type: ignore[arg-type]
            InvalidInput,
            "visitor",
            "openapi",
        ),
        (
            lambda c: c.decide("film", Visitor(traits={"a": "x" * 300})),
            PayloadTooLarge,
            "traits.a",
            "at most 256",
        ),
        (
            lambda c: c.decide_page(["film"] * 51),
            PayloadTooLarge,
            "slots",
            "at most 50",
        ),
        (
            lambda c: c.decide(
                Slot("film", candidates=[InlineVariant(id="a", image_url="javascript:a()")])
            ),
            InvalidCatalog,
            "candidates.0.image_url",
            "http",
        ),
    ],
)
def test_a_mistake_names_its_field_and_the_remedy(
    service: Service, ask: Callable[[Client], Any], kind: type[Exception], field: str, told: str
) -> None:
    with service.client(strict=True) as client, pytest.raises(kind) as raised:
        ask(client)

    assert type(raised.value) is kind
    assert raised.value.field == field  # type: ignore[attr-defined]
    assert told in raised.value.hint  # type: ignore[attr-defined]


def test_a_wrong_key_and_one_for_pages_are_told_apart(service: Service) -> None:
    made = service.program.run(
        "keys", "create", "--role", "site", "--origin", "https://shop.example"
    )
    page_key = made.stdout.strip()

    with Client(service.url, "bk_main_wrong") as wrong, pytest.raises(NotAuthenticated) as unknown:
        wrong.check()
    assert "keys create" in (unknown.value.hint or "")
    with Client(service.url, page_key) as paged:
        until(lambda: "web pages" in _refusal(paged), 10)
        assert "without --origin" in _refusal(paged)


def _refusal(client: Client) -> str:
    with pytest.raises((NotAllowed, NotAuthenticated, NoAnswer)) as raised:
        client.check()
    return f"{raised.value.message} {raised.value.hint}"


def test_another_server_at_the_address_is_told_from_a_mistake(service: Service) -> None:
    with Client(f"{service.url}/api", service.site_key) as client, pytest.raises(NotFound) as told:
        client.check()

    assert "there is nothing at /api/v1/events" in told.value.message


def test_a_service_that_is_paused_costs_visitors_a_deadline_and_then_nothing(
    service: Service, client: Client
) -> None:
    # given a website in traffic
    client.decide("film", strict=True)
    group = os.getpgid(service.process.pid)
    assert group == service.process.pid
    default = Default(headline=ALWAYS)

    # when all of the service is paused
    os.killpg(group, signal.SIGSTOP)
    try:
        took = []
        for _ in range(50):
            began = time.monotonic()
            answer = client.decide("film", Visitor("p"), default=default, deadline=0.1)
            took.append(time.monotonic() - began)
            assert answer.variant.headline == ALWAYS
    finally:
        os.killpg(group, signal.SIGCONT)

    # then five waited, at most so long, and as good as nobody else
    assert client.counts.defaults["timeout"] <= 7
    assert client.counts.defaults["resting"] >= 43
    assert sorted(took)[40] < 0.05
    until(lambda: client.decide("film").reason == "only", 20)


def test_a_service_that_is_killed_and_started_again_is_found_again(service: Service) -> None:
    # given a service of its own, since this one dies
    with service.client(connections=4) as client:
        for n in range(8):
            client.decide("film", Visitor(str(n)), strict=True)
        queue = client.queue()

        # when it ends, and events come meanwhile
        decided = client.decide("film", strict=True)
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(20) == 0
        assert client.decide("film", default=Default(headline=ALWAYS)).variant.headline == ALWAYS
        assert queue.event(decided, "impression")
        assert queue.waiting == 1

        # then they arrive once it is back
        service.program.serve("--no-seed-catalog", "--no-archive")
        until(lambda: client.decide("film").reason == "only", 20)
        assert queue.flush(30)
        queue.close()
        assert (client.counts.events_accepted, client.counts.events_lost) == (1, 0)
