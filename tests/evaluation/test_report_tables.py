"""What a reader of the page, of Markdown and of the terminal finds in the tables."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from rich.console import Console

from bandit_service.evaluation.report.door import admitted
from bandit_service.evaluation.report.markdown import markdown, plain
from bandit_service.evaluation.report.numbers import Scale, count, scale_of, share
from bandit_service.evaluation.report.page import page
from bandit_service.evaluation.report.table import FOLD
from bandit_service.evaluation.report.terminal import rendered
from bandit_service.evaluation.report.words import ESTIMATED, FORCED, estimator
from bandit_service.evaluation.results import Estimate, Evaluation
from tests.evaluation.evaluations import evaluation, nothing
from tests.evaluation.reading import Rows, markdown_tables, number, seen

WORDS_OF_KIND = "95% bootstrap"


def told(found: Evaluation, width: int = 200) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(rendered(found))
    return out.getvalue()


def pages(found: Evaluation) -> dict[str, Rows]:
    return seen(page(found)).tables


def marked(found: Evaluation) -> dict[str, Rows]:
    return markdown_tables(markdown(found))


def rows_of(tables: dict[str, Rows], beginning: str) -> Rows:
    found = [rows for caption, rows in tables.items() if caption.startswith(beginning)]
    return [row for rows in found for row in rows]


def expected(found: Evaluation) -> Iterator[tuple[str, str, Estimate]]:
    """Where each estimate stands: how the caption begins, the row's name, and what is in it."""
    for policy in found.policies:
        for one in policy.estimates:
            yield f"Estimates of {policy.name} (", estimator(one.estimator), one
            if one.estimator == policy.headline:
                yield "The quoted estimate of each policy", policy.name, one
        for cell in policy.by_persona:
            yield f"Estimates of {policy.name} by persona", cell.name, cell.estimate
        for cell in policy.by_placement:
            yield f"Estimates of {policy.name} by placement", cell.name, cell.estimate


def check(row: dict[str, str], one: Estimate, decimals: int) -> None:
    """Whether a row says what the estimate is, to the digits that are shown."""
    near = 0.51 * 10.0 ** -(decimals + 2)
    assert number(row["n"]) == one.n
    assert number(row["ESS"]) == pytest.approx(one.ess, rel=0.01, abs=0.06)
    assert number(row["Largest weight"]) == pytest.approx(one.max_weight, rel=0.01)
    if one.value is None:
        assert (row["Estimate"], row["Interval"]) == ("\N{EN DASH}", "\N{EN DASH}")
        assert row["Trust"] == "no answer"
        return
    low, high = map(number, row["Interval"].split(" to "))
    assert number(row["Estimate"]) == pytest.approx(one.value, abs=near)
    assert low == pytest.approx(one.intervals[0].low, abs=near)
    assert high == pytest.approx(one.intervals[0].high, abs=near)
    assert row["Kind of interval"] == WORDS_OF_KIND
    assert row["Trust"] == one.status


@pytest.mark.parametrize("read", [pages, marked])
@settings(max_examples=6, deadline=None, phases=[Phase.generate])  # a page is slow to shrink
@given(seed=st.integers(0, 10**6))
def test_every_estimate_stands_with_its_n_ess_largest_weight_and_interval(
    read: object, seed: int
) -> None:
    whole = admitted(evaluation(seed=seed, placements=4, moments=4))
    tables = pages(whole) if read is pages else marked(whole)
    decimals = scale_of(whole).decimals

    for caption, name, one in expected(whole):
        rows = [row for row in rows_of(tables, caption) if next(iter(row.values())) == name]
        assert len(rows) == 1, (caption, name)
        check(rows[0], one, decimals)


@pytest.mark.parametrize("say", [page, markdown, told])
def test_why_a_row_is_weak_or_has_no_answer_is_said(say: object) -> None:
    said = " ".join(say(evaluation(hostile=False)).split())  # type: ignore[operator]

    assert "Replay" in said
    assert "Weak, do not decide by it: The effective sample size is 61, below 1,000." in said
    assert "No answer: The effective sample size is 3, of 120,000 rows" in said


@pytest.mark.parametrize("say", [page, markdown, told])
def test_warnings_come_before_any_number(say: object) -> None:
    said = " ".join(say(evaluation()).replace("> -", "").split())  # type: ignore[operator]

    first = said.index("The log holds")
    assert said.index(FORCED) < said.index(ESTIMATED) < first
    assert said.index("gap of 4 hours") < first
    assert said.index("second file are missing") < first


@pytest.mark.parametrize("say", [page, markdown, told])
def test_a_log_that_passed_is_not_warned_of(say: object) -> None:
    said = say(evaluation(forced=False, propensities="logged"))  # type: ignore[operator]

    assert "--force)" not in said
    assert "equally likely" not in said
    assert "estimated from the log itself" not in said


@pytest.mark.parametrize("say", [page, markdown, told])
def test_failed_checks_are_said_on_top_even_if_nobody_forced_anything(say: object) -> None:
    whole = msgspec.structs.replace(evaluation(), forced=False)

    said = " ".join(say(whole).split())  # type: ignore[operator]

    assert said.index("The log failed its checks: 3 fatal") < said.index("The log holds")


@pytest.mark.parametrize("say", [page, markdown, told])
def test_a_log_without_rows_is_told_without_numbers(say: object) -> None:
    assert "The log has no closed decisions to evaluate." in say(nothing())  # type: ignore[operator]


@pytest.mark.parametrize("read", [pages, marked])
def test_findings_ratio_tests_exclusions_and_coverage_are_there(read: object) -> None:
    tables = pages(evaluation()) if read is pages else marked(evaluation())

    assert tables["What the checks found"][0]["First"].startswith("clicks.parquet:17: ")
    assert tables["Sample-ratio tests"][0]["p-value"] == "<0.0001"
    assert tables["Left out, by reason"][0]["Count"] == "2,455"
    coverage = tables["Coverage of the intervals in simulated logs"]
    assert {row["Claims to"] for row in coverage} == {"yes", "no"}


def test_of_many_placements_some_are_seen_and_the_rest_is_folded_away() -> None:
    whole = evaluation(placements=200, hostile=False, moments=2)
    caption = f"Estimates of {whole.policies[0].name} by placement"

    tables = pages(whole)

    head, rest = tables[caption], tables[f"{caption}, the rest"]
    assert (len(head), len(rest)) == (FOLD, 200 - FOLD)
    assert [number(row["n"]) for row in head] == sorted(
        (number(row["n"]) for row in head), reverse=True
    )
    assert min(number(row["n"]) for row in head) >= max(number(row["n"]) for row in rest)


def test_every_share_is_in_the_page() -> None:
    whole = evaluation(placements=30, hostile=False, moments=2)

    rows = rows_of(pages(whole), "Who is shown what on ")

    assert len(rows) == sum(len(policy.shares) for policy in whole.policies)


def test_numbers_in_markdown_are_plain_in_its_source_too() -> None:
    source = markdown(evaluation())

    assert "| 4.30% to 4.89% " in source or "**4.30% to 4.89%**" in source
    assert not re.search(r"\\\d", source)


def test_markdown_says_how_many_rows_it_leaves_out() -> None:
    whole = evaluation(placements=40, hostile=False)

    assert f"{40 - FOLD} more rows are in the page and in the JSON." in markdown(whole)


def test_every_chart_over_time_has_its_first_and_last_moment_as_a_table() -> None:
    whole = evaluation(placements=1, moments=2_000)
    policy = whole.policies[0]

    rows = rows_of(pages(whole), f"{policy.name} over time")

    assert len(rows) == 25
    assert number(rows[0]["n"]) == policy.over_time[0].n
    assert number(rows[-1]["n"]) == policy.over_time[-1].n


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_narrow_terminal_cuts_no_number(width: int) -> None:
    whole = evaluation(hostile=False, placements=1)

    bare = "".join(told(whole, width).split())

    assert "…" not in bare
    for policy in whole.policies:
        assert policy.verdict.replace(" ", "") in bare


def test_a_name_is_not_a_command_to_the_terminal() -> None:
    whole = evaluation(placements=1)
    policy = msgspec.structs.replace(whole.policies[0], name="[bold]\x1b[2Jx[/bold]")

    said = told(msgspec.structs.replace(whole, policies=[policy]))

    assert "\x1b" not in said
    assert "[bold]\N{REPLACEMENT CHARACTER}[2Jx[/bold]" in said


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a|b", r"a\|b"),
        ("[x](http://y)", r"\[x\](http://y)"),
        ("<b>", "&lt;b>"),
        ("&lt;", "&amp;lt;"),
        ("_a_ b_c", r"\_a\_ b_c"),
        ("`*~$\\", r"\`\*\~\$\\"),
        ("# no heading", r"\# no heading"),
        ("- no item", r"\- no item"),
        ("1. no item", r"1\. no item"),
        ("2030-01-31", "2030-01-31"),
        ("4.67%", "4.67%"),
        ("--seed", "--seed"),
        ("--- no rule", r"\--- no rule"),
        ("A & B", "A & B"),
    ],
)
def test_text_from_outside_is_text_in_markdown(text: str, escaped: str) -> None:
    assert plain(text) == escaped


@pytest.mark.parametrize(
    ("number", "said"),
    [(0.0, "0%"), (0.0001, "<0.1%"), (0.5, "50.0%"), (0.9999, ">99.9%"), (1.0, "100.0%")],
)
def test_a_share_is_0_or_100_only_if_it_is(number: float, said: str) -> None:
    assert share(number) == said


def test_rewards_that_are_not_shares_are_plain_numbers() -> None:
    whole = msgspec.structs.replace(evaluation(), reward_range=(-1.0, 5.0), mean_reward=-0.5)

    assert scale_of(whole).value(-0.5) == "\N{MINUS SIGN}0.5000"
    assert "%" not in scale_of(whole).interval(-1.0, 4.0)


def test_an_interval_narrower_than_its_value_gets_the_digits_it_needs() -> None:
    whole = evaluation(placements=1)
    policy = whole.policies[0]
    narrow = msgspec.structs.replace(
        policy,
        estimates=[
            msgspec.structs.replace(
                one,
                intervals=[msgspec.structs.replace(one.intervals[0], low=0.041211, high=0.041215)],
            )
            for one in policy.estimates
        ],
    )

    scale = scale_of(msgspec.structs.replace(whole, policies=[narrow]))

    assert scale.interval(0.041211, 0.041215) == "4.12110% to 4.12150%"


def test_numbers_are_separated_by_thousands() -> None:
    assert count(1_234_567) == "1,234,567"
    assert Scale(percent=False, decimals=1).value(12_345.67) == "12,345.7"
