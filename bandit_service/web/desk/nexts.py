"""What to make next: which tags earn more for whom, and where a persona has nothing that suits it.

All placements speak of each tag, so working it out reads the sums of all of them. A process keeps
the answer for KEEP_MS, since what it says changes in days rather than seconds; the page says as of
when it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from flask import Response, request

from bandit_service.catalog.model import Persona
from bandit_service.reporting.gaps import Gap
from bandit_service.reporting.reader import TagReport
from bandit_service.reporting.tag_effects import TagEffect
from bandit_service.services import Services
from bandit_service.web.desk.page import Pages, me
from bandit_service.web.desk.standing import plain

KEEP_MS: Final = 60_000
"""How long a process repeats what it worked out, in ms."""
ROWS: Final = 60
"""Tags of the table; others are counted."""
GAPS: Final = 30
"""Gaps that are listed; others are counted."""
EVERYBODY: Final = ""
"""Stands for everybody among personas."""


class Row(NamedTuple):
    """One tag: its effects run parallel to the columns; None where nothing is known."""

    tag: str
    effects: Sequence[TagEffect | None]


class Lack(NamedTuple):
    """Where a persona has no creative that suits it."""

    gap: Gap
    name: str
    """Of the placement."""
    words: str


class WhatNext:
    """The page."""

    def __init__(self, services: Services, pages: Pages) -> None:
        """Show what ``services`` know."""
        self._services = services
        self._pages = pages
        self._kept: dict[str, tuple[int, TagReport]] = {}

    def page(self) -> Response:
        """The page."""
        site = me().key.site
        view, report = self._services.view(site), self._report(site)
        personas = view.personas.personas
        whom = request.args.get("persona", EVERYBODY)
        chosen = whom if whom in {persona.id for persona in personas} else EVERYBODY
        rows = _rows(report.effects, personas, chosen)
        lacks = [gap for gap in report.gaps if chosen in (EVERYBODY, gap.persona)]
        shelves = view.shelves
        return self._pages.page(
            "next.html",
            as_of=report.as_of,
            columns=[EVERYBODY, *(persona.id for persona in personas)],
            names=_names(personas),
            chosen=chosen,
            told=_told(report.effects, chosen),
            rows=rows[:ROWS],
            more=max(0, len(rows) - ROWS),
            lacks=[
                Lack(gap, shelves[gap.placement].placement.name or gap.placement, plain(gap.says))
                for gap in lacks[:GAPS]
                if gap.placement in shelves
            ],
            more_lacks=max(0, len(lacks) - GAPS),
        )

    def _report(self, site: str) -> TagReport:
        now = self._services.clock()
        known = self._kept.get(site)
        if known is not None and 0 <= now - known[0] < KEEP_MS:
            return known[1]
        report = self._services.reports(site).tags()
        self._kept[site] = (now, report)
        return report


def _names(personas: Sequence[Persona]) -> dict[str, str]:
    return {EVERYBODY: "Everybody", **{p.id: p.name or p.id for p in personas}}


def _told(effects: Sequence[TagEffect], chosen: str) -> list[TagEffect]:
    """What can be said with some certainty, of whom is chosen."""
    sure = [effect for effect in effects if effect.effect in ("more", "less")]
    return [effect for effect in sure if chosen in (EVERYBODY, effect.persona or EVERYBODY)]


def _rows(effects: Sequence[TagEffect], personas: Sequence[Persona], chosen: str) -> list[Row]:
    """The tags in the order in which the report has them, those with something to say first."""
    columns: list[str | None] = [None, *(persona.id for persona in personas)]
    found: dict[str, dict[str | None, TagEffect]] = {}
    ordered = sorted(effects, key=lambda effect: (effect.persona or EVERYBODY) != chosen)
    for effect in ordered:
        found.setdefault(effect.tag, {})[effect.persona] = effect
    return [Row(tag, [known.get(column) for column in columns]) for tag, known in found.items()]
