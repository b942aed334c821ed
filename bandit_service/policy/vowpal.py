"""The one door to Vowpal Wabbit: contextual bandit models, and what ``regression`` needs of it.

What this module takes care of, so that nobody else needs to know:

- *Costs.* VW minimises cost. A reward r is learned as (typical - r) / typical: 0 for a typical
  decision, so that a weight of zero means "average", and in units of the typical reward, so that
  gamma needs no knowledge of the click rate.
- *Propensities in labels.* In VW 9.11 ``--squarecb`` with ``mtr`` applies the importance weight
  1/p to the last listed action alone. The model is a regression of reward on features and needs no
  weighting, so labels always say p = 1; the true propensity is in the log.
- *Order.* With p = 1 the order in which candidates are listed teaches nothing: the weights are the
  same to the bit (there is a test), so nobody needs to shuffle them.
- *Counters.* ``--gamma_exponent 0``: greed does not grow with the traffic of other placements.
- *Parsing.* It is most of VW's cost, and the Python wrapper around it more still: examples go
  through the bindings underneath (``pylibvw``), as one text, and are handed back at once.
- *Bytes.* What ``save`` gives is a function of what was learned, in order, wherever the model was
  saved and loaded on the way. A model that never was loaded writes a few other bytes in its header,
  so the bytes are those that a loaded copy writes. Predicting moves counters in the header: a model
  that is saved must not predict, so serving and learning load their own copies. (``ReplayModel``
  moves none, and may do both.)
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pylibvw
import vowpalwabbit

from bandit_service.errors import SnapshotError
from bandit_service.policy.features import NAMESPACES, WORDS
from bandit_service.policy.lesson import Lesson
from bandit_service.policy.prediction import Prediction
from bandit_service.policy.settings import PolicySettings

# The wrappers in ``vowpalwabbit.pyvw`` check and convert for longer than VW learns.
_parse = pylibvw.vw._parse  # noqa: SLF001 - the bindings name it so
_learn = pylibvw.vw.learn_multi
_predict = pylibvw.vw.predict_multi
_finish = pylibvw.vw._finish_example_multi_ex  # noqa: SLF001 - as above
_example = pylibvw.example
_learn_one = pylibvw.vw.learn
_predict_one = pylibvw.vw.predict
_LABELS: Final = pylibvw.vw.lContextualBandit
_SIMPLE: Final = pylibvw.vw.lSimple

MAX_LINES: Final = 2_000
"""Lines of candidates that a ``ReplayModel`` keeps parsed; each takes about 25 KB."""
MAX_LESSONS: Final = 500
"""Lines with a reward that it keeps; as above."""
_HUGE: Final = 1e20
"""Costs beyond this may leave the range of VW's numbers, which end at 3e38."""


class VowpalModel:
    """A ``--cb_explore_adf`` model. Not thread-safe; call ``close`` when done."""

    def __init__(self, settings: PolicySettings, data: bytes | None = None) -> None:
        """A new model, or the one that ``save`` wrote as ``data``.

        Raises:
            SnapshotError: if VW cannot load ``data``.
        """
        self._typical = settings.typical_reward
        self._vw = opened(arguments(settings)) if data is None else loaded(data)

    def show(self, shared: str, actions: Sequence[str], chosen: int) -> None:
        """See ``model.Model``: nothing; VW learns outcomes."""

    def unshow(self, shared: str, actions: Sequence[str], chosen: int) -> None:
        """See ``model.Model``: nothing."""

    def learn(self, lesson: Lesson) -> None:
        """See ``model.Model``; the probabilities teach nothing here."""
        lines = [lesson.shared, *lesson.actions]
        lines[lesson.chosen + 1] = self._labelled(lesson)
        examples = _parse(self._vw, "\n".join(lines))
        _learn(self._vw, examples)
        _finish(self._vw, examples)

    def reads(self, shared: str) -> str:
        """See ``model.Model``: everything."""
        return shared

    def predict(self, shared: str, actions: Sequence[str]) -> Prediction:
        """Probabilities and expected rewards of the candidates."""
        examples = _parse(self._vw, "\n".join((shared, *actions)))
        _predict(self._vw, examples)
        prediction = self._read(examples)
        _finish(self._vw, examples)
        return prediction

    def save(self) -> bytes:
        """The model as bytes that the constructor reads back."""
        return saved(self._vw)

    def close(self) -> None:
        """Free what VW holds; the model cannot be used afterwards."""
        self._vw.finish()

    def _labelled(self, lesson: Lesson) -> str:
        """The line of what was shown, with its label."""
        cost = (self._typical - lesson.reward) / self._typical
        return f"0:{cost:.9g}:1 {lesson.actions[lesson.chosen]}"

    def _read(self, examples: list[Any]) -> Prediction:
        probabilities: list[float] = examples[0].get_action_scores()
        costs: list[float] = [example.get_partial_prediction() for example in examples[1:]]
        total = sum(probabilities)
        return Prediction(
            [p / total for p in probabilities],
            [self._typical * (1.0 - cost) for cost in costs],
        )


class ReplayModel(VowpalModel):
    """The same model for those who predict and learn in turn, again and again, as replay does.

    What it predicts, and what it saves, is what ``VowpalModel`` would, to the bit (there is a
    test). What it saves on the way:

    - A line is parsed once and kept; one that was shown is parsed with its label besides. The
      examples are this object's own, not of VW's pool, so a prediction need not be finished: it
      moves no counters, and the model may be saved all the same.
    - Expected rewards take as long to read as probabilities take to compute. They are read where
      they may not be finite or are asked for, and left out of a prediction elsewhere.

    Serving would gain nothing: it has a new model every second.
    """

    def __init__(
        self, settings: PolicySettings, data: bytes | None = None, *, rewards: bool = False
    ) -> None:
        """As ``VowpalModel``; ``rewards``: whether every prediction has to have them."""
        super().__init__(settings, data)
        self._shows = settings.exploration != "epsilon" and not rewards
        """Whether probabilities are enough: a reward that is not finite shows in some of them, as 0
        or not finite."""
        self._calm = data is None
        """Whether nothing was learned that could drive a prediction out of range at once."""
        self._actions: dict[str, Any] = {}
        self._lessons: dict[str, Any] = {}
        self._last: tuple[str, Any] = ("", None)
        """The last shared line. More are not kept: they are many, and to parse one again takes no
        longer than to fetch its 25 KB from memory that is cold."""

    def learn(self, lesson: Lesson) -> None:
        """See ``model.Model``."""
        examples = self._labelled_examples(lesson)
        _learn(self._vw, examples)
        _finish(self._vw, examples)  # counts it; nothing goes back to VW's pool

    def predict(self, shared: str, actions: Sequence[str]) -> Prediction:
        """Probabilities of the candidates; see above for their rewards."""
        examples = self._examples(shared, actions)
        _predict(self._vw, examples)
        return self._answer(examples)

    def predict_and_learn(self, lesson: Lesson) -> Prediction:
        """``predict``, then ``learn``, in one pass: VW predicts before it learns anyhow."""
        self._calm = self._calm and abs(lesson.reward) < _HUGE * self._typical
        if not (self._calm and self._shows):
            prediction = self.predict(lesson.shared, lesson.actions)
            self.learn(lesson)
            return prediction
        examples = self._labelled_examples(lesson)
        _learn(self._vw, examples)
        prediction = self._answer(examples)
        _finish(self._vw, examples)
        return prediction

    def close(self) -> None:
        """Free what VW holds; the model cannot be used afterwards."""
        self._actions.clear()
        self._lessons.clear()
        self._last = ("", None)
        super().close()

    def _answer(self, examples: list[Any]) -> Prediction:
        probabilities: list[float] = examples[0].get_action_scores()
        if self._shows and min(probabilities) > 0.0:
            total = sum(probabilities)
            return Prediction([p / total for p in probabilities], [])
        return self._read(examples)

    def _examples(self, shared: str, actions: Sequence[str]) -> list[Any]:
        if shared != self._last[0]:
            self._last = (shared, _example(self._vw, _LABELS, shared))
        head, known = self._last[1], self._actions
        try:
            return [head, *[known[line] for line in actions]]
        except KeyError:
            return [head, *[self._once(known, line, MAX_LINES) for line in actions]]

    def _labelled_examples(self, lesson: Lesson) -> list[Any]:
        examples = self._examples(lesson.shared, lesson.actions)
        labelled = self._once(self._lessons, self._labelled(lesson), MAX_LESSONS)
        examples[lesson.chosen + 1] = labelled
        return examples

    def _once(self, kept: dict[str, Any], line: str, most: int) -> Any:
        example = kept.get(line)
        if example is None:
            if len(kept) >= most:
                kept.clear()
            example = kept[line] = _example(self._vw, _LABELS, line)
        return example


def arguments(settings: PolicySettings) -> str:
    """VW's command line for these settings."""
    explore = {  # "thompson" is not VW's: see ``pooled``
        "squarecb": f"--squarecb --gamma_scale {settings.gamma!r} --gamma_exponent 0",
        "softmax": f"--softmax --lambda {settings.gamma!r}",
        "epsilon": f"--epsilon {settings.epsilon!r}",
    }[settings.exploration]
    crosses = " ".join(
        f"-q {NAMESPACES[family]}{of}" for family in settings.cross for of in ("a", "g")
    )
    return (
        f"--cb_explore_adf {explore} --cb_type mtr -b {settings.bits} --ignore {WORDS} "
        f"-l {settings.learning_rate!r} --power_t {settings.power_t!r} {crosses}"
    ).strip()


def opened(command_line: str) -> Any:
    """A new workspace."""
    return vowpalwabbit.Workspace(f"{command_line} --quiet")


def loaded(data: bytes) -> Any:
    """The workspace that ``saved`` wrote.

    Raises:
        SnapshotError: if VW cannot load it.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="bandit-service-") as folder:
            path = Path(folder) / "model.vw"
            path.write_bytes(data)
            return vowpalwabbit.Workspace(arg_list=["-i", str(path), "--quiet"])
    except RuntimeError as exc:
        raise SnapshotError(
            f"Vowpal Wabbit cannot load the model: {exc}",
            hint="rebuild it from the log: bandit-service rebuild",
        ) from exc
    except OSError as exc:
        raise _no_room(exc) from exc


def saved(workspace: Any) -> bytes:
    """The bytes of a workspace as a loaded copy writes them, whether it ever was loaded or not."""
    copy = loaded(written(workspace))
    try:
        return written(copy)
    finally:
        copy.finish()


def example_of(workspace: Any, line: str) -> Any:
    """An example of a regression, not of VW's pool."""
    return _example(workspace, _SIMPLE, line)


def learned(workspace: Any, example: Any) -> float:
    """Learn from an example of a regression; what was predicted of it before."""
    _learn_one(workspace, example)
    value: float = example.get_partial_prediction()
    return value


def predicted(workspace: Any, example: Any) -> float:
    """What a regression predicts of an example."""
    _predict_one(workspace, example)
    value: float = example.get_partial_prediction()
    return value


def written(workspace: Any) -> bytes:
    """The bytes of a workspace."""
    try:
        with tempfile.TemporaryDirectory(prefix="bandit-service-") as folder:
            path = Path(folder) / "model.vw"
            workspace.save(str(path))
            return path.read_bytes()
    except OSError as exc:
        raise _no_room(exc) from exc


def _no_room(exc: OSError) -> SnapshotError:
    return SnapshotError(
        f"a model cannot pass through {tempfile.gettempdir()}: {exc.strerror}",
        hint="is the folder for temporary files full or read-only?",
    )
