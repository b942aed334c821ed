"""Which persona a visitor is, from declared traits, and how sure that is.

Each rule of a persona that fires adds its weight. With ``w[p]`` the fired weight of persona ``p``
and ``w0`` the prior weight of fitting none,

    confidence[p] = w[p] / (w0 + sum of w over all personas)

so one weak hint is not believed, agreeing hints add up, and contradicting ones cancel. The persona
with the largest confidence is the answer if it reaches the threshold, else ``unknown`` with the
confidence that fell short. Ties go to the persona that is declared first. This is a plain,
explainable vote on purpose: a marketer can recompute it on paper, and the bandit learns how much a
persona is worth anyway. A trained classifier was rejected: there is nothing to train it on before
a site has visitors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from bandit_service.catalog.model import Personas, Rule, TraitValue

UNKNOWN: Final = "unknown"


class Resolution(NamedTuple):
    """A persona and the confidence, in [0, 1], with which it was found."""

    persona: str
    confidence: float


def resolve(
    personas: Personas,
    traits: Mapping[str, TraitValue],
    *,
    tags_of: Callable[[str], Iterable[str]],
) -> Resolution:
    """The persona that the traits speak for; ``tags_of`` gives the tags of a placement's id."""
    if not traits or not personas.personas:
        return Resolution(UNKNOWN, 0.0)
    weights = {
        persona.id: sum(rule.weight for rule in persona.rules if _fires(rule, traits, tags_of))
        for persona in personas.personas
    }
    total = personas.prior_weight + sum(weights.values())
    best = max(weights, key=lambda persona: weights[persona])
    confidence = weights[best] / total if total > 0 else 0.0
    believed = confidence >= personas.threshold and weights[best] > 0
    return Resolution(best if believed else UNKNOWN, confidence)


def named(personas: Personas, persona: str) -> Resolution | None:
    """The site's own word for the persona: certain if it is declared, None if it is not."""
    if persona == UNKNOWN:
        return Resolution(UNKNOWN, 1.0)
    if any(declared.id == persona for declared in personas.personas):
        return Resolution(persona, 1.0)
    return None


def _fires(
    rule: Rule, traits: Mapping[str, TraitValue], tags_of: Callable[[str], Iterable[str]]
) -> bool:
    value = traits.get(rule.trait)
    if value is None:
        return False
    values: list[object] = list(value) if isinstance(value, list) else [value]
    if rule.any is not None:
        wanted = {_fold(item) for item in rule.any}
        return any(_fold(item) in wanted for item in values)
    if rule.tagged is not None:
        tags = {tag for item in values if isinstance(item, str) for tag in tags_of(item)}
        return not tags.isdisjoint(rule.tagged)
    return any(_within(rule, item) for item in values)


def _fold(value: object) -> object:
    if isinstance(value, str):
        return value.casefold()
    return isinstance(value, bool), value  # to Python alone, true is 1


def _within(rule: Rule, value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    above = rule.at_least is None or value >= rule.at_least
    below = rule.at_most is None or value <= rule.at_most
    return above and below
