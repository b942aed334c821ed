"""What a report refuses or withholds before anything is rendered."""

from __future__ import annotations

import math

import msgspec
import pytest

from bandit_service.errors import EvaluationError
from bandit_service.evaluation.report.door import NO_INTERVAL, admitted
from bandit_service.evaluation.report.markdown import markdown
from bandit_service.evaluation.report.page import page
from bandit_service.evaluation.report.terminal import rendered
from bandit_service.evaluation.report.twin import write_json
from bandit_service.evaluation.results import Cell, Estimate, Evaluation, PolicyResult
from bandit_service.printable import printable
from tests.evaluation.evaluations import estimate, evaluation, interval

replaced = msgspec.structs.replace


def with_policy(**changes: object) -> Evaluation:
    whole = evaluation(placements=2, hostile=False)
    return replaced(whole, policies=[replaced(whole.policies[0], **changes)])


def without_interval() -> Estimate:
    return replaced(estimate("dr", 0.0987654), intervals=[])


def only(found: Evaluation) -> PolicyResult:
    return admitted(found).policies[0]


def test_a_value_without_an_interval_is_withheld_and_the_row_says_so() -> None:
    shown = only(with_policy(estimates=[without_interval()])).estimates[0]

    assert shown.value is None
    assert shown.status == "unanswerable"
    assert shown.why == [NO_INTERVAL]
    assert (shown.n, shown.ess, shown.max_weight) == (120_000, 31_415.9, 11.25)


@pytest.mark.parametrize("part", ["by_placement", "by_persona"])
def test_a_value_without_an_interval_is_withheld_in_a_part_of_the_log(part: str) -> None:
    shown = only(with_policy(**{part: [Cell(name="here", estimate=without_interval())]}))

    assert getattr(shown, part)[0].estimate.value is None


def test_a_value_that_is_called_unanswerable_is_withheld_with_its_intervals() -> None:
    wrong = replaced(estimate("dr"), status="unanswerable", why=["no support"])

    shown = only(with_policy(estimates=[wrong])).estimates[0]

    assert (shown.value, shown.intervals, shown.why) == (None, [], ["no support"])


def test_an_interval_without_a_value_is_not_an_answer() -> None:
    shown = only(with_policy(estimates=[replaced(estimate("dr"), value=None)])).estimates[0]

    assert (shown.status, shown.intervals) == ("unanswerable", [])


def test_nothing_is_said_over_time_where_the_quoted_estimate_is_withheld() -> None:
    assert only(with_policy()).over_time
    assert only(with_policy(estimates=[without_interval()])).over_time == []


def test_what_is_withheld_is_in_none_of_the_reports() -> None:
    found = with_policy(estimates=[without_interval()], by_placement=[], by_persona=[])

    for said in (page(found), markdown(found), write_json(found).decode()):
        assert "9.88%" not in said
        assert "9.877%" not in said
        assert "0.0987654" not in said


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", ["value", "ess", "max_weight"])
def test_a_number_that_is_not_finite_is_refused_by_name(field: str, number: float) -> None:
    found = with_policy(estimates=[replaced(estimate("dr"), **{field: number})])

    for render in (page, markdown, write_json, rendered):
        with pytest.raises(EvaluationError, match=rf"policies\[0\].estimates\[0\].{field}"):
            render(found)


def test_a_bound_that_is_not_finite_is_refused() -> None:
    wide = replaced(estimate("dr"), intervals=[interval(-math.inf, 1.0)])

    with pytest.raises(EvaluationError, match=r"intervals\[0\].low is -inf"):
        admitted(with_policy(estimates=[wide]))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"headline": "dr", "estimates": [estimate("ips")]}, "headline estimator 'dr'"),
        ({"estimates": [estimate("dr", n=-1)]}, "not negative"),
        ({"estimates": [estimate("dr", half=-0.1)]}, "ends before it begins"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(EvaluationError, match=said):
        admitted(with_policy(**changes))


def test_a_histogram_whose_edges_do_not_fit_its_bins_is_refused() -> None:
    weights = replaced(evaluation().policies[0].weights, edges=[0.0, 1.0])

    with pytest.raises(EvaluationError, match=r"B \+ 1 edges"):
        admitted(with_policy(weights=weights))


def test_two_policies_of_one_name_are_refused() -> None:
    whole = evaluation()

    with pytest.raises(EvaluationError, match="same name"):
        admitted(replaced(whole, policies=[whole.policies[0]] * 2))


@pytest.mark.parametrize("ms", [-1, 10**15, 10**18])
def test_a_time_that_cannot_be_written_is_refused(ms: int) -> None:
    with pytest.raises(EvaluationError, match="not a time"):
        admitted(replaced(evaluation(), until=ms))


@pytest.mark.parametrize("mark", ["\x00", "\x07", "\x1b", "\x9b", "\u202e", "\u2066", "\ud800"])
def test_a_character_that_acts_instead_of_being_seen_is_replaced(mark: str) -> None:
    assert printable(f"a{mark}b") == "a\N{REPLACEMENT CHARACTER}b"


@pytest.mark.parametrize("text", ["été", "日本語", "👩\u200d🚀", "עברית", "a\u0301"])
def test_writing_of_any_language_stays(text: str) -> None:
    assert printable(text) == text


def test_lines_become_one() -> None:
    assert printable("a\r\n\tb\u2028c") == "a b c"


def test_what_was_admitted_is_admitted_unchanged() -> None:
    once = admitted(evaluation())

    assert admitted(once) == once
