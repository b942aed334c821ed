"""What a log to be evaluated is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, Protocol

import msgspec

from bandit_service.evaluation.batch import Batch
from bandit_service.events.entries import Entry, Position
from bandit_service.outcomes.join import Outcome


class Taken(NamedTuple):
    """An entry of a log that has entries, and what it did there by the settings of the evaluation.

    An entry that is left out is a tick: all it did was to let time pass.
    """

    position: Position
    entry: Entry
    key: int | None
    """Of the row that may come of it, if it is a decision that opened a unit."""
    closed: list[Outcome]
    """The units that it closed, and that closed in the time before it."""


Watch = Callable[[Taken], None]
"""Told every entry of a log that has entries, in order."""
Progress = Callable[[int], None]
"""Told how many rows or entries were read since it was last told."""
PropensitySource = Literal["logged", "uniform", "estimated"]
Severity = Literal["fatal", "warning"]


class Violation(msgspec.Struct, frozen=True):
    """One thing that is wrong, and where."""

    kind: str
    """One of ``verification.kinds.KINDS``."""
    place: str
    """``file:line``, a position in the log, or the file as a whole."""
    message: str


Blame = Callable[[Violation], None]
"""Told of every violation that reading alone can see; the row or entry is then left out."""


class LogDescription(msgspec.Struct, frozen=True, kw_only=True):
    """What a log is, for those who read the result."""

    name: str
    """As the user wrote it."""
    format: str
    """``site``, ``archive``, ``parquet``, ``jsonl``, ``dsjson`` or ``table``."""
    propensities: PropensitySource = "logged"
    distributions: bool = True
    """Whether the log says the probability of every candidate, not only of what was shown."""
    notes: list[str] = []
    """What a reader of the result must know."""


class LoggedData(Protocol):
    """A log. It may be read any number of times, each from its beginning."""

    description: LogDescription
    size: int | None
    """How many rows or entries there are to read, for progress; None if that is not known."""
    reward_range: tuple[float, float] | None
    """What a reward can be, by the log's own rules; None if they do not bound it."""
    excluded: dict[str, int]
    """After a reading: rows and entries that are not rows here, by reason."""

    def batches(
        self, *, blame: Blame, progress: Progress, watch: Watch | None = None
    ) -> Iterator[Batch]:
        """Its rows, in order. What is wrong with a row is told to ``blame``.

        Rows that can be put into a batch at all are in it even if wrong (a propensity missing, out
        of range or not matching; ``chosen`` -1): ``verify`` finds those.

        Raises:
            LogError: if the log cannot be read at all, naming the file and the row.
        """

    def close(self) -> None:
        """Let go of files and connections."""
