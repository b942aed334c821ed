"""A stretch of a log as columns: what every reader gives and everything else reads.

Rows are closed decisions with their rewards, in log order. Candidates are ragged: those of row i
are ``arms[offsets[i]:offsets[i + 1]]``, with ``logged`` in parallel. Names are coded by a
``Vocabulary`` that the batches of one reading share.

Invariant: nothing in a row depends on the batch that it is in, so cutting a log elsewhere changes
no estimate.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bandit_service.events.entries import Decision
from bandit_service.policy.chooser import Candidates

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]


class _Codes(dict[str, int]):
    """Gives the next number to each key that it is asked for the first time."""

    def __init__(self, texts: list[str]) -> None:
        super().__init__()
        self._texts = texts

    def __missing__(self, name: str) -> int:
        code = self[name] = len(self._texts)
        self._texts.append(name)
        return code


class Names:
    """Strings as numbers, given out in the order in which they are met."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        """The names by code."""
        self._codes = _Codes(self.texts)

    def code(self, name: str) -> int:
        """The code of a name."""
        return self._codes[name]

    def codes(self, names: Iterable[str]) -> Whole:
        """The codes of several names."""
        return np.fromiter(map(self._codes.__getitem__, names), np.int64)

    def named(self, codes: Whole) -> list[str]:
        """The names of several codes."""
        return [self.texts[code] for code in codes.tolist()]

    def __getitem__(self, code: int) -> str:
        return self.texts[code]

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the codes of one reading mean."""

    placements: Names = field(default_factory=Names)
    personas: Names = field(default_factory=Names)
    arms: Names = field(default_factory=Names)


class Asked(NamedTuple):
    """A row as a model sees it."""

    decision: Decision
    shared: str
    """The shared feature line."""
    candidates: Candidates


@dataclass(frozen=True, kw_only=True)
class Batch:
    """n rows with m candidates in all; every row has at least one candidate."""

    names: Vocabulary
    places: Sequence[str]
    """n: where each row is, as a person finds it: ``file:line``, or a position in the log."""
    key: Hashes
    """n: a number for each row that is the same wherever and however often it is read; in a log
    that has entries, ``hash_of`` the decision's id."""
    cluster: Hashes
    """n: the same for all rows of one visitor; of a row without a visitor, its key."""
    ms: Whole
    """n: when it was decided, ms since the epoch."""
    placement: Whole
    """n: code of the placement."""
    persona: Whole
    """n: code of the persona."""
    offsets: Whole
    """n + 1: where the candidates of each row begin, and m at the end."""
    arms: Whole
    """m: codes of the candidates."""
    logged: Floats
    """m: the probability of each candidate when it was decided; NaN where the log does not say."""
    chosen: Whole
    """n: index of what was shown among the row's candidates; -1: it is not among them."""
    propensity: Floats
    """n: the probability of what was shown; NaN where the log does not say."""
    reward: Floats
    """n: what it earned."""
    asked: Sequence[Asked | None]
    """n: what a model needs; None where the log does not describe the candidates. Worked out when
    it is looked at."""

    def __len__(self) -> int:
        return len(self.chosen)

    @cached_property
    def counts(self) -> Whole:
        """n: how many candidates each row has."""
        return np.diff(self.offsets)

    @cached_property
    def rows(self) -> Whole:
        """m: which row each candidate belongs to."""
        return np.repeat(np.arange(len(self), dtype=np.int64), self.counts)

    @cached_property
    def shown(self) -> Whole:
        """n: where what was shown is among all candidates; nonsense where ``chosen`` is -1."""
        return self.offsets[:-1] + self.chosen

    def row_sums(self, values: Floats) -> Floats:
        """n: the sum of m values over each row's candidates."""
        if not len(self):
            return np.zeros(0)
        return np.add.reduceat(values, self.offsets[:-1])

    def row_max(self, values: Floats) -> Floats:
        """n: the largest of m values over each row's candidates."""
        if not len(self):
            return np.zeros(0)
        return np.maximum.reduceat(values, self.offsets[:-1])

    def where(self, rows: Mask) -> Batch:
        """Only the rows that the mask has; this batch itself if those are all."""
        return self if rows.all() else self.take(np.flatnonzero(rows))

    def take(self, rows: Whole) -> Batch:
        """Only some of the rows, by index."""
        counts = self.counts[rows]
        offsets = np.concatenate(([0], np.cumsum(counts)))
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], counts)
        candidates = np.repeat(self.offsets[:-1][rows], counts) + within
        return Batch(
            names=self.names,
            places=Picked(self.places, rows),
            key=self.key[rows],
            cluster=self.cluster[rows],
            ms=self.ms[rows],
            placement=self.placement[rows],
            persona=self.persona[rows],
            offsets=offsets,
            arms=self.arms[candidates],
            logged=self.logged[candidates],
            chosen=self.chosen[rows],
            propensity=self.propensity[rows],
            reward=self.reward[rows],
            asked=Picked(self.asked, rows),
        )


class Picked(Sequence):  # type: ignore[type-arg]
    """Some of a sequence, by index, without looking at the others."""

    def __init__(self, whole: Sequence[object], rows: Whole) -> None:
        self._whole = whole
        self._rows = rows

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN204
        return self._whole[int(self._rows[index])]

    def __len__(self) -> int:
        return len(self._rows)


def hash_of(text: str) -> int:
    """64 bits that stand for a text, the same in every process."""
    return int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest())


def hashes_of(texts: Iterable[str]) -> Hashes:
    """``hash_of`` of each."""
    whole = b"".join(
        [blake2b(t.encode(errors="surrogatepass"), digest_size=8).digest() for t in texts]
    )
    return np.frombuffer(whole, ">u8").astype(np.uint64)


def mixed(numbers: Hashes) -> Hashes:
    """Each number scattered over all 64 bits (Steele, Lea, Flood, 2014: SplitMix64)."""
    with np.errstate(over="ignore"):
        z = numbers + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))
