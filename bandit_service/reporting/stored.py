"""How sums are stored: one value of sums and one of stretches of time for each placement.

Whole placements, so that one can be written and read without the others, and only those that
changed are written again. Sums are stored to the bit, as the arrays that they are: a learner that
resumes goes on from the same numbers.
"""

from __future__ import annotations

from typing import Final, Protocol, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from bandit_service.errors import SnapshotError
from bandit_service.outcomes.units import JoinCounts
from bandit_service.reporting.columns import WIDTH
from bandit_service.reporting.lineups import Lineup
from bandit_service.reporting.sequences import Floats
from bandit_service.reporting.series import Stretch

FORMAT: Final = 1
"""Version of all that is stored here; a reader refuses any other."""
KEY_PARTS: Final = 3
"""Numbers of a row's line-up, variant and persona."""
Whole = npt.NDArray[np.int64]


class StoredSums(msgspec.Struct, frozen=True, array_like=True):
    """The sums of a placement."""

    format: int
    arms: list[str]
    """By number."""
    personas: list[str]
    """By number."""
    seen: list[int]
    """When each persona's newest unit was opened, in ms."""
    lineups: list[Lineup]
    keys: bytes
    """n x KEY_PARTS little-endian uint32."""
    rows: bytes
    """n x WIDTH little-endian float64."""
    least: float
    """The least reward so far, or 0."""
    most: float
    """The largest reward so far, or what the site's settings say that one may be."""
    first: int
    """When the first unit was opened, in ms."""
    last: int
    """When the newest unit was opened, in ms."""

    def key_array(self) -> Whole:
        """N x KEY_PARTS: line-up, variant and persona of each row."""
        return np.frombuffer(self.keys, "<u4").reshape(-1, KEY_PARTS).astype(np.int64)

    def row_array(self) -> Floats:
        """N x WIDTH, to be written to."""
        return np.frombuffer(self.rows, "<f8").reshape(-1, WIDTH).astype(np.float64)


class StoredSeries(msgspec.Struct, frozen=True, array_like=True):
    """What a placement showed and earned over time; variants by their number in the sums."""

    format: int
    hours: list[Stretch]
    days: list[Stretch]


class Day(msgspec.Struct, array_like=True):
    """A day of the whole site: units by arm of the experiment, and what they earned."""

    shown: int = 0
    """Units opened on that day."""
    policy_n: int = 0
    policy_r: float = 0.0
    holdout_n: int = 0
    holdout_r: float = 0.0


class StoredSite(msgspec.Struct, frozen=True):
    """What is counted of a site as a whole."""

    format: int
    clock: int
    """How late it was in the log, in ms."""
    join: JoinCounts
    days: dict[int, Day]
    """By days since the Unix epoch."""


class Versioned(Protocol):
    """A record that says how it is stored."""

    @property
    def format(self) -> int:
        """FORMAT, of the version that wrote it."""


Kind = TypeVar("Kind", bound=Versioned)


def encode(value: Versioned) -> bytes:
    """The value as bytes."""
    return msgspec.msgpack.encode(value)


def decode(data: bytes, kind: type[Kind]) -> Kind:
    """The value that ``encode`` wrote.

    Raises:
        SnapshotError: if the bytes are damaged or of another version.
    """
    try:
        value = msgspec.msgpack.decode(data, type=kind)
    except msgspec.MsgspecError as exc:
        raise _unusable(f"cannot be read: {exc}") from exc
    if value.format != FORMAT:
        raise _unusable(f"have format {value.format}, this version reads {FORMAT}")
    return value


def _unusable(why: str) -> SnapshotError:
    return SnapshotError(
        f"the counters in the store {why}",
        hint="the learner counts them again; or rebuild them: bandit-service rebuild",
    )
