"""What ``evaluate`` and ``sweep`` share: how to estimate, and where the result goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from rich.console import Console, RenderableType

from bandit_service.evaluation.estimators import EstimatorSettings
from bandit_service.evaluation.evaluate import EvaluationSettings, check_evaluation

WIDTH: Final = 140
"""Least width of what is printed to a file, in characters; a terminal has its own."""

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


def output_options(command: Command) -> Command:
    """Where the result goes, and whether a log that must not be believed is gone on with."""
    for option in (
        click.option(
            "--force",
            is_flag=True,
            help="Go on with a log that must not be believed, and mark the result; overwrite "
            "reports.",
        ),
        click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
        click.option(
            "--report",
            "out",
            type=click.Path(path_type=Path),
            metavar="NAME",
            help="Write NAME.html, NAME.md and NAME.json.",
        ),
    ):
        command = option(command)
    return command


def put_out(result: bytes | RenderableType, written: Sequence[Path]) -> None:
    """Print a result, as JSON or as it is shown, and which files were written."""
    as_json = isinstance(result, bytes)
    if as_json:
        click.echo(result)
    else:
        console = Console()
        wide = max(console.width, WIDTH) if not console.is_terminal else console.width
        Console(width=wide).print(result)
    for path in written:
        click.echo(f"Wrote {path}.", err=as_json)
