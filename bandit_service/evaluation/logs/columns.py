"""The columns of a chunk as a batch, by a mapping; no step looks at rows one by one.

A row that cannot be read (its reward or time is none, its candidates are missing or doubled, its id
was there before) is blamed and left out. One whose propensity is missing or out of range, or whose
arm is not among its candidates, is kept as it is, for ``verify`` to find.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from bandit_service.evaluation.batch import (
    Batch,
    Floats,
    Hashes,
    Mask,
    Names,
    Vocabulary,
    Whole,
    hashes_of,
    mixed,
)
from bandit_service.evaluation.logs.base import Blame, Violation
from bandit_service.evaluation.logs.choices import Choices, Chooses, chosen_of
from bandit_service.evaluation.logs.described import Describer, RowsAsked
from bandit_service.evaluation.logs.frequencies import Frequencies
from bandit_service.evaluation.logs.mapping import LogMapping, named, template_of
from bandit_service.evaluation.logs.tables import Chunk, Coded

_REMEMBERED: Final = 100_000
"""Ids of rows that are remembered, to find those that are there twice."""

Why = Callable[[int], str]
"""What is wrong with a row of the chunk."""


class Ids:
    """The ids of the last rows."""

    def __init__(self) -> None:
        self._recent = np.zeros(0, np.uint64)

    def repeated(self, keys: Hashes) -> Mask:
        """Which rows were there before; remembers all."""
        first = np.unique(keys, return_index=True)[1]
        again = np.ones(len(keys), bool)
        again[first] = False
        again |= np.isin(keys, self._recent)
        self._recent = np.concatenate((self._recent, keys))[-_REMEMBERED:]
        return again


class Reading(NamedTuple):
    """What one reading knows besides the columns."""

    chooses: Chooses
    frequencies: Frequencies | None
    """Where propensities are estimated, and were counted."""
    ids: Ids
    blame: Blame


class Columns:
    """Makes batches of chunks."""

    def __init__(self, mapping: LogMapping, names: Vocabulary, describer: Describer) -> None:
        """``names`` are shared by all batches."""
        self._mapping = mapping
        self._names = names
        self._describer = describer

    def shown(self, chunk: Chunk) -> set[tuple[int, int]]:
        """The pairs (placement, arm) of a chunk."""
        if not len(chunk):
            return set()
        pairs = np.stack((self._filled(chunk, "placement"), self._arm(chunk)))
        found = np.unique(pairs, axis=1).T.tolist()
        return {(placement, arm) for placement, arm in found if self._names.arms[arm]}

    def batch(self, chunk: Chunk, *, file: int, reading: Reading) -> Batch:
        """The rows that can be read; ``file`` is a number for the file they are in."""
        mapping = self._mapping
        sound = _Sound(chunk, reading.blame)
        reward = self._reward(chunk, sound)
        ms = self._ms(chunk, sound)
        placement = self._filled(chunk, "placement")
        choices = reading.chooses.of(chunk, placement)
        sound.reject(choices.wrong, lambda _: "a candidate is there twice, or without a name")
        sound.reject(choices.counts == 0, lambda _: "it has no candidates")
        logged = self._logged(chunk, choices, sound)
        key = self._keys(chunk, file, reading.ids, sound)
        visitor = None if mapping.visitor is None else chunk.text(mapping.visitor)
        batch = Batch(
            names=self._names,
            places=chunk.places,
            key=key,
            cluster=key if visitor is None else _hashed(visitor, key),
            ms=ms,
            placement=placement,
            persona=self._filled(chunk, "persona"),
            offsets=choices.offsets,
            arms=choices.arms,
            logged=np.full(len(choices.arms), np.nan) if logged is None else logged,
            chosen=chosen_of(choices, self._arm(chunk)),
            propensity=self._propensity(chunk),
            reward=reward,
            asked=[],
        )
        rows = np.flatnonzero(sound.rows)
        if len(rows) < len(chunk):
            batch = batch.take(rows)
        return self._finished(batch, chunk, rows, visitor, reading.frequencies, logged is not None)

    def _finished(
        self,
        batch: Batch,
        chunk: Chunk,
        rows: Whole,
        visitor: Coded | None,
        frequencies: Frequencies | None,
        complete: bool,
    ) -> Batch:
        """The batch with what its own columns say: propensities, and what a model needs."""
        batch = _with_propensities(batch, self._source, frequencies, complete=complete)
        texts = {
            kind: {
                name: _picked(chunk.text(column), rows)
                for name, column in named(getattr(self._mapping, kind)).items()
            }
            for kind in ("traits", "context")
        }
        asked = RowsAsked(
            self._describer,
            batch,
            visitor=None if visitor is None else _picked(visitor, rows),
            traits=texts["traits"],
            context=texts["context"],
        )
        return replace(batch, asked=asked)

    @property
    def _source(self) -> str:
        """Where propensities come from."""
        return "" if self._mapping.propensity is None else self._mapping.propensity.source

    def _arm(self, chunk: Chunk) -> Whole:
        return _recoded(chunk.text(self._mapping.arm), self._names.arms)

    def _filled(self, chunk: Chunk, kind: str) -> Whole:
        """Codes of the placement or the persona."""
        names = self._names.placements if kind == "placement" else self._names.personas
        template = template_of(getattr(self._mapping, kind), kind)
        columns = {column: chunk.text(column) for column in template.columns}
        if not columns:
            return np.full(len(chunk), names.code(template.filled({})), np.int64)
        first, which = _met([*columns.values()])
        texts = [template.filled({c: columns[c].at(row) for c in columns}) for row in first]
        return names.codes(texts)[which]

    def _reward(self, chunk: Chunk, sound: _Sound) -> Floats:
        mapping = self._mapping.reward
        if mapping.column is None:
            coded = chunk.text(str(mapping.event))
            worth = np.array([mapping.worth.get(text, 0.0) for text in coded.texts], np.float64)
            return worth[coded.codes]
        reward = chunk.number(mapping.column)
        _reject_values(sound, chunk, mapping.column, ~np.isfinite(reward), "no number")
        return np.where(np.isfinite(reward), reward, 0.0)

    def _ms(self, chunk: Chunk, sound: _Sound) -> Whole:
        mapping = self._mapping.time
        if mapping is None:
            return np.zeros(len(chunk), np.int64)
        ms, known = chunk.time(mapping.column, mapping.format)
        _reject_values(sound, chunk, mapping.column, ~known, "no time")
        return ms

    def _propensity(self, chunk: Chunk) -> Floats:
        mapping = self._mapping.propensity
        if mapping is None or mapping.column is None:
            return np.full(len(chunk), np.nan)
        return chunk.number(mapping.column)

    def _logged(self, chunk: Chunk, choices: Choices, sound: _Sound) -> Floats | None:
        """m: the probability of each candidate, if the log or the mapping says it."""
        mapping = self._mapping.distribution
        if (mapping is None and self._source == "uniform") or (mapping and mapping.uniform):
            with np.errstate(divide="ignore"):
                return np.repeat(1.0 / choices.counts, choices.counts)
        if mapping is None:
            return None
        if mapping.columns:
            met = {arm: chunk.number(column) for arm, column in mapping.columns.items()}
            arms = choices.arms[: len(choices.arms) // max(1, len(chunk))]
            return np.stack([met[self._names.arms[arm]] for arm in arms.tolist()], axis=1).ravel()
        separator = self._mapping.candidates.separator
        counts, values = chunk.numbers_of(str(mapping.list), separator)
        fits = counts == choices.counts
        sound.reject(
            ~fits, lambda row: f"{counts[row]} probabilities for {choices.counts[row]} candidates"
        )
        logged = np.full(len(choices.arms), np.nan)
        logged[np.repeat(fits, choices.counts)] = values[np.repeat(fits, counts)]
        return logged

    def _keys(self, chunk: Chunk, file: int, ids: Ids, sound: _Sound) -> Hashes:
        with np.errstate(over="ignore"):
            keys = mixed(np.uint64(file) + chunk.numbers.astype(np.uint64))
        if self._mapping.id is None:
            return keys
        coded = chunk.text(self._mapping.id)
        keys = _hashed(coded, keys)
        again = ids.repeated(keys) & sound.rows
        sound.reject(
            again, lambda row: f"row {coded.at(row)!r} was there before", kind="decision_twice"
        )
        return keys


class _Sound:
    """The rows of a chunk that can be read, as far as was found."""

    def __init__(self, chunk: Chunk, blame: Blame) -> None:
        self.rows = np.ones(len(chunk), bool)
        self._places = chunk.places
        self._blame = blame

    def reject(self, wrong: Mask, why: Why, *, kind: str = "row_unreadable") -> None:
        """Leave rows out; each is blamed once."""
        for row in np.flatnonzero(wrong & self.rows).tolist():
            self._blame(Violation(kind, self._places[row], why(row)))
        self.rows &= ~wrong


def _reject_values(sound: _Sound, chunk: Chunk, column: str, wrong: Mask, what: str) -> None:
    if not wrong.any():
        return
    coded = chunk.text(column)
    sound.reject(wrong, lambda row: f"column {column!r} has {coded.at(row)[:80]!r}: {what}")


def _with_propensities(
    batch: Batch, source: str, frequencies: Frequencies | None, *, complete: bool
) -> Batch:
    """``complete``: whether the batch says the probability of every candidate."""
    known = batch.chosen >= 0
    logged, propensity = batch.logged, batch.propensity
    if source == "estimated":
        logged = batch.logged if frequencies is None else frequencies.of(batch)
    if source in ("", "uniform", "estimated"):
        propensity = np.full(len(batch), np.nan)
        propensity[known] = logged[batch.shown[known]]
    elif not complete:
        logged = logged.copy()
        logged[batch.shown[known]] = propensity[known]
    return replace(batch, logged=logged, propensity=propensity)


def _recoded(coded: Coded, names: Names) -> Whole:
    return names.codes(coded.texts)[coded.codes]


def _met(columns: list[Coded]) -> tuple[list[int], Whole]:
    """A row with each combination of texts, and which of these combinations each row has."""
    which = columns[0].codes
    for coded in columns[1:]:  # renumbered at each step, so that no number gets too large
        which = np.unique(which * len(coded.texts) + coded.codes, return_inverse=True)[1]
    first = np.zeros(int(which.max(initial=-1)) + 1, np.int64)
    first[which] = np.arange(len(which))
    return first.tolist(), which


def _picked(coded: Coded, rows: Whole) -> Coded:
    return Coded(coded.codes[rows], coded.texts)


def _hashed(coded: Coded, instead: Hashes) -> Hashes:
    """A number for each text, and another where it is missing."""
    hashes = hashes_of(coded.texts)[coded.codes]
    if "" not in coded.texts:
        return hashes
    return np.where(coded.codes == coded.texts.index(""), instead, hashes)
