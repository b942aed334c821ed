"""``fold``: outcomes a second through the whole fold, beside Vowpal Wabbit's own driver.

Both learn the same examples in the same order under the same arguments, those of SquareCB. Ours
starts from the log's bytes, as a rebuild does: decoding, catalog, join, trainer, counters. The
driver starts from a text file of the very lines that our trainer gives to Vowpal Wabbit, labels
included; it has no log to decode and nothing to join, and it parses in one thread while it learns
in another. Thompson sampling, which the driver does not have, is set beside the driver's SquareCB.

The log is made by the real ``decide`` at a made-up clock: nearly every decision is another
visitor's, one in twenty is clicked, windows end as time passes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final, TextIO
from unittest import mock

import msgspec
import vowpalwabbit

from bandit_service.events.entries import START, Event, Position, Tick, decode, encode
from bandit_service.events.identity import DECISION_ENTROPY
from bandit_service.folds.site import SiteFold
from bandit_service.policy import vowpal
from bandit_service.policy.settings import PolicySettings, SiteSettings
from bandit_service.policy.vowpal import arguments
from bandit_service.runtime import spare_the_collector
from bandit_service.services import Services
from bandit_service.serving.decide import decide
from bandit_service.serving.requests import DecideRequest
from bandit_service.storage.memory import MemoryStore
from bandit_service.storage.ports import entries_of
from bench.measures import Row, Scale, Spread, Table
from bench.servers import SITE, settings_in
from bench.traffic import PROFILES, bodies

SQUARECB: Final = SiteSettings(policy=PolicySettings(exploration="squarecb"))
"""Settings that Vowpal Wabbit's driver can learn under."""
TARGET: Final = 0.3
"""Least ratio that we hold ourselves to."""
CLICKS: Final = 0.05
"""Share of the decisions that are clicked."""
_STEP_MS: Final = 50
"""Time between two decisions: windows of ten minutes leave 12,000 of them open."""
_BEGAN: Final = 1_900_000_000_000
"""Where the made-up clock starts, in ms since the Unix epoch."""

Log = list[tuple[Position, bytes]]


class Run(msgspec.Struct, frozen=True):
    """One turn: outcomes a second, and processor time of all threads per outcome in µs."""

    per_second: float
    cpu_us: float


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The two, turn by turn."""

    name: str
    outcomes: int
    entries: int
    ours: list[Run]
    driver: list[Run]

    @property
    def ratio(self) -> Spread:
        """Our outcomes a second over the driver's."""
        return Spread.of_ratios(_rates(self.ours), _rates(self.driver))

    @property
    def cpu_ratio(self) -> Spread:
        """The driver's processor time over ours."""
        return Spread.of_ratios(_costs(self.driver), _costs(self.ours))


def measure(scale: Scale) -> Table:
    """Compare at a few hundred situations, and where no two visitors are alike."""
    with TemporaryDirectory(prefix="bandit-bench-") as folder:
        compared = [
            _compare(f"{PROFILES} situations", PROFILES, scale, Path(folder)),
            _compare("each its own situation", scale.outcomes, scale, Path(folder)),
            _compare(
                f"{PROFILES} situations, thompson", PROFILES, scale, Path(folder), SiteSettings()
            ),
        ]
    return _table(compared)


def _compare(
    name: str,
    profiles: int,
    scale: Scale,
    folder: Path,
    settings: SiteSettings = SQUARECB,
) -> Comparison:
    log = make_log(scale.outcomes, profiles=profiles)
    spare_the_collector()  # as the learner and a rebuild do
    examples = folder / "examples.txt"
    outcomes = write_examples(SQUARECB, log, examples)
    ours: list[Run] = []
    driver: list[Run] = []
    for _ in range(scale.rounds):
        driver.append(timed(outcomes, lambda: run_driver(SQUARECB, examples)))
        ours.append(timed(outcomes, lambda: run_fold(settings, log)))
    return Comparison(name=name, outcomes=outcomes, entries=len(log), ours=ours, driver=driver)


def make_log(count: int, *, profiles: int) -> Log:
    """A log of ``count`` decisions, their clicks, and a tick that ends the last window."""
    now = [_BEGAN]
    with TemporaryDirectory(prefix="bandit-bench-") as folder:
        settings = settings_in(Path(folder))
        store = MemoryStore(clock=lambda: now[0])
        services = Services(settings, store, clock=lambda: now[0], entropy=Random(2).randbytes)
        services.ensure_snapshot(SITE)
        services.seed(SITE)
    _visit(services, now, bodies(count, profiles=profiles, visitors=20 * count))
    site = store.site(SITE)
    now[0] += services.site_settings.rewards.window_ms + 1
    site.append(encode(Tick(at=now[0])))
    return list(entries_of(site, after=START, upto=site.tail()))


def write_examples(settings: SiteSettings, log: Log, path: Path) -> int:
    """Write what the trainer feeds to Vowpal Wabbit; returns how many outcomes that is."""
    with path.open("w", encoding="utf-8") as file:
        recorder = Recorder(file)
        with (
            mock.patch.object(vowpal, "_parse", recorder.parse),
            mock.patch.object(vowpal, "_learn", recorder.learn),
        ):
            return run_fold(settings, log)


class Recorder:
    """Stands where the bindings are called; a blank line ends an example."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._parse, self._learn = vowpal._parse, vowpal._learn  # noqa: SLF001
        self._text = ""

    def parse(self, workspace: Any, text: str) -> Any:
        """Parse, and remember the text."""
        self._text = text
        return self._parse(workspace, text)

    def learn(self, workspace: Any, examples: Any) -> None:
        """Learn, and write the text."""
        self._file.write(f"{self._text}\n\n")
        self._learn(workspace, examples)


def run_fold(settings: SiteSettings, log: Log) -> int:
    """Fold the log; returns how many outcomes were learned from."""
    fold = SiteFold(settings)
    try:
        for position, data in log:
            fold.apply(position, decode(data))
        return fold.trainer.outcomes
    finally:
        fold.close()


def run_driver(settings: SiteSettings, examples: Path, *options: str) -> None:
    """Learn the file with Vowpal Wabbit's own driver."""
    words = [*arguments(settings.policy).split(), "--quiet", "-d", str(examples), *options]
    vowpalwabbit.Workspace(arg_list=words).finish()


def _visit(services: Services, now: list[int], asked: list[dict[str, object]]) -> None:
    random = Random(3)
    view = services.view(SITE)
    for body in asked:
        now[0] += _STEP_MS
        request = msgspec.convert(body, DecideRequest)
        answer = decide(view, request, now=now[0], entropy=services.entropy(DECISION_ENTROPY))
        if random.random() < CLICKS:
            click = Event(decision=answer.decision, type="click", at=now[0], received=now[0])
            view.store.append(encode(click))


def timed(outcomes: int, run: Callable[[], object]) -> Run:
    """Run once."""
    started, spent = time.perf_counter(), time.process_time()
    run()
    spent, took = time.process_time() - spent, time.perf_counter() - started
    return Run(outcomes / took, spent / outcomes * 1e6)


def _rates(runs: list[Run]) -> list[float]:
    return [run.per_second for run in runs]


def _costs(runs: list[Run]) -> list[float]:
    return [run.cpu_us for run in runs]


def _table(compared: list[Comparison]) -> Table:
    return Table(
        title="fold: outcomes a second, from the log's bytes to the model",
        columns=(
            "outcomes",
            "fold /s",
            "driver /s",
            "ratio",
            "fold CPU µs",
            "driver CPU µs",
            "CPU ratio",
        ),
        rows=tuple(
            Row(
                one.name,
                (
                    f"{one.outcomes:,}",
                    Spread.of(_rates(one.ours)).shown(0),
                    Spread.of(_rates(one.driver)).shown(0),
                    one.ratio.shown(),
                    Spread.of(_costs(one.ours)).shown(1),
                    Spread.of(_costs(one.driver)).shown(1),
                    one.cpu_ratio.shown(),
                ),
            )
            for one in compared
        ),
        notes=(
            f"target: a ratio of at least {TARGET:g}; median (least to largest round)",
            "driver: Vowpal Wabbit reading the same examples from a text file, in two threads",
            "CPU: processor time of all threads per outcome, which other programs disturb less",
        ),
        values=compared,
    )
