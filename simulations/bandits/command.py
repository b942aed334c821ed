"""``python -m simulations run`` and ``show``: options in, a study's tables out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial, wraps
from pathlib import Path
from typing import Final, ParamSpec

import click
from rich.console import Console

from bandit_service.errors import BanditError, InvalidInput
from simulations.bandits import plots, results
from simulations.bandits.estimates import tables
from simulations.bandits.policies import FORMS
from simulations.bandits.results import Study
from simulations.bandits.rivals import RIVALS
from simulations.bandits.study import Plan, described, run, study, tasks
from simulations.bandits.table import LEGEND, in_terminal, markdown, size, title
from simulations.bandits.worlds import WORLDS, archive
from simulations.options import processes_option, shown, upworthy_option

MAX_SEEDS: Final = 1_000
SEEDS: Final = 5
QUICK_SEEDS: Final = 1
DEFAULT_WORLDS: Final = ("newsroom:2000", "newsroom:10000", "personas:0.3:10000", "null")
QUICK_WORLDS: Final = ("newsroom:1000", "personas:0.3:1000", "null", "duel")
DEFAULT_POLICIES: Final = ("ours", "uniform")
WIDTH: Final = 180
"""Least width of tables, in characters."""
STUDY_FILE: Final = "study.json"
TABLE_FILE: Final = "tables.md"
CURVES_FILE: Final = "curves.html"

P = ParamSpec("P")


def said(command: Callable[P, None]) -> Callable[P, None]:
    """Show errors of ours as sentences."""

    @wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except BanditError as exc:
            raise click.ClickException(f"{exc.message}\n{exc.hint or ''}".strip()) from exc

    return guarded


def _folder(folder: Path | None) -> Path | None:
    """``--out``, made if only its last part is missing."""
    if folder is not None:
        try:
            folder.mkdir(exist_ok=True)
        except OSError as exc:
            raise InvalidInput(
                f"--out {folder} cannot be used: {exc.strerror}", hint="name a folder"
            ) from exc
    return folder


_OUT = click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"Write {STUDY_FILE}, {TABLE_FILE} and {CURVES_FILE} into that folder.",
)
_AGAINST = click.option(
    "--against",
    default="ours",
    show_default=True,
    help="The policy that the others are compared with, on the same visitors.",
)


@click.command(name="run")
@click.option("--worlds", help="Names with commas between; see --list.")
@click.option("--policies", help="Names with commas between; see --list.")
@click.option("--seeds", type=click.IntRange(1, MAX_SEEDS), help=f"How many; {SEEDS} unless given.")
@click.option("--quick", is_flag=True, help="Small worlds and one seed: less than a minute.")
@upworthy_option
@processes_option
@_OUT
@_AGAINST
@click.option("--list", "listed", is_flag=True, help="Say which worlds and policies there are.")
@said
def run_command(
    *,
    worlds: str | None,
    policies: str | None,
    seeds: int | None,
    quick: bool,
    upworthy: Path | None,
    processes: int,
    out: Path | None,
    against: str,
    listed: bool,
) -> None:
    """Let bandit policies play side by side, in worlds whose truth is known.

    \b
    Example: python -m simulations run --worlds newsroom:2000 --policies ours,uniform --seeds 2
    """
    console = wide_console()
    if listed:
        _list(console)
        return
    chosen = names_of(worlds) if worlds is not None else _default_worlds(console, upworthy, quick)
    plan = Plan(
        worlds=chosen,
        policies=names_of(policies) if policies is not None else DEFAULT_POLICIES,
        seeds=range(1, 1 + (seeds or (QUICK_SEEDS if quick else SEEDS))),
        quick=quick,
        upworthy=upworthy,
    )
    against = _reference(against, plan.policies)
    said = described(plan)
    folder = _folder(out)
    began = time.monotonic()
    parts = tasks(plan)
    played = shown(run(parts, processes=min(processes, len(parts))), "Playing", len(parts))
    done = study(plan, said, list(played))
    _show(console, done, against, folder)
    console.print(f"{len(parts)} runs in {time.monotonic() - began:.0f} s.")


@click.command(name="show")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@_OUT
@_AGAINST
@said
def show_command(*, files: Sequence[Path], out: Path | None, against: str) -> None:
    """Show the tables of studies again, several together as one.

    \b
    Example: python -m simulations show monday/study.json tuesday/study.json --against thompson
    """
    done = results.merged([results.read(file) for file in files])
    _show(wide_console(), done, _reference(against, done.policies), _folder(out))


def _show(console: Console, done: Study, against: str, folder: Path | None) -> None:
    found = tables(done, against=against)
    for table in found:
        console.print(f"{title(table)}\n{size(table)}", soft_wrap=True)
        console.print(in_terminal(table))
    console.print(LEGEND, soft_wrap=True)
    if folder is not None:
        (folder / STUDY_FILE).write_bytes(results.encode(done))
        (folder / TABLE_FILE).write_text(markdown(found), encoding="utf-8")
        (folder / CURVES_FILE).write_text(plots.page(found), encoding="utf-8")
        console.print(f"Written to {folder}: {STUDY_FILE}, {TABLE_FILE}, {CURVES_FILE}.")


def _reference(against: str, policies: Sequence[str]) -> str:
    """``--against``, which must be among the policies unless it is the default."""
    if against in policies:
        return against
    if against == "ours":
        return ""
    raise InvalidInput(
        f"--against {against}: it does not play", hint="name one of " + ", ".join(policies)
    )


def names_of(text: str) -> tuple[str, ...]:
    """Names with commas between, each once.

    Raises:
        InvalidInput: if there is none.
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise InvalidInput("no name was given", hint="--list says which there are")
    return names


def _default_worlds(console: Console, upworthy: Path | None, quick: bool) -> tuple[str, ...]:
    """The default set; the quick one leaves out, aloud, what needs data that is not here."""
    if not quick:
        return DEFAULT_WORLDS
    try:
        archive.found(upworthy)
    except InvalidInput as exc:
        if upworthy is not None:
            raise
        kept = tuple(name for name in QUICK_WORLDS if not WORLDS[name.split(":")[0]].archive)
        missing = ", ".join(name for name in QUICK_WORLDS if name not in kept)
        console.print(f"Left out: {missing}: {exc.message}; {exc.hint}.", soft_wrap=True)
        return kept
    return QUICK_WORLDS


def _list(console: Console) -> None:
    console.print("Worlds:")
    for world in WORLDS.values():
        console.print(f"  {world.form}: {world.words}", soft_wrap=True)
    console.print("Policies:")
    for form, words in FORMS.items():
        console.print(f"  {form}: {words}", soft_wrap=True)
    for name, rival in RIVALS.items():
        needs = f" (needs {rival.package})" if rival.package else ""
        console.print(f"  {name}: {rival.words}{needs}", soft_wrap=True)


def wide_console() -> Console:
    """Where tables are printed: wide enough, and nothing in a name or interval is markup."""
    # Names are no markup: "newsroom:100:" would have a hundred points for an emoji.
    console = partial(Console, highlight=False, markup=False, emoji=False)
    return console(width=max(console().width, WIDTH))
