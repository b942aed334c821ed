"""Tables of others as a log, by a mapping of their columns.

What the rows do not say is found in readings before the first: which arms were ever shown
(``observed``), and how often (``estimated``).

A row without an id is known by its number and its file, and the file by what it holds, not by what
it is called: rows keep their keys when a file is moved, and a file that is given twice is noticed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from bandit_service.archive.times import readable
from bandit_service.catalog.model import Variant
from bandit_service.errors import SettingsError
from bandit_service.evaluation.batch import Batch, Vocabulary, hash_of
from bandit_service.evaluation.logs.base import (
    Blame,
    LogDescription,
    Progress,
    PropensitySource,
    Violation,
    Watch,
)
from bandit_service.evaluation.logs.choices import Chooses, Fixed, Listed, Observed
from bandit_service.evaluation.logs.columns import Columns, Ids, Reading
from bandit_service.evaluation.logs.described import Describer
from bandit_service.evaluation.logs.files import fingerprint
from bandit_service.evaluation.logs.frequencies import Frequencies
from bandit_service.evaluation.logs.items import items_of
from bandit_service.evaluation.logs.mapping import LogMapping
from bandit_service.evaluation.logs.tables import CHUNK_ROWS, Chunk, chunks, row_count

CHUNK_CANDIDATES: Final = 1_048_576
"""Candidates of a chunk, at most, where all rows have the same ones."""

ESTIMATED: Final = (
    "The log does not say its propensities. They were estimated by how often each arm was shown "
    "among the same candidates: where the logging policy looked at the visitor, they are off by an "
    "unknown amount."
)
TIMELESS: Final = "The log has no times: all rows count as decided at the same moment."
OBSERVED: Final = (
    "The log does not say what could have been shown: every arm that was ever shown at a placement "
    "counts as a candidate of all its rows."
)


class TableLog:
    """Tables with a mapping; see ``base.LoggedData``."""

    def __init__(self, paths: Sequence[Path], mapping: LogMapping, *, name: str) -> None:
        """Read ``paths``, parts of one log, in the order of the times they begin with.

        Raises:
            LogError: if a file cannot be read, or has not the columns of the mapping.
            SettingsError: if the mapping does not fit the table of items.
        """
        self._mapping = mapping
        self._names = Vocabulary()
        items = _items(paths[0].parent, mapping)
        self._arms = self._names.arms.codes(items or mapping.candidates.arms)
        self._columns = Columns(mapping, self._names, Describer(self._names, items))
        self._paths = self._in_order(paths)
        self._prints = {path: fingerprint(path) for path in self._paths}
        self._chooses: Chooses | None = None
        self._frequencies: Frequencies | None = None
        counts = [row_count(path) for path in {self._prints[p]: p for p in self._paths}.values()]
        self.size = None if None in counts else sum(count or 0 for count in counts)
        self.reward_range = mapping.reward.bounds
        self.excluded: dict[str, int] = {}
        self.description = _description(mapping, name)

    def batches(
        self,
        *,
        blame: Blame,
        progress: Progress,
        watch: Watch | None = None,  # noqa: ARG002 - a table has no entries
    ) -> Iterator[Batch]:
        """See ``LoggedData``."""
        left_out: Counter[str] = Counter()

        def counted(violation: Violation) -> None:
            if violation.kind != "partition_overlaps":  # which is a file, not a row
                left_out[violation.kind] += 1
            blame(violation)

        chooses = self._chooses = self._chooses or self._survey()
        if self.description.propensities == "estimated" and self._frequencies is None:
            self._frequencies = self._counted(chooses)
        reading = Reading(chooses, self._frequencies, Ids(), counted)
        order = _Order(blame)
        for chunk, file in self._chunks(counted, chooses):
            batch = self._columns.batch(chunk, file=file, reading=reading)
            if len(batch):
                order.check(batch, file)
                yield batch
            progress(len(chunk))
        self.excluded = dict(left_out)

    def close(self) -> None:
        """See ``LoggedData``."""

    def _survey(self) -> Chooses:
        """Who knows the candidates of a row."""
        candidates = self._mapping.candidates
        if candidates.source == "column":
            return Listed(self._names.arms, str(candidates.column), candidates.separator)
        if candidates.source != "observed":
            return Fixed(self._arms)
        seen: set[tuple[int, int]] = set()
        for chunk, _ in self._chunks(_nobody):
            seen |= self._columns.shown(chunk)
        return Observed(self._names.arms, seen)

    def _counted(self, chooses: Chooses) -> Frequencies:
        found = Frequencies()
        reading = Reading(chooses, None, Ids(), _nobody)
        for chunk, file in self._chunks(_nobody, chooses):
            found.add(self._columns.batch(chunk, file=file, reading=reading))
        found.finish()
        return found

    def _chunks(self, blame: Blame, chooses: Chooses | None = None) -> Iterator[tuple[Chunk, int]]:
        """All rows, each file once, with a number for the file."""
        seen: dict[str, Path] = {}
        most = 1 if chooses is None else chooses.most
        rows = min(CHUNK_ROWS, max(1, CHUNK_CANDIDATES // most))
        for path in self._paths:
            known = seen.setdefault(self._prints[path], path)
            if known is not path:
                blame(Violation("partition_overlaps", str(path), f"it is {known} again; read once"))
                continue
            file = hash_of(self._prints[path])
            for chunk in self._of(path, blame, rows):
                yield chunk, file

    def _of(self, path: Path, blame: Blame, rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
        columns, delimiter = self._mapping.columns, self._mapping.delimiter
        return chunks(path, columns, delimiter=delimiter, blame=blame, rows=rows)

    def _in_order(self, paths: Sequence[Path]) -> list[Path]:
        """The files in order of their beginning; all of them have the columns."""
        return [path for _, path in sorted((self._begins(path), path) for path in paths)]

    def _begins(self, path: Path) -> int:
        time = self._mapping.time
        for chunk in self._of(path, _nobody):
            if time is None:
                return 0
            ms, known = chunk.time(time.column, time.format)
            if known.any():
                return int(ms[known][0])
        return 0


class _Order:
    """Says where time runs backwards, once in each file."""

    def __init__(self, blame: Blame) -> None:
        self._blame = blame
        self._last = 0
        self._told: set[int] = set()

    def check(self, batch: Batch, file: int) -> None:
        before = np.concatenate(([self._last], batch.ms[:-1]))
        self._last = int(batch.ms[-1])
        back = np.flatnonzero(batch.ms < before)
        if len(back) and file not in self._told:
            self._told.add(file)
            row = int(back[0])
            now, then = readable(int(batch.ms[row])), readable(int(before[row]))
            said = f"decided at {now}, and the row before it at {then}"
            self._blame(Violation("rows_unordered", batch.places[row], said))


def _items(folder: Path, mapping: LogMapping) -> dict[str, Variant]:
    if mapping.candidates.source != "items":
        return {}
    items = items_of(folder, mapping.candidates, delimiter=mapping.delimiter)
    if mapping.distribution is not None and mapping.distribution.columns:
        lacking = sorted(set(items) - set(mapping.distribution.columns))
        if lacking:
            raise SettingsError(
                f"distribution.columns has no column for {lacking[0]!r}",
                field="distribution.columns",
                hint=f"{mapping.candidates.file} has that candidate",
            )
    return items


def _description(mapping: LogMapping, name: str) -> LogDescription:
    source = "column" if mapping.propensity is None else mapping.propensity.source
    kinds: dict[str, PropensitySource] = {"uniform": "uniform", "estimated": "estimated"}
    notes = {
        ESTIMATED: source == "estimated",
        OBSERVED: mapping.candidates.source == "observed",
        TIMELESS: mapping.time is None,
    }
    return LogDescription(
        name=name,
        format="table",
        propensities=kinds.get(source, "logged"),
        distributions=mapping.distribution is not None or source != "column",
        notes=[note for note, holds in notes.items() if holds],
    )


def _nobody(_: Violation) -> None:
    """Is told of what a later reading tells."""
