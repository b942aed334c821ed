"""The door of the report of a sweep: the rules of ``door``, for each estimate in it."""

from __future__ import annotations

import msgspec

from bandit_service.evaluation.report.door import admitted, check_estimate, cleaned, withheld
from bandit_service.evaluation.report.twin import Head, decoded, encoded
from bandit_service.evaluation.results import Estimate
from bandit_service.evaluation.sweeping.results import FORMAT, HeldOut, SweepResult


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
        return msgspec.json.decode(data, type=Head).kind == "sweep"
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False


def write_sweep(result: SweepResult) -> bytes:
    """The result as indented JSON that ``read_sweep`` reads back.

    Raises:
        EvaluationError: if it must not be reported.
    """
    return encoded(admitted_sweep(result))


def read_sweep(data: bytes, name: str) -> SweepResult:
    """The result in a file that is called ``name``.

    Raises:
        InvalidInput: if it is not one, is of another version, or holds what cannot be reported.
    """
    return decoded(data, name, SweepResult, admitted_sweep, version=FORMAT, command="sweep")


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
