"""``evaluate``: what would other policies have earned on a log?"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import click

from bandit_service.cli.logged import Opened, log_options, opened_log
from bandit_service.cli.offline import (
    evaluation_options,
    evaluation_settings,
    output_options,
    put_out,
)
from bandit_service.cli.options import progress_bar
from bandit_service.cli.report import report_into
from bandit_service.evaluation.evaluate import EvaluationSettings, evaluated
from bandit_service.evaluation.report.terminal import rendered
from bandit_service.evaluation.report.twin import write_json
from bandit_service.evaluation.results import Evaluation
from bandit_service.evaluation.targets.context import TargetContext
from bandit_service.evaluation.targets.named import KINDS, make_target
from bandit_service.runtime import now_ms

DEFAULT_POLICIES: Final = ("logged", "uniform")
_KINDS: Final = "; ".join(KINDS)


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
@output_options
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
    put_out(write_json(found) if as_json else rendered(found), written)


def _evaluation(
    opened: Opened, policies: tuple[str, ...], settings: EvaluationSettings, *, force: bool
) -> Evaluation:
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
        return evaluated(
            opened.data, targets, settings, force=force, phase=progress_bar, now_ms=now_ms()
        )
