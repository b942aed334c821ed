"""The model behind ``exploration = "thompson"``: a posterior over sums, with VW as its prior.

    shown ────▶ cells        what every variant earned with every persona
    outcome ┬─▶ cells
            ├─▶ regression   what tags, words and situations have to do with it (Vowpal Wabbit)
            └─▶ spreads      how far to trust which of them

    decision ─▶ regression's prior ─▶ posterior of the cells ─▶ how likely is each the best

A candidate's expected reward is the posterior mean of ``pooling``, moved by what VW says of this
visitor's situation beyond what it said of the cell's visitors in general. It is shown as often as
it is the best under the posterior, *sharpened*: with variances divided by

    sharpness * (1 + outcomes' worth of doubt / outcomes that the placement will still have)

Plain Thompson sampling explores for ever; nobody's headline runs for ever. The more is known beside
what is still to come, the less is left to find out. What is still to come is taken from how long
placements of this site were shown so far, at least a quarter of what this one was already.

What was measured of this design, and what it was chosen over, is in ``config/policy.toml``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from bandit_service.errors import SnapshotError
from bandit_service.policy.best import Floats, chances
from bandit_service.policy.cells import Arm, Cells, Placement, closed, fade
from bandit_service.policy.features import identity_of, persona_of
from bandit_service.policy.lesson import Lesson
from bandit_service.policy.pooling import (
    LEAST,
    Base,
    Posterior,
    Seen,
    base_of,
    posterior,
    seen,
)
from bandit_service.policy.prediction import Prediction
from bandit_service.policy.regression import Regression
from bandit_service.policy.settings import PolicySettings
from bandit_service.policy.spreads import Rungs, Spreads, are_told, likelihoods

FORMAT: Final = 1
_LONG: Final = 10_000
"""Outcomes that a placement is taken to have before the site has shown any."""
_PLACEMENTS: Final = 3
"""How many placements of that length a site is taken to have had."""
_FARTHEST: Final = 4.0
"""The prior stays within 1 / 4 and 4 times the usual."""
_FEW: Final = 10.0
"""Outcomes' worth of weight that VW's present prediction has in the mean of those of a cell."""
_SCORED: Final = 0.1
"""At most about this share of all outcomes is used to score the spreads."""


class _Saved(msgspec.Struct, array_like=True):
    format: int
    regression: bytes
    cells: Cells
    spreads: Spreads
    skipped: float


class PooledModel:
    """Cells, spreads and a regression. Not thread-safe; call ``close`` when done."""

    def __init__(self, settings: PolicySettings, data: bytes | None = None) -> None:
        """A new model, or the one that ``save`` wrote as ``data``.

        Raises:
            SnapshotError: if ``data`` is damaged or of another version.
        """
        self._settings = settings
        self._by_persona = "persona" in settings.cross
        self._situated = any(family != "persona" for family in settings.cross)
        kept = None if data is None else _decoded(data)
        self._cells = Cells() if kept is None else kept.cells
        self._spreads = Spreads() if kept is None else kept.spreads
        self._used = self._spreads.in_use()
        self._skipped = 0.0 if kept is None else kept.skipped
        """Share of a score that the outcomes since the last one add up to."""
        self._regression = Regression(settings, None if kept is None else kept.regression)

    def reads(self, shared: str) -> str:
        """See ``model.Model``: the persona alone, until situations have shown their worth."""
        if self._situated and self._used.context > 0.0:
            return shared
        return _alone(shared)

    def predict(self, shared: str, actions: Sequence[str]) -> Prediction:
        """See ``model.Model``: rewards with deviations."""
        placement, base, found = self._seen(shared, actions)
        known = self._known(shared, actions, base, found, self._used.alone())
        mean, variance = known.mean[0], known.variance[0]
        doubt = base.noise / variance  # outcomes that would tell as much as is known
        sharp = 1.0 + doubt / self._to_come(placement)
        deviations = np.sqrt(variance / sharp)
        within = deviations / math.sqrt(self._settings.sharpness)
        return Prediction(
            chances(mean, within),
            [base.unit * value for value in mean.tolist()],
            [base.unit * value for value in deviations.tolist()],
        )

    def show(self, shared: str, actions: Sequence[str], chosen: int) -> None:
        """See ``model.Model``."""
        cells, persona = self._cells, self._persona(shared)
        name, arm_name = identity_of(actions[chosen])
        placement = cells.placement(name)
        base = base_of(cells, placement, persona, self._settings.typical_reward)
        arm = cells.arm(placement, arm_name)
        cells.seen(placement)
        self._count(placement, arm, persona, 1.0)
        arm.expected += placement.weight * _expected(base)
        cells.persona(persona).expected += base.everybody

    def unshow(self, shared: str, actions: Sequence[str], chosen: int) -> None:
        """See ``model.Model``: it is counted no more."""
        cells, persona = self._cells, self._persona(shared)
        name, arm_name = identity_of(actions[chosen])
        placement = cells.placements.get(name)
        arm = None if placement is None else placement.arms.get(arm_name)
        if placement is None or arm is None or persona not in arm.cells:
            return  # let go of in the meantime
        base = base_of(cells, placement, persona, self._settings.typical_reward)
        self._count(placement, arm, persona, -1.0)
        arm.expected = max(arm.expected - placement.weight * _expected(base), 0.0)
        everywhere = cells.persona(persona)
        everywhere.expected = max(everywhere.expected - base.everybody, 0.0)

    def learn(self, lesson: Lesson) -> None:
        """See ``model.Model``; without the probabilities the spreads learn nothing."""
        cells, persona, reward = self._cells, self._persona(lesson.shared), lesson.reward
        action = lesson.actions[lesson.chosen]
        name, arm_name = identity_of(action)
        placement = cells.placement(name)
        base = base_of(cells, placement, persona, self._settings.typical_reward)
        if reward > 0.0 and len(lesson.actions) > 1:
            self._score(lesson, reward / base.worth)
        arm = cells.arm(placement, arm_name)
        worth = base.worth if cells.site.a > 0.0 else abs(reward) or 1.0  # the first is typical
        # Alarms count what is above 0: less than nothing cannot be expected of a variant.
        earned = max(reward, 0.0) / worth
        closed(placement, arm, lesson.at, _expected(base), earned, self._settings.alarm)
        value = reward / base.unit - base.level
        told = self._regression.learn(lesson.shared, action, value, 1.0 / base.noise)
        arm.cell(persona).tell(placement.weight, told)
        if reward:
            self._earn(placement, arm, persona, reward)
            arm.r += placement.weight * earned
            fade(placement, abs(reward) / worth, self._settings.memory)

    def predict_and_learn(self, lesson: Lesson) -> Prediction:
        """``predict``, then ``show`` and ``learn``."""
        prediction = self.predict(lesson.shared, lesson.actions)
        self.show(lesson.shared, lesson.actions, lesson.chosen)
        self.learn(lesson)
        return prediction

    def save(self) -> bytes:
        """The model as bytes that the constructor reads back."""
        kept = _Saved(FORMAT, self._regression.save(), self._cells, self._spreads, self._skipped)
        return msgspec.msgpack.encode(kept)

    def close(self) -> None:
        """Free what VW holds; the model cannot be used afterwards."""
        self._regression.close()

    def _count(self, placement: Placement, arm: Arm, persona: str, one: float) -> None:
        """Count an outcome, or one less."""
        weight = placement.weight * one
        for sums in (placement.total, placement.persona(persona)):
            sums.n = max(sums.n + weight, 0.0)
        self._cells.site.n += one
        cell = arm.cell(persona)
        cell.n = max(cell.n + weight, 0.0)

    def _earn(self, placement: Placement, arm: Arm, persona: str, reward: float) -> None:
        """Count a reward."""
        weight = placement.weight
        self._cells.site.add(1.0, reward)
        placement.total.add(weight, reward)
        placement.persona(persona).add(weight, reward)
        arm.cell(persona).r += weight * reward
        self._cells.persona(persona).a += abs(reward)

    def _score(self, lesson: Lesson, worth: float) -> None:
        """Let the spreads learn from a reward, unless its log lacks propensities or many come."""
        probabilities, actions = lesson.probabilities, lesson.actions
        if not are_told(probabilities, len(actions), lesson.chosen):
            return
        site = self._cells.site
        typical = site.a * site.a / site.s if site.s > 0.0 else 0.0  # how many typical rewards
        self._skipped += min(1.0, _SCORED * (site.n + 1.0) / (typical + 1.0))
        if self._skipped < 1.0:
            return
        self._skipped -= 1.0
        _, base, found = self._seen(lesson.shared, actions)
        rungs = self._spreads.rungs(self._used)
        mean = self._known(lesson.shared, actions, base, found, rungs).mean
        expected = np.maximum(mean, LEAST)
        self._spreads.score(likelihoods(probabilities, expected, lesson.chosen), worth)
        self._used = self._spreads.in_use()

    def _seen(self, shared: str, actions: Sequence[str]) -> tuple[Placement | None, Base, Seen]:
        """The placement of K candidates, what it earns, and their cells."""
        identities = [identity_of(action) for action in actions]
        placement = self._cells.placements.get(identities[0][0])
        arms = [arm for _, arm in identities]
        typical = self._settings.typical_reward
        base, found = seen(self._cells, placement, arms, self._persona(shared), typical)
        return placement, base, found

    def _known(
        self, shared: str, actions: Sequence[str], base: Base, found: Seen, rungs: Rungs
    ) -> Posterior:
        """What is known of K relative rewards under G settings of the spreads."""
        neutral, full = self._told(shared, actions, needed=bool(rungs.context.any()))
        prior = _prior(base, neutral, rungs.prior)
        known = posterior(found, prior, rungs.arms, rungs.own)
        beyond = rungs.context[:, None] * _beyond(found, neutral, full)
        return Posterior(known.mean + beyond, known.variance)

    def _told(self, shared: str, actions: Sequence[str], *, needed: bool) -> tuple[Floats, Floats]:
        """What VW says of K candidates to this persona, and to this visitor where it is needed."""
        plain = _alone(shared)
        neutral = _finite(self._regression.predict(plain, actions))
        if not (needed and self._situated) or plain == shared:
            return neutral, neutral
        return neutral, _finite(self._regression.predict(shared, actions))

    def _persona(self, shared: str) -> str:
        return persona_of(shared) if self._by_persona else ""

    def _to_come(self, placement: Placement | None) -> float:
        """Outcomes that the placement will still have."""
        cells = self._cells
        shown = 0 if placement is None else placement.shown
        length = (_PLACEMENTS * _LONG * _LONG + cells.shown_squared) / (
            _PLACEMENTS * _LONG + cells.shown
        )
        return max(length - shown, shown / 4.0, 1.0)


def _expected(base: Base) -> float:
    """What a placement earns with a persona, in typical rewards."""
    return max(base.unit * base.level, 0.0) / base.worth


def _alone(shared: str) -> str:
    """A shared line that says the persona and nothing else."""
    return f"shared |p {persona_of(shared)}"


def _prior(base: Base, told: Floats, trust: Floats) -> Floats:
    """G x K expected relative rewards before the variant itself was seen."""
    scale = abs(base.level)
    least, most = (1.0 / _FARTHEST - 1.0) * scale, (_FARTHEST - 1.0) * scale
    return base.level + np.minimum(np.maximum(trust[:, None] * told, least), most)


def _beyond(found: Seen, neutral: Floats, full: Floats) -> Floats:
    """How much better VW thinks of K candidates here than of their cells in general."""
    usual = (found.predicted[0] + _FEW * neutral) / (found.closed[0] + _FEW)
    beyond: Floats = full - usual
    return beyond


def _finite(values: list[float]) -> Floats:
    """Predictions; one that was driven out of the range of numbers says nothing."""
    return np.array([value if math.isfinite(value) else 0.0 for value in values])


def _decoded(data: bytes) -> _Saved:
    try:
        kept = msgspec.msgpack.decode(data, type=_Saved)
    except (msgspec.MsgspecError, ValueError) as exc:
        raise SnapshotError(
            f"the model cannot be read: {exc}",
            hint="rebuild it from the log: bandit-service rebuild",
        ) from exc
    if kept.format != FORMAT:
        raise SnapshotError(
            f"the model is of format {kept.format}, not {FORMAT}",
            hint="rebuild it from the log: bandit-service rebuild",
        )
    return kept
