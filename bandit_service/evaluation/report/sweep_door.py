"""The door of the report of a sweep: the rules of ``door``, for each estimate in it."""

from __future__ import annotations

from typing import Final

import msgspec

from bandit_service.errors import EvaluationError, InvalidInput
from bandit_service.evaluation.report.door import admitted, check_estimate, cleaned, withheld
from bandit_service.evaluation.results import Estimate
from bandit_service.evaluation.sweeping.results import FORMAT, HeldOut, SweepResult

_HINT: Final = "give a file that bandit-service sweep --json or --report has written"
_encoder: Final = msgspec.json.Encoder(order="deterministic")


class _Head(msgspec.Struct):
    """What every version of a result has."""

    format: int = 0
    kind: str = "evaluation"


def admitted_sweep(result: SweepResult) -> SweepResult:
    """The result as it may be shown.

    Raises:
        EvaluationError: if a number is not finite or its parts do not fit, naming which.
    """
    clean = msgspec.convert(cleaned(msgspec.to_builtins(result), "sweep"), SweepResult)
    replace = msgspec.structs.replace
    tried = [
        replace(one, estimate=_shown(one.name, one.estimate), lead=_shown(one.name, one.lead))
        for one in clean.tried
    ]
    advice = clean.advice
    if advice is not None:
        options = [replace(one, earns=_sure(one.name, one.earns)) for one in advice.options]
        advice = replace(advice, options=options)
    held = None if clean.held_out is None else _held(clean.held_out)
    return replace(clean, log=admitted(clean.log), tried=tried, held_out=held, advice=advice)


def is_sweep(data: bytes) -> bool:
    """Whether a file says that it is the result of a sweep."""
    try:
        return msgspec.json.decode(data, type=_Head).kind == "sweep"
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False


def write_sweep(result: SweepResult) -> bytes:
    """The result as indented JSON that ``read_sweep`` reads back.

    Raises:
        EvaluationError: if it must not be reported.
    """
    return msgspec.json.format(_encoder.encode(admitted_sweep(result)), indent=1) + b"\n"


def read_sweep(data: bytes, name: str) -> SweepResult:
    """The result in a file that is called ``name``.

    Raises:
        InvalidInput: if it is not one, is of another version, or holds what cannot be reported.
    """
    try:
        head = msgspec.json.decode(data, type=_Head)
        if head.format != FORMAT:
            raise InvalidInput(
                f"{name} has format {head.format}; this version reads {FORMAT}",
                hint="sweep the log again with this version",
            )
        return admitted_sweep(msgspec.json.decode(data, type=SweepResult))
    except EvaluationError as exc:
        raise InvalidInput(f"{name}: {exc.message}", hint=_HINT) from exc
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
        raise InvalidInput(f"{name} is not a result of a sweep: {exc}", hint=_HINT) from exc


def _held(held: HeldOut) -> HeldOut:
    return msgspec.structs.replace(
        held,
        ranked=_sure("ranked", held.ranked),
        winner=_sure("winner", held.winner),
        base=_shown("base", held.base),
        over_log=_sure("over the log", held.over_log),
        over_base=_shown("over the base", held.over_base),
        lead_ranked=_shown("lead", held.lead_ranked),
    )


def _shown(where: str, estimate: Estimate | None) -> Estimate | None:
    return None if estimate is None else _sure(where, estimate)


def _sure(where: str, estimate: Estimate) -> Estimate:
    check_estimate(where, estimate)
    return withheld(estimate)
