"""The personas: what each is, how it is recognised, how many of it come, what they respond to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from flask import Response

from bandit_service.catalog.model import Persona, Rule
from bandit_service.catalog.personas import UNKNOWN
from bandit_service.reporting.personas_report import PersonaWorth
from bandit_service.reporting.words import persona_worth
from bandit_service.services import Services
from bandit_service.web.desk.changes import editor_of
from bandit_service.web.desk.page import Pages, me


class Recognised(NamedTuple):
    """One persona."""

    id: str
    name: str
    description: str
    rules: Sequence[str]
    """In words."""
    worth: PersonaWorth | None
    """None: nobody came yet."""
    says: str
    """Whether it earns its keep, in a sentence."""
    share: float | None
    """Of all visits."""


class PersonasPage:
    """The page and the piece of it that moves."""

    def __init__(self, services: Services, pages: Pages) -> None:
        """Show what ``services`` know."""
        self._services = services
        self._pages = pages

    def page(self) -> Response:
        """The page."""
        return self._pages.page("personas.html", **self._shown())

    def live(self) -> Response:
        """The piece that moves."""
        return self._pages.part("personas_live.html", **self._shown())

    def _shown(self) -> dict[str, Any]:
        personas = editor_of(self._services).personas()
        report = self._services.reports(me().key.site).personas()
        worths = {worth.persona: worth for worth in report.personas}
        visits = sum(worth.shown for worth in report.personas)
        unknown = Persona(
            id=UNKNOWN, name="Unknown", description="Visitors of whom too little is known."
        )
        return {
            "settings": personas,
            "as_of": report.as_of,
            "found": [
                _recognised(persona, worths.get(persona.id), visits)
                for persona in (*personas.personas, unknown)
            ],
        }


def _recognised(persona: Persona, worth: PersonaWorth | None, visits: int) -> Recognised:
    return Recognised(
        id=persona.id,
        name=persona.name or persona.id,
        description=persona.description,
        rules=[in_words(rule) for rule in persona.rules],
        worth=worth,
        says="" if worth is None else _said(worth, persona),
        share=worth.shown / visits if worth is not None and visits else None,
    )


def _said(worth: PersonaWorth, persona: Persona) -> str:
    """The sentence of the report, with the persona's name for its id."""
    name = "visitors of no persona" if persona.id == UNKNOWN else persona.name or persona.id
    says = persona_worth(name, worth.worth, worth.relative)
    return says[:1].upper() + says[1:]


def in_words(rule: Rule) -> str:
    """A rule as a sentence without its subject: ``genres has romance or drama (weight 3)``."""
    if rule.any is not None:
        what = f"has {_either([str(value) for value in rule.any])}"
    elif rule.tagged is not None:
        what = f"names something tagged {_either(rule.tagged)}"
    else:
        bounds = []
        if rule.at_least is not None:
            bounds.append(f"at least {rule.at_least:g}")
        if rule.at_most is not None:
            bounds.append(f"at most {rule.at_most:g}")
        what = f"is {' and '.join(bounds)}"
    return f"{rule.trait} {what}, weight {rule.weight:g}"


def _either(values: Sequence[str]) -> str:
    shown = list(values[:6])
    more = len(values) - len(shown)
    if more:
        return f"{', '.join(shown)} or one of {more} more"
    return " or ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
