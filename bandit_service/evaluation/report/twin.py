"""The JSON twin of a report: all of it, as data, in the same bytes for the same evaluation.

Members stand in the order of ``results``, names of dictionaries in the order of the alphabet. A
reader refuses any other format than its own rather than guess what a field means by now.
"""

from __future__ import annotations

from typing import Final

import msgspec

from bandit_service.errors import EvaluationError, InvalidInput
from bandit_service.evaluation.report.door import admitted
from bandit_service.evaluation.results import FORMAT, Evaluation

_HINT: Final = "give a file that bandit-service evaluate --json or --report has written"
_encoder: Final = msgspec.json.Encoder(order="deterministic")


class _Head(msgspec.Struct):
    """What every version of the file has."""

    format: int


def write_json(evaluation: Evaluation) -> bytes:
    """The evaluation as indented JSON that ``read_json`` reads back.

    Raises:
        EvaluationError: if it must not be reported; see ``door``.
    """
    return msgspec.json.format(_encoder.encode(admitted(evaluation)), indent=1) + b"\n"


def read_json(data: bytes, name: str) -> Evaluation:
    """The evaluation in a file that is called ``name``.

    Raises:
        InvalidInput: if it is not one, is of another version, or holds what cannot be reported.
    """
    try:
        head = msgspec.json.decode(data, type=_Head)
        if head.format != FORMAT:
            raise InvalidInput(
                f"{name} has format {head.format}; this version reads {FORMAT}",
                hint="evaluate the log again with this version",
            )
        return admitted(msgspec.json.decode(data, type=Evaluation))
    except EvaluationError as exc:
        raise InvalidInput(f"{name}: {exc.message}", hint=_HINT) from exc
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
        raise InvalidInput(f"{name} is not a result: {exc}", hint=_HINT) from exc
