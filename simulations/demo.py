"""Drives a simulated audience against a running service and shows, live, what it learns.

    python -m simulations.demo --url http://127.0.0.1:8080 --site-key KEY --seconds 60

Every visit asks for a decision over HTTP, as a website would, and reports the impression and
perhaps a click. A few client threads each keep one connection and start visits on a fixed beat; a
visit that is late delays that thread's next ones, so a slow service is never flooded. The main
thread alone counts and draws: the threads hand it results through a queue.

The table sets the policy's click rate beside that of the uniform holdout and beside the truth,
which the audience knows: what uniform choice and the best variant would earn. In a terminal it is
live; elsewhere one line every 5 s takes its place. All that is not of the holdout counts as the
policy's, also what it chose before it had learned anything.

Exit code 0 after ``--seconds``, Ctrl-C or SIGTERM, with a summary; 1 with one sentence if no
decision comes for ``PATIENCE_S``, or none came at all.
"""

from __future__ import annotations

import itertools
import math
import signal
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import TypeVar
from urllib.parse import urlsplit

import click
import msgspec
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from simulations.audience import Audience, Visit, load_placements
from simulations.stats import Board, Clicks, Score, wilson

CATALOG = Path(__file__).resolve().parents[1] / "config" / "catalog.toml"
PATIENCE_S = 10.0
"""Seconds without any decision after which the service counts as gone."""
TIMEOUT_S = 3.0
"""Seconds that one request may take."""
PAUSE_S = 0.5
"""Seconds that a client thread waits after a failure."""
REDRAW_S = 0.5
LINE_S = 5.0
"""Seconds between two lines where there is no terminal."""
STEP_S = 5.0
"""Seconds of one step of the trend; its ends are two steps each."""
TREND_PARTS = 6
"""Spans into which the trend divides the run."""
BARS = "▁▂▃▄▅▆▇█"
TROUBLES_SHOWN = 3
"""Kinds of error below the live table; the summary has them all."""
CAPTION = (
    "policy, holdout: clicks per 100 visits [95 % interval]; unif., best: the truth\n"
    "of uniform choice and of the best variants; lift: policy over holdout [95 %]"
)


AnswerT = TypeVar("AnswerT")
Draw = Callable[[float], None]
"""Shows the board as it stands, so many seconds after the start."""


class VisitError(Exception):
    """Raised when the service did not answer a request, or refused it; ``code`` groups them."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code = code


class NoDecisionError(Exception):
    """Raised when the service gave no decision for so long that it counts as gone."""

    def __init__(self, url: str, seconds: float, words: Collection[str]) -> None:
        last = f": {list(words)[-1]}" if words else ""
        super().__init__(f"{url} gave no decision in {seconds:.0f} s{last}")


class Choice(msgspec.Struct, frozen=True):
    """The variant of an answer."""

    id: str


class Answer(msgspec.Struct, frozen=True):
    """What the demo reads of a decision."""

    decision: str
    variant: Choice
    persona: str
    reason: str
    snapshot: str | None = None


class Complaint(msgspec.Struct, frozen=True):
    """Why the service refused something, in its own words."""

    code: str
    message: str


class Receipt(msgspec.Struct, frozen=True):
    """What the demo reads of the answer to events."""

    rejected: tuple[Complaint, ...] = ()


class Refusal(msgspec.Struct, frozen=True):
    """An error on the wire."""

    error: Complaint


class Seen(msgspec.Struct, frozen=True):
    """A visit that was answered ``at`` seconds after the start."""

    at: float
    persona: str
    answer: Answer
    clicked: bool

    def count(self, board: Board) -> None:
        """Enter the visit on the board."""
        board.decided(
            at=self.at,
            persona=self.persona,
            recognised=self.answer.persona == self.persona,
            holdout=self.answer.reason == "holdout",
            snapshot=self.answer.snapshot,
            clicked=self.clicked,
        )


class Failed(msgspec.Struct, frozen=True):
    """A request that went wrong, in the words of whoever refused it."""

    code: str
    words: str

    def count(self, board: Board) -> None:
        """Enter the failure on the board."""
        board.failed(self.code, self.words)


class Website:
    """One connection to the service, kept open, speaking as a website's server would."""

    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._connection = kind(parts.netloc, timeout=TIMEOUT_S)
        self._prefix = parts.path.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def decide(self, visit: Visit) -> Answer:
        """Ask for a variant; VisitError if none is answered."""
        asked = {
            "placement": visit.placement,
            "visitor": visit.visitor.id,
            "traits": visit.visitor.traits,
            "context": visit.context,
        }
        return self._post("/v1/decide", asked, Answer)

    def report(self, decision: str, *, clicked: bool) -> None:
        """Send the impression and perhaps the click; VisitError if one is not accepted."""
        types = ("impression", "click") if clicked else ("impression",)
        events = [{"decision": decision, "type": each} for each in types]
        receipt = self._post("/v1/events", {"events": events}, Receipt)
        if receipt.rejected:
            refusal = receipt.rejected[0]
            raise VisitError(f"rejected {refusal.code}", refusal.message)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._connection.close()

    def _post(self, path: str, body: object, answer: type[AnswerT]) -> AnswerT:
        try:
            self._connection.request(
                "POST", self._prefix + path, msgspec.json.encode(body), self._headers
            )
            response = self._connection.getresponse()
            text = response.read()
        except (OSError, HTTPException) as exc:
            self.close()
            raise VisitError(
                type(exc).__name__, f"{path}: {str(exc) or type(exc).__name__}"
            ) from exc
        if response.status >= 300:
            raise _refusal(path, response.status, text)
        try:
            return msgspec.json.decode(text, type=answer)
        except msgspec.MsgspecError as exc:
            raise VisitError("unreadable", f"{path}: unreadable answer: {exc}") from exc


class Crowd:
    """Client threads that visit on a beat until the block ends; ``results`` is what they saw."""

    def __init__(
        self, audience: Audience, *, url: str, key: str, rate: float, concurrency: int
    ) -> None:
        self.results: SimpleQueue[Seen | Failed] = SimpleQueue()
        self.audience = audience
        self.url = url
        self._beat = concurrency / rate if rate else 0.0
        self._numbers = itertools.count()
        self._stop = Event()
        self._start = 0.0
        self._threads = [
            Thread(
                target=self._visit_until_stopped,
                args=(Website(url, key), each / concurrency),
                name=f"website-{each}",
                daemon=True,
            )
            for each in range(concurrency)
        ]

    def __enter__(self) -> Crowd:
        self._start = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def elapsed(self) -> float:
        """Seconds since the crowd set out."""
        return time.monotonic() - self._start

    def wait(self, seconds: float) -> list[Seen | Failed]:
        """Let the crowd visit for so long; return what it saw."""
        time.sleep(max(0.0, seconds))
        return [self.results.get_nowait() for _ in range(self.results.qsize())]

    def _visit_until_stopped(self, website: Website, phase: float) -> None:
        due = self._start + phase * self._beat
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            due = max(due + self._beat, time.monotonic())
            try:
                self._visit(website)
            except VisitError as exc:
                self.results.put(Failed(exc.code, str(exc)))
                self._stop.wait(PAUSE_S)
        website.close()

    def _visit(self, website: Website) -> None:
        visit = self.audience.visit(next(self._numbers), at=datetime.now(UTC))
        answer = website.decide(visit)
        try:
            clicked = self.audience.clicks(visit, answer.variant.id)
        except KeyError:
            words = f"{visit.placement} answers with {answer.variant.id}, not in this catalog"
            raise VisitError("other catalog", words) from None
        self.results.put(Seen(self.elapsed, visit.visitor.persona, answer, clicked))
        website.report(answer.decision, clicked=clicked)


def table(board: Board, audience: Audience, elapsed: float) -> Table:
    """Click rates in percent per true persona, beside what the truth says of them."""
    drawn = Table(box=None, padding=(0, 1, 0, 0))
    drawn.add_column("persona", no_wrap=True)
    for heading in ("visits", "policy", "holdout", "unif.", "best", "lift %", "trend"):
        drawn.add_column(heading, justify="right", no_wrap=True)
    truths = {
        name: (audience.uniform_rate(name), audience.best_rate(name)) for name in board.scores
    }
    for persona, score in board.scores.items():
        drawn.add_row(persona, *_cells(score, truths[persona], elapsed))
    drawn.add_row("all", *_cells(board.total, _mixed(board, truths), elapsed), style="bold")
    return drawn


def picture(board: Board, crowd: Crowd, elapsed: float) -> Group:
    """The address, the status, the table and how to read it."""
    return Group(
        Text(crowd.url, style="bold"),
        Text(board.status(elapsed)),
        Text(_course(board.total, elapsed)),
        table(board, crowd.audience, elapsed),
        Text(CAPTION, style="dim"),
    )


def run(
    crowd: Crowd, *, console: Console, seconds: float | None, patience: float = PATIENCE_S
) -> Board:
    """Let the crowd visit for ``seconds``, or until interrupted, then print and return the score.

    Raises:
        NoDecisionError: nothing was decided for ``patience`` seconds, or in the whole run.
    """
    board = Board(crowd.audience.tastes, step_seconds=STEP_S)
    show = _live if console.is_terminal else _lines
    interrupted = False
    with crowd:
        try:
            with show(console, board, crowd) as draw:
                _watch(board, crowd, draw, until=seconds or math.inf, patience=patience)
        except KeyboardInterrupt:
            interrupted = True
        elapsed = crowd.elapsed
    for result in crowd.wait(0.0):
        result.count(board)
    if not board.total.visits:
        raise NoDecisionError(crowd.url, elapsed, board.words.values())
    console.print(picture(board, crowd, elapsed), *board.troubles(), sep="\n", markup=False)
    sentence = board.verdict(elapsed, interrupted=interrupted)
    console.print(sentence, soft_wrap=not console.is_terminal)
    return board


def _address(_: click.Context, __: click.Parameter, url: str) -> str:
    """Refuse early what no connection could be opened to."""
    with suppress(ValueError):
        parts = urlsplit(url)
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
            return url
    raise click.BadParameter(f"{url!r} is not of the form http://host:port")


@click.command(help="Visit a running service as a simulated audience and watch it learn.")
@click.option(
    "--url", required=True, callback=_address, help="Address of the service, http://host:port."
)
@click.option("--site-key", required=True, help="A key of the role `site`.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="End by itself.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the audience.")
@click.option(
    "--rate",
    type=click.FloatRange(min=0),
    default=400.0,
    show_default=True,
    help="Visits per second at most; 0: as many as the service answers.",
)
@click.option(
    "--concurrency", type=click.IntRange(1, 64), default=8, show_default=True, help="Connections."
)
def main(
    *,
    url: str,
    site_key: str,
    seconds: float | None,
    seed: int,
    rate: float,
    concurrency: int,
) -> None:
    """Run the demo from the command line; see the module's docstring for the exit codes."""
    signal.signal(signal.SIGINT, _interrupt_once)
    signal.signal(signal.SIGTERM, _interrupt_once)
    audience = Audience(load_placements(CATALOG), seed=seed)
    crowd = Crowd(audience, url=url, key=site_key, rate=rate, concurrency=concurrency)
    try:
        run(crowd, console=Console(highlight=False), seconds=seconds)
    except NoDecisionError as exc:
        raise click.ClickException(str(exc)) from exc


def _interrupt_once(*_: object) -> None:
    """End the run; a second signal must not cut short the ending that the first began."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _watch(board: Board, crowd: Crowd, draw: Draw, *, until: float, patience: float) -> None:
    """Count and draw until the time is up; NoDecisionError if the service falls silent."""
    while (elapsed := crowd.elapsed) < until:
        for result in crowd.wait(min(REDRAW_S, until - elapsed)):
            result.count(board)
        if crowd.elapsed - board.last_decision > patience:
            raise NoDecisionError(crowd.url, patience, board.words.values())
        draw(crowd.elapsed)


@contextmanager
def _live(console: Console, board: Board, crowd: Crowd) -> Iterator[Draw]:
    """Redraw the table in place; it is gone at the end, when the summary takes its place."""
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def draw(elapsed: float) -> None:
            lines = [Text(line, style="red") for line in board.troubles()[:TROUBLES_SHOWN]]
            live.update(Group(picture(board, crowd, elapsed), *lines), refresh=True)

        yield draw


@contextmanager
def _lines(console: Console, board: Board, crowd: Crowd) -> Iterator[Draw]:
    """Print a line every ``LINE_S`` seconds, and every new kind of error as it first comes."""
    console.print(f"visiting {crowd.url}", soft_wrap=True)
    told: set[str] = set()
    due = LINE_S

    def draw(elapsed: float) -> None:
        nonlocal due
        for code, words in board.words.items():
            if code not in told:
                console.print(f"{code}: {words}", soft_wrap=True, markup=False)
        told.update(board.words)
        if elapsed >= due:
            due += LINE_S
            rates = f"policy {_rate(board.total.policy)} % · holdout {_rate(board.total.holdout)} %"
            console.print(f"{board.status(elapsed)} · {rates}", soft_wrap=True, markup=False)

    yield draw


def _mixed(board: Board, truths: Mapping[str, tuple[float, float]]) -> tuple[float, float]:
    """The truth for the mix of personas that visited; for an even one if nobody did."""
    shares = {
        name: score.visits if board.total.visits else 1 for name, score in board.scores.items()
    }
    weight = sum(shares.values())
    uniform = sum(truths[name][0] * share for name, share in shares.items()) / weight
    best = sum(truths[name][1] * share for name, share in shares.items()) / weight
    return uniform, best


def _cells(score: Score, truth: tuple[float, float], elapsed: float) -> Iterator[str]:
    """One row: visits, rates with intervals, the truth, the lift, the trend."""
    uniform, best = truth
    yield f"{score.visits:,}"
    yield _rate(score.policy)
    yield _rate(score.holdout)
    yield f"{100 * uniform:.1f}"
    yield f"{100 * best:.1f}"
    yield _lift(score)
    yield _bars(score, best, elapsed)


def _rate(counted: Clicks) -> str:
    """A click rate in percent with its interval, or a dash where nothing was seen."""
    if not counted.visits:
        return "-"
    ends = wilson(counted)
    return f"{100 * counted.rate:.1f} [{100 * ends.low:.1f} {100 * ends.high:.1f}]"


def _lift(score: Score) -> str:
    """The lift in percent with its interval, or a dash until there is one."""
    if (gain := score.lift) is None:
        return "-"
    ends = gain.interval
    return f"{100 * gain.estimate:+.0f} [{100 * ends.low:+.0f} {100 * ends.high:+.0f}]"


def _bars(score: Score, best: float, elapsed: float) -> str:
    """The policy's click rate through time, a bar per span: lowest at 0, highest at the best."""
    rates = [span.rate for span in score.trend(elapsed, parts=TREND_PARTS)]
    return "".join(BARS[min(len(BARS) - 1, int(len(BARS) * rate / best))] for rate in rates)


def _course(total: Score, elapsed: float) -> str:
    """The policy's click rate at the start and now."""
    first, last = total.ends(elapsed)
    span = f"{2 * STEP_S:.0f} s"
    return f"policy in its first {span}: {_rate(first)} %; in the last {span}: {_rate(last)} %"


def _refusal(path: str, status_code: int, text: bytes) -> VisitError:
    """The service's own words for an answer that is not a success."""
    try:
        error = msgspec.json.decode(text, type=Refusal).error
    except msgspec.MsgspecError:
        return VisitError(str(status_code), f"{path}: HTTP {status_code}")
    return VisitError(f"{status_code} {error.code}", error.message)


if __name__ == "__main__":
    main()
