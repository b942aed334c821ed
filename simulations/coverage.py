"""How often intervals hold: every interval of every estimator on many logs whose truth is known.

    python -m simulations coverage --logs 1000 --out bandit_service/evaluation/coverage.json

Rows, weights, estimates and intervals are made by the package's own code (``terms_of``,
``estimators``, ``intervals``); ``batches`` sums up many logs at once.

An interval is *claimed* in a world if ``intervals.chooser`` would show it on at least half of the
logs, and is then judged on those on which it is shown; otherwise on all. Near the limits of the
chooser's rules an interval is shown on some logs only, and these are the ones that earned more than
their world: where they are few, it holds on fewer of them than it says. The note tells how many.

The confidence sequence is checked at every tenth row, and holds on a log if it never failed; the
others are checked at the end.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import numpy as np

from bandit_service.evaluation.batch import Floats
from bandit_service.evaluation.estimators import EstimatorSettings, estimators
from bandit_service.evaluation.intervals.chooser import (
    APPLIES,
    Evidence,
    Offer,
    Rules,
    intervals_for,
)
from bandit_service.evaluation.intervals.sequence import Bounds
from bandit_service.evaluation.results import Coverage, Interval
from bandit_service.evaluation.terms import terms_of
from simulations.batches import batch_of, predictions, ratios_of, sequences_of
from simulations.pool import each
from simulations.worlds import TARGETS, WORLDS

CONFIDENCE: Final = 0.95
CHUNK_ROWS: Final = 100_000
"""Rows simulated at once: 50 logs of 2,000."""
RANGE: Final = (0.0, 1.0)
SETTINGS: Final = EstimatorSettings()


class Task(NamedTuple):
    """Some logs of a world."""

    world: str
    logs: int
    seed: int

    @property
    def name(self) -> str:
        """For people."""
        return f"logs {self.seed} and on of {self.world}"


class Tally(NamedTuple):
    """On how many logs an interval was there, and on how many it held."""

    logs: int = 0
    held: int = 0

    def __add__(self, other: Tally) -> Tally:  # type: ignore[override]
        return Tally(self.logs + other.logs, self.held + other.held)


class Cell(NamedTuple):
    """What is tallied apart."""

    world: str
    target: str
    estimator: str
    interval: str
    claimed: bool
    why: str
    """Why it was held back, without the numbers of the log; empty if it was claimed."""


Tallies = dict[Cell, Tally]


def tasks(logs: int, *, seed: int, worlds: Iterable[str] = tuple(WORLDS)) -> list[Task]:
    """The study cut into parts that take a second or so each, whatever runs them."""
    parts = []
    for name in worlds:
        size = max(1, CHUNK_ROWS // WORLDS[name].n)
        parts += [
            Task(name, min(size, logs - start), seed + start) for start in range(0, logs, size)
        ]
    return parts


def run(parts: list[Task], *, processes: int) -> Iterator[Tallies]:
    """The tallies of each part, as they come."""
    return each(parts, tally, processes=processes)


def merged(several: Iterable[Tallies]) -> Tallies:
    """All of them together."""
    total: defaultdict[Cell, Tally] = defaultdict(Tally)
    for tallies in several:
        for cell, counted in tallies.items():
            total[cell] += counted
    return dict(total)


def rows_of(tallies: Tallies) -> list[Coverage]:
    """The table: a row for each interval of each estimator of each target in each world."""
    order = list(WORLDS)
    rows: defaultdict[Cell, Tallies] = defaultdict(dict)
    for cell, counted in tallies.items():
        rows[cell._replace(claimed=False, why="")][cell] = counted
    found = sorted(
        rows,
        key=lambda cell: (
            order.index(cell.world),
            WORLDS[cell.world].targets.index(cell.target),
            [*APPLIES].index(cell.estimator),
            APPLIES[cell.estimator].index(cell.interval),
        ),
    )
    return [_row(cell, rows[cell]) for cell in found]


def _row(cell: Cell, parts: Tallies) -> Coverage:
    """A row of the table."""
    world = WORLDS[cell.world]
    shown = sum((parts[part] for part in parts if part.claimed), Tally())
    every = sum(parts.values(), Tally())
    claimed = 2 * shown.logs >= every.logs
    tally = shown if claimed else every
    return Coverage(
        world=f"{world.words}: {TARGETS[cell.target]}",
        estimator=cell.estimator,
        interval=cell.interval,
        logs=tally.logs,
        n=world.n,
        coverage=tally.held / tally.logs,
        claimed=claimed,
        note=_note(shown, every, parts),
    )


def _note(shown: Tally, every: Tally, parts: Tallies) -> str:
    """On how many logs the interval was shown, if not on all, and why not on the others."""
    if shown.logs == every.logs:
        return ""
    share = f"Shown on {shown.logs:,} of {every.logs:,} logs"
    held = f", held on {shown.held:,} of them. " if shown.logs else ". "
    # Of equally common reasons the first in the alphabet, whichever part of the study ended first.
    held_back = [part for part in parts if not part.claimed]
    return share + held + min(held_back, key=lambda part: (-parts[part].logs, part.why)).why


def tally(part: Task) -> Tallies:
    """Simulate some logs, and see which intervals hold."""
    total: defaultdict[Cell, Tally] = defaultdict(Tally)
    for found in checked(part):
        if found.offer.interval is not None:
            offer = found.offer
            why = re.sub(r"[\d.,]*\d%?", "…", offer.why or "")
            cell = Cell(part.world, found.target, found.estimator, offer.kind, offer.claimed, why)
            total[cell] += Tally(1, int(found.held))
    return dict(total)


class Checked(NamedTuple):
    """An interval of one log."""

    target: str
    estimator: str
    offer: Offer
    held: bool
    evidence: Evidence


def checked(part: Task) -> Iterator[Checked]:
    """Simulate some logs, and see of each interval whether it holds."""
    world = WORLDS[part.world]
    # The name is part of the seed, so that worlds share no luck.
    rng = np.random.default_rng([part.seed, *part.world.encode()])
    logs = world.logs(part.logs, rng)
    batch = batch_of(logs, rng)
    model = predictions(logs, batch, blind=world.blind)
    rules = Rules(RANGE, SETTINGS, CONFIDENCE, adaptive=world.policy is None)
    for name in world.targets:
        policy = world.target(name)
        terms = terms_of(batch, policy[logs.persona].ravel(), model)
        ratios = {
            estimator.name: ratios_of(logs, *estimator.pairs(terms), estimator.weights(terms))
            for estimator in estimators(SETTINGS).values()
        }
        sequences = sequences_of(logs, terms, RANGE, CONFIDENCE)
        truth, running = logs.truth(policy), logs.running(policy)
        for index in range(part.logs):
            evidence = Evidence(
                reference=ratios["ips"][index],
                earned=float(logs.reward[index].sum()),
                sequence=_last(sequences[index]),
            )
            always = _always(sequences[index], running[index])
            for estimator, several in ratios.items():
                for offer in intervals_for(estimator, several[index], rules, evidence):
                    held = always if offer.kind == "anytime" else _contains(offer, truth)
                    yield Checked(name, estimator, offer, held, evidence)


def _last(found: Bounds) -> Interval:
    low, high = float(found.low[-1]), float(found.high[-1])
    return Interval(low=low, high=high, kind="anytime", confidence=CONFIDENCE)


def _always(found: Bounds, running: Floats) -> bool:
    """Whether the running mean was within its bounds at every look."""
    truth = running[found.n.astype(np.int64) - 1]
    return bool(np.all((found.low <= truth) & (truth <= found.high)))


def _contains(offer: Offer, truth: float) -> bool:
    return offer.interval is not None and offer.interval.low <= truth <= offer.interval.high
