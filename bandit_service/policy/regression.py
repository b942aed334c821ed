"""Vowpal Wabbit as a regression of relative rewards on what is known of visitor and variant.

One example an outcome: the shared features of the decision, and those of the variant that was
shown. Labels are relative to what the placement earns with the persona, so that a weight says "so
many times as good as usual" wherever it was learned; the importance of an example is what it tells
(about the click rate), so that a click counts the same at 0.1 % and at 50 %. Each weight has a rate
of its own, which falls with what it has seen (AdaGrad: Duchi, Hazan & Singer 2011, JMLR 12), and
steps never overshoot the label (Karampatziakis & Langford 2011, UAI). ``config/policy.toml`` says
what its rate was chosen by.

The variant's identity has no weight by itself, only in crosses with what the visitor brings: what a
variant is to everybody, and to a persona, the cells know exactly. So tags and words have to explain
what they can.

Examples are this object's own, not of VW's pool: predicting moves no counters, and a model that
predicts may be saved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from bandit_service.policy import vowpal
from bandit_service.policy.features import NAMESPACES, TAGS
from bandit_service.policy.settings import PolicySettings

MOST_IMPORTANT: Final = 4.0
"""Importance of one example at most."""


class Regression:
    """A linear model. Not thread-safe; call ``close`` when done."""

    def __init__(self, settings: PolicySettings, data: bytes | None = None) -> None:
        """A new model, or the one that ``save`` wrote as ``data``.

        Raises:
            SnapshotError: if VW cannot load ``data``.
        """
        if data is None:  # loaded once too: from then on all write the same bytes
            data = vowpal.written(vowpal.opened(arguments(settings)))
        self._vw: Any = vowpal.loaded(data)

    def learn(self, shared: str, action: str, value: float, importance: float) -> float:
        """Learn that ``action`` was worth ``value``; what was predicted of it before."""
        weight = min(importance, MOST_IMPORTANT)
        line = f"{value:.9g} {weight:.9g} {_features(shared)} {action}"
        example = vowpal.example_of(self._vw, line)
        return vowpal.learned(self._vw, example)

    def predict(self, shared: str, actions: Sequence[str]) -> list[float]:
        """What each of the candidates is worth, relative to the usual: K numbers."""
        head = _features(shared)
        return [
            vowpal.predicted(self._vw, vowpal.example_of(self._vw, f"{head} {action}"))
            for action in actions
        ]

    def save(self) -> bytes:
        """The model as bytes that the constructor reads back."""
        return vowpal.written(self._vw)

    def close(self) -> None:
        """Free what VW holds; the model cannot be used afterwards."""
        self._vw.finish()


def arguments(settings: PolicySettings) -> str:
    """VW's command line for these settings."""
    crosses = [f"-q {NAMESPACES[family]}{TAGS}" for family in settings.cross]
    crosses += [f"-q {NAMESPACES[family]}a" for family in settings.cross if family != "persona"]
    ignored = [f"--ignore_linear {name}" for name in (*NAMESPACES.values(), "a")]
    return (
        f"--adaptive --invariant --power_t 0.5 -l {settings.prior_rate!r} --noconstant "
        f"-b {settings.bits} {' '.join(ignored)} {' '.join(crosses)}"
    ).strip()


def _features(shared: str) -> str:
    return shared.removeprefix("shared ")
