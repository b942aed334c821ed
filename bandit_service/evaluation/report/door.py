"""The door of every report: what may be shown of an ``Evaluation``, and how its text looks.

- An estimate with a value but no usable interval is *unanswerable* from here on: its value is
  withheld and the row says so. Rejected: raising, since one interval that could not be made would
  then cost the reader everything else that was found.
- What has no value as a whole has none up to any moment either: where the quoted estimate is
  withheld, so are those over time.
- A number that is not finite, or a part that does not fit another, is a mistake in whoever made
  the evaluation, and is refused.
- Names come from outside, and are shown as ``printable``.

The twin in JSON is written and read through the same door, so what is shown is what is kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from bandit_service.errors import EvaluationError
from bandit_service.evaluation.results import (
    Cell,
    Estimate,
    Evaluation,
    Interval,
    Moment,
    PolicyResult,
    Weights,
)
from bandit_service.printable import printable

NO_INTERVAL: Final = "No interval could be made for it, so its value is not shown."
LATEST_MS: Final = 253_402_300_799_999
"""The last ms of the year 9999, which is as far as times can be written."""

_HINT: Final = "this is a mistake in what made the evaluation: make it again and report it"


def admitted(evaluation: Evaluation) -> Evaluation:
    """The evaluation as it may be shown.

    Raises:
        EvaluationError: if a number is not finite or its parts do not fit, naming which.
    """
    tree = cleaned(msgspec.to_builtins(evaluation), "evaluation")
    clean = msgspec.convert(tree, Evaluation)
    _check(clean)
    return msgspec.structs.replace(clean, policies=[_policy(p) for p in clean.policies])


def cleaned(value: Any, where: str) -> Any:
    """Plain data whose texts are ``printable``.

    Raises:
        EvaluationError: if a number in it is not finite; ``where`` says where it is.
    """
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise _wrong(f"{where} is {value}, not a finite number")
    if isinstance(value, dict):
        return {
            printable(key): cleaned(part, f"{where}.{printable(key)}")
            for key, part in value.items()
        }
    if isinstance(value, list | tuple):
        return [cleaned(part, f"{where}[{index}]") for index, part in enumerate(value)]
    return value


def _check(evaluation: Evaluation) -> None:
    _check_times("evaluation", [evaluation.since, evaluation.until])
    if len({policy.name for policy in evaluation.policies}) < len(evaluation.policies):
        raise _wrong("two policies have the same name")
    for policy in evaluation.policies:
        where = f"policy {policy.name!r}"
        if policy.estimates and policy.headline not in [e.estimator for e in policy.estimates]:
            raise _wrong(f"{where}: no estimate is of the headline estimator {policy.headline!r}")
        _check_weights(where, policy.weights)
        _check_moments(where, policy.over_time)
        for estimate in _all_estimates(policy):
            check_estimate(where, estimate)


def _check_times(where: str, times: Iterable[int | None]) -> None:
    for ms in times:
        if ms is not None and not 0 <= ms <= LATEST_MS:
            raise _wrong(f"{where}: {ms} is not a time in ms since the epoch")


def _check_weights(where: str, weights: Weights) -> None:
    if weights.counts and len(weights.edges) != len(weights.counts) + 1:
        raise _wrong(f"{where}: a histogram of B bins has B + 1 edges")
    _check_interval(f"{where}, mean weight", weights.mean_interval)


def _check_moments(where: str, moments: list[Moment]) -> None:
    _check_times(where, [moment.ms for moment in moments])
    for moment in moments:
        if moment.low > moment.high:
            raise _wrong(f"{where}, at {moment.ms}: the interval ends before it begins")


def check_estimate(where: str, estimate: Estimate) -> None:
    """Refuse an estimate whose parts do not fit.

    Raises:
        EvaluationError: saying which, and ``where``.
    """
    inside = f"{where}, {estimate.estimator!r}"
    if estimate.n < 0 or estimate.ess < 0 or estimate.max_weight < 0:
        raise _wrong(f"{inside}: rows, effective sample size and weights are not negative")
    for interval in estimate.intervals:
        _check_interval(inside, interval)


def _check_interval(where: str, interval: Interval) -> None:
    if interval.low > interval.high:
        raise _wrong(f"{where}: the interval ends before it begins")
    if not 0 < interval.confidence < 1:
        raise _wrong(f"{where}: a confidence of {interval.confidence} is not between 0 and 1")


def _all_estimates(policy: PolicyResult) -> list[Estimate]:
    cells = [*policy.by_placement, *policy.by_persona]
    return [*policy.estimates, policy.gain, *(cell.estimate for cell in cells)]


def _policy(policy: PolicyResult) -> PolicyResult:
    estimates = [withheld(estimate) for estimate in policy.estimates]
    answered = any(e.estimator == policy.headline and e.value is not None for e in estimates)
    return msgspec.structs.replace(
        policy,
        estimates=estimates,
        gain=withheld(policy.gain),
        over_time=policy.over_time if answered else [],
        by_placement=_cells(policy.by_placement),
        by_persona=_cells(policy.by_persona),
    )


def _cells(cells: list[Cell]) -> list[Cell]:
    return [Cell(name=cell.name, estimate=withheld(cell.estimate)) for cell in cells]


def withheld(estimate: Estimate) -> Estimate:
    """The estimate, without its value where that must not be shown."""
    if estimate.value is not None and estimate.intervals and estimate.status != "unanswerable":
        return estimate
    why = estimate.why
    if estimate.value is not None and not estimate.intervals and NO_INTERVAL not in why:
        why = [*why, NO_INTERVAL]
    return msgspec.structs.replace(
        estimate, value=None, intervals=[], status="unanswerable", why=why
    )


def _wrong(what: str) -> EvaluationError:
    return EvaluationError(f"this evaluation cannot be reported: {what}", hint=_HINT)
