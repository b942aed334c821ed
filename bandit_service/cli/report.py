"""The command ``report``: render a result that was kept, as a page and as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, TypeVar

import click

from bandit_service.archive.outfile import written
from bandit_service.errors import InvalidInput
from bandit_service.evaluation.report import sections
from bandit_service.evaluation.report.markdown import markdown
from bandit_service.evaluation.report.page import page
from bandit_service.evaluation.report.sweep import document
from bandit_service.evaluation.report.sweep_door import is_sweep, read_sweep, write_sweep
from bandit_service.evaluation.report.twin import read_json, write_json
from bandit_service.evaluation.results import Evaluation
from bandit_service.evaluation.sweeping.results import SweepResult

Result = TypeVar("Result")
Renderers = Mapping[str, Callable[[Result], bytes]]
"""By suffix of the file."""
_PAGES: Final[Renderers[Evaluation]] = {
    ".html": lambda evaluation: page(evaluation).encode(),
    ".md": lambda evaluation: markdown(evaluation).encode(),
}
_ALL: Final[Renderers[Evaluation]] = {**_PAGES, ".json": write_json}
_SWEEP_PAGES: Final[Renderers[SweepResult]] = {
    ".html": lambda swept: sections.page(document(swept)).encode(),
    ".md": lambda swept: sections.markdown(document(swept)).encode(),
}
_SWEEP_ALL: Final[Renderers[SweepResult]] = {**_SWEEP_PAGES, ".json": write_sweep}


@click.command()
@click.argument("result", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="NAME of the report: NAME.html and NAME.md (default: RESULT without .json).",
)
@click.option("--force", is_flag=True, help="Overwrite the files if they exist.")
def report(result: Path, out: Path | None, *, force: bool) -> None:
    """Render RESULT, the JSON of an evaluation or a sweep, as a page and as Markdown.

    The page is one file that fetches nothing: open it from a disk, mail it, print it.

    \b
    Example: bandit-service report result.json --out report
    """
    data = _bytes(result)
    for path in _rendered(data, str(result), out or result, force=force):
        click.echo(f"Wrote {path}.")


def _rendered(data: bytes, name: str, out: Path, *, force: bool) -> list[Path]:
    if is_sweep(data):
        swept = read_sweep(data, name)
        with _into(out, _SWEEP_PAGES, force=force) as write_swept:
            return write_swept(swept)
    evaluation = read_json(data, name)
    with _into(out, _PAGES, force=force) as write:
        return write(evaluation)


@contextmanager
def report_into(out: Path, *, force: bool) -> Iterator[Callable[[Evaluation], list[Path]]]:
    """What writes NAME.html, NAME.md and NAME.json, and says which files those are.

    They are there when the context ends well, all of them or none. A suffix that is one of these is
    taken as part of no name: ``r.html`` gives ``r.md`` too.

    Raises:
        InvalidInput: at once, if one of them exists and ``force`` is not set, or cannot be written.
        EvaluationError: if the evaluation must not be reported.
    """
    with _into(out, _ALL, force=force) as write:
        yield write


@contextmanager
def sweep_into(out: Path, *, force: bool) -> Iterator[Callable[[SweepResult], list[Path]]]:
    """The same for a sweep; see ``report_into``."""
    with _into(out, _SWEEP_ALL, force=force) as write:
        yield write


@contextmanager
def _into(
    out: Path, renderers: Renderers[Result], *, force: bool
) -> Iterator[Callable[[Result], list[Path]]]:
    if not out.name:
        raise InvalidInput(f"{out} is no name for a report", hint="give a name such as report")
    if _is_folder(out):
        raise InvalidInput(f"{out} is a folder", hint=f"give a name in it: {out / 'report'}")
    name = out.name.removesuffix(out.suffix) if out.suffix in _ALL else out.name
    paths = {suffix: out.with_name(name + suffix) for suffix in renderers}
    with ExitStack() as stack:
        # All are opened before the first is rendered: what is refused is refused at once.
        files = {
            suffix: stack.enter_context(written(path, force=force))
            for suffix, path in paths.items()
        }

        def write(result: Result) -> list[Path]:
            for suffix, file in files.items():
                file.write(renderers[suffix](result))
            return list(paths.values())

        yield write


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that no folder can have
        return False


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise InvalidInput(
            f"{path} cannot be read: {exc.strerror or exc}",
            hint="give a file that bandit-service evaluate or sweep has written",
        ) from exc
