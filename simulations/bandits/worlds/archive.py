"""Headline and image tests of the Upworthy Research Archive, and how good their variants were.

Read from Parquet or from the archive's own CSV files. Rows are arms: a test, a week, a headline,
an image, impressions and clicks, nothing of single visitors. Weeks in which the archive warns of
broken randomisation are left out.

What an arm truly earns is not known; taken is its empirical-Bayes mean within its test,

    rate_ij = m_i (k + c_ij) / (k + n_ij m_i),    m_i = sum_j c_ij / sum_j n_ij,

with c clicks in n impressions: the posterior mean where rates of the arms of test i are
Gamma(k, k / m_i) and clicks are Poisson. Then clicks are negative binomial, and one k for all tests
maximises their likelihood on the tuning weeks. Observed rates would be wrong: the best of five
noisy ones is mostly lucky, and a world made of them would promise policies more than there was.

Data: J. N. Matias, K. Munger, M. A. Le Quere, C. Ebersole (2021), "The Upworthy Research Archive, a
time series of 32,487 experiments in U.S. media", Scientific Data 8:195; licence CC BY 4.0.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, parquet
from scipy.optimize import minimize_scalar
from scipy.special import gammaln

from bandit_service.errors import InvalidInput
from simulations.bandits.base import Floats, Whole

LAST_TUNED: Final = 201426
"""Settings are tuned on tests up to this week (year and week), and reported on later ones."""
BROKEN: Final = (201325, 201402)
"""First and last week of those that the archive warns of."""
FILE: Final = "upworthy-weeks-201303-201440.parquet"
VARIABLE: Final = "UPWORTHY_FILE"
"""Environment variable that names a file of tests."""
WHERE: Final = (
    f"get the archive's CSV from osf.io/jd64p and pass --upworthy FILE, set {VARIABLE}, or put "
    f"{FILE} into ../shared/data"
)
_COLUMNS: Final = ("clickability_test_id", "headline", "eyecatcher_id", "impressions", "clicks")
_TIMES: Final = ("test_week", "created_at")
_FIRST_WEEK, _LAST_WEEK = 200001, 209953
_SHAPES: Final = (-3.0, 12.0)
"""Bounds of ln k."""


class Trial(NamedTuple):
    """One test of two arms or more, each in the order of the archive."""

    id: str
    week: int
    """Year and week, such as 201427; of a test that ran on, the first."""
    headlines: tuple[str, ...]
    images: tuple[str, ...]
    impressions: Whole
    clicks: Whole

    @property
    def mean(self) -> float:
        """Clicks per impression, over all arms."""
        return float(self.clicks.sum() / self.impressions.sum())

    def rates(self, k: float) -> Floats:
        """Expected clicks per impression of each arm, shrunk towards the test's mean."""
        found: Floats = self.mean * (k + self.clicks) / (k + self.impressions * self.mean)
        return found


class Archive(NamedTuple):
    """The tests of a file, and what they have in common."""

    tests: tuple[Trial, ...]
    """In the order of their weeks."""
    k: float
    """How alike arms of one test are: their true rates vary by 1 / sqrt(k) of their mean."""

    def tuning(self) -> tuple[Trial, ...]:
        """Tests of the weeks that settings may be tuned on."""
        return tuple(test for test in self.tests if test.week <= LAST_TUNED)

    def reporting(self) -> tuple[Trial, ...]:
        """Tests of the weeks that are reported on."""
        return tuple(test for test in self.tests if test.week > LAST_TUNED)


def found(path: Path | None) -> Path:
    """Where the tests are: as told, as the environment says, or beside a checkout.

    Raises:
        InvalidInput: if there is no such file.
    """
    told = os.environ.get(VARIABLE)
    named = path or (Path(told) if told else None)
    if named is not None:
        if not named.is_file():
            raise InvalidInput(f"{named} is not a file", field="upworthy", hint=WHERE)
        return named
    for folder in Path(__file__).resolve().parents:
        beside = folder / "shared" / "data" / FILE
        if beside.is_file():
            return beside
    raise InvalidInput("the Upworthy tests are not here", field="upworthy", hint=WHERE)


def read(path: Path) -> Archive:
    """The tests of a Parquet or CSV file.

    Raises:
        InvalidInput: naming the column or the row that cannot be used.
    """
    table = _table(path)
    tests = tuple(sorted(_tests(path, table), key=lambda test: (test.week, test.id)))
    tuning = [test for test in tests if test.week <= LAST_TUNED]
    if not tuning or len(tuning) == len(tests):
        raise InvalidInput(
            f"{path} has {len(tuning)} tests of weeks up to {LAST_TUNED} and "
            f"{len(tests) - len(tuning)} of later ones",
            field="upworthy",
            hint="both are needed: the first for what is tuned, the others for what is reported",
        )
    return Archive(tests, shape(tuning))


def shape(tests: Iterable[Trial]) -> float:
    """The k that makes the clicks of ``tests`` likeliest; see above."""
    several = [test for test in tests if test.clicks.sum() > 0]
    clicks = np.concatenate([test.clicks for test in several]).astype(np.float64)
    expected = np.concatenate([test.impressions * test.mean for test in several])

    def unlikely(log_k: float) -> float:
        k = np.exp(log_k)
        terms = gammaln(clicks + k) - gammaln(k) + k * (log_k - np.log(k + expected))
        shown = expected > 0
        terms[shown] += clicks[shown] * np.log(expected[shown] / (k + expected[shown]))
        return -float(terms.sum())

    return float(np.exp(minimize_scalar(unlikely, bounds=_SHAPES, method="bounded").x))


def _table(path: Path) -> pa.Table:
    """The columns that are of use."""
    try:
        if path.suffix == ".csv":
            several_lines = csv.ParseOptions(newlines_in_values=True)
            table = csv.read_csv(path, parse_options=several_lines)
        elif path.suffix == ".parquet":
            table = parquet.read_table(path)
        else:
            raise InvalidInput(f"{path} is neither .csv nor .parquet", field="upworthy", hint=WHERE)
    except (OSError, pa.ArrowException) as exc:
        raise InvalidInput(f"{path} cannot be read: {exc}", field="upworthy", hint=WHERE) from exc
    times = [name for name in _TIMES if name in table.column_names]
    missing = [name for name in _COLUMNS if name not in table.column_names]
    if missing or not times:
        raise InvalidInput(
            f"{path} has no column {', '.join(missing or [' or '.join(_TIMES)])}",
            field="upworthy",
            hint="the archive's own files have all of them: " + ", ".join((*_COLUMNS, *_TIMES)),
        )
    return table.select([*_COLUMNS, times[0]])


def _tests(path: Path, table: pa.Table) -> Iterable[Trial]:
    weeks = _weeks(path, table.column(len(_COLUMNS)))
    impressions = _counts(path, table, "impressions")
    clicks = _counts(path, table, "clicks")
    _refuse(path, "clicks", clicks > impressions, clicks, "there are more clicks than impressions")
    names = _texts(table, "clickability_test_id")
    _refuse(path, "clickability_test_id", np.array([not name for name in names]), names, "no test")
    headlines, images = _texts(table, "headline"), _texts(table, "eyecatcher_id")
    arms: defaultdict[str, list[int]] = defaultdict(list)
    for row, (name, week) in enumerate(zip(names, weeks, strict=True)):
        if not BROKEN[0] <= week <= BROKEN[1]:
            arms[name].append(row)
    for name, rows in arms.items():
        if len(rows) > 1 and impressions[rows].sum() > 0:
            yield Trial(
                id=name,
                week=int(weeks[rows].min()),
                headlines=tuple(headlines[row] for row in rows),
                images=tuple(images[row] for row in rows),
                impressions=impressions[rows],
                clicks=clicks[rows],
            )


def _texts(table: pa.Table, name: str) -> list[str]:
    """A column of texts; what is missing is empty."""
    return [value or "" for value in table.column(name).cast(pa.string()).to_pylist()]


def _counts(path: Path, table: pa.Table, name: str) -> Whole:
    """A column of whole numbers from 0 on."""
    values = _numbers(path, name, table.column(name))
    bad = ~(np.isfinite(values) & (values >= 0) & (values == np.floor(values)))
    _refuse(path, name, bad, values, "this is no number of people")
    return values.astype(np.int64)


def _weeks(path: Path, column: pa.ChunkedArray) -> Whole:
    """Year and week of each row, as the archive has it, else by ISO 8601 from when it was made."""
    name = _TIMES[0]
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        name, day = _TIMES[1], pc.iso_calendar(column)
        values = _numbers(path, name, pc.struct_field(day, "iso_year")) * 100
        values = values + _numbers(path, name, pc.struct_field(day, "iso_week"))
    else:
        values = _numbers(path, name, column)
    bad = ~((values >= _FIRST_WEEK) & (values <= _LAST_WEEK))
    _refuse(path, name, bad, values, "this is no year and week, such as 201427")
    return values.astype(np.int64)


def _numbers(path: Path, name: str, column: pa.ChunkedArray) -> Floats:
    try:
        numbers = column.cast(pa.float64())
    except pa.ArrowException as exc:
        raise InvalidInput(
            f"{path}: column {name} is not of numbers: {exc}", field="upworthy", hint=WHERE
        ) from exc
    return np.array(numbers.fill_null(np.nan).to_pylist(), np.float64)


def _refuse(path: Path, name: str, bad: Any, values: Sequence[Any] | Any, why: str) -> None:
    """Raise InvalidInput for the first row that is bad, if there is one."""
    if np.any(bad):
        row = int(np.argmax(bad))
        raise InvalidInput(
            f"{path}: {name} is {values[row]!s} in row {row + 1}: {why}",
            field="upworthy",
            hint="mend the row, or take it out",
        )
