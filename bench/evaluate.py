"""``evaluate``: offline evaluation beside what one would write by hand, and beside Vowpal Wabbit.

*A fixed policy.* Rows a second of a Parquet table of six arms, from the file to the estimate. The
reference is the shortest loop in Python that reads the same columns of the same file and sums up
IPS and SNIPS; both must agree. Ours gives these two with all that their intervals need, and once
more with every estimator, the reward model and its reading included.

*A policy that learns.* Outcomes a second, each predicted before it is learned. The reference is
Vowpal Wabbit's own driver, which learns the same examples in the same order from a text file, under
the same arguments, those of SquareCB: it predicts each too, and makes no policy of it. "Alone" is
without the reading of the log: entries are decoded and tables are batches before, and no rows are
made of entries; the join is in it. Our own log is that of ``fold``; tables have as many candidates
as the campaigns of the Open Bandit Dataset.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final
from unittest import mock

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from bandit_service.archive.history import History
from bandit_service.evaluation.batch import Batch
from bandit_service.evaluation.estimators import EstimatorSettings, estimators
from bandit_service.evaluation.folds.estimates import EstimateFold
from bandit_service.evaluation.logs.base import LoggedData, Violation
from bandit_service.evaluation.logs.foreign import TableLog
from bandit_service.evaluation.logs.mapping import LogMapping
from bandit_service.evaluation.logs.noticing import Noticing
from bandit_service.evaluation.logs.ours import SiteLog
from bandit_service.evaluation.logs.sources import LiveSource
from bandit_service.evaluation.reward_model import RewardTable
from bandit_service.evaluation.targets.context import TargetContext
from bandit_service.evaluation.targets.learning import Learning
from bandit_service.evaluation.targets.named import make_target
from bandit_service.evaluation.terms import terms_of
from bandit_service.events.entries import decode
from bandit_service.policy import vowpal
from bandit_service.policy.lesson import Lesson
from bandit_service.policy.settings import SiteSettings
from bandit_service.policy.vowpal import VowpalModel
from bandit_service.runtime import spare_the_collector
from bandit_service.storage.memory import MemoryStore
from bench.fold import SQUARECB, Recorder, Run, make_log, run_driver, timed, write_examples
from bench.measures import BenchError, Row, Scale, Spread, Table
from bench.servers import SITE
from bench.traffic import PROFILES

TARGET: Final = 0.5
"""Least share of the driver's outcomes a second that we hold ourselves to."""
ARMS: Final = ("a", "b", "c", "d", "e", "f")
"""Of the table that a fixed policy reads."""
CANDIDATES: Final = (34, 80)
"""Of the tables that are learned: the campaigns ``men`` and ``all`` of the data set."""
_ROWS: Final = 5
"""Rows of the fixed policy's table for each outcome of the others."""


class Versus(msgspec.Struct, frozen=True, kw_only=True):
    """One line: ours and the reference, turn by turn."""

    name: str
    rows: int
    ours: list[Run]
    reference: list[Run]

    @property
    def ratio(self) -> Spread:
        """Our rows a second over the reference's."""
        return Spread.of_ratios(
            [run.per_second for run in self.ours], [run.per_second for run in self.reference]
        )

    @property
    def cpu_ratio(self) -> Spread:
        """The reference's processor time over ours."""
        return Spread.of_ratios(
            [run.cpu_us for run in self.reference], [run.cpu_us for run in self.ours]
        )


def measure(scale: Scale) -> Table:
    """Compare each of the above."""
    with TemporaryDirectory(prefix="bandit-bench-") as name:
        folder = Path(name)
        compared = [
            *_fixed(scale, folder),
            *_own_log(f"own log, {PROFILES} situations", PROFILES, scale, folder),
            *_own_log("own log, each its own", scale.outcomes, scale, folder),
        ]
        for count in CANDIDATES:
            compared += _table_log(count, scale, folder)
    return _table(compared)


def _fixed(scale: Scale, folder: Path) -> list[Versus]:
    path = folder / "fixed.parquet"
    rows = write_fixed(path, _ROWS * scale.outcomes)
    log = TableLog([path], _fixed_mapping(), name="fixed")
    spare_the_collector()
    check_agreement(log, path)
    ours = {
        "fixed policy, ips and snips": lambda: run_fixed(log, ("ips", "snips")),
        "fixed policy, all estimators": lambda: run_fixed(log, (), model=True),
    }
    runs = _turns(scale, rows, lambda: run_by_hand(path), ours)
    log.close()
    return runs


def write_fixed(path: Path, count: int) -> int:
    """A log of six arms; returns how many rows it has."""
    random = Random(4)
    shown = [random.randrange(len(ARMS)) for _ in range(count)]
    weights = [[random.random() + 0.1 for _ in ARMS] for _ in range(100)]
    columns = {
        "arm": [ARMS[number] for number in shown],
        "persona": [random.choice(("romantic", "comedy", "action")) for _ in range(count)],
        "propensity": [
            weights[row % 100][number] / sum(weights[row % 100]) for row, number in enumerate(shown)
        ],
        "reward": [float(random.random() < 0.05) for _ in range(count)],
    }
    pq.write_table(pa.table(columns), path, row_group_size=65_536)
    return count


def run_fixed(log: LoggedData, names: tuple[str, ...], *, model: bool = False) -> list[float]:
    """The estimates of ``fixed:a``: of these estimators, or of all."""
    known = estimators(EstimatorSettings())
    folds = [EstimateFold(known[name]) for name in names or known]
    target = make_target("fixed:a", TargetContext())
    table = RewardTable()
    for batch in _batches(log) if model else ():
        table.add(batch)
    fitted = table.fit()
    for batch in _batches(log):
        predictions = fitted.predict(batch) if model else 0.0 * batch.logged
        terms = terms_of(batch, target.probabilities(batch), predictions)
        for fold in folds:
            fold.add(terms)
    target.close()
    return [fold.get().value for fold in folds]


def run_by_hand(path: Path) -> list[float]:
    """IPS and SNIPS of the same policy, in a loop."""
    rows, weights, rewards = 0, 0.0, 0.0
    columns = ["arm", "propensity", "reward"]
    for batch in pq.ParquetFile(path).iter_batches(columns=columns):
        for row in batch.to_pylist():
            weight = (row["arm"] == "a") / row["propensity"]
            rows += 1
            weights += weight
            rewards += weight * row["reward"]
    return [rewards / rows, rewards / weights]


def check_agreement(log: LoggedData, path: Path) -> None:
    """See that both say the same.

    Raises:
        BenchError: if they do not.
    """
    ours, theirs = run_fixed(log, ("ips", "snips")), run_by_hand(path)
    if any(abs(mine - other) > 1e-9 for mine, other in zip(ours, theirs, strict=True)):
        raise BenchError(f"the estimates differ: {ours} and {theirs}")


def _fixed_mapping() -> LogMapping:
    return msgspec.convert(
        {
            "arm": "arm",
            "persona": "{persona}",
            "reward": {"column": "reward"},
            "propensity": {"from": "column", "column": "propensity"},
            "candidates": {"from": "fixed", "arms": list(ARMS)},
        },
        LogMapping,
    )


def _own_log(name: str, profiles: int, scale: Scale, folder: Path) -> list[Versus]:
    settings = SQUARECB
    rows = make_log(scale.outcomes, profiles=profiles)
    now = [0]
    store = MemoryStore(clock=lambda: now[0]).site(SITE)
    for position, data in rows:
        now[0] = position.ms
        store.append(data)
    spare_the_collector()
    examples = folder / "examples.txt"
    outcomes = write_examples(settings, rows, examples)
    entries = [(position, decode(data)) for position, data in rows]
    log = SiteLog(LiveSource(History(store, None), name), settings)

    def alone() -> None:
        target = Learning(name, settings, evaluated=settings)
        reading = Noticing(settings, _blame)
        for position, entry in entries:
            target.watch(reading.apply("", position, entry))
        _check(target, outcomes)

    def whole() -> None:
        _check(run_learning(log, settings), outcomes)

    ours = {name: whole, f"{name}, alone": alone}
    return _turns(scale, outcomes, lambda: run_driver(settings, examples), ours)


def _table_log(count: int, scale: Scale, folder: Path) -> list[Versus]:
    settings = SQUARECB
    path = folder / f"table-{count}.parquet"
    rows = write_table(path, max(100, scale.outcomes // 8), count)
    log = TableLog([path], table_mapping(count), name="table")
    spare_the_collector()
    batches = list(_batches(log))
    examples = folder / "examples.txt"
    write_table_examples(batches, settings, examples)

    def alone() -> None:
        target = Learning("table", settings, evaluated=settings)
        for batch in batches:
            target.probabilities(batch)
        _check(target, rows)

    def whole() -> None:
        _check(run_learning(log, settings), rows)

    name = f"table, {count} candidates"
    runs = _turns(
        scale,
        rows,
        lambda: run_driver(settings, examples),
        {name: whole, f"{name}, alone": alone},
    )
    log.close()
    return runs


def write_table(path: Path, rows: int, count: int) -> int:
    """A log as the data set's: items at three positions, four features of the visitor."""
    random = Random(5)
    users = [[f"{random.getrandbits(64):016x}" for _ in range(6)] for _ in range(4)]
    columns: dict[str, list[object]] = {
        "item_id": [str(random.randrange(count)) for _ in range(rows)],
        "position": [str(random.randrange(1, 4)) for _ in range(rows)],
        "click": [float(random.random() < 0.005) for _ in range(rows)],
        "propensity": [1 / count] * rows,
    }
    for number, values in enumerate(users):
        columns[f"user_{number}"] = [random.choice(values) for _ in range(rows)]
    pq.write_table(pa.table(columns), path)
    with path.with_suffix(".items.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(["item_id", "number", "first", "second", "third"])
        for item in range(count):
            features = (f"{random.getrandbits(40):010x}"[:kinds] for kinds in (1, 2, 1))
            out.writerow([item, random.random(), *features])
    return rows


def table_mapping(count: int) -> LogMapping:
    """How to read what ``write_table`` wrote."""
    return msgspec.convert(
        {
            "arm": "item_id",
            "placement": "position-{position}",
            "traits": [f"user_{number}" for number in range(4)],
            "reward": {"column": "click"},
            "propensity": {"from": "column", "column": "propensity"},
            "candidates": {
                "from": "items",
                "file": f"table-{count}.items.csv",
                "id": "item_id",
                "tags": ["first", "second", "third"],
                "attributes": ["number"],
            },
        },
        LogMapping,
    )


def write_table_examples(batches: list[Batch], settings: SiteSettings, path: Path) -> None:
    """Write the examples that a plain model learns from these rows."""
    model = VowpalModel(settings.policy)
    with path.open("w", encoding="utf-8") as file, _recorded(Recorder(file)):
        for batch in batches:
            for asked, chosen, reward in zip(batch.asked, batch.chosen, batch.reward, strict=True):
                if asked is None:
                    raise BenchError("a row of the table does not describe its candidates")
                model.learn(
                    Lesson(asked.shared, asked.candidates.lines, int(chosen), float(reward))
                )
    model.close()


def run_learning(log: LoggedData, settings: SiteSettings) -> Learning:
    """A policy that has learned a log, having predicted all of it."""
    target = Learning("policy", settings, evaluated=settings)
    for batch in log.batches(blame=_blame, progress=_untold, watch=target.watch):
        target.probabilities(batch)
    return target


@contextmanager
def _recorded(recorder: Recorder) -> Iterator[None]:
    with (
        mock.patch.object(vowpal, "_parse", recorder.parse),
        mock.patch.object(vowpal, "_learn", recorder.learn),
    ):
        yield


def _check(target: Learning, outcomes: int) -> None:
    """See that everything was learned, and free the model."""
    learned = target.outcomes
    target.close()
    if learned != outcomes:
        raise BenchError(f"{learned} outcomes were learned, not {outcomes}")


def _batches(log: LoggedData) -> Iterator[Batch]:
    return log.batches(blame=_blame, progress=_untold)


def _blame(violation: Violation) -> None:
    if violation.kind != "event_late":
        raise BenchError(f"{violation.place}: {violation.message}")


def _untold(_: int) -> None:
    """Nobody is told of progress."""


def _turns(
    scale: Scale,
    rows: int,
    reference: Callable[[], object],
    ours: Mapping[str, Callable[[], object]],
) -> list[Versus]:
    """Reference and ours in turn; the reference of a round is that of all its lines."""
    compared = [Versus(name=name, rows=rows, ours=[], reference=[]) for name in ours]
    for _ in range(scale.rounds):
        theirs = timed(rows, reference)
        for line, run in zip(compared, ours.values(), strict=True):
            line.reference.append(theirs)
            line.ours.append(timed(rows, run))
    return compared


def _table(compared: list[Versus]) -> Table:
    return Table(
        title="evaluate: rows a second, and outcomes a second of a policy that learns",
        columns=("rows", "ours /s", "reference /s", "ratio", "ours CPU µs", "CPU ratio"),
        rows=tuple(
            Row(
                one.name,
                (
                    f"{one.rows:,}",
                    Spread.of([run.per_second for run in one.ours]).shown(0),
                    Spread.of([run.per_second for run in one.reference]).shown(0),
                    one.ratio.shown(),
                    Spread.of([run.cpu_us for run in one.ours]).shown(1),
                    one.cpu_ratio.shown(),
                ),
            )
            for one in compared
        ),
        notes=(
            "fixed policy: the reference is a loop in Python that reads the same file",
            "others: the reference is Vowpal Wabbit reading the same examples, in two threads",
            f"target of those: a ratio of at least {TARGET:g}; median (least to largest round)",
            "alone: without reading the log; CPU: processor time of all threads per row",
        ),
        values=compared,
    )
