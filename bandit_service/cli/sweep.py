"""``sweep``: of many policies, which one to adopt?"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from bandit_service.cli.logged import Opened, log_options, opened_log
from bandit_service.cli.offline import (
    evaluation_options,
    evaluation_settings,
    output_options,
    put_out,
)
from bandit_service.cli.options import progress_bar
from bandit_service.cli.processes import terminated_as_interrupt
from bandit_service.cli.report import sweep_into
from bandit_service.errors import InvalidInput
from bandit_service.evaluation.evaluate import result
from bandit_service.evaluation.report.sections import terminal
from bandit_service.evaluation.report.sweep import document
from bandit_service.evaluation.report.sweep_door import write_sweep
from bandit_service.evaluation.survey import check, survey
from bandit_service.evaluation.sweeping.grid import Plan, plan_of_files, plan_of_grid
from bandit_service.evaluation.sweeping.results import SweepResult
from bandit_service.evaluation.sweeping.sweep import HELD_OUT, SweepSettings, check_sweep
from bandit_service.evaluation.sweeping.sweep import sweep as sweep_over
from bandit_service.policy.settings import SiteSettings
from bandit_service.runtime import now_ms


@click.command()
@log_options
@click.option(
    "--policy",
    "policies",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="TOML with settings to try, as site.toml; repeatable.",
)
@click.option(
    "--grid",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="TOML that says what to vary; config/sweep.toml is an example.",
)
@click.option("--blind", is_flag=True, help="Try each without persona and traits too.")
@click.option(
    "--processes",
    type=int,
    default=None,
    help="Policies to read at a time, each in a process (default: one for each core).",
)
@click.option(
    "--held-out",
    type=float,
    default=HELD_OUT,
    show_default=True,
    help="The part of the rows, the last, that takes no part in choosing.",
)
@evaluation_options
@output_options
def sweep(
    log: tuple[str, ...],
    policies: tuple[Path, ...],
    grid: Path | None,
    out: Path | None,
    *,
    as_json: bool,
    force: bool,
    **options: Any,
) -> None:
    """Try many settings on a log, rank them, and confirm the best on rows that did not choose it.

    LOG is as of verify. The base, which all are compared with, is the grid's, or the settings that
    are in force. It also says how much to explore.

    \b
    Example: bandit-service sweep --grid config/sweep.toml --report sweep
             bandit-service sweep log.parquet --policy a.toml --policy b.toml
    """
    blind = options.pop("blind")
    settings = check_sweep(
        SweepSettings(
            held_out=options.pop("held_out"),
            processes=_given(options.pop("processes")),
            evaluation=evaluation_settings(options),
        )
    )
    _check(policies, grid)
    with ExitStack() as stack:
        stack.enter_context(terminated_as_interrupt())
        write = None if out is None else stack.enter_context(sweep_into(out, force=force))
        opened = stack.enter_context(opened_log(log, options))
        plan = _plan(policies, grid, opened.settings, blind=blind)
        found = _swept(opened, plan, settings, force=force)
        written = [] if write is None else write(found)
    put_out(write_sweep(found) if as_json else terminal(document(found)), written)


def _given(processes: int | None) -> int:
    return (os.cpu_count() or 1) if processes is None else processes


def _check(policies: tuple[Path, ...], grid: Path | None) -> None:
    if bool(policies) == (grid is not None):
        raise InvalidInput(
            "say what to try: either files with --policy, or a grid with --grid",
            hint="config/sweep.toml is a grid to begin with",
        )


def _plan(
    policies: tuple[Path, ...], grid: Path | None, present: SiteSettings, *, blind: bool
) -> Plan:
    if grid is not None:
        return plan_of_grid(grid, present, blind=blind)
    return plan_of_files(policies, present, blind=blind)


def _swept(opened: Opened, plan: Plan, settings: SweepSettings, *, force: bool) -> SweepResult:
    data = opened.data
    with progress_bar("verifying the log", data.size) as progress:
        found = survey(data, progress=progress)
    forced = check(found, name=data.description.name, force=force)
    whole = result(data, [], found, [], settings.evaluation, forced=forced, now_ms=now_ms())
    readings = len(plan.points) + 1
    total = None if data.size is None else readings * data.size
    with progress_bar(f"reading the log {readings} times", total) as progress:
        return sweep_over(
            data,
            plan,
            found,
            settings,
            open_log=opened.again,
            evaluated=opened.settings,
            progress=progress,
            whole=whole,
        )
