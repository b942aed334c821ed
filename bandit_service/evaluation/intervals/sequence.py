"""A confidence sequence: an interval for the policy's value so far that holds at all times at once.

What is covered is the running mean of nu_t = E_pi[r_t | what happened before t], the value of the
policy on the rows that came. It holds

- for any number of rows and any weights, bounded or not;
- whenever one looks and stops, also because of what was seen;
- where the policy that logged, and the target, learned on the way, and where tastes drift.

What it needs: each row was drawn anew with the probabilities that the log says, and rewards lie in
the range given. A visitor who gets the same variant again without a new draw breaks the first. Rows
are taken in the order of their decisions; that a reward comes after later decisions does no harm,
as their draws do not depend on it, as long as it does not depend on them: two choices on one page
that compete for one click, or a visitor who clicks the first for having seen the second, are beyond
it.
``wealth`` has the mathematics and its sources.

The intervals of several times must not be intersected, as is done for a mean that stands still:
the running mean moves.

The fold keeps sums by block of time and class of the largest weight that a row could have had. Both
are known before the draw. The model of a block's rewards is the self-normalised mean of earlier
blocks, so it is known before the block begins; nothing is chosen by looking at what it bounds.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

import numpy as np

from bandit_service.evaluation.batch import Floats, Whole
from bandit_service.evaluation.folds.sums import ExactSums
from bandit_service.evaluation.intervals.wealth import Cells, lower_sums
from bandit_service.evaluation.results import Interval, Moment
from bandit_service.evaluation.terms import Terms

EDGES: Final[Floats] = np.append(
    2.0 ** np.array([0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6, 7]) * (1.0 + 2.0**-20), np.inf
)
"""Upper edges of the classes of the largest weight a row could have had; a little above the round
numbers, which division misses by a little. Beyond 128 a model of rewards hardly helps."""
HOUR_MS: Final = 3_600_000
COLUMNS: Final = 6
"""Sums kept: 1, w, w^2, w r, w^2 r, (w r)^2."""
_MODEL_WEIGHT: Final = 1.0
"""Rows' worth of belief, before any row, that nothing is earned."""


class SequenceSums(NamedTuple):
    """T blocks in order of time."""

    ms: Whole
    """T: when each begins."""
    sums: Floats
    """T x J x COLUMNS: by class of the largest weight."""


class Bounds(NamedTuple):
    """At the end of each of T blocks, for all rows so far."""

    n: Floats
    value: Floats
    """The mean of w r, moved into the bounds where it is beyond them."""
    low: Floats
    high: Floats


def classes(terms: Terms) -> Whole:
    """n: the class of each row by the largest weight that it could have had.

    It is the last class where the log does not say what could have been shown, or could not have
    shown all that the target might.
    """
    known = (terms.unsupported == 0) & ~np.isnan(terms.bound)
    return np.searchsorted(EDGES, np.where(known, terms.bound, np.inf)).astype(np.int64)


def columns(terms: Terms) -> Floats:
    """COLUMNS x n: what is summed up."""
    weight = terms.weight
    earned = weight * terms.reward
    return np.stack(
        [np.ones(len(terms)), weight, weight**2, earned, weight * earned, earned**2],
    )


def bounds(sums: SequenceSums, reward_range: tuple[float, float], confidence: float) -> Bounds:
    """The confidence sequence at the end of each block.

    Args:
        sums: what was summed up.
        reward_range: what a reward can be, by rules that were made before looking.
        confidence: the probability that it holds at all times.
    """
    low, high = reward_range
    if high <= low:
        n = np.cumsum(sums.sums[:, :, 0].sum(axis=1))
        return Bounds(n, *(np.full(len(n), low) for _ in range(3)))
    used = sums.sums[:, :, 0].any(axis=0)
    cells, edges = _scaled(sums.sums[:, used], low, high - low), EDGES[used]
    weight, earned = np.cumsum(cells.w.sum(axis=1)), np.cumsum(cells.ws.sum(axis=1))
    model = np.append(0.0, np.clip(earned / (_MODEL_WEIGHT + weight), 0.0, 1.0))[:-1]
    alpha = (1.0 - confidence) / 2.0
    n = np.cumsum(cells.n.sum(axis=1))
    least = np.clip(lower_sums(cells, edges, model, alpha) / n, 0.0, 1.0)
    mirrored = lower_sums(_mirrored(cells), edges, 1.0 - model, alpha)
    # Both sides can fail at once, where the log's propensities are wrong: then nothing is left.
    most = np.maximum(least, 1.0 - np.clip(mirrored / n, 0.0, 1.0))
    value = np.clip(earned / n, least, most)
    return Bounds(n, *(low + (high - low) * scaled for scaled in (value, least, most)))


class SequenceFold:
    """The sums of a log; parts add up to the same bytes as the whole, however it was cut."""

    def __init__(self, *, block_ms: int = HOUR_MS) -> None:
        """Nothing yet; an interval is given at the end of each ``block_ms`` that has rows."""
        self.block_ms = block_ms
        self._cells: dict[tuple[int, int], ExactSums] = {}

    def add(self, terms: Terms) -> None:
        """Take in rows, in any order: blocks put them into that of time."""
        blocks, kinds, values = terms.ms // self.block_ms, classes(terms), columns(terms)
        keys, which = np.unique(blocks * len(EDGES) + kinds, return_inverse=True)
        for index, key in enumerate(keys.tolist()):
            mine = values[:, which == index]
            cell = self._cells.setdefault(divmod(key, len(EDGES)), _nothing())
            cell.add(mine.ravel(), np.repeat(np.arange(COLUMNS), mine.shape[1]))

    def __add__(self, other: SequenceFold) -> SequenceFold:
        """The fold of what either has seen; both have the same blocks."""
        if self.block_ms != other.block_ms:
            raise ValueError(f"blocks of {self.block_ms} and {other.block_ms} ms do not merge")
        merged = SequenceFold(block_ms=self.block_ms)
        for key in self._cells.keys() | other._cells.keys():
            merged._cells[key] = self._cell(key) + other._cell(key)
        return merged

    def encode(self) -> bytes:
        """The sums as bytes, equal exactly if the sums are."""
        parts = [struct.pack("<q", self.block_ms)]
        for key, cell in sorted(self._cells.items()):
            parts += [struct.pack("<qq", *key), cell.encode()]
        return b"".join(parts)

    def sums(self) -> SequenceSums:
        """The sums, correctly rounded."""
        starts = sorted({block for block, _ in self._cells})
        at = {block: index for index, block in enumerate(starts)}
        table = np.zeros((len(starts), len(EDGES), COLUMNS))
        for (block, kind), cell in self._cells.items():
            table[at[block], kind] = cell.totals()
        return SequenceSums(np.array(starts, np.int64) * self.block_ms, table)

    def get(self, reward_range: tuple[float, float], confidence: float) -> list[Moment]:
        """The interval at the end of each block; of all rows, the last.

        Args:
            reward_range: what a reward can be; rewards beyond it void the intervals.
            confidence: the probability that all of them hold.
        """
        sums = self.sums()
        if not len(sums.ms):
            return []
        found = bounds(sums, reward_range, confidence)
        rows = zip(sums.ms.tolist(), *(column.tolist() for column in found), strict=True)
        return [
            Moment(ms=ms + self.block_ms, n=int(n), value=value, low=low, high=high)
            for ms, n, value, low, high in rows
        ]

    def _cell(self, key: tuple[int, int]) -> ExactSums:
        return self._cells.get(key) or _nothing()


def final(moments: list[Moment], confidence: float) -> Interval | None:
    """The interval of all rows; None without any."""
    if not moments:
        return None
    last = moments[-1]
    return Interval(low=last.low, high=last.high, kind="anytime", confidence=confidence)


def _nothing() -> ExactSums:
    return ExactSums(COLUMNS, of="a weight times a reward, or its square")


def _scaled(sums: Floats, low: float, span: float) -> Cells:
    """The sums with (r - low) / span in place of r."""
    n, w, w2, wr, w2r, w2r2 = np.moveaxis(sums, -1, 0)
    return Cells(
        n=n,
        w=w,
        w2=w2,
        ws=(wr - low * w) / span,
        w2s=(w2r - low * w2) / span,
        w2s2=(w2r2 - 2.0 * low * w2r + low * low * w2) / span**2,
    )


def _mirrored(cells: Cells) -> Cells:
    """The sums with 1 - s in place of s."""
    return cells._replace(
        ws=cells.w - cells.ws,
        w2s=cells.w2 - cells.w2s,
        w2s2=cells.w2 - 2.0 * cells.w2s + cells.w2s2,
    )
