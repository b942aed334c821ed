"""How often the intervals held in the simulated study that is shipped with the program.

``python -m simulations coverage --out bandit_service/evaluation/coverage.json`` makes it anew.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Final

import msgspec

from bandit_service.errors import EvaluationError
from bandit_service.evaluation.results import Coverage

FORMAT: Final = 1
"""Version of the file; a reader refuses any other."""


class Study(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run of the study."""

    format: int = FORMAT
    confidence: float
    """What every interval claims."""
    logs: int
    """Simulated logs of each world."""
    seed: int
    rows: list[Coverage]


def encode_study(study: Study) -> bytes:
    """The study as JSON, a line for each row, so that two runs can be compared line by line."""
    head = msgspec.json.encode(msgspec.structs.replace(study, rows=[])).removesuffix(b"]}")
    return head + b"\n" + b",\n".join(map(msgspec.json.encode, study.rows)) + b"\n]}\n"


def decode_study(data: bytes, *, name: str) -> Study:
    """The study that ``encode_study`` wrote.

    Raises:
        EvaluationError: if it is not one, or of another version; ``name`` says where it was.
    """
    hint = "make it anew with python -m simulations coverage --out FILE"
    try:
        study = msgspec.json.decode(data, type=Study)
    except msgspec.MsgspecError as exc:
        raise EvaluationError(f"{name} is not a study of coverage: {exc}", hint=hint) from exc
    if study.format != FORMAT:
        raise EvaluationError(
            f"{name} is of format {study.format}, this program reads {FORMAT}", hint=hint
        )
    return study


def coverage_table() -> list[Coverage]:
    """The rows of the shipped study.

    Raises:
        EvaluationError: if the file was damaged.
    """
    name = "coverage.json"
    return decode_study((files(__package__) / name).read_bytes(), name=name).rows
