"""Commands that fold the log again: rebuild it into a model, explain one decision of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from rich.console import Console

from bandit_service.archive.history import History
from bandit_service.cli.archive import missing_lines
from bandit_service.cli.options import progress_bar, services_from, shared_options, site_option
from bandit_service.cli.processes import stop_with_parent, terminated_as_interrupt
from bandit_service.cli.sites import read_site_settings
from bandit_service.errors import NotFound, SnapshotError
from bandit_service.folds import explain as explaining
from bandit_service.folds import rebuild as rebuilding
from bandit_service.folds.learner import stored_settings
from bandit_service.policy.settings import SiteSettings, differences
from bandit_service.policy.snapshot import Snapshot
from bandit_service.rebuilding import Telling
from bandit_service.runtime import spare_the_collector
from bandit_service.services import Services
from bandit_service.storage.ports import SiteStore

_NICENESS: Final = 10
"""How far a rebuild that runs beside visitors steps back for them."""


@click.command()
@click.option(
    "--settings",
    "settings_file",
    type=click.Path(path_type=Path),
    help="TOML with other rewards or policy (default: what the configuration says now).",
)
@click.option("--same", is_flag=True, help="Keep the settings that serve now.")
@click.option("--settings-id", help="Settings that the site had before, by their id.")
@click.option("--noted", is_flag=True, hidden=True, help="Tell the desk how far it is.")
@click.option("--parent", type=int, hidden=True, help="Stop when this process is gone.")
@shared_options
@site_option
def rebuild(
    settings_file: Path | None,
    same: bool,
    settings_id: str | None,
    noted: bool,
    parent: int | None,
    **options: Any,
) -> None:
    """Fold a site's whole log from nothing and serve the result, at the same or other settings.

    Serving and learning go on meanwhile; stopping half-way changes nothing.

    \b
    Example: bandit-service rebuild --settings config/site.toml
    """
    stop_with_parent(parent)
    if parent is not None:
        os.nice(_NICENESS)
    with services_from(options) as services, terminated_as_interrupt():
        store = services.store.site(services.settings.site)
        telling = Telling(store, clock=services.clock) if noted else None
        with telling or nullcontext():
            present = _present(services)
            earlier = _earlier(services, settings_id)
            wanted = _wanted(services, settings_file, earlier or (present if same else None))
            spare_the_collector()
            history = services.history(services.settings.site)
            snapshot = _rebuilt(store, wanted, history, telling)
            for line in missing_lines(history):
                click.echo(line)
    changed = [] if present is None else differences(present, wanted)
    click.echo(f"Serving {snapshot.name}, learned from {snapshot.outcomes} outcomes.")
    click.echo(f"Changed: {', '.join(changed)}." if changed else "The settings are as before.")


@click.command()
@click.argument("decision")
@shared_options
@site_option
def explain(decision: str, **options: Any) -> None:
    """Print one decision, and derive it again from the log and the snapshot that it names.

    Exits with 3 if the derivation does not agree with what was logged.

    \b
    Example: bandit-service explain AZqx3Jk0...
    """
    with services_from(options) as services:
        store = services.store.site(services.settings.site)
        history = services.history(services.settings.site)
        with progress_bar("folding the log", store.length()) as progress:
            found = explaining.explain(
                store,
                decision,
                defaults=services.site_settings,
                progress=progress,
                history=history,
            )
    _print(found, Console())
    if not found.agrees:
        raise SnapshotError("the decision cannot be derived again: log and snapshot disagree")


def _rebuilt(
    store: SiteStore, wanted: SiteSettings, history: History, telling: Telling | None
) -> Snapshot:
    length = history.length()
    if telling is not None:
        telling.expect(length)
        told: Snapshot = rebuilding.rebuild(
            store, wanted, progress=telling.advance, history=history
        )
        telling.done(told.name)
        return told
    with progress_bar("folding the log", length) as progress:
        return rebuilding.rebuild(store, wanted, progress=progress, history=history)


def _earlier(services: Services, settings_id: str | None) -> SiteSettings | None:
    """Settings by their id; None if no id is given."""
    if settings_id is None:
        return None
    data = services.store.site(services.settings.site).settings(settings_id)
    if data is None:
        raise NotFound(
            f"the site never had settings {settings_id[:80]!r}",
            hint="the second part of a snapshot's name is the id of its settings",
        )
    return msgspec.json.decode(data, type=SiteSettings)


def _present(services: Services) -> SiteSettings | None:
    store = services.store.site(services.settings.site)
    head = store.head()
    return None if head is None else stored_settings(store, head.name)


def _wanted(services: Services, file: Path | None, same: SiteSettings | None) -> SiteSettings:
    if file is not None:
        return read_site_settings(file)
    return same or services.site_settings


def _print(found: explaining.Explanation, console: Console) -> None:
    logged = found.decision
    console.print(f"[bold]{logged.id}[/bold]  at {found.position} in the log", soft_wrap=True)
    for label, value in (
        ("placement", f"{logged.placement}, revision {logged.revision}"),
        ("persona", f"{logged.persona}, confidence {logged.confidence:.3f}"),
        ("visitor", f"{logged.visitor or 'not named'}, slot {logged.slot}"),
        ("context", logged.context),
        ("traits", logged.traits),
        ("excluded", logged.exclude or "nothing"),
        ("snapshot", logged.snapshot + (" (derived from the log)" if found.refolded else "")),
        ("features", found.shared),
    ):
        console.print(f"  {label:10} {value}", soft_wrap=True, markup=False, highlight=False)
    for line in _candidates(found):
        console.print(f"  {line}", soft_wrap=True, markup=False, highlight=False)
    where = "the holdout, drawn uniformly" if logged.holdout else "what was learned"
    console.print(f"  drawn from {where}; reason: {logged.reason}")
    console.print(f"  outcome    {_outcome(found)}", soft_wrap=True, markup=False)
    verdict = "[green]agrees bit for bit[/green]" if found.agrees else "[red]DISAGREES[/red]"
    console.print(f"  derived again from log and snapshot: {verdict}")


def _candidates(found: explaining.Explanation) -> Iterator[str]:
    logged, derived = found.decision, found.derived
    width = max(len(arm) for arm in logged.arms)
    yield f"{'candidate':{width}}  expected   learned   logged probability     derived probability"
    for n, arm in enumerate(logged.arms):
        shown = "  shown" if n == logged.chosen else ""
        yield (
            f"{arm:{width}}  {derived.rewards[n]:<9.5f}  {derived.learned[n]:<8.5f}  "
            f"{logged.probabilities[n]!r:21}  {derived.overall[n]!r:21}{shown}"
        )
        yield f"{'':{width}}  {found.lines[n]}"


def _outcome(found: explaining.Explanation) -> str:
    events = ", ".join(e.type if e.value is None else f"{e.type} {e.value:g}" for e in found.events)
    heard = f"heard: {events or 'nothing'}"
    again = "; a repeated view of an earlier decision's unit" if found.repeats else ""
    if found.outcome is None:
        return f"open; {heard}{again}"
    return f"{found.outcome.kind}, reward {found.outcome.reward:g}; {heard}{again}"
