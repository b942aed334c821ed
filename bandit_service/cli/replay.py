"""``replay``: whether what was learned live is what the log makes."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console

from bandit_service.cli.archive import missing_lines
from bandit_service.cli.options import progress_bar, services_from, shared_options, site_option
from bandit_service.errors import SnapshotError
from bandit_service.folds import replay as replaying
from bandit_service.folds.learner import KEEP_SNAPSHOTS
from bandit_service.runtime import spare_the_collector


@click.command()
@click.option(
    "--snapshots",
    type=click.IntRange(min=1),
    default=KEEP_SNAPSHOTS,
    show_default=True,
    help="How many snapshots to compare at most, the newest.",
)
@click.option("--archive-dir", help="Folder of the archive.")
@shared_options
@site_option
def replay(snapshots: int, **options: Any) -> None:
    """Fold a site's recorded log again and compare it with what live learning published.

    Snapshots, counters and outcomes must agree to the bit. Nothing is changed; serving and learning
    go on meanwhile. Exits with 3 if anything differs.

    \b
    Example: bandit-service replay --site main
    """
    with services_from(options) as services:
        store = services.store.site(services.settings.site)
        history = services.history(store.site)
        spare_the_collector()
        with progress_bar("folding the log", history.length()) as progress:
            found = replaying.replay(store, history, progress=progress, snapshots=snapshots)
        for line in missing_lines(history):
            click.echo(line)
    _print(found, Console())
    differ = [check for check in found.checks if not check.agrees]
    if differ:
        raise SnapshotError(
            f"{len(differ)} of {len(found.checks)} comparisons differ; first {differ[0].what}",
            hint="if a visitor was forgotten or entries expired since the last rebuild, that is "
            "why; else the log was changed: restore it, or run bandit-service rebuild --same",
        )


def _print(found: replaying.Replayed, console: Console) -> None:
    agreeing = sum(check.agrees for check in found.checks if check.what.startswith("snapshot"))
    for check in found.checks:
        if check.what.startswith("snapshot") and check.agrees and found.name not in check.what:
            continue  # hundreds of them, summed up below
        verdict = "[green]agrees[/green]" if check.agrees else "[red]DIFFERS[/red]"
        console.print(f"  {verdict}  ", end="")
        console.print(f"{check.what}: {check.says}", soft_wrap=True, markup=False, highlight=False)
    console.print(
        f"Folded {found.entries} entries, learned from {found.outcomes} outcomes: "
        f"{agreeing} of {found.snapshots} snapshots agree bit for bit.",
        soft_wrap=True,
        highlight=False,
    )
