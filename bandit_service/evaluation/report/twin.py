"""The JSON twin of a report: all of it, as data, in the same bytes for the same evaluation.

Members stand in the order of ``results``, names of dictionaries in the order of the alphabet. A
reader refuses any other format than its own rather than guess what a field means by now.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from bandit_service.errors import EvaluationError, InvalidInput
from bandit_service.evaluation.report.door import admitted
from bandit_service.evaluation.results import FORMAT, Evaluation

Result = TypeVar("Result", bound=msgspec.Struct)
_encoder: Final = msgspec.json.Encoder(order="deterministic")


class Head(msgspec.Struct):
    """What every result says of itself, whichever version wrote it."""

    format: int
    kind: str = "evaluation"


def write_json(evaluation: Evaluation) -> bytes:
    """The evaluation as indented JSON that ``read_json`` reads back.

    Raises:
        EvaluationError: if it must not be reported; see ``door``.
    """
    return encoded(admitted(evaluation))


def read_json(data: bytes, name: str) -> Evaluation:
    """The evaluation in a file that is called ``name``.

    Raises:
        InvalidInput: if it is not one, is of another version, or holds what cannot be reported.
    """
    return decoded(data, name, Evaluation, admitted, version=FORMAT, command="evaluate")


def encoded(result: msgspec.Struct) -> bytes:
    """A result that was admitted, as indented JSON."""
    return msgspec.json.format(_encoder.encode(result), indent=1) + b"\n"


def decoded(
    data: bytes,
    name: str,
    kind: type[Result],
    admit: Callable[[Result], Result],
    *,
    version: int,
    command: str,
) -> Result:
    """The result of this kind and version, which ``command`` wrote, as ``admit`` lets it in.

    Raises:
        InvalidInput: if it is not one, is of another version, or holds what cannot be reported.
    """
    hint = f"give a file that bandit-service {command} --json or --report has written"
    try:
        head = msgspec.json.decode(data, type=Head)
        if head.format != version:
            raise InvalidInput(
                f"{name} has format {head.format}; this version reads {version}",
                hint=f"{command} the log again with this version",
            )
        return admit(msgspec.json.decode(data, type=kind))
    except EvaluationError as exc:
        raise InvalidInput(f"{name}: {exc.message}", hint=hint) from exc
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
        raise InvalidInput(f"{name} is not a result of {command}: {exc}", hint=hint) from exc
