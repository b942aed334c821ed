"""What the demo shows: the policy beside the holdout and the truth, for each persona."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Group
from rich.table import Table
from rich.text import Text

from simulations.audience import Audience
from simulations.crowd import Crowd
from simulations.stats import Board, Clicks, Score, wilson

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
    yield rate(score.policy)
    yield rate(score.holdout)
    yield f"{100 * uniform:.1f}"
    yield f"{100 * best:.1f}"
    yield _lift(score)
    yield _bars(score, best, elapsed)


def rate(counted: Clicks) -> str:
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
    return f"policy in its first {span}: {rate(first)} %; in the last {span}: {rate(last)} %"
