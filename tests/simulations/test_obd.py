from __future__ import annotations

import io
import json
import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import msgspec
import pytest
from rich.console import Console
from scipy.stats import binomtest

from bandit_service.datasets import ObdImpression, ObdItem, ObdLog, load_obd
from bandit_service.errors import DatasetError
from simulations.obd import (
    ATTEMPTS,
    Drive,
    Rate,
    Service,
    ServiceError,
    Summary,
    drive,
    placement_body,
    render,
    run,
    statements,
)

EDITOR, SITE = "editor-key", "site-key"
Policy = Callable[[int], str]
"""The number of a decision, from 0, to the variant that is picked."""


class FakeService(ThreadingHTTPServer):
    """The three routes that the driver uses, with a scripted policy and scripted failures."""

    daemon_threads = False

    def __init__(self, policy: Policy) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.policy = policy
        self.failures: list[int] = []
        """Statuses to answer next, before anything succeeds."""
        self.rejects = False
        self.connections = 0
        self.placements: dict[str, Any] = {}
        self.decides: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, path: str, key: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if self.failures:
            return self.failures.pop(0), {"error": {"code": "scripted", "message": "scripted"}}
        if key != f"Bearer {EDITOR if 'placements' in path else SITE}":
            return 401, {"error": {"code": "not_authenticated", "message": "wrong key"}}
        if path == "/v1/decide":
            chosen = self.policy(len(self.decides))
            self.decides.append(body)
            return 200, {"decision": f"d{len(self.decides) - 1}", "variant": {"id": chosen}}
        if path == "/v1/events":
            self.events += body["events"]
            rejected = [{"index": 0, "code": "x", "message": "x"}] if self.rejects else []
            return 202, {"accepted": len(body["events"]), "rejected": rejected}
        self.placements[path] = body
        return 201, body


class Handler(BaseHTTPRequestHandler):
    server: FakeService
    protocol_version = "HTTP/1.1"
    timeout = 5  # seconds: no test hangs on a connection left open
    wbufsize = -1
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, answer = self.server.answer(self.path, self.headers["Authorization"], body)
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_PUT = do_POST  # noqa: N815 - the name is the standard library's

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(policy: Policy) -> Iterator[FakeService]:
    server = FakeService(policy)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def a_log(rows: int = 12, items: int = 3, *, propensity: float | None = None) -> ObdLog:
    """Items 0, 1, 2, 0, 1, 2, …; every fourth row is clicked."""
    start = datetime(2019, 11, 24, tzinfo=UTC)
    return ObdLog(
        campaign="men",
        behaviour="random",
        items=tuple(
            ObdItem(id=i, categories={"item_feature_1": f"h{i}"}, numbers={"item_feature_0": i / 4})
            for i in range(items)
        ),
        impressions=tuple(
            ObdImpression(
                at=start + timedelta(seconds=i),
                item=i % items,
                position=i % 3 + 1,
                clicked=i % 4 == 0,
                propensity=propensity or 1 / items,
                traits={"user_feature_0": f"u{i}"},
            )
            for i in range(rows)
        ),
    )


def console() -> Console:
    return Console(file=io.StringIO(), width=140)


def driven(
    server: FakeService, log: ObdLog, *, limit: int | None = None, site_key: str = SITE
) -> Drive:
    with Service(server.url, pause=lambda seconds: None) as service:
        return drive(service, log, EDITOR, site_key, limit=limit, console=console())


# ---------------------------------------------------------------------------------- the driver


def test_the_items_are_registered_whole_in_one_call() -> None:
    # given
    log = a_log()

    # when
    with served(lambda n: "item-0") as server:
        driven(server, log)

    # then
    assert server.placements == {"/v1/placements/obd-men": placement_body(log)}
    body = server.placements["/v1/placements/obd-men"]
    assert body["kind"] == "thumbnail"
    assert [variant["status"] for variant in body["variants"]] == ["live"] * 3
    assert body["variants"][1]["tags"] == ["item_feature_1-h1"]
    assert body["variants"][1]["attributes"] == {"item_feature_0": 0.25}


def test_every_visitor_is_sent_in_log_order_over_one_connection() -> None:
    # given
    log = a_log()

    # when
    with served(lambda n: "item-0") as server:
        driven(server, log)

    # then
    assert server.decides == [
        {
            "placement": "obd-men",
            "traits": {"user_feature_0": f"u{i}"},
            "context": {"position": str(i % 3 + 1)},
        }
        for i in range(12)
    ]
    assert server.connections == 1


def test_only_rows_where_the_pick_equals_the_log_are_reported_with_their_real_clicks() -> None:
    # given: item 0 was shown in rows 0, 3, 6 and 9; of these, row 0 alone was clicked
    log = a_log()

    # when
    with served(lambda n: "item-0") as server:
        done = driven(server, log)

    # then
    reported = [(event["decision"], event["type"]) for event in server.events]
    assert reported == [
        ("d0", "impression"),
        ("d0", "click"),
        ("d3", "impression"),
        ("d6", "impression"),
        ("d9", "impression"),
    ]
    assert done == Drive(sent=Rate(3, 12), matched=Rate(1, 4))


@pytest.mark.parametrize("item", range(3))
def test_a_service_that_always_picks_one_item_earns_that_items_rate_in_the_log(item: int) -> None:
    # given
    log = a_log(rows=60)
    shown = [row for row in log.impressions if row.item == item]

    # when
    with served(lambda n: f"item-{item}") as server:
        done = driven(server, log)

    # then
    assert done.matched == Rate(sum(row.clicked for row in shown), len(shown))


def test_a_service_that_picks_what_the_log_picked_earns_the_logs_own_rate() -> None:
    # given
    log = a_log(rows=60)

    # when
    with served(lambda n: f"item-{n % 3}") as server:
        done = driven(server, log)

    # then
    assert done.matched == done.sent == Rate(log.clicks, 60)


def test_a_limit_sends_the_first_visitors_alone() -> None:
    with served(lambda n: "item-0") as server:
        done = driven(server, a_log(), limit=5)
    assert len(server.decides) == 5
    assert done.sent == Rate(2, 5)


def test_a_variant_that_is_not_in_the_log_matches_nothing() -> None:
    with served(lambda n: "unheard-of") as server:
        done = driven(server, a_log())
    assert done.matched == Rate(0, 0)
    assert server.events == []


def test_a_log_that_was_not_uniform_is_refused_before_anything_is_sent() -> None:
    with served(lambda n: "item-0") as server:
        with pytest.raises(DatasetError, match="uniformly"):
            driven(server, a_log(propensity=0.9))
        assert server.placements == {}


# ----------------------------------------------------------------------------------- failures


@pytest.mark.parametrize("status", [404, 429, 502, 503, 504])
def test_a_passing_failure_is_tried_again_and_counted(status: int) -> None:
    # given
    with served(lambda n: "item-0") as server:
        server.failures = [status, status]

        # when
        done = driven(server, a_log())

    # then
    assert done.repeated == 2
    assert done.matched == Rate(1, 4)


def test_a_lasting_failure_is_given_up_after_growing_pauses() -> None:
    # given
    pauses: list[float] = []
    with served(lambda n: "item-0") as server:
        server.failures = [503] * 50

        # when
        with (
            Service(server.url, pause=pauses.append) as service,
            pytest.raises(ServiceError, match="PUT /v1/placements/obd-men failed: 503"),
        ):
            drive(service, a_log(), EDITOR, SITE, console=console())

    # then
    assert len(server.failures) == 50 - ATTEMPTS
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6])


def test_a_refusal_is_not_tried_again() -> None:
    with served(lambda n: "item-0") as server:
        with pytest.raises(ServiceError, match="POST /v1/decide failed: 401") as caught:
            driven(server, a_log(), site_key="wrong")
        assert server.decides == []
    assert caught.value.hint


def test_a_service_that_is_away_is_reported_after_every_attempt() -> None:
    # given: a port where nothing listens any more
    with served(lambda n: "item-0") as server:
        pass

    # when, then
    with pytest.raises(ServiceError, match="ConnectError"):
        driven(server, a_log())


def test_events_carry_ids_so_that_a_repeated_report_counts_once() -> None:
    with served(lambda n: "item-0") as server:
        driven(server, a_log())
    assert all(event["id"] for event in server.events)
    assert len({(event["decision"], event["id"]) for event in server.events}) == len(server.events)


def test_rejected_events_are_counted() -> None:
    with served(lambda n: "item-0") as server:
        server.rejects = True
        done = driven(server, a_log())
    assert done.rejected == 4


# ------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize(("clicks", "rows"), [(0, 1), (0, 294), (2, 294), (46, 10_000), (7, 7)])
def test_the_interval_is_the_exact_binomial_one(clicks: int, rows: int) -> None:
    expected = binomtest(clicks, rows).proportion_ci(0.95, method="exact")
    assert Rate(clicks, rows).interval == pytest.approx((expected.low, expected.high))


def test_without_rows_the_rate_is_unknown_and_its_interval_is_everything() -> None:
    assert math.isnan(Rate(0, 0).value)
    assert Rate(0, 0).interval == (0.0, 1.0)


def test_no_interval_lies_outside_the_possible() -> None:
    for rows in range(1, 30):
        for clicks in range(rows + 1):
            low, high = Rate(clicks, rows).interval
            assert 0.0 <= low <= clicks / rows <= high <= 1.0


RANDOM = Rate(46, 10_000)


def a_summary(matched: Rate, *, sent: Rate = RANDOM) -> Summary:
    return Summary(
        campaign="men",
        drive=Drive(sent=sent, matched=matched),
        random=RANDOM,
        bts=Rate(69, 10_000),
    )


def test_equal_rates_are_told_as_not_significant() -> None:
    # given
    summary = a_summary(Rate(2, 294))

    # when
    verdict = statements(summary)[0]

    # then
    assert summary.p_value > 0.05
    assert verdict.startswith("Not significant")
    assert "inside" in verdict


def test_a_clear_difference_is_told_as_one_and_as_a_single_draw() -> None:
    # given
    summary = a_summary(Rate(12, 294))

    # when
    verdict = statements(summary)[0]

    # then
    assert summary.p_value < 0.05
    assert "differs" in verdict
    assert "outside" in verdict
    assert "repeat" in verdict


def test_the_clicks_needed_are_the_fewest_that_are_significant() -> None:
    # given
    needed = a_summary(Rate(0, 294)).clicks_needed

    # then
    assert needed is not None
    assert a_summary(Rate(needed, 294)).significant
    assert not a_summary(Rate(needed - 1, 294)).significant
    assert f"needs {needed} clicks" in statements(a_summary(Rate(0, 294)))[1]


@pytest.mark.parametrize(
    "summary",
    [
        a_summary(Rate(0, 0)),
        a_summary(Rate(0, 3), sent=Rate(0, 60)),
        a_summary(Rate(9, 9), sent=Rate(9, 9)),
    ],
)
def test_where_no_policy_could_be_told_from_random_it_says_so(summary: Summary) -> None:
    assert summary.p_value == 1.0
    assert summary.clicks_needed is None
    assert "no policy could" in statements(summary)[1]


def test_what_went_wrong_on_the_way_is_told() -> None:
    summary = a_summary(Rate(2, 294))
    troubled = msgspec.structs.replace(
        summary, drive=msgspec.structs.replace(summary.drive, rejected=3, repeated=4)
    )
    assert len(statements(summary)) == 3
    assert [words.split()[0] for words in statements(troubled)[3:]] == ["3", "4"]


def test_no_rate_is_shown_without_its_rows_and_interval() -> None:
    # given
    screen = console()

    # when
    screen.print(render(a_summary(Rate(2, 294))))

    # then
    file = screen.file
    assert isinstance(file, io.StringIO)
    text = " ".join(file.getvalue().split())
    for shown in ("294", "0.68 %", "0.08 % to 2.44 %", "effective sample size", "0.46 %"):
        assert shown in text


# ----------------------------------------------------------------------------------------- whole


def test_a_run_compares_the_service_with_both_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    # given
    logs = {
        "random": a_log(),
        "bts": msgspec.structs.replace(a_log(rows=40), behaviour="bts"),
    }
    monkeypatch.setattr("simulations.obd.fetch_obd", lambda folder, progress: Path("nowhere"))
    monkeypatch.setattr("simulations.obd.load_obd", lambda name, behaviour, folder: logs[behaviour])

    # when
    with served(lambda n: "item-0") as server:
        summary = run(server.url, EDITOR, SITE, "men", limit=8, console=console())

    # then
    assert summary.visitors == 8
    assert summary.drive.matched == Rate(1, 3)
    assert (summary.random, summary.bts) == (Rate(3, 12), Rate(10, 40))


@pytest.mark.slow
def test_a_random_service_on_the_real_log_is_not_told_from_random(
    real_cache: Path | None,
) -> None:
    # given
    rng = random.Random(1)
    log = load_obd("men", "random", real_cache)
    bts = load_obd("men", "bts", real_cache)

    # when
    with served(lambda n: f"item-{rng.randrange(34)}") as server:
        done = driven(server, log)

    # then
    summary = Summary(
        campaign="men",
        drive=done,
        random=Rate(log.clicks, len(log.impressions)),
        bts=Rate(bts.clicks, len(bts.impressions)),
    )
    assert done.sent == summary.random == Rate(46, 10_000)
    assert 230 < done.matched.rows < 360  # 10,000 / 34, give or take four standard deviations
    assert not summary.significant
    assert statements(summary)[0].startswith("Not significant")
