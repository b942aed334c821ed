"""Which persona the traits speak for, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit_service.catalog.model import Personas
from bandit_service.catalog.personas import UNKNOWN, Resolution, Resolver

TAGS = {"the-long-summer": ("romance",), "pratfall": ("comedy", "family")}


def tags_of(placement: str) -> tuple[str, ...]:
    return TAGS.get(placement, ())


def personas(*declared: tuple[str, list[dict[str, Any]]], **fields: Any) -> Personas:
    rows = [{"id": persona, "rules": rules} for persona, rules in declared]
    return msgspec.convert({"personas": rows, **fields}, Personas)


def resolved(declared: Personas, **traits: Any) -> Resolution:
    return Resolver(declared).resolve(traits, tags_of=tags_of)


ROMANTIC = ("romantic", [{"trait": "genres", "any": ["romance"], "weight": 3.0}])
COMEDY = ("comedy", [{"trait": "genres", "any": ["comedy"], "weight": 3.0}])
BOTH = personas(ROMANTIC, COMEDY)


def test_one_hint_is_believed_as_far_as_its_weight_goes() -> None:
    assert resolved(BOTH, genres=["romance"]) == ("romantic", 0.75)
    assert resolved(BOTH, genres="comedy") == ("comedy", 0.75)


def test_hints_that_contradict_each_other_cancel() -> None:
    persona, confidence = resolved(BOTH, genres=["romance", "comedy"])

    assert persona == UNKNOWN
    assert confidence == pytest.approx(3 / 7)


def test_hints_that_agree_add_up() -> None:
    rules = [
        {"trait": "genres", "any": ["romance"], "weight": 1.0},
        {"trait": "favourites", "tagged": ["romance"], "weight": 2.0},
    ]
    declared = personas(("romantic", rules))

    assert resolved(declared, genres="romance", favourites=["the-long-summer"]).confidence == 0.75
    assert resolved(declared, favourites=["the-long-summer"]).confidence == pytest.approx(2 / 3)
    assert resolved(declared, genres="romance") == ("romantic", 0.5)


@pytest.mark.parametrize(("threshold", "persona"), [(0.75, "romantic"), (0.7501, UNKNOWN)])
def test_a_persona_is_believed_from_the_threshold_on(threshold: float, persona: str) -> None:
    declared = personas(ROMANTIC, threshold=threshold)

    assert resolved(declared, genres=["romance"]) == (persona, 0.75)


@pytest.mark.parametrize("traits", [{}, {"genres": None}, {"genres": []}, {"other": "romance"}])
def test_traits_that_say_nothing_leave_a_visitor_unknown(traits: dict[str, Any]) -> None:
    assert resolved(BOTH, **traits) == (UNKNOWN, 0.0)


def test_without_personas_everyone_is_unknown() -> None:
    assert resolved(Personas(), genres=["romance"]) == (UNKNOWN, 0.0)


def test_a_threshold_of_nothing_still_needs_a_rule_that_fires() -> None:
    declared = personas(ROMANTIC, threshold=0.0, prior_weight=0.0)

    assert resolved(declared, genres=["western"]) == (UNKNOWN, 0.0)


def test_a_tie_goes_to_the_persona_declared_first() -> None:
    rule = [{"trait": "t", "any": ["x"], "weight": 9.0}]
    traits = {"t": "x"}

    for order in (("a", "b"), ("b", "a")):
        declared = personas(*((persona, rule) for persona in order), threshold=0.4)
        assert Resolver(declared).resolve(traits, tags_of=tags_of).persona == order[0]


def fires(rule: dict[str, Any], value: Any) -> bool:
    declared = personas(("p", [{"trait": "t", "weight": 9.0, **rule}]))
    return resolved(declared, t=value).persona == "p"


@pytest.mark.parametrize(
    ("rule", "value", "expected"),
    [
        ({"any": ["Romance"]}, "ROMANCE", True),
        ({"any": ["straße"]}, "STRASSE", True),
        ({"any": ["romance"]}, "romances", False),
        ({"any": [3]}, 3, True),
        ({"any": [3]}, [1, 2, 3], True),
        ({"any": [3]}, "3", False),
        ({"any": [True]}, True, True),
        ({"any": [1]}, True, False),
        ({"any": [True]}, 1, False),
        ({"any": []}, "x", False),
        ({"tagged": ["comedy"]}, "pratfall", True),
        ({"tagged": ["comedy"]}, ["the-long-summer", "pratfall"], True),
        ({"tagged": ["comedy"]}, "nowhere", False),
        ({"tagged": ["comedy"]}, 7, False),
        ({"at_least": 1}, 1, True),
        ({"at_least": 1}, 0.99, False),
        ({"at_most": 5}, 5, True),
        ({"at_most": 5}, 6, False),
        ({"at_least": 1, "at_most": 5}, 3, True),
        ({"at_least": 1, "at_most": 5}, [9, 4], True),
        ({"at_least": 1, "at_most": 5}, [0, 9], False),
        ({"at_least": 0}, True, False),
        ({"at_least": 0}, "5", False),
    ],
)
def test_a_rule_fires_when_its_condition_holds(
    rule: dict[str, Any], value: Any, expected: bool
) -> None:
    assert fires(rule, value) is expected


def test_the_site_may_name_the_persona_itself() -> None:
    assert Resolver(BOTH).named("comedy") == ("comedy", 1.0)
    assert Resolver(BOTH).named(UNKNOWN) == (UNKNOWN, 1.0)
    assert Resolver(BOTH).named("western") is None
    assert Resolver(Personas()).named("") is None


values = st.sampled_from(["romance", "comedy", "western", "pratfall", 1, True, None])


@given(
    st.dictionaries(st.sampled_from(["genres", "favourites"]), st.lists(values) | values),
    st.floats(0, 1),
    st.floats(0, 10),
)
def test_whatever_the_traits_the_confidence_is_a_share_and_the_threshold_holds(
    traits: Mapping[str, Any], threshold: float, prior: float
) -> None:
    # given
    declared = personas(ROMANTIC, COMEDY, threshold=threshold, prior_weight=prior)
    clean = {
        name: [item for item in value if item is not None] if isinstance(value, list) else value
        for name, value in traits.items()
    }

    # when
    persona, confidence = Resolver(declared).resolve(clean, tags_of=tags_of)

    # then
    assert 0.0 <= confidence <= 1.0
    assert persona in (UNKNOWN, "romantic", "comedy")
    if persona != UNKNOWN:
        assert confidence >= threshold
        assert confidence > 0
