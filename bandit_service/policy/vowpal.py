"""The one door to Vowpal Wabbit: a contextual bandit model that learns, predicts and saves itself.

What this module takes care of, so that nobody else needs to know:

- *Costs.* VW minimises cost. A reward r is learned as (typical - r) / typical: 0 for a typical
  decision, so that a weight of zero means "average", and in units of the typical reward, so that
  gamma needs no knowledge of the click rate.
- *Propensities in labels.* In VW 9.11 ``--squarecb`` with ``mtr`` applies the importance weight
  1/p to the last listed action alone. The model is a regression of reward on features and needs no
  weighting, so labels always say p = 1; the true propensity is in the log.
- *Order.* Callers shuffle candidates before learning (``sampling.shuffled``).
- *Counters.* ``--gamma_exponent 0``: greed does not grow with the traffic of other placements.
- *Parsing.* It is most of VW's cost. Shared lines and candidates' lines repeat, so each distinct
  line is parsed once and the parsed example used again; predictions and weights are the same to
  the bit (there is a test).
- *Memory.* A parsed example takes some 30 KB and is leaked unless it is handed back, which counts
  in the header of the model. So when there are too many, the model moves to a new workspace, and
  the old one takes them back and is closed. Handing back a shared example by itself reads past the
  end of its last prediction and may crash; it is given one that fits first.
- *Bytes.* ``save`` of a model that only ever learned is a function of what it learned, in order.
  Predicting moves counters in the header: a model that is saved must not predict, so serving and
  learning load their own copies.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import vowpalwabbit

from bandit_service.errors import SnapshotError
from bandit_service.policy.features import NAMESPACES
from bandit_service.policy.settings import PolicySettings

MAX_PARSED_LINES: Final = 2_000
"""Distinct lines kept parsed, at some 30 KB each, before all are let go."""


class Prediction:
    """What the model says of one decision's candidates, in their order."""

    __slots__ = ("probabilities", "rewards")

    def __init__(self, probabilities: list[float], rewards: list[float]) -> None:
        """``probabilities`` of the exploration algorithm, summing to 1; ``rewards`` expected."""
        self.probabilities = probabilities
        self.rewards = rewards


class VowpalModel:
    """A ``--cb_explore_adf`` model. Not thread-safe; call ``close`` when done."""

    def __init__(self, settings: PolicySettings, data: bytes | None = None) -> None:
        """A new model, or the one that ``save`` wrote as ``data``.

        Raises:
            SnapshotError: if VW cannot load ``data``.
        """
        self._settings = settings
        self._typical = settings.typical_reward
        self._shared: dict[str, Any] = {}
        self._actions: dict[str, Any] = {}
        self._vw = _workspace(settings, data)

    def learn(self, shared: str, actions: Sequence[str], chosen: int, reward: float) -> None:
        """Learn that the candidate at index ``chosen`` earned ``reward``."""
        cost = (self._typical - reward) / self._typical
        label = f"0:{cost:.9g}:1 "
        lines = [label + line if n == chosen else line for n, line in enumerate(actions)]
        examples = self._examples(shared, lines)
        self._vw.learn(examples)

    def predict(self, shared: str, actions: Sequence[str]) -> Prediction:
        """Probabilities and expected rewards of the candidates."""
        examples = self._examples(shared, actions)
        probabilities = self._vw.predict(examples)
        total = sum(probabilities)
        costs = (example.get_partial_prediction() for example in examples[1:])
        return Prediction(
            [p / total for p in probabilities],
            [self._typical * (1.0 - cost) for cost in costs],
        )

    def save(self) -> bytes:
        """The model as bytes that the constructor reads back."""
        with tempfile.TemporaryDirectory(prefix="bandit-service-") as folder:
            path = Path(folder) / "model.vw"
            self._vw.save(str(path))
            return path.read_bytes()

    def close(self) -> None:
        """Free what VW holds; the model cannot be used afterwards."""
        for shared in self._shared.values():
            fitting = [shared, self._vw.parse(["|a nothing"])[0]]
            self._vw.predict(fitting)
            self._vw.finish_example(fitting)
            time.sleep(0)  # let a thread that serves have the interpreter
        for action in self._actions.values():
            self._vw.finish_example([action])
        self._shared.clear()
        self._actions.clear()
        self._vw.finish()

    def _examples(self, shared: str, actions: Sequence[str]) -> list[Any]:
        if len(self._shared) + len(self._actions) > MAX_PARSED_LINES:
            self._move()
        return [
            self._parsed(self._shared, shared),
            *(self._parsed(self._actions, line) for line in actions),
        ]

    def _parsed(self, kept: dict[str, Any], line: str) -> Any:
        example = kept.get(line)
        if example is None:
            example = kept[line] = self._vw.parse([line])[0]
        return example

    def _move(self) -> None:
        data = self.save()
        self.close()
        self._vw = _workspace(self._settings, data)


def arguments(settings: PolicySettings) -> str:
    """VW's command line for these settings."""
    explore = {
        "squarecb": f"--squarecb --gamma_scale {settings.gamma!r} --gamma_exponent 0",
        "softmax": f"--softmax --lambda {settings.gamma!r}",
        "epsilon": f"--epsilon {settings.epsilon!r}",
    }[settings.exploration]
    crosses = " ".join(
        f"-q {NAMESPACES[family]}{of}" for family in settings.cross for of in ("a", "g")
    )
    return (
        f"--cb_explore_adf {explore} --cb_type mtr -b {settings.bits} "
        f"-l {settings.learning_rate!r} --power_t {settings.power_t!r} {crosses}"
    ).strip()


def _workspace(settings: PolicySettings, data: bytes | None) -> Any:
    if data is None:
        return vowpalwabbit.Workspace(f"{arguments(settings)} --quiet")
    with tempfile.TemporaryDirectory(prefix="bandit-service-") as folder:
        path = Path(folder) / "model.vw"
        path.write_bytes(data)
        try:
            return vowpalwabbit.Workspace(arg_list=["-i", str(path), "--quiet"])
        except RuntimeError as exc:
            raise SnapshotError(
                f"Vowpal Wabbit cannot load the model: {exc}",
                hint="rebuild it from the log: bandit-service rebuild",
            ) from exc
