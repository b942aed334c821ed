"""How much to explore: enough that the next log can answer, and no more than that.

*Enough* is what this log's own judge asks of others (``judge.FEW_ESS``): of a log as long as this
one, that many effective rows for a policy that shows all variants alike, and as many for any single
variant. Of the ways that are enough the one that the reward model finds cheapest is recommended:
differences between ways are mostly smaller than what chance does to estimates, and the model has no
chance in it. Both are shown.

Only floors and holdouts are recommended. How greedily a model is followed decides what it earns;
choosing that by these rows would be choosing a policy, which is for a sweep and its held-out rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Final, NamedTuple

from bandit_service.evaluation.intervals.chooser import Rules
from bandit_service.evaluation.judge import FEW_ESS, poor
from bandit_service.evaluation.logs.base import LoggedData, Progress
from bandit_service.evaluation.paired import difference, paired
from bandit_service.evaluation.survey import Survey, usable_rows
from bandit_service.evaluation.sweeping.grid import Point
from bandit_service.evaluation.sweeping.options import Bought, Way, WayFold, ways_of
from bandit_service.evaluation.sweeping.results import Advice, Option
from bandit_service.evaluation.targets.learning import Learning
from bandit_service.policy.settings import SiteSettings

COUNTED_ROWS: Final = 10 * round(FEW_ESS)
"""Rows in which a variant could be chosen, from which it counts: with fewer no sensible exploration
makes it worth FEW_ESS rows. Where none has as many, all count."""


def advise(
    log: LoggedData,
    point: Point,
    found: Survey,
    rules: Rules,
    *,
    evaluated: SiteSettings,
    progress: Progress,
) -> Advice:
    """Read the log with one model and every way to explore.

    Raises:
        LogError: if the log cannot be read.
        EvaluationError: if the policy cannot answer for a row.
    """
    ways = ways_of(point.settings.policy)
    folds = [WayFold() for _ in ways]
    first, *others = [way.policy for way in ways]
    settings = SiteSettings(rewards=point.settings.rewards, policy=first)
    target = Learning(point.name, settings, evaluated=evaluated, blind=point.blind, others=others)
    with closing(target):
        rows = usable_rows(log, found.rows, watch=target.watch, progress=progress)
        for _, batch in rows:
            predictions = found.model.predict(batch)
            for fold, given in zip(folds, target.spread(batch), strict=True):
                fold.add(batch, given, predictions)
    return advice_of(point.name, ways, folds, rules)


def advice_of(name: str, ways: Sequence[Way], folds: Sequence[WayFold], rules: Rules) -> Advice:
    """What the sums say; the first way is the one without floor and holdout."""
    rows = folds[0].rows
    options = [_option(way, fold, folds[0], rules) for way, fold in zip(ways, folds, strict=True)]
    enough = [o for o in options if o.group != "greed" and _is_enough(o, rows)]
    best = max(enough, key=lambda option: option.modelled) if enough else None
    told = _Told(options, best, rows, folds[0].modelled)
    return Advice(
        policy=name,
        rows=rows,
        options=options,
        recommended=None if best is None else best.name,
        words=[*told.words()],
    )


def _option(way: Way, fold: WayFold, bare: WayFold, rules: Rules) -> Option:
    worst = _worst(fold.singles())
    return Option(
        name=way.name,
        group=way.group,
        changes=way.changes,
        earns=difference(
            paired(fold.earned(), bare.earned()),
            confidence=rules.confidence,
            seed=rules.seed,
            doubts=[*poor(fold.earned(), rules)],
        ),
        modelled=fold.modelled - bare.modelled,
        even=fold.even,
        single=worst.share,
        variant=worst.variant,
        variant_rows=worst.effective,
    )


def _worst(singles: Sequence[Bought]) -> Bought:
    counted = [one for one in singles if one.rows >= COUNTED_ROWS]
    return min(counted or singles, key=lambda one: one.effective)


def _is_enough(option: Option, rows: int) -> bool:
    return option.even * rows >= FEW_ESS and option.variant_rows >= FEW_ESS


class _Told(NamedTuple):
    """The recommendation in words."""

    options: Sequence[Option]
    best: Option | None
    rows: int
    bare: float
    """What is earned per row without floor and holdout, by the model."""

    def words(self) -> Iterator[str]:
        now = self.options[1]
        if self.best is None:
            yield from self._none()
        else:
            yield from self._recommended(self.best)
        if self.best is None or now.name != self.best.name:
            yield f"As it is set now, {self._buys(now)}; {self._earns(now)}."
        if not any(_is_told(option) for option in self.options if option.group != "greed"):
            yield (
                "The log cannot tell what a floor or a holdout costs: every measured change may be "
                "0. What is said of costs rests on the reward model."
            )

    def _recommended(self, best: Option) -> Iterator[str]:
        yield (
            f"Recommended: {_setting(best)}. With it, in a log as long as this one ({self.rows:,} "
            f"rows), {self._buys(best)}; {FEW_ESS:g} are enough."
        )
        yield f"Against neither floor nor holdout, {self._earns(best)}."
        cheaper = self._cheaper(best)
        if cheaper is not None:
            yield f"Less is not enough: with {cheaper.name}, {self._buys(cheaper)}."
        if "policy.holdout = 0" in best.changes.split(", "):
            yield (
                "Without a holdout nothing measures live what showing all alike earns: keep it if "
                "you read that."
            )

    def _none(self) -> Iterator[str]:
        most = max(self.options, key=lambda option: (option.variant_rows, option.even))
        yield (
            f"No way to explore is enough in a log of {self.rows:,} rows: at the most, with "
            f"{most.name}, {self._buys(most)}, and {FEW_ESS:g} are needed. Collect a longer log."
        )

    def _cheaper(self, best: Option) -> Option | None:
        """The way that just does not do: of those that are cheaper, the one that buys the most."""
        others = [
            option
            for option in self.options
            if option.group != "greed" and option.modelled > best.modelled
        ]
        return max(others, key=lambda option: option.variant_rows, default=None)

    def _buys(self, option: Option) -> str:
        return (
            f"a new policy can be judged with {_one_in(option.even)} (one that shows all variants "
            f"alike), and the hardest single variant, {option.variant}, with "
            f"{option.variant_rows:,.0f} effective rows"
        )

    def _earns(self, option: Option) -> str:
        modelled = f"it earns {self._relative(option.modelled)} by the reward model"
        earns = option.earns
        if earns.status != "ok" or earns.value is None:
            return f"{modelled}; measured, the log cannot say ({' '.join(earns.why)})"
        low, high = earns.intervals[0].low, earns.intervals[0].high
        return (
            f"{modelled}, and measured {self._relative(earns.value)} (between "
            f"{self._relative(low)} and {self._relative(high)})"
        )

    def _relative(self, change: float) -> str:
        """As part of what is earned; in the log's own unit where that is not above 0."""
        return f"{change / self.bare:+.2%}" if self.bare > 0 else f"{change:+.2g} a decision"


def _is_told(option: Option) -> bool:
    if option.earns.status != "ok":
        return False
    held = option.earns.intervals[0]
    return held.low > 0.0 or held.high < 0.0


def _setting(option: Option) -> str:
    return f"{option.name} ({option.changes})" if option.changes else f"{option.name}, no change"


def _one_in(share: float) -> str:
    if share <= 0.0:
        return "no row"
    return f"1 row in {1.0 / share:,.3g}" if share < 1.0 else "every row"
