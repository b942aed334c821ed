"""Every verdict has its sentence, and says no more than is known."""

from __future__ import annotations

from typing import get_args

import pytest

from bandit_service.reporting import words
from bandit_service.reporting.estimates import HeldBack
from bandit_service.reporting.tables import Scale
from bandit_service.reporting.winners import Winner
from bandit_service.reporting.words import Effect, Relative, State, Worth

LIFT = Relative(value=0.12, low=0.034, high=0.21)
WINNER = Winner(persona=None, arm="a@2", rate=0.2, rival="b@1", rival_rate=0.1, lead=0.01)


@pytest.mark.parametrize("state", get_args(State))
def test_every_state_has_a_sentence(state: State) -> None:
    said = words.state(state, winners=[WINNER], last_seen=1_800_000_000_000)

    assert said.endswith(".")
    assert said[0].isupper()


def test_a_persona_whose_winner_is_another_is_named_beside_that_of_everybody() -> None:
    kids, fans = (
        Winner(persona=p, arm=arm, rate=0.2, rival="c@1", rival_rate=0.1, lead=0.01)
        for p, arm in (("kids", "b@1"), ("fans", "a@2"))
    )

    assert words.state("winner", winners=[WINNER, kids, fans]) == (
        "Clear winner: a, but for kids (b)."
    )
    assert words.state("winner", winners=[kids, fans]) == "Clear winner for kids (b), fans (a)."


def test_every_reason_to_hold_back_has_a_sentence() -> None:
    assert set(words.HELD_BACK) == set(get_args(HeldBack))


@pytest.mark.parametrize(
    ("worth", "lift", "says"),
    [
        ("earns", LIFT, "Choosing for kids apart earns: +12%, between +3% and +21%."),
        ("earns", None, "Choosing for kids apart earns."),
        ("costs", None, "Choosing for kids apart costs."),
        (
            "no_difference",
            Relative(value=0.01, low=-0.02, high=0.04),
            "Choosing for kids apart makes no difference so far: between −2% and +4%.",  # noqa: RUF001
        ),
        (
            "no_difference",
            None,
            "Choosing for kids apart makes no difference so far: what suits everybody suits them.",
        ),
        ("too_few", None, "Too little is known yet of what choosing for kids apart earns."),
    ],
)
def test_what_is_said_of_a_persona(worth: Worth, lift: Relative | None, says: str) -> None:
    assert words.persona_worth("kids", worth, lift) == says


@pytest.mark.parametrize(
    ("effect", "persona", "value", "says"),
    [
        ("more", None, LIFT, "Variants with face earn +12% with everybody, between +3% and +21%."),
        (
            "no_difference",
            "kids",
            LIFT,
            "face makes no difference to kids so far: between +3% and +21%.",
        ),
        ("too_few", "kids", None, "Too little is known yet of face for kids."),
    ],
)
def test_what_is_said_of_a_tag(
    effect: Effect, persona: str | None, value: Relative | None, says: str
) -> None:
    assert words.tag_effect("face", persona, effect, value) == says


def test_all_verdicts_are_said() -> None:
    assert all(words.persona_worth("p", worth, None) for worth in get_args(Worth))
    assert all(words.tag_effect("t", None, effect, LIFT) for effect in get_args(Effect))


def test_rates_are_percentages_where_a_click_is_all_there_is_to_earn() -> None:
    assert words.rate(0.0123, Scale(0.0, 1.0)) == "1.23%"
    assert words.rate(0.0123, Scale(0.0, 5.0)) == "0.0123"
    assert words.rate(0.0123, Scale(-1.0, 1.0)) == "0.0123"


def test_variants_are_called_by_their_id() -> None:
    assert words.variant("kiss@2") == "kiss"
    assert words.variant("kiss") == "kiss"
