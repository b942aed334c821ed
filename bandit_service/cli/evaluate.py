"""``evaluate``: what would other policies have earned on a log?"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from rich.console import Console

from bandit_service.cli.logged import Opened, log_options, opened_log
from bandit_service.cli.options import progress_bar
from bandit_service.cli.report import report_into
from bandit_service.evaluation.estimators import EstimatorSettings
from bandit_service.evaluation.evaluate import (
    EvaluationSettings,
    check_evaluation,
    result,
    score,
)
from bandit_service.evaluation.report.terminal import rendered
from bandit_service.evaluation.report.twin import write_json
from bandit_service.evaluation.results import Evaluation
from bandit_service.evaluation.survey import check, survey
from bandit_service.evaluation.targets.context import TargetContext
from bandit_service.evaluation.targets.named import KINDS, make_target
from bandit_service.runtime import now_ms

DEFAULT_POLICIES: Final = ("logged", "uniform")
WIDTH: Final = 140
"""Least width of what is printed to a file, in characters; a terminal has its own."""
_KINDS: Final = "; ".join(KINDS)

Command = TypeVar("Command", bound=Callable[..., Any])
_BIAS: Final = ("clip", "switch", "shrinkage")


def evaluation_options(command: Command) -> Command:
    """How to estimate; call ``evaluation_settings`` with what they give."""
    usual = EvaluationSettings()
    for name, default, told in (
        ("seed", usual.seed, "Of the bootstrap."),
        ("shrinkage", usual.estimators.shrinkage, "dr-os: lambda, the square of a large weight."),
        (
            "switch",
            usual.estimators.switch,
            "switch-dr: larger weights are left to the model.",
        ),
        ("clip", usual.estimators.clip, "clipped-ips: larger weights count as this."),
        ("confidence", usual.confidence, "Of intervals."),
    ):
        option = click.option(
            f"--{name}", type=type(default), default=default, show_default=True, help=told
        )
        command = option(command)
    return command


def evaluation_settings(options: dict[str, Any]) -> EvaluationSettings:
    """Take the options of ``evaluation_options`` out of all options.

    Raises:
        InvalidInput, SettingsError: if one cannot be used.
    """
    bias = EstimatorSettings(**{name: options.pop(name) for name in _BIAS})
    seed, confidence = options.pop("seed"), options.pop("confidence")
    return check_evaluation(EvaluationSettings(confidence=confidence, estimators=bias, seed=seed))


@click.command()
@log_options
@click.option(
    "--policy",
    "policies",
    multiple=True,
    metavar="POLICY",
    help=f"A policy to evaluate, repeatable: {_KINDS}. Default: logged and uniform.",
)
@evaluation_options
@click.option(
    "--report",
    "out",
    type=click.Path(path_type=Path),
    metavar="NAME",
    help="Write NAME.html, NAME.md and NAME.json.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option(
    "--force",
    is_flag=True,
    help="Evaluate a log that must not be believed, and mark the result; overwrite reports.",
)
def evaluate(
    log: tuple[str, ...],
    policies: tuple[str, ...],
    out: Path | None,
    *,
    as_json: bool,
    force: bool,
    **options: Any,
) -> None:
    """Estimate what other policies would have earned, with intervals and all that casts doubt.

    LOG is as of verify. The log is verified first: one that must not be believed is refused.

    \b
    Example: bandit-service evaluate --policy uniform --policy policy:config/site.toml
             bandit-service evaluate obd:random/men --policy frequencies:obd:bts/men
    """
    settings = evaluation_settings(options)
    with ExitStack() as stack:
        write = None if out is None else stack.enter_context(report_into(out, force=force))
        opened = stack.enter_context(opened_log(log, options))
        found = _evaluation(opened, policies or DEFAULT_POLICIES, settings, force=force)
        written = [] if write is None else write(found)
    if as_json:
        click.echo(write_json(found))
    else:
        console = Console()
        wide = max(console.width, WIDTH) if not console.is_terminal else console.width
        Console(width=wide).print(rendered(found))
    for path in written:
        click.echo(f"Wrote {path}.", err=as_json)


def _evaluation(
    opened: Opened, policies: tuple[str, ...], settings: EvaluationSettings, *, force: bool
) -> Evaluation:
    data = opened.data
    context = TargetContext(
        settings=opened.settings,
        snapshot=opened.snapshot,
        open_log=opened.other,
        python_path=(Path.cwd(),),
    )
    with ExitStack() as stack:
        targets = [make_target(words, context) for words in dict.fromkeys(policies)]
        for target in targets:
            stack.callback(target.close)
        with progress_bar("verifying the log", data.size) as progress:
            found = survey(data, progress=progress)
        forced = check(found, name=data.description.name, force=force)
        with progress_bar(f"scoring {len(targets)} policies", data.size) as progress:
            scores = score(data, targets, found, settings, progress=progress)
        return result(
            data,
            targets,
            found,
            scores,
            settings,
            forced=forced,
            now_ms=now_ms(),
            version=version("bandit-service"),
        )
