"""The demo against a small service on loopback: counting, summary, failures, endings."""

from __future__ import annotations

import io
import itertools
import json
import math
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from rich.console import Console

from simulations.audience import TASTES, Audience, load_placements
from simulations.crowd import Crowd
from simulations.demo import CATALOG, NoDecisionError, run
from simulations.scoreboard import picture
from simulations.stats import Board, Clicks, lift, wilson

Reply = tuple[int, object]
KEY = "site-key-of-the-test"
AUDIENCE = Audience(load_placements(CATALOG), seed=1)
LIVE = {placement.id: placement.live[0].id for placement in AUDIENCE.placements}


class FakeService(ThreadingHTTPServer):
    """Answers every decision with the first live variant; each tenth is of the holdout."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.decisions: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self.decide: Callable[[int, dict[str, Any]], Reply] = answer
        self.receive: Callable[[list[dict[str, Any]]], Reply] = accept
        self.busy = threading.Event()
        """Set once a hundred decisions were asked for."""
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def reply(self, path: str, body: dict[str, Any]) -> Reply:
        if path == "/v1/events":
            with self._lock:
                self.events += body["events"]
            return self.receive(body["events"])
        with self._lock:
            number = next(self._numbers)
            self.decisions.append(body)
        if number >= 99:
            self.busy.set()
        return self.decide(number, body)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FakeService

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.keys.add(self.headers["Authorization"])
        status, reply = self.server.reply(self.path, body)
        text = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass


def answer(number: int, body: dict[str, Any]) -> Reply:
    return 200, {
        "decision": f"d{number}",
        "placement": body["placement"],
        "variant": {"id": LIVE[body["placement"]], "version": 1},
        "persona": "unknown",
        "persona_confidence": 0.0,
        "probability": 0.5,
        "match": 0.05,
        "snapshot": f"s{number // 50}" if number >= 50 else None,
        "reason": "fallback" if number < 50 else "learned" if number % 10 else "holdout",
    }


def accept(events: list[dict[str, Any]]) -> Reply:
    return 202, {"accepted": len(events), "rejected": []}


def refuse(status: int, code: str, message: str) -> Reply:
    return status, {"error": {"code": code, "message": message, "hint": "try something else"}}


@pytest.fixture
def service() -> Iterator[FakeService]:
    with FakeService() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


def visit(
    url: str,
    out: io.StringIO,
    *,
    seconds: float | None = 0.6,
    patience: float = 5.0,
    terminal: bool = False,
) -> Board:
    crowd = Crowd(AUDIENCE, url=url, key=KEY, rate=400, concurrency=4)
    console = Console(file=out, width=100, force_terminal=terminal, highlight=False)
    return run(crowd, console=console, seconds=seconds, patience=patience)


def demo(url: str, *options: str) -> subprocess.Popen[str]:
    """The real command, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "simulations.demo", "--url", url, "--site-key", KEY, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=CATALOG.parents[1],
    )


def test_every_visit_is_decided_once_and_reported_once(
    service: FakeService, out: io.StringIO
) -> None:
    # when
    board = visit(service.url, out)
    # then
    clicked = [event["decision"] for event in service.events if event["type"] == "click"]
    seen = [event["decision"] for event in service.events if event["type"] == "impression"]
    assert board.total.visits == len(service.decisions) > 50
    assert sorted(seen) == sorted(f"d{number}" for number in range(len(service.decisions)))
    assert (
        len(clicked)
        == len(set(clicked))
        == board.total.policy.clicks + (board.total.holdout.clicks)
    )
    assert service.keys == {f"Bearer {KEY}"}


def test_the_holdout_is_counted_apart_and_the_personas_add_up(
    service: FakeService, out: io.StringIO
) -> None:
    # when
    board = visit(service.url, out)
    # then
    held_out = sum(number % 10 == 0 for number in range(50, len(service.decisions)))
    assert board.total.holdout.visits == held_out
    assert sum((score.policy for score in board.scores.values()), Clicks()) == board.total.policy
    assert sum((score.holdout for score in board.scores.values()), Clicks()) == (
        board.total.holdout
    )


def test_a_visit_sends_what_a_site_would_know_and_never_the_true_persona(
    service: FakeService, out: io.StringIO
) -> None:
    # when
    visit(service.url, out)
    # then
    for body in service.decisions:
        assert body.keys() == {"placement", "visitor", "traits", "context"}
        assert body["traits"].keys() <= {"country", "genres", "favourites", "children"}
        assert body["context"].keys() == {"device", "country", "hour", "channel"}


def test_the_rate_is_kept(service: FakeService, out: io.StringIO) -> None:
    # given
    crowd = Crowd(AUDIENCE, url=service.url, key=KEY, rate=50, concurrency=5)
    # when
    board = run(crowd, console=Console(file=out), seconds=1.0)
    # then: never faster; how much slower is the machine's affair
    assert 0 < board.total.visits <= 56


@pytest.mark.parametrize("terminal", [True, False])
def test_the_summary_has_every_persona_and_says_what_the_numbers_show(
    service: FakeService, out: io.StringIO, terminal: bool
) -> None:
    # when
    board = visit(service.url, out, terminal=terminal)
    # then
    printed = out.getvalue()
    assert all(persona in printed for persona in TASTES)
    assert f"{board.total.policy.visits:,} visits and" in " ".join(printed.split())
    assert service.url in printed
    assert "0 errors" in printed


def test_the_terminal_is_redrawn_in_place_and_a_file_never_is(
    service: FakeService, out: io.StringIO
) -> None:
    # given
    live = io.StringIO()
    # when
    visit(service.url, live, terminal=True)
    visit(service.url, out, terminal=False)
    # then
    assert "\x1b[" in live.getvalue()
    assert "\x1b" not in out.getvalue()
    assert out.getvalue().startswith(f"visiting {service.url}\n")


def test_a_refusal_is_counted_and_told_once_in_the_services_words(
    service: FakeService, out: io.StringIO
) -> None:
    # given
    service.decide = lambda number, body: (
        answer(number, body) if number % 3 else refuse(503, "storage_unavailable", "Redis is away")
    )
    # when
    board = visit(service.url, out)
    # then
    assert board.total.visits == sum(number % 3 > 0 for number in range(len(service.decisions)))
    refused = len(service.decisions) - board.total.visits
    assert board.troubles() == [f"{refused} x 503 storage_unavailable: Redis is away"]
    assert out.getvalue().count("Redis is away") == 2, "once when it came, once in the summary"


def test_an_event_that_is_rejected_is_counted(service: FakeService, out: io.StringIO) -> None:
    # given
    complaint = {"index": 0, "code": "forged_decision", "message": "the MAC does not fit"}
    service.receive = lambda _: (202, {"accepted": 0, "rejected": [complaint]})
    # when
    board = visit(service.url, out)
    # then
    count = len(service.decisions)
    assert board.troubles() == [f"{count} x rejected forged_decision: the MAC does not fit"]


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ((200, {"decision": "d"}), "unreadable"),
        ((502, "no JSON of ours"), "502"),
        (
            (200, {"decision": "d", "variant": {"id": "?"}, "persona": "p", "reason": "only"}),
            "other catalog",
        ),
    ],
)
def test_an_answer_of_another_kind_is_an_error_not_a_crash(
    service: FakeService, out: io.StringIO, reply: Reply, code: str
) -> None:
    # given
    service.decide = lambda number, body: reply if number == 0 else answer(number, body)
    # when
    board = visit(service.url, out)
    # then
    assert [line.split(":")[0] for line in board.troubles()] == [f"1 x {code}"]


def test_a_service_that_falls_silent_ends_the_run_with_its_last_words(
    service: FakeService, out: io.StringIO
) -> None:
    # given
    service.decide = lambda number, body: (
        answer(number, body) if number < 20 else refuse(401, "not_authenticated", "key revoked")
    )
    # when
    with pytest.raises(NoDecisionError) as ended:
        visit(service.url, out, seconds=None, patience=0.7)
    # then
    assert str(ended.value) == f"{service.url} gave no decision in 1 s: key revoked"
    assert not [each for each in threading.enumerate() if each.name.startswith("website-")]


def test_where_nothing_listens_the_command_says_so_and_exits_with_1() -> None:
    # given: a port that was free a moment ago
    with FakeService() as gone:
        url = gone.url
    # when
    with demo(url, "--seconds", "1") as process:
        printed, complained = process.communicate(timeout=30)
    # then
    assert process.returncode == 1
    assert "refused" in printed
    assert complained.startswith(f"Error: {url} gave no decision in 1 s: ")
    assert len(complained.splitlines()) == 1


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_with_the_summary_and_leaves_nothing_running(
    service: FakeService, asked: signal.Signals
) -> None:
    # given
    with demo(service.url) as process:
        assert service.busy.wait(30)
        # when
        process.send_signal(asked)
        printed, complained = process.communicate(timeout=30)
    # then
    assert (process.returncode, complained) == (0, "")
    assert "of the uniform holdout's" in printed
    assert all(persona in printed for persona in TASTES)
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_the_command_ends_by_itself_and_exits_with_0(service: FakeService) -> None:
    # when
    with demo(service.url, "--seconds", "1", "--rate", "100") as process:
        printed, complained = process.communicate(timeout=30)
    # then
    assert (process.returncode, complained) == (0, "")
    assert printed.splitlines()[-1].startswith("In 1 s, learning included, ")


@pytest.mark.parametrize("url", ["localhost:8080", "http://", "http://host:port", "ftp://host"])
def test_an_address_that_cannot_be_opened_is_refused_before_anything_starts(url: str) -> None:
    with demo(url) as process:
        _, complained = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "http://host:port" in complained


def test_the_table_can_be_drawn_before_anybody_came() -> None:
    # given
    board = Board(TASTES, step_seconds=5.0)
    crowd = Crowd(AUDIENCE, url="http://nobody", key=KEY, rate=1, concurrency=1)
    console = Console(file=io.StringIO(), width=80, record=True)
    # when
    console.print(picture(board, crowd, 60.0))
    # then
    assert "0 decisions" in console.export_text()


def test_the_verdict_claims_no_more_than_the_interval_does() -> None:
    # when
    equal = _filled(policy=Clicks(3_000, 150), holdout=Clicks(1_000, 50))
    better = _filled(policy=Clicks(3_000, 240), holdout=Clicks(1_000, 50))
    worse = _filled(policy=Clicks(3_000, 90), holdout=Clicks(1_000, 50))
    # then
    assert "not significant" in equal.verdict(60.0, interrupted=False)
    assert ", significant." in better.verdict(60.0, interrupted=False)
    assert ", significant." in worse.verdict(60.0, interrupted=False)
    assert "a lift of -40%, 95 % interval" in worse.verdict(60.0, interrupted=False)
    assert "stopped by hand" in better.verdict(60.0, interrupted=True)
    assert "too few clicks" in Board(["p"], step_seconds=5.0).verdict(1.0, interrupted=False)


def test_the_trend_divides_completed_steps_and_loses_no_visit() -> None:
    # given
    board = Board(["p"], step_seconds=5.0)
    for second in range(38):
        _decided(board, at=float(second), clicked=second >= 19)
    # when
    spans = board.total.trend(38.0, parts=4)
    first, last = board.total.ends(38.0)
    # then: the step from 35 s to 38 s is not completed
    assert sum(spans, Clicks()) == Clicks(35, 16)
    assert [span.visits for span in spans] == [5, 10, 10, 10]
    assert (first, last) == (Clicks(10, 0), Clicks(10, 10))


@pytest.mark.parametrize(
    ("counted", "low", "high"),
    [
        (Clicks(10, 5), 0.2366, 0.7634),
        (Clicks(10, 0), 0.0, 0.2775),
        (Clicks(263, 81), 0.2553, 0.3662),
        (Clicks(0, 0), 0.0, 1.0),
    ],
)
def test_the_wilson_interval_is_that_of_the_textbook(
    counted: Clicks, low: float, high: float
) -> None:
    ends = wilson(counted)
    assert [ends.low, ends.high] == pytest.approx([low, high], abs=1e-4)


def test_a_rate_has_no_lift_over_itself_and_none_without_clicks() -> None:
    same = lift(Clicks(1_000, 50), over=Clicks(1_000, 50))
    assert same is not None
    assert same.estimate == 0.0
    assert math.isclose((1 + same.interval.low) * (1 + same.interval.high), 1.0)
    assert not same.significant
    assert lift(Clicks(1_000, 50), over=Clicks(1_000, 0)) is None
    assert lift(Clicks(), over=Clicks(1_000, 50)) is None


def test_the_interval_of_the_lift_covers_the_truth_as_often_as_it_says() -> None:
    # given
    rng = random.Random(11)
    policy, holdout, repeats = 0.08, 0.05, 400
    # when
    covered = 0
    for _ in range(repeats):
        gain = lift(_sample(rng, policy, 2_000), over=_sample(rng, holdout, 600))
        assert gain is not None
        covered += gain.interval.low < policy / holdout - 1 < gain.interval.high
    # then: within three standard errors of 95 %
    assert abs(covered / repeats - 0.95) < 3 * math.sqrt(0.95 * 0.05 / repeats)


def _sample(rng: random.Random, rate: float, visits: int) -> Clicks:
    return Clicks(visits, sum(rng.random() < rate for _ in range(visits)))


def _filled(*, policy: Clicks, holdout: Clicks) -> Board:
    board = Board(["p"], step_seconds=5.0)
    for counted, held_out in ((policy, False), (holdout, True)):
        for number in range(counted.visits):
            _decided(board, holdout=held_out, clicked=number < counted.clicks)
    return board


def _decided(
    board: Board, *, at: float = 0.0, holdout: bool = False, clicked: bool = False
) -> None:
    board.decided(
        at=at, persona="p", recognised=True, holdout=holdout, snapshot=None, clicked=clicked
    )
