"""Reading logs in tests: everything that a reading gives, and batches as plain values."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from bandit_service.evaluation.batch import Batch
from bandit_service.evaluation.logs.base import LoggedData, Taken, Violation


class Read(NamedTuple):
    """What one reading gave."""

    batches: list[Batch]
    violations: list[Violation]
    told: int
    watched: list[Taken]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Every row as plain values."""
        return [row for batch in self.batches for row in rows_of(batch)]

    @property
    def kinds(self) -> list[str]:
        """The kinds of what is wrong, in order."""
        return [violation.kind for violation in self.violations]


def read(log: LoggedData) -> Read:
    """Read a log once."""
    found = Read([], [], 0, [])
    told: list[int] = []
    found.batches.extend(
        log.batches(
            blame=found.violations.append,
            progress=told.append,
            watch=found.watched.append,
        )
    )
    return found._replace(told=sum(told))


def rows_of(batch: Batch) -> list[dict[str, Any]]:
    """The rows of a batch as plain values, checked for shape."""
    n, m = len(batch), len(batch.arms)
    assert batch.offsets[0] == 0
    assert batch.offsets[-1] == m == len(batch.logged)
    assert (np.diff(batch.offsets) > 0).all()
    columns = (batch.key, batch.cluster, batch.ms, batch.placement, batch.persona, batch.chosen)
    assert {len(column) for column in columns} == {n}
    assert len(batch.places) == len(batch.asked) == len(batch.propensity) == len(batch.reward) == n
    assert batch.key.dtype == batch.cluster.dtype == np.uint64
    assert batch.ms.dtype == batch.offsets.dtype == batch.arms.dtype == np.int64
    rows = []
    for i in range(n):
        span = slice(batch.offsets[i], batch.offsets[i + 1])
        asked = batch.asked[i]
        rows.append(
            {
                "place": batch.places[i],
                "key": int(batch.key[i]),
                "cluster": int(batch.cluster[i]),
                "ms": int(batch.ms[i]),
                "placement": batch.names.placements[int(batch.placement[i])],
                "persona": batch.names.personas[int(batch.persona[i])],
                "arms": [batch.names.arms[int(arm)] for arm in batch.arms[span]],
                "logged": batch.logged[span].tolist(),
                "chosen": int(batch.chosen[i]),
                "propensity": float(batch.propensity[i]),
                "reward": float(batch.reward[i]),
                "asked": None
                if asked is None
                else (asked.decision, asked.shared, asked.candidates.lines),
            }
        )
    return rows
