"""A function of the user's, in Python, as a policy."""

from __future__ import annotations

import importlib
import math
import sys
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from bandit_service.errors import EvaluationError, InvalidInput
from bandit_service.evaluation.batch import Asked, Batch, Floats
from bandit_service.evaluation.targets.base import Still
from bandit_service.events.entries import Decision
from bandit_service.policy.chooser import Candidates

TOLERANCE: Final = 1e-9
"""How far from 1 probabilities may sum."""

Function = Callable[[Decision, Candidates], Sequence[float]]
"""From a decision and its K candidates to K probabilities. It must depend on nothing else.

The decision is as logged, but for what was drawn: ``chosen`` is -1, ``holdout`` False, ``reason``
always ``learned``. A policy that knew them would look better than any is.
"""


class OfFunction(Still):
    """A function, asked row by row. Whatever is wrong with an answer refuses the evaluation."""

    def __init__(self, name: str, function: Function) -> None:
        """``function`` answers."""
        super().__init__(name, f"The policy that the function {name.partition(':')[2]} computes.")
        self._function = function

    def probabilities(self, batch: Batch) -> Floats:
        """What the function says of each row.

        Raises:
            EvaluationError: naming the row, if the log does not describe its candidates, the
                function fails, or what it gives is not a distribution over them.
        """
        found = array("d")
        for row in range(len(batch)):
            found.extend(self._row(batch.asked[row], batch.places[row]))
        return np.array(found)

    def _row(self, asked: Asked | None, place: str) -> list[float]:
        if asked is None:
            raise EvaluationError(
                f"row {place}: the log does not describe the candidates, so that {self.name} "
                "cannot be asked",
                hint="evaluate on a log that does",
            )
        decision = msgspec.structs.replace(
            asked.decision, chosen=-1, holdout=False, reason="learned"
        )
        try:
            answer = self._function(decision, asked.candidates)
        except Exception as exc:  # a function of the user's may raise anything
            raise EvaluationError(
                f"row {place}: {self.name} raised {type(exc).__name__}: {exc}",
                hint="the function must answer every decision of the log",
            ) from exc
        return self._checked(answer, len(asked.candidates), place)

    def _checked(self, answer: Any, count: int, place: str) -> list[float]:
        try:
            given = [float(probability) for probability in answer]
        except (TypeError, ValueError) as exc:
            raise self._wrong(f"gave {_shown(answer)}: {exc}", count, place) from exc
        if len(given) != count:
            raise self._wrong(f"gave {len(given)} probabilities", count, place)
        if not all(p >= 0.0 for p in given):  # nor is NaN
            raise self._wrong(f"gave {_shown(given)}", count, place)
        total = math.fsum(given) if all(map(math.isfinite, given)) else math.inf
        if abs(total - 1.0) > TOLERANCE:
            raise self._wrong(f"gave {_shown(given)}, which sum to {total!r}", count, place)
        return given

    def _wrong(self, what: str, count: int, place: str) -> EvaluationError:
        return EvaluationError(
            f"row {place}: {self.name} {what}",
            hint=f"for {count} candidates it must give {count} numbers of 0 or more that sum to 1",
        )


def load_function(words: str, python_path: Sequence[Path]) -> Function:
    """The function of ``module:function``, from the folders of ``python_path`` first.

    Raises:
        InvalidInput: if there is no such module or function, or importing it fails.
    """
    module_name, _, function_name = words.partition(":")
    hint = "write python:module:function; the module must be where Python finds it"
    if not module_name or not function_name:
        raise InvalidInput(f"{words!r} does not name a function", hint=hint)
    try:
        with _found_in(python_path):
            module = importlib.import_module(module_name)
        function: Any = module
        for part in function_name.split("."):
            function = getattr(function, part)
    except Exception as exc:  # importing runs code of the user's, which may raise anything
        raise InvalidInput(
            f"{words!r} cannot be imported: {type(exc).__name__}: {exc}", hint=hint
        ) from exc
    if not callable(function):
        raise InvalidInput(f"{words!r} is not a function", hint=hint)
    found: Function = function
    return found


@contextmanager
def _found_in(folders: Sequence[Path]) -> Iterator[None]:
    before = list(sys.path)
    sys.path[:0] = [str(folder) for folder in folders]
    try:
        yield
    finally:
        sys.path[:] = before


def _shown(answer: object) -> str:
    text = repr(answer)
    return text if len(text) <= 200 else f"{text[:200]}…"
