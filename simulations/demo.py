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

import math
import signal
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from simulations.audience import Audience, load_placements
from simulations.crowd import Crowd
from simulations.scoreboard import STEP_S, TROUBLES_SHOWN, picture, rate
from simulations.stats import Board

CATALOG = Path(__file__).resolve().parents[1] / "config" / "catalog.toml"
PATIENCE_S = 10.0
"""Seconds without any decision after which the service counts as gone."""
REDRAW_S = 0.5
LINE_S = 5.0
"""Seconds between two lines where there is no terminal."""


Draw = Callable[[float], None]
"""Shows the board as it stands, so many seconds after the start."""


class NoDecisionError(Exception):
    """Raised when the service gave no decision for so long that it counts as gone."""

    def __init__(self, url: str, seconds: float, words: Collection[str]) -> None:
        last = f": {list(words)[-1]}" if words else ""
        super().__init__(f"{url} gave no decision in {seconds:.0f} s{last}")


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
    default=800.0,
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
            rates = f"policy {rate(board.total.policy)} % · holdout {rate(board.total.holdout)} %"
            console.print(f"{board.status(elapsed)} · {rates}", soft_wrap=True, markup=False)

    yield draw


if __name__ == "__main__":
    main()
