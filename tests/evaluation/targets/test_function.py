import math
import sys
from pathlib import Path
from typing import Any

import pytest

from bandit_service.catalog.model import Variant
from bandit_service.errors import EvaluationError, InvalidInput
from bandit_service.evaluation.batch import Asked
from bandit_service.evaluation.targets.context import TargetContext
from bandit_service.evaluation.targets.function import OfFunction
from bandit_service.evaluation.targets.named import make_target
from bandit_service.events.entries import Decision
from bandit_service.policy.chooser import Candidates
from tests.evaluation.targets.rows import Answer, a_batch, closed_world, log_of, run
from tests.world import a_decision

TWO = Candidates.inline("film", [Variant(id=v, version=1) for v in "ab"])
ASKED = Asked(a_decision(arms=TWO.arms, probabilities=[0.5, 0.5]), "shared |p x", TWO)


def answers(answer: Answer) -> list[float]:
    batch = a_batch([{"asked": ASKED}, {"asked": ASKED}])
    given: list[float] = OfFunction("python:mine:best", answer).probabilities(batch).tolist()
    return given


def test_a_function_is_found_by_module_and_name_where_it_was_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "my_policy_of_this_test.py").write_text(
        "def best(decision, candidates):\n"
        "    wanted = 'h1' if decision.persona == 'comedy' else 'h0'\n"
        "    return [float(v.id == wanted) for v in candidates.variants]\n",
        encoding="utf-8",
    )
    before = list(sys.path)
    context = TargetContext(python_path=(tmp_path,))

    found = run(make_target("python:my_policy_of_this_test:best", context), log_of(closed_world()))

    assert sys.path == before
    shown = {
        (batch.names.personas[int(batch.persona[row])], batch.names.arms[int(code)])
        for batch, target in found
        for row, code, p in zip(batch.rows, batch.arms, target, strict=True)
        if p == 1.0
    }
    assert shown == {("comedy", "h1@1"), ("romantic", "h0@1"), ("unknown", "h0@1")}


def test_a_function_does_not_learn_what_was_drawn() -> None:
    told: list[Decision] = []

    def curious(decision: Decision, _: Any) -> list[float]:
        told.append(decision)
        return [0.5, 0.5]

    asked = ASKED._replace(
        decision=a_decision(
            arms=TWO.arms, probabilities=[0.5, 0.5], chosen=1, reason="explored", holdout=True
        )
    )

    OfFunction("f", curious).probabilities(a_batch([{"asked": asked}]))

    assert (told[0].chosen, told[0].reason, told[0].holdout) == (-1, "learned", False)
    assert told[0].probabilities == [0.5, 0.5]


def test_what_floats_give_for_thirds_is_a_distribution() -> None:
    assert answers(lambda *_: (0.1 + 0.2, 0.7)) == [0.1 + 0.2, 0.7] * 2
    assert answers(lambda *_: [1, 0]) == [1.0, 0.0] * 2


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([1.0], "gave 1 probabilities"),
        ([0.5, 0.3, 0.2], "gave 3 probabilities"),
        ([0.5, 0.6], "gave [0.5, 0.6], which sum to 1.1"),
        ([1.5, -0.5], "gave [1.5, -0.5]"),
        ([math.nan, 1.0], "gave [nan, 1.0]"),
        ([math.inf, 0.0], "gave [inf, 0.0], which sum to inf"),
        (["x", 1.0], "gave ['x', 1.0]: could not convert"),
        (None, "gave None: 'NoneType' object is not iterable"),
        (7, "gave 7: 'int' object is not iterable"),
    ],
)
def test_an_answer_that_is_no_distribution_is_refused_with_its_row(answer: Any, said: str) -> None:
    with pytest.raises(EvaluationError) as refused:
        answers(lambda *_: answer)

    assert refused.value.message.startswith(f"row log.csv:2: python:mine:best {said}")
    assert "for 2 candidates it must give 2 numbers" in (refused.value.hint or "")


def test_what_a_function_raises_is_told_with_its_row() -> None:
    calls: list[int] = []

    def failing(*_: Any) -> list[float]:
        calls.append(0)
        if len(calls) == 2:
            raise KeyError("genre")
        return [0.5, 0.5]

    with pytest.raises(EvaluationError, match=r"row log\.csv:3: .* KeyError: 'genre'") as refused:
        answers(failing)

    assert isinstance(refused.value.__cause__, KeyError)


def test_rows_that_the_log_does_not_describe_cannot_be_asked_about() -> None:
    with pytest.raises(EvaluationError, match=r"row log\.csv:2: the log does not describe"):
        OfFunction("f", lambda *_: [0.5, 0.5]).probabilities(a_batch([{}]))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("math", "'math' does not name a function"),
        ("math:", "'math:' does not name a function"),
        ("math:pi", "'math:pi' is not a function"),
        ("math:nothing", "AttributeError"),
        ("no_such_module_anywhere:f", "ModuleNotFoundError"),
        ("..x:f", "TypeError"),
    ],
)
def test_a_function_that_is_not_there_is_refused(words: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as refused:
        make_target(f"python:{words}", TargetContext())

    assert "python:module:function" in (refused.value.hint or "")


def test_a_module_that_fails_to_import_is_refused_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "broken_module_of_this_test.py").write_text("1 / 0\n", encoding="utf-8")

    with pytest.raises(InvalidInput, match="ZeroDivisionError"):
        make_target("python:broken_module_of_this_test:f", TargetContext(python_path=(tmp_path,)))
