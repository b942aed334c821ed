"""The page of a placement: its variants as visitors see them, for whom they work, and why.

The catalog is read from the store, so that whoever just changed it sees the change whichever
process answers; the policy is this process's own. What moves is in one template that the page
includes and the script fetches by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from flask import Response, request

from bandit_service.catalog.edit import is_unseen
from bandit_service.catalog.model import Personas, Placement, Status, Variant
from bandit_service.catalog.moments import ms_of
from bandit_service.reporting.estimates import Difference, Estimate
from bandit_service.reporting.placement_report import PlacementReport
from bandit_service.services import Services
from bandit_service.serving.editing import etag
from bandit_service.serving.outlook import outlooks
from bandit_service.web.desk import charts
from bandit_service.web.desk.heat import NONE, heat_of
from bandit_service.web.desk.histories import past_of
from bandit_service.web.desk.page import Pages, me, writer
from bandit_service.web.desk.reasons import Reason, reason_of
from bandit_service.web.desk.said import said
from bandit_service.web.desk.standing import standing

GROUPS: Final = ("Live", "Scheduled", "Drafts", "Paused", "Over", "Behind the winner", "Retired")
"""What becomes of variants, as the page orders them."""
_ORDER: Final[Mapping[Status, int]] = {"live": 0, "draft": 1, "paused": 2, "retired": 3}


class PlacementPage:
    """The page and the piece of it that moves."""

    def __init__(self, services: Services, pages: Pages) -> None:
        """Show what ``services`` know."""
        self._services = services
        self._pages = pages

    def page(self, placement: str) -> Response:
        """The page.

        Raises:
            NotFound: if there is no such placement.
        """
        shown = self._shown(placement)
        return self._pages.page(
            "placement.html",
            charts=True,
            said=said(request.args, shown["placement"]),
            past=past_of(self._services, me().key.site, placement),
            **shown,
        )

    def live(self, placement: str) -> Response:
        """The piece that moves."""
        return self._pages.part("placement_live.html", **self._shown(placement))

    def _shown(self, name: str) -> dict[str, Any]:
        site = me().key.site
        editor = self._services.editor(site, by=me().key.id)
        placement, personas = editor.placement(name), editor.personas()
        report = self._services.reports(site).placement(name)
        reasons = self._reasons(site, name, personas)
        ordered = sorted(placement.variants, key=lambda v: _ORDER[v.status])
        now = self._services.clock()
        seen = [v for v in ordered if v.status != "draft"]
        return {
            "placement": placement,
            "etag": etag(placement),
            "etags": {variant.id: etag(variant) for variant in placement.variants},
            "standing": standing(placement, report.state, report.says, now=now),
            "unseen": {v.id for v in placement.variants if is_unseen(placement, v, now)},
            "numbers": report,
            "groups": _groups(ordered, placement, now),
            "facts": _facts(placement, report, reasons),
            "personas": {persona.id: persona for persona in personas.personas},
            "window": self._services.site_settings.rewards.window_seconds,
            "heat": heat_of(seen, personas.personas, report),
            "reasons": reasons,
            "figure": charts.rates(seen, report, writer()),
            "courses": charts.courses(placement.variants, report, writer()),
            "colours": charts.colours_of(placement.variants),
        }

    def _reasons(self, site: str, placement: str, personas: Personas) -> list[Reason]:
        names = {persona.id: persona.name for persona in personas.personas}
        now = self._services.clock()
        found = outlooks(self._services.view(site), placement, now=now)
        return [reason_of(outlook, names, writer()) for outlook in found]


class Facts(NamedTuple):
    """What the page says of one variant beside what it shows."""

    share: float | None
    """Of the traffic so far."""
    shown: int
    """Visits, those that are not over yet included."""
    clicked: int
    """Those of them that earned something so far."""
    estimate: Estimate
    to_leader: Difference | None
    leads: bool
    seen_most_by: Sequence[str]
    """Names of the personas that it is shown to most."""


def _facts(
    placement: Placement, report: PlacementReport, reasons: Sequence[Reason]
) -> dict[str, Facts]:
    lines = {line.arm: line for line in report.variants}
    found = {}
    for variant in placement.variants:
        line = lines.get(variant.arm)
        found[variant.id] = Facts(
            share=line.shown / report.shown if line is not None and report.shown else None,
            shown=0 if line is None else line.shown,
            clicked=0 if line is None else line.rewarded,
            estimate=NONE if line is None else line.estimate,
            to_leader=None if line is None else line.to_leader,
            leads=report.leader == variant.arm,
            seen_most_by=[reason.name for reason in reasons if reason.variant == variant.id],
        )
    return found


def _groups(
    ordered: Sequence[Variant], placement: Placement, now: int
) -> list[tuple[str, list[Variant]]]:
    """Variants by what becomes of them, under what each group is called."""
    shown = {variant.id for variant in placement.live(now)}
    groups: dict[str, list[Variant]] = {title: [] for title in GROUPS}
    for variant in ordered:
        groups[_group(variant, shown, now)].append(variant)
    return [(title, found) for title, found in groups.items() if found]


def _group(variant: Variant, shown: set[str], now: int) -> str:
    if variant.status != "live":
        return {"draft": "Drafts", "paused": "Paused"}.get(variant.status, "Retired")
    if variant.id in shown:
        return "Live"
    if variant.live_from is not None and ms_of(variant.live_from) > now:
        return "Scheduled"
    if variant.live_until is not None and ms_of(variant.live_until) <= now:
        return "Over"
    return "Behind the winner"
