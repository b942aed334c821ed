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

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from bandit_service.catalog.model import Personas, Rule, TraitValue

UNKNOWN: Final = "unknown"

TagsOf = Callable[[str], Iterable[str]]


class Resolution(NamedTuple):
    """A persona and the confidence, in [0, 1], with which it was found."""

    persona: str
    confidence: float


class Resolver:
    """The personas of a site, prepared once for many visitors."""

    def __init__(self, personas: Personas) -> None:
        self.personas = personas
        self._known = {persona.id for persona in personas.personas}
        self._conditions: dict[str, _Conditions] = {}
        for persona in personas.personas:
            for rule in persona.rules:
                conditions = self._conditions.setdefault(rule.trait, _Conditions())
                conditions.add(persona.id, rule)

    def resolve(self, traits: Mapping[str, TraitValue], *, tags_of: TagsOf) -> Resolution:
        """The persona that the traits speak for; ``tags_of`` gives the tags of a placement's id."""
        weights: dict[str, float] = {}
        for trait, value in traits.items():
            conditions = self._conditions.get(trait)
            if conditions is not None and value is not None:
                values = value if isinstance(value, list) else [value]
                for persona, weight in conditions.fired(values, tags_of):
                    weights[persona] = weights.get(persona, 0.0) + weight
        if not weights:
            return Resolution(UNKNOWN, 0.0)
        best = self._first_of_the_heaviest(weights)
        confidence = weights[best] / (self.personas.prior_weight + sum(weights.values()))
        believed = confidence >= self.personas.threshold
        return Resolution(best if believed else UNKNOWN, confidence)

    def _first_of_the_heaviest(self, weights: Mapping[str, float]) -> str:
        heaviest = max(weights.values())
        tied = [persona for persona, weight in weights.items() if weight == heaviest]
        if len(tied) == 1:
            return tied[0]
        return next(persona.id for persona in self.personas.personas if persona.id in tied)

    def named(self, persona: str) -> Resolution | None:
        """The site's own word for the persona: certain if it is declared, None if it is not."""
        if persona == UNKNOWN or persona in self._known:
            return Resolution(persona, 1.0)
        return None


class _Conditions:
    """The rules on one trait, found by the values that they want where they want values."""

    def __init__(self) -> None:
        self._rules: list[tuple[str, float]] = []
        self._wanted: dict[object, list[int]] = {}
        self._others: list[tuple[int, Rule]] = []

    def add(self, persona: str, rule: Rule) -> None:
        """Take in a rule of a persona."""
        number = len(self._rules)
        self._rules.append((persona, rule.weight))
        if rule.any is None:
            self._others.append((number, rule))
        for value in {_folded(item) for item in rule.any or ()}:
            self._wanted.setdefault(value, []).append(number)

    def fired(self, values: Sequence[object], tags_of: TagsOf) -> Iterator[tuple[str, float]]:
        """The persona and weight of each rule that one of the values fires, each rule once."""
        numbers = {n for item in values for n in self._wanted.get(_folded(item), ())}
        for number, rule in self._others:
            if any(_matches(rule, item, tags_of) for item in values):
                numbers.add(number)
        return (self._rules[number] for number in sorted(numbers))


def _folded(value: object) -> object:
    """Text in one case, and true and false apart from 1 and 0; anything else as it is."""
    if isinstance(value, bool):
        return (value,)
    return value.casefold() if isinstance(value, str) else value


def _matches(rule: Rule, value: object, tags_of: TagsOf) -> bool:
    if rule.tagged is None:
        return _within(rule, value)
    return isinstance(value, str) and not set(rule.tagged).isdisjoint(tags_of(value))


def _within(rule: Rule, value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    above = rule.at_least is None or value >= rule.at_least
    below = rule.at_most is None or value <= rule.at_most
    return above and below
