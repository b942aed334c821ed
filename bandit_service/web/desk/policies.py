"""Policies over time: which settings served since when, what changed, and the way back.

A site's settings change by a rebuild alone, which begins a new generation of snapshots. To go back
is a rebuild under the settings of an earlier one: nothing that was learned since is lost, since the
whole log is folded again. It is for admins; editors see what there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from flask import Response, request

from bandit_service import rebuilding
from bandit_service.errors import Conflict
from bandit_service.policy.settings import SiteSettings, differences
from bandit_service.policy.snapshot import SnapshotName
from bandit_service.rebuilding import Launch, Note, noted
from bandit_service.services import Services
from bandit_service.storage.ports import Head, SiteStore
from bandit_service.web.desk import charts
from bandit_service.web.desk.gate import redirect_to
from bandit_service.web.desk.page import Pages, me, writer
from bandit_service.web.desk.routes import PREFIX


class Change(NamedTuple):
    """One setting that differs from the generation before."""

    name: str
    before: str
    after: str


class Era(NamedTuple):
    """One generation, under one set of settings."""

    generation: int
    settings: str
    """Id of the settings."""
    since: int
    """When the log that it was first learned from ended, in ms; 0: from the beginning."""
    serves: bool
    same_as_now: bool
    changes: Sequence[Change]
    policy: Sequence[tuple[str, str]]
    """Every setting with its value."""


class Policies:
    """The page, the piece of it that moves, and the button."""

    def __init__(self, services: Services, pages: Pages, *, launch: Launch | None = None) -> None:
        """Show what ``services`` know; ``launch`` starts rebuilds, see ``rebuilding.start``."""
        self._services = services
        self._pages = pages
        self._launch = launch

    def page(self) -> Response:
        """The page."""
        shown = self._shown()
        days = self._services.reports(me().key.site).daily()
        changes = [(era.since, f"generation {era.generation}") for era in shown["eras"]]
        within = [one for one in changes if days and one[0] >= days[0].day]
        return self._pages.page(
            "policies.html",
            charts=True,
            days=days,
            figure=charts.by_day(days, within, writer()) if len(days) > 1 else None,
            **shown,
        )

    def live(self) -> Response:
        """The piece that moves."""
        return self._pages.part("policies_live.html", **self._shown())

    def go_back(self) -> Response:
        """Serve earlier settings again, by a rebuild.

        Raises:
            Conflict: if they serve now, or a rebuild is going on.
            NotFound: if the site never had them.
        """
        wanted, store = request.form.get("settings", ""), self._store()
        head = store.head()
        if head is not None and SnapshotName.parse(head.name).settings == wanted:
            raise Conflict("these settings serve already", hint="choose others from the list")
        rebuilding.start(
            self._services.settings,
            store,
            wanted,
            by=me().key.id,
            now=self._services.clock(),
            launch=self._launch,
        )
        return redirect_to(f"{PREFIX}/policies")

    def _shown(self) -> dict[str, Any]:
        store, now = self._store(), self._services.clock()
        head, note = store.head(), noted(store)
        names = store.snapshots()
        return {
            "eras": _eras(store, head),
            "head": head,
            "kept": len(names),
            "oldest": SnapshotName.parse(names[-1]).position.ms if names else 0,
            "note": note,
            "runs": note is not None and note.runs(now),
            "lost": note is not None and note.state == "running" and not note.runs(now),
            "progress": _progress(note),
        }

    def _store(self) -> SiteStore:
        return self._services.store.site(me().key.site)


def _eras(store: SiteStore, head: Head | None) -> list[Era]:
    """The generations, the newest first."""
    found: list[Era] = []
    before: SiteSettings | None = None
    now = None if head is None else SnapshotName.parse(head.name).settings
    for first in store.generations():
        name = SnapshotName.parse(first.name)
        data = store.settings(name.settings)
        if data is None:
            continue
        settings = msgspec.json.decode(data, type=SiteSettings)
        found.append(
            Era(
                generation=first.generation,
                settings=name.settings,
                since=first.position.ms,
                serves=head is not None and first.generation == head.generation,
                same_as_now=name.settings == now,
                changes=[] if before is None else _changes(before, settings),
                policy=[(path, _value(settings, path)) for path in _paths(settings)],
            )
        )
        before = settings
    return found[::-1]


def _changes(before: SiteSettings, after: SiteSettings) -> list[Change]:
    return [
        Change(path, _value(before, path), _value(after, path))
        for path in differences(before, after)
    ]


def _paths(settings: SiteSettings) -> list[str]:
    return [
        f"{part}.{name}"
        for part in ("rewards", "policy")
        for name in getattr(settings, part).__struct_fields__
    ]


def _value(settings: SiteSettings, path: str) -> str:
    part, name = path.split(".")
    value = getattr(getattr(settings, part), name)
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def _progress(note: Note | None) -> float | None:
    """How much of the log was folded, from 0 to 1; None where nobody knows."""
    if note is None or not note.total:
        return None
    return min(1.0, note.folded / note.total)
