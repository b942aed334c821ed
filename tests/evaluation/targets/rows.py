"""Logs and batches for the tests of targets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bandit_service.archive.history import History
from bandit_service.evaluation.batch import Asked, Batch, Floats, Vocabulary
from bandit_service.evaluation.logs.base import (
    Blame,
    LogDescription,
    Progress,
    Violation,
    Watch,
)
from bandit_service.evaluation.logs.noticing import Noticing
from bandit_service.evaluation.logs.ours import SiteLog
from bandit_service.evaluation.logs.sources import LiveSource
from bandit_service.evaluation.targets.base import Target
from bandit_service.events.entries import Entry, Position, Tick, encode
from bandit_service.policy.settings import SiteSettings
from tests.world import QUICK, World, busy_world


class TableLog:
    """A log without entries: these batches, whoever reads it."""

    description = LogDescription(name="table", format="table")
    size: int | None = None
    reward_range: tuple[float, float] | None = None

    def __init__(self, *batches: Batch) -> None:
        self.excluded: dict[str, int] = {}
        self.closed = False
        self._batches = batches

    def batches(
        self, *, blame: Blame, progress: Progress, watch: Watch | None = None
    ) -> Iterator[Batch]:
        yield from self._batches

    def close(self) -> None:
        self.closed = True


def a_batch(rows: Sequence[Mapping[str, Any]], names: Vocabulary | None = None) -> Batch:
    """A batch of rows of arms ``a``, ``b``, of which ``a`` was shown, but for what rows say."""
    names = names or Vocabulary()
    plain = {
        "arms": ["a@1", "b@1"],
        "chosen": 0,
        "placement": "film",
        "persona": "unknown",
        "reward": 0.0,
        "asked": None,
    }
    full = [{**plain, **row} for row in rows]
    arms = [row["arms"] for row in full]
    logged = [row.get("logged", [1 / len(row["arms"])] * len(row["arms"])) for row in full]
    shown = [given[row["chosen"]] for row, given in zip(full, logged, strict=True)]
    number = np.arange(len(full), dtype=np.uint64)
    return Batch(
        names=names,
        places=[f"log.csv:{n + 2}" for n in range(len(full))],
        key=number,
        cluster=number,
        ms=np.arange(len(full)),
        placement=names.placements.codes(row["placement"] for row in full),
        persona=names.personas.codes(row["persona"] for row in full),
        offsets=np.concatenate(([0], np.cumsum([len(each) for each in arms]))).astype(np.int64),
        arms=names.arms.codes(arm for each in arms for arm in each),
        logged=np.array([p for each in logged for p in each], np.float64),
        chosen=np.array([row["chosen"] for row in full], np.int64),
        propensity=np.array(
            [row.get("propensity", p) for row, p in zip(full, shown, strict=True)], np.float64
        ),
        reward=np.array([row["reward"] for row in full], np.float64),
        asked=[row["asked"] for row in full],
    )


def by_row(batch: Batch, values: Floats) -> list[list[float]]:
    """m values, a list for each row."""
    return [values[a:b].tolist() for a, b in zip(batch.offsets, batch.offsets[1:], strict=False)]


def closed_world(visits: int = 400, *, seed: int = 1, learn: bool = False) -> World:
    """A busy world whose windows have all ended; with ``learn``, many snapshots served it."""
    world = busy_world(0, seed=seed)
    learner = world.learner() if learn else None
    rates = {"h0": 0.1, "h1": 0.5, "h2": 0.1, "h3": 0.05}
    for number in range(visits):
        world.pass_time(world.random.choice((0.0, 0.05, 0.2, 1.5)))
        request: dict[str, object] = {
            "traits": {"genres": [world.random.choice(("romantic", "comedy", "other"))]},
            "context": {"device": world.random.choice(("phone", "tv")), "hour": 20},
        }
        if world.random.random() < 0.7:
            request["visitor"] = f"visitor-{world.random.randrange(25)}"
        world.visit(rates, **request)
        if learner is not None and number % 20 == 0:
            learner.step()
    world.pass_time(3600)
    world.log.append(encode(Tick(at=world.now)))
    if learner is not None:
        learner.finish()
    return world


def log_of(world: World, settings: SiteSettings = QUICK) -> SiteLog:
    """The world's log as rows."""
    return SiteLog(LiveSource(History(world.log, None), "main"), settings)


def watch_all(
    target: Target, entries: Iterable[tuple[Position, Entry]], settings: SiteSettings = QUICK
) -> None:
    """Show a target these entries, as a log has them that begins with them."""
    reading = Noticing(settings, lambda _: None)
    for position, entry in entries:
        target.watch(reading.apply(str(position), position, entry))


def run(target: Target, log: Any) -> list[tuple[Batch, Floats]]:
    """The batches of a log, each with what the target says of it."""
    batches = log.batches(blame=_unblamed, progress=_untold, watch=target.watch)
    return [(batch, target.probabilities(batch)) for batch in batches]


def weights(found: list[tuple[Batch, Floats]]) -> list[float]:
    """The weight of each row."""
    return [
        float(weight)
        for batch, target in found
        for weight in target[batch.shown] / batch.propensity
    ]


def asked_of(found: list[tuple[Batch, Floats]]) -> list[tuple[Asked, list[float]]]:
    """What was asked of each row, and answered."""
    pairs: list[tuple[Asked, list[float]]] = []
    for batch, target in found:
        for row, values in enumerate(by_row(batch, target)):
            asked = batch.asked[row]
            assert asked is not None
            pairs.append((asked, values))
    return pairs


def _untold(_: int) -> None:
    """Nobody is told."""


def _unblamed(violation: Violation) -> None:
    """Events after the first click are late; nothing else may be wrong."""
    assert violation.kind == "event_late", violation


Answer = Callable[[Any, Any], Sequence[float]]
