"""The Open Bandit Dataset, offline: what policies would have earned, beside what they did earn.

    python -m simulations obd

Both policies of the dataset ran in the same week on the same pages, so each campaign has the answer
to two questions: what would ``bts`` have earned, by the log of ``random``; and what would uniform
choice have earned, by the log of ``bts``. The first can be answered. The second cannot, or hardly:
``bts`` came down to some items once in tens of thousands of draws, and that must be said.

``bts`` is known by how often it showed each item at each position, which is its average over that
week's visitors (``targets.frequencies``); what it earned beside other visitors is noise of its own.
Policies that learn have no rate to compare with: nobody ran them.

Rows are taken as independent. The sample names no visitors; a page showed three items at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, nullcontext
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from rich.table import Table
from rich.text import Text

from bandit_service.evaluation.evaluate import EvaluationSettings, evaluated
from bandit_service.evaluation.logs.base import LoggedData
from bandit_service.evaluation.logs.named import open_log
from bandit_service.evaluation.report import words
from bandit_service.evaluation.report.numbers import Scale, size, weight
from bandit_service.evaluation.results import Estimate, Evaluation, PolicyResult
from bandit_service.evaluation.targets.context import TargetContext
from bandit_service.evaluation.targets.named import make_target
from bandit_service.policy.settings import SiteSettings
from simulations.obd import Rate

CAMPAIGNS: Final = ("all", "men", "women")
LEARNED: Final = ("policy", "blind")
SCALE: Final = Scale(percent=True, decimals=3)


class Line(NamedTuple):
    """A policy on a log."""

    campaign: str
    log: str
    policy: PolicyResult
    ran: Rate | None
    """What it earned where it ran; None if it never did."""

    @property
    def quoted(self) -> Estimate:
        """The estimate to quote."""
        (found,) = (one for one in self.policy.estimates if one.estimator == self.policy.headline)
        return found


def lines(
    campaigns: Sequence[str], *, learned: Path, config_path: Path, cache_dir: Path | None = None
) -> Iterator[Line]:
    """Every policy on every log, campaign after campaign.

    Args:
        campaigns: some of CAMPAIGNS.
        learned: settings of a policy that learns from the log of ``random``, with and without the
            visitors' features.
        config_path: the configuration folder, with the mapping of the dataset.
        cache_dir: where the dataset is; None for the user's cache folder.

    Raises:
        DatasetError: if the dataset was not fetched.
    """
    opened = partial(
        open_log, settings=SiteSettings(), config_path=config_path, cache_dir=cache_dir
    )
    for campaign in campaigns:
        random, bts = f"obd:random/{campaign}", f"obd:bts/{campaign}"
        followed = f"frequencies:{bts}"
        learning = [f"{kind}:{learned}" for kind in LEARNED]
        there = read(random, ["logged", followed, *learning], opened)
        back = read(bts, ["logged", "uniform"], opened)
        ran = {"logged": _rate(there), "uniform": _rate(there), followed: _rate(back)}
        for found, name in ((there, random), (back, bts)):
            for policy in found.policies:
                mine = _rate(found) if policy.name == "logged" else ran.get(policy.name)
                yield Line(campaign, name, policy, mine)


def read(log: str, policies: Sequence[str], opened: partial[LoggedData]) -> Evaluation:
    """A log evaluated, as ``bandit-service evaluate`` does it.

    Raises:
        DatasetError: if the dataset was not fetched.
        EvaluationError: if the log must not be believed.
    """
    with ExitStack() as stack:
        data = stack.enter_context(closing(opened([log])))
        context = TargetContext(open_log=lambda other: opened([other]))
        targets = [make_target(policy, context) for policy in policies]
        for target in targets:
            stack.callback(target.close)
        settings = EvaluationSettings()
        unseen = nullcontext(_untold)  # all of it takes seconds
        return evaluated(data, targets, settings, force=False, phase=lambda *_: unseen, now_ms=0)


def table(campaign: str, found: Sequence[Line]) -> Table:
    """The policies of one campaign."""
    shown = Table(title=Text(f"Campaign {campaign}"), title_justify="left")
    for name in ("Log", "Policy"):
        shown.add_column(name, overflow="fold")
    for name in ("It earned", "Estimate", "95% interval", "ESS", "Largest weight"):
        shown.add_column(name, justify="right")
    shown.add_column("By")
    shown.add_column("Beside the log")
    for line in found:
        shown.add_row(*map(Text, _cells(line)))
    return shown


def _cells(line: Line) -> Iterator[str]:
    quoted = line.quoted
    yield line.log.removeprefix("obd:").split("/")[0]
    yield line.policy.name
    yield "never ran" if line.ran is None else SCALE.value(line.ran.value)
    yield SCALE.value(quoted.value)
    first = quoted.intervals[0] if quoted.intervals else None
    yield "none" if first is None else SCALE.interval(first.low, first.high)
    yield size(quoted.ess)
    yield weight(quoted.max_weight)
    kind = "" if first is None else f", {words.kind_label(first.kind)}"
    yield f"{words.estimator(quoted.estimator)}{kind}" if quoted.value is not None else "nothing"
    yield beside(line)


def beside(line: Line) -> str:
    """Whether the policy is told from what was running, and which way."""
    gain = line.policy.gain
    if line.quoted.value is None:
        return "no answer"
    if gain.status != "ok" or not gain.intervals:
        return "not told apart"
    low, high = gain.intervals[0].low, gain.intervals[0].high
    if low == high == 0:
        return "the same"
    return "more" if low > 0 else "less" if high < 0 else "not told apart"


def _rate(found: Evaluation) -> Rate:
    return Rate(found.clicks, found.rows)


def _untold(_: int) -> None:
    """Is told of progress, of which nobody is told."""
