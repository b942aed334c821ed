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

TagsOf = Callable[[str], Iterable[str]]
Condition = Callable[[list[object], TagsOf], bool]


class Resolution(NamedTuple):
    """A persona and the confidence, in [0, 1], with which it was found."""

    persona: str
    confidence: float


class Resolver:
    """The personas of a site, prepared once for many visitors."""

    def __init__(self, personas: Personas) -> None:
        self.personas = personas
        self._known = {persona.id for persona in personas.personas}
        self._rules = [
            (persona.id, [(rule.trait, rule.weight, _condition(rule)) for rule in persona.rules])
            for persona in personas.personas
        ]

    def resolve(self, traits: Mapping[str, TraitValue], *, tags_of: TagsOf) -> Resolution:
        """The persona that the traits speak for; ``tags_of`` gives the tags of a placement's id."""
        best, most, total = UNKNOWN, 0.0, self.personas.prior_weight
        if not traits:
            return Resolution(UNKNOWN, 0.0)
        given = {trait: _values(value) for trait, value in traits.items() if value is not None}
        for persona, rules in self._rules:
            weight = 0.0
            for trait, rule_weight, fires in rules:
                if trait in given and fires(given[trait], tags_of):
                    weight += rule_weight
            total += weight
            if weight > most:
                best, most = persona, weight
        if most == 0.0:
            return Resolution(UNKNOWN, 0.0)
        confidence = most / total
        believed = confidence >= self.personas.threshold
        return Resolution(best if believed else UNKNOWN, confidence)

    def named(self, persona: str) -> Resolution | None:
        """The site's own word for the persona: certain if it is declared, None if it is not."""
        if persona == UNKNOWN or persona in self._known:
            return Resolution(persona, 1.0)
        return None


def _values(value: TraitValue) -> list[object]:
    return list(value) if isinstance(value, list) else [value]


def _folded(value: object) -> object:
    """Text in one case, and true and false apart from 1 and 0; anything else as it is."""
    if isinstance(value, bool):
        return (value,)
    return value.casefold() if isinstance(value, str) else value


def _condition(rule: Rule) -> Condition:
    """The rule as a function of a trait's values."""
    if rule.any is not None:
        wanted = frozenset(map(_folded, rule.any))
        return lambda values, _: any(_folded(item) in wanted for item in values)
    if rule.tagged is not None:
        tagged = frozenset(rule.tagged)
        return lambda values, tags_of: any(
            not tagged.isdisjoint(tags_of(item)) for item in values if isinstance(item, str)
        )
    return lambda values, _: any(_within(rule, item) for item in values)


def _within(rule: Rule, value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    above = rule.at_least is None or value >= rule.at_least
    below = rule.at_most is None or value <= rule.at_most
    return above and below
