"""``verify``: may this log be believed?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bandit_service.archive.outfile import written
from bandit_service.cli.logged import log_options, opened_log
from bandit_service.cli.options import progress_bar
from bandit_service.errors import EvaluationError
from bandit_service.evaluation.logs.base import LogDescription, Violation
from bandit_service.evaluation.results import Finding, RatioTest, Verification
from bandit_service.evaluation.verification.sample_ratio import P_VALUE
from bandit_service.evaluation.verification.verify import Sink, verify_log
from bandit_service.printable import printable

_PLACES: Final = 3
"""Places of a finding that the table shows."""
_TESTS: Final = 10
"""Placements whose draw the table shows."""
_COLOURS: Final = {"fatal": "red", "warning": "yellow"}


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What ``--json`` prints."""

    log: LogDescription
    excluded: dict[str, int]
    """Rows and entries that are not rows of an evaluation, by reason."""
    verification: Verification


@click.command()
@log_options
@click.option(
    "--all",
    "every",
    type=click.Path(path_type=Path),
    help="Write every violation to this file, as JSON Lines.",
)
@click.option("--force", is_flag=True, help="Overwrite the file of --all if it exists.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def verify(
    log: tuple[str, ...],
    every: Path | None,
    *,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Check whether a log can be believed: propensities, rewards, order, and the draw itself.

    LOG names files, or a folder of an archive; without it the site's own log is read. Exits with 6
    if something is wrong that makes estimates wrong.

    \b
    Example: bandit-service verify
             bandit-service verify log.parquet --all wrong.jsonl
    """
    with (
        _told(every, force=force) as sink,
        opened_log(log, options) as opened,
    ):
        data = opened.data
        with progress_bar("verifying the log", data.size) as progress:
            verifier = verify_log(data, progress=progress, sink=sink)
        found = Verified(
            log=data.description, excluded=dict(data.excluded), verification=verifier.get()
        )
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)))
    else:
        _print(found, Console(), every)
    fatal = [finding for finding in found.verification.findings if finding.severity == "fatal"]
    if fatal:
        raise EvaluationError(
            f"{found.log.name} must not be believed: "
            + ", ".join(f"{finding.kind} ({finding.count:,})" for finding in fatal),
            hint="mend what is named above, or leave out the part of the log that it is in",
        )


@contextmanager
def _told(every: Path | None, *, force: bool) -> Iterator[Sink | None]:
    """A sink that writes each violation as a line, if a file was named."""
    if every is None:
        yield None
        return
    encoder = msgspec.json.Encoder()
    with written(every, force=force) as out:

        def write(violation: Violation) -> None:
            out.write(encoder.encode(violation) + b"\n")

        yield write


def _print(found: Verified, console: Console, every: Path | None) -> None:
    verification = found.verification
    console.print(f"[bold]{escape(printable(found.log.name))}[/bold]: {verification.rows:,} rows")
    for note in found.log.notes:
        console.print(f"  {printable(note)}", markup=False, highlight=False)
    for reason, count in sorted(found.excluded.items()):
        console.print(f"  left out: {count:,} {reason.replace('_', ' ')}", highlight=False)
    if verification.findings:
        console.print(_findings(verification.findings))
    if verification.sample_ratio:
        console.print(_draws(verification.sample_ratio))
    if every is not None:
        total = sum(finding.count for finding in verification.findings)
        console.print(f"{every}: all {total:,} violations.", markup=False, highlight=False)
    elif any(finding.count > _PLACES for finding in verification.findings):
        console.print("Every single one is listed with --all FILE.", highlight=False)
    console.print(_verdict(verification), markup=False, highlight=False)


def _findings(findings: list[Finding]) -> Table:
    shown = Table("severity", "what", "count", "first", "meaning", title="Findings")
    for finding in findings:
        colour = _COLOURS[finding.severity]
        first = "\n".join(printable(f"{v.place}: {v.message}") for v in finding.first[:_PLACES])
        shown.add_row(
            f"[{colour}]{finding.severity}[/{colour}]",
            finding.kind,
            f"{finding.count:,}",
            escape(first),
            escape(finding.meaning),
        )
    return shown


def _draws(tests: list[RatioTest]) -> Table:
    shown = Table("placement", "rows", "p", "furthest off", title="Drawn as logged?")
    for test in tests[: 1 + _TESTS]:
        p = f"{test.p_value:.2g}"
        said = f"[red]{p}[/red]" if test.p_value < P_VALUE else p
        name, worst = escape(printable(test.name)), escape(printable(test.worst))
        shown.add_row(name, f"{test.n:,}", said, worst)
    return shown


def _verdict(verification: Verification) -> str:
    if verification.fatal:
        return "Do not estimate anything from this log before the fatal findings are mended."
    if verification.findings:
        return "This log can be believed; the warnings above cost precision, not correctness."
    return "This log can be believed: nothing wrong was found."
