"""A log of any length as a table, with known truth: what evaluation is measured and tried on.

Visitors come in any number, each a few times, with one of four personas. Placements have five
variants whose click rates depend on the persona. The logging policy is a softmax of noisy guesses
of these rates over a floor: probabilities differ between placements and personas, down to 0.01, and
are written exactly. Each stretch of CHUNK rows is drawn from a seed of its own, so that a longer
log begins with the shorter one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

PERSONAS: Final = ("romantic", "comedy", "action", "unknown")
VARIANTS: Final = tuple(f"h{n}@1" for n in range(5))
CHUNK: Final = 100_000
"""Rows drawn and written at once."""
START_MS: Final = 1_900_000_000_000
STEP_MS: Final = 40
"""Between two decisions, in ms."""
FLOOR: Final = 0.05
"""Share of the logging policy that is uniform."""

Floats = npt.NDArray[np.float64]


class LoggedWorld(NamedTuple):
    """What is true, by placement, persona and variant (L x P x K)."""

    rates: Floats
    """Click rates."""
    probabilities: Floats
    """Of the logging policy."""

    @property
    def uniform(self) -> float:
        """What uniform choice earns a decision."""
        return float(self.rates.mean())

    @property
    def logged(self) -> float:
        """What the logging policy earns."""
        return float((self.rates * self.probabilities).sum(axis=2).mean())

    def always(self, variant: int) -> float:
        """What showing one variant earns."""
        return float(self.rates[:, :, variant].mean())


def world(seed: int, *, placements: int = 20, click_rate: float = 0.02) -> LoggedWorld:
    """A world; its mean click rate is about ``click_rate``."""
    draw = np.random.default_rng(seed)
    shape = (placements, len(PERSONAS), len(VARIANTS))
    taste = draw.normal(0.0, 0.4, shape) + draw.normal(0.0, 0.3, (placements, 1, len(VARIANTS)))
    rates = np.clip(click_rate * np.exp(taste), 0.0, 0.9)
    guess = np.log(rates) + draw.normal(0.0, 0.5, shape)
    greedy = np.exp(2.0 * (guess - guess.max(axis=2, keepdims=True)))
    greedy /= greedy.sum(axis=2, keepdims=True)
    return LoggedWorld(rates, FLOOR / len(VARIANTS) + (1.0 - FLOOR) * greedy)


def tables(truth: LoggedWorld, rows: int, seed: int) -> Iterator[pa.Table]:
    """The log, in stretches of CHUNK rows."""
    for first in range(0, rows, CHUNK):
        yield _table(truth, first, min(CHUNK, rows - first), seed)


def write(path: Path, truth: LoggedWorld, rows: int, seed: int) -> None:
    """Write the log as Parquet, for the mapping ``simulated``."""
    writer: pq.ParquetWriter | None = None
    try:
        for table in tables(truth, rows, seed):
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def _table(truth: LoggedWorld, first: int, count: int, seed: int) -> pa.Table:
    draw = np.random.default_rng([seed, first])
    visitor = draw.integers(0, 1 << 40, count)
    again = draw.random(count) < 0.3
    visitor[1:][again[1:]] = visitor[:-1][again[1:]]
    persona = visitor % len(PERSONAS)
    placement = draw.integers(0, len(truth.rates), count)
    probabilities = truth.probabilities[placement, persona]
    edges = probabilities.cumsum(axis=1)
    chosen = (draw.random((count, 1)) * edges[:, -1:] >= edges).sum(axis=1)
    clicked = draw.random(count) < truth.rates[placement, persona, chosen]
    offsets = pa.array(np.arange(count + 1, dtype=np.int32) * len(VARIANTS))
    texts = pa.DictionaryArray.from_arrays
    every = np.tile(np.arange(len(VARIANTS), dtype=np.int32), count)
    return pa.table(
        {
            "decided_at": pa.array(
                START_MS + STEP_MS * np.arange(first, first + count), pa.timestamp("ms", tz="UTC")
            ),
            "visitor": pa.array(visitor).cast(pa.string()),
            "placement": texts(placement.astype(np.int32), _names(len(truth.rates))).cast("string"),
            "persona": texts(persona.astype(np.int32), pa.array(PERSONAS)).cast("string"),
            "variant": texts(chosen.astype(np.int32), pa.array(VARIANTS)).cast("string"),
            "reward": pa.array(clicked.astype(np.float64)),
            "candidates": pa.ListArray.from_arrays(
                offsets, texts(every, pa.array(VARIANTS)).cast("string")
            ),
            "probabilities": pa.ListArray.from_arrays(offsets, pa.array(probabilities.ravel())),
        }
    )


def _names(placements: int) -> pa.Array:
    return pa.array([f"film-{n}" for n in range(placements)])
