"""Commands that hand out the log: export it for other programs, reveal it to a visitor."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

import click

from bandit_service.archive import export as exporting
from bandit_service.archive import reveal as revealing
from bandit_service.archive.export import REASONS, Tally
from bandit_service.archive.outfile import replacing, written
from bandit_service.archive.reading import LogRow, told
from bandit_service.archive.times import Span, span_of
from bandit_service.cli.archive import missing_lines
from bandit_service.cli.options import progress_bar, services_from, shared_options, site_option
from bandit_service.cli.sites import known_site, read_site_settings, serving_settings
from bandit_service.errors import InvalidInput
from bandit_service.events.entries import START, Position
from bandit_service.events.identity import SiteSecret
from bandit_service.policy.settings import SiteSettings
from bandit_service.services import Services
from bandit_service.storage.ports import Log, entries_of

Format = Literal["parquet", "jsonl", "dsjson"]
FORMATS: Final = ("parquet", "jsonl", "dsjson")
NO_SITE: Final = "name one with --site; a site begins with its first key or catalog"
STANDARD_OUTPUT: Final = Path("-")


@click.command()
@click.option(
    "--format",
    "kind",
    type=click.Choice(FORMATS),
    required=True,
    help="The log in Parquet or JSON Lines, or examples for vw --dsjson.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="The file to write; - for standard output (jsonl, dsjson).",
)
@click.option("--since", help="A date or time, UTC: leave out what was before it.")
@click.option("--until", help="A date or time, UTC: leave out what was at it or later.")
@click.option(
    "--settings",
    "settings_file",
    type=click.Path(path_type=Path),
    help="dsjson: TOML with the rewards to use (default: those of the snapshot that serves).",
)
@click.option("--force", is_flag=True, help="Overwrite the file if it exists.")
@click.option("--archive-dir", help="Folder of the archive.")
@shared_options
@site_option
def export(
    kind: Format,
    out: Path,
    since: str | None,
    until: str | None,
    settings_file: Path | None,
    *,
    force: bool,
    **options: Any,
) -> None:
    """Write a site's log, or the examples it makes, to a file that other programs read.

    \b
    Example: bandit-service export --format dsjson --out log.dsjson --since 2030-01-01
             vw --dsjson --cb_explore_adf -d log.dsjson
    """
    span = span_of(since, until)
    _check(kind, out, settings_file)
    rewards = None if settings_file is None else read_site_settings(settings_file)
    with services_from(options) as services:
        tally = _export(kind, services, out, span, rewards, force=force)
        lacking = list(missing_lines(services.history(services.settings.site)))
    for line in lacking:
        click.echo(line, err=out == STANDARD_OUTPUT)
    for line in _summary(kind, out, services.settings.site, tally):
        click.echo(line, err=out == STANDARD_OUTPUT)


@click.command()
@click.argument("visitor")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=STANDARD_OUTPUT,
    help="The file to write (default: standard output).",
)
@click.option("--force", is_flag=True, help="Overwrite the file if it exists.")
@click.option("--archive-dir", help="Folder of the archive.")
@shared_options
@site_option
def reveal(visitor: str, out: Path, *, force: bool, **options: Any) -> None:
    """Write all that is held about a visitor as one JSON document.

    VISITOR is the id that the website sends; only a keyed hash of it is stored.

    \b
    Example: bandit-service reveal your-id-of-the-visitor --out visitor.json
    """
    with services_from(options) as services, _stream(out, force=force) as stream:
        store = known_site(services, hint=NO_SITE)
        log = services.history(store.site)
        pseudonym = SiteSecret(store.secret()).pseudonym(visitor)
        with progress_bar("reading the log", log.length()) as progress:
            found = revealing.reveal(
                log,
                store.visits(pseudonym),
                pseudonym=pseudonym,
                settings=serving_settings(services, store),
                progress=progress,
            )
        stream.write(revealing.document(found))
    if out != STANDARD_OUTPUT:
        click.echo(f"{out}: {len(found.decisions)} decisions, {len(found.visits)} placements.")


def _check(kind: Format, out: Path, settings_file: Path | None) -> None:
    if kind == "parquet" and out == STANDARD_OUTPUT:
        raise InvalidInput(
            "parquet cannot be written to standard output", hint="name a file with --out"
        )
    if kind != "dsjson" and settings_file is not None:
        raise InvalidInput(
            f"--settings says what events are worth, and {kind} is the log as it is",
            hint="leave it out, or use --format dsjson",
        )


def _log(log: Log, progress: Callable[[int], None], after: Position = START) -> Iterator[LogRow]:
    """The log as it stands now; what is appended meanwhile is left for another time."""
    return told(entries_of(log, after=after, upto=log.tail()), progress)


def _export(
    kind: Format,
    services: Services,
    out: Path,
    span: Span,
    rewards: SiteSettings | None,
    *,
    force: bool,
) -> Tally:
    tally = Tally()
    store = known_site(services, hint=NO_SITE)
    log = services.history(store.site)
    with progress_bar("reading the log", log.length()) as progress:
        if kind == "dsjson":
            settings = rewards or serving_settings(services, store)
            with _stream(out, force=force) as stream:
                exporting.write_examples(_log(log, progress), stream, settings, span, tally)
            return tally
        after = exporting.before(span)
        rows = exporting.entries_in(_log(log, progress, after), span, tally)
        if kind == "jsonl":
            with _stream(out, force=force) as stream:
                exporting.write_jsonl(rows, stream)
        else:
            with replacing(out, force=force) as part:
                exporting.write_parquet(rows, part, site=store.site, after=after)
    return tally


@contextmanager
def _stream(out: Path, *, force: bool) -> Iterator[BinaryIO]:
    """Where to write: a file that appears when all is well, or standard output."""
    if out != STANDARD_OUTPUT:
        with written(out, force=force) as stream:
            yield stream
        return
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise  # whoever read has had enough; click leaves quietly
    except OSError as exc:
        raise InvalidInput(f"standard output cannot be written: {exc.strerror}") from exc


def _summary(kind: Format, out: Path, site: str, tally: Tally) -> Iterator[str]:
    what = "examples" if kind == "dsjson" else "entries"
    parts = ", ".join(f"{count} {name}" for name, count in sorted(tally.written.items()))
    total = tally.written.total()
    where = "standard output" if out == STANDARD_OUTPUT else str(out)
    yield f"{where}: {total} {what} of site {site}" + (f" ({parts})." if parts else ".")
    if tally.held_out:
        yield f"  {tally.held_out} of them held out, drawn uniformly; their propensity says so"
    for name, reason in REASONS.items():
        if tally.left_out[name]:
            yield f"  left out: {tally.left_out[name]} {reason}"
    if not total:
        yield "  The file is valid and empty: there was nothing in this stretch of the log."
