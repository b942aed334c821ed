"""What a study keeps, as JSON that can be read, merged and tabled again later.

``Ground`` is what there was to earn in one world with one seed, ``Run`` what one policy made of it.
Numbers are by placement and by stretch of its impressions, see ``race.EDGES``. Merging refuses to
mix runs that did not meet the same visitors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from bandit_service.errors import InvalidInput

FORMAT: Final = 1
"""Version of the encoding; a reader refuses any other."""
_HINT: Final = "was it written by: python -m simulations run --out DIR?"

Table = list[list[float]]
"""A row for each placement, a number for each stretch that it reached."""


class Ground(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What there was to earn in a world with a seed, whoever played."""

    world: str
    seed: int
    placements: list[str]
    impressions: Table
    uniform: Table
    """Expected reward of uniform choice."""
    best: Table
    """Expected reward of the best variant for each impression."""


class Run(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one policy earned; rows as in the ground of the same world and seed."""

    world: str
    policy: str
    seed: int
    earned: Table
    """Expected reward of what was shown."""
    rewards: Table
    """What visitors really did."""
    least: list[float | None]
    """Least share that any live variant had in a stretch, relative to an even one, by placement;
    None where too few impressions were of the same variants."""
    seconds: float
    """Processor time of the player per impression; the only number that differs from run to run."""


class World(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A world of the study."""

    name: str
    words: str


class Study(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of it."""

    format: int = FORMAT
    edges: list[int]
    """Where stretches end, in impressions of a placement."""
    worlds: list[World]
    policies: list[str]
    """In the order in which they are to be shown."""
    grounds: list[Ground]
    runs: list[Run]


def encode(study: Study) -> bytes:
    """The study as JSON."""
    return msgspec.json.encode(study)


def read(path: Path) -> Study:
    """The study in a file.

    Raises:
        InvalidInput: if it cannot be read, or holds something else.
    """
    try:
        study = msgspec.json.decode(path.read_bytes(), type=Study)
    except OSError as exc:
        raise InvalidInput(f"{path} cannot be read: {exc.strerror}", hint=_HINT) from exc
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise InvalidInput(f"{path} is no study: {exc}", hint=_HINT) from exc
    if study.format != FORMAT:
        raise InvalidInput(
            f"{path} has format {study.format}, this version reads {FORMAT}",
            hint="run the study again",
        )
    return checked(study, str(path))


def checked(study: Study, name: str) -> Study:
    """The study, if every run has its ground and is of the same shape.

    Raises:
        InvalidInput: naming the run that does not fit.
    """
    grounds = {(ground.world, ground.seed): ground for ground in study.grounds}
    for run in study.runs:
        ground = grounds.get((run.world, run.seed))
        who = f"{name}: the run of {run.policy} in {run.world}, seed {run.seed},"
        if ground is None:
            raise InvalidInput(f"{who} does not say what there was to earn", hint=_HINT)
        shape = [len(row) for row in ground.impressions]
        parts = (ground.uniform, ground.best, run.earned, run.rewards)
        rows = (ground.placements, run.least)
        if any(len(part) != len(shape) for part in rows) or any(
            [len(row) for row in part] != shape for part in parts
        ):
            raise InvalidInput(f"{who} has numbers missing", hint=_HINT)
    return study


def merged(studies: Sequence[Study]) -> Study:
    """Several studies as one; a run that is there twice is taken once.

    Raises:
        InvalidInput: if they do not agree on what there was to earn, or on what a policy earned.
    """
    edges = studies[0].edges
    grounds: dict[tuple[str, int], Ground] = {}
    runs: dict[tuple[str, str, int], Run] = {}
    for study in studies:
        if study.edges != edges:
            raise InvalidInput("the studies count in other stretches", hint="run one of them again")
        for ground in study.grounds:
            same(grounds.setdefault((ground.world, ground.seed), ground), ground)
        for run in study.runs:
            known = runs.setdefault((run.world, run.policy, run.seed), run)
            if known.earned != run.earned:
                raise InvalidInput(
                    f"{run.policy} earned otherwise the other time in {run.world}, seed {run.seed}",
                    hint="it was changed in between: leave out one of the files",
                )
    return Study(
        edges=edges,
        worlds=list({w.name: w for study in reversed(studies) for w in study.worlds}.values()),
        policies=_in_order(policy for study in studies for policy in study.policies),
        grounds=list(grounds.values()),
        runs=list(runs.values()),
    )


def same(known: Ground, other: Ground) -> None:
    """Raise InvalidInput unless two players met the same visitors."""
    if known != other:
        raise InvalidInput(
            f"two runs of {known.world}, seed {known.seed}, did not meet the same visitors",
            hint="the world, its data or --quick differed: run one of them again",
        )


def _in_order(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
