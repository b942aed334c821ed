"""Decision-service JSON as rows: what Vowpal Wabbit's loops and Azure Personalizer write.

One line is one decision with its cost, or one of several slots (``_outcomes``), each of which is a
row of the placement ``slot-0``, ``slot-1``, …, among the actions that were left for it. Reward is
minus the cost. Lines with ``_skipLearn`` were never activated: they are no rows. A loop that
thinned out its log says so in ``pdrop``; where that differs, the rows that stayed do not stand for
all alike, and it is said.

An action is known by its ``_tag``, ``id`` or ``name``, else by a digest of its features, else by
its place. Lines that this program exported name arms, placement and persona themselves, and their
feature lines are those of the service; of other lines the features are put as the service would
have them, context and attributes by dotted names.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from bandit_service.archive.reading import told
from bandit_service.errors import LogError
from bandit_service.evaluation.batch import Batch, Vocabulary, hash_of
from bandit_service.evaluation.logs.actions import Actions, asked_of, persona_of
from bandit_service.evaluation.logs.base import (
    Blame,
    LogDescription,
    Progress,
    Violation,
    Watch,
)
from bandit_service.evaluation.logs.examples import Example, Features, Item, Shown, Slot
from bandit_service.evaluation.logs.files import Line, fingerprint, lines_of
from bandit_service.evaluation.logs.noticing import Recent
from bandit_service.evaluation.logs.rows import Row, Rows

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


_decoder: Final = msgspec.json.Decoder(Example)
_features: Final = msgspec.json.Decoder(Features)


class _Refused(Exception):
    """Raised when a line is no row; says why."""


class DsjsonLog:
    """Files of decision-service JSON; see ``base.LoggedData``."""

    def __init__(self, paths: Sequence[Path], *, name: str) -> None:
        """Read ``paths``, parts of one log, in the order of the times they begin with.

        Raises:
            LogError: if a file cannot be read, or does not begin as such a file does.
        """
        self._paths = [path for _, path in sorted((_begins(path), path) for path in paths)]
        self._prints = {path: fingerprint(path) for path in self._paths}
        self._actions = Actions()
        self.description = LogDescription(name=name, format="dsjson")
        self.size: int | None = None
        self.reward_range: tuple[float, float] | None = None
        self.excluded: dict[str, int] = {}

    def batches(
        self,
        *,
        blame: Blame,
        progress: Progress,
        watch: Watch | None = None,  # noqa: ARG002 - a log of examples has no entries
    ) -> Iterator[Batch]:
        """See ``LoggedData``."""
        left_out: Counter[str] = Counter()
        rows: Rows[Item] = Rows(Vocabulary(), asked_of)
        reading = _Reading(self._actions, left_out, blame)
        for path, number, line in told(self._lines(blame), progress):
            for row in reading.rows(line.data, path, line.number, number, ended=line.ended):
                rows.add(row)
            if rows.full:
                yield rows.batch()
        if rows:
            yield rows.batch()
        self.excluded = dict(left_out)

    def close(self) -> None:
        """See ``LoggedData``."""

    def _lines(self, blame: Blame) -> Iterator[tuple[Path, int, Line]]:
        """Every line, with its file and what stands for that in the keys of rows."""
        for path in self._once(blame):
            number = hash_of(self._prints[path])
            for line in lines_of(path):
                yield path, number, line

    def _once(self, blame: Blame) -> Iterator[Path]:
        seen: dict[str, Path] = {}
        for path in self._paths:
            known = seen.setdefault(self._prints[path], path)
            if known is path:
                yield path
            else:
                blame(Violation("partition_overlaps", str(path), f"it is {known} again; read once"))


class _Reading:
    """One reading of the log."""

    def __init__(self, actions: Actions, left_out: Counter[str], blame: Blame) -> None:
        self._actions = actions
        self._left_out = left_out
        self._blame = blame
        self._recent = Recent()
        self._pdrop: float | None = None

    def rows(
        self, data: bytes, path: Path, number: int, file: int, *, ended: bool
    ) -> list[Row[Item]]:
        """The rows of a line.

        Raises:
            LogError: if the file ends within it.
        """
        place = f"{path}:{number}"
        try:
            example = _decoder.decode(data)
            if example.skipped:
                self._left_out["skip_learn"] += 1
                return []
            made = self._made(example, place, file + number)
        except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
            if not ended:
                raise LogError(
                    f"{place} is cut short: {exc}", hint="copy the file again, or drop the line"
                ) from exc
            return self._leave_out("row_unreadable", place, str(exc))
        except _Refused as exc:
            return self._leave_out("row_unreadable", place, str(exc))
        if example.id is not None and not self._recent.add(hash_of(str(example.id))):
            return self._leave_out("decision_twice", place, f"event {example.id} came before")
        self._compare_pdrop(example, place)
        return made

    def _made(self, example: Example, place: str, instead: int) -> list[Row[Item]]:
        features = _features.decode(example.features)
        if not features.actions:
            raise _Refused("it has no actions (`c._multi`)")
        arms = self._arms(example, features)
        persona = "unknown" if example.bandit is None else persona_of(features)
        ms = _ms(example.time)
        key = instead % 2**64 if example.id is None else hash_of(str(example.id))
        return [
            _row(Item(example, shown, arms, persona, place, ms, slot), key)
            for slot, shown in _shown(example, len(arms))
        ]

    def _arms(self, example: Example, features: Features) -> list[str]:
        if example.bandit is None:
            return self._actions.names(features.actions)
        arms = example.bandit.arms
        if len(arms) != len(features.actions) or len(set(arms)) < len(arms):
            raise _Refused("`bandit.arms` does not name its actions")
        return arms

    def _compare_pdrop(self, example: Example, place: str) -> None:
        if self._pdrop is None:
            self._pdrop = example.pdrop
        if example.pdrop != self._pdrop:
            message = f"pdrop is {example.pdrop:g}, and was {self._pdrop:g} at first"
            self._blame(Violation("sampled_unevenly", place, message))

    def _leave_out(self, kind: str, place: str, message: str) -> list[Row[Item]]:
        self._left_out[kind] += 1
        self._blame(Violation(kind, place, message))
        return []


def _row(item: Item, event: int) -> Row[Item]:
    shown = item.shown
    slotted = item.slot is not None
    return Row(
        place=item.place if not slotted else f"{item.place} slot {item.slot}",
        key=hash_of(f"{event} {item.slot}") if slotted else event,
        cluster=event,
        ms=item.ms,
        placement=shown.placement,
        persona=item.persona,
        arms=[item.arms[n] for n in shown.candidates],
        logged=shown.logged,
        chosen=shown.chosen,
        propensity=shown.propensity,
        reward=shown.reward,
        item=item,
    )


def _shown(example: Example, count: int) -> Iterator[tuple[int | None, Shown]]:
    if example.slots is None:
        yield None, _single(example, count)
        return
    for number, slot in enumerate(example.slots):
        yield number, _slot(slot, f"slot-{number}", count)


def _single(example: Example, count: int) -> Shown:
    if sorted(example.a) != list(range(1, count + 1)) and example.a:
        raise _Refused(f"`a` does not list each of its {count} actions once")
    if len(example.a) != len(example.p):
        raise _Refused(f"`a` has {len(example.a)} actions, `p` {len(example.p)} probabilities")
    logged = [math.nan] * count
    for action, probability in zip(example.a, example.p, strict=True):
        logged[action - 1] = probability
    action = example.action if example.action is not None else next(iter(example.a), 0)
    chosen = action - 1 if 1 <= action <= count else -1
    propensity = math.nan if example.probability is None else example.probability
    if chosen >= 0 and not example.p:
        logged[chosen] = propensity
    placement = "log" if example.bandit is None else example.bandit.placement
    return Shown(placement, list(range(count)), logged, chosen, propensity, _reward(example.cost))


def _slot(slot: Slot, placement: str, count: int) -> Shown:
    actions, probabilities = slot.actions, slot.probabilities
    if not isinstance(actions, list) or not isinstance(probabilities, list):
        raise _Refused(f"{placement} does not say what else could have been shown")
    if not actions or len(actions) != len(probabilities):
        raise _Refused(
            f"{placement} has {len(actions)} actions, {len(probabilities)} probabilities"
        )
    if len(set(actions)) < len(actions) or not all(0 <= n < count for n in actions):
        raise _Refused(f"{placement} lists actions that are not there, or one twice")
    return Shown(placement, actions, probabilities, 0, probabilities[0], _reward(slot.cost))


def _reward(cost: float | None) -> float:
    if cost is None or not math.isfinite(cost):
        raise _Refused("it has no cost (`_label_cost`)")
    return 0.0 - cost


def _ms(time: str | None) -> int:
    if time is None:
        return 0
    try:
        moment = datetime.fromisoformat(time)
        known = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        ms = int((known - _EPOCH).total_seconds() * 1000 // 1)
    except (ValueError, OverflowError) as exc:
        raise _Refused(f"`Timestamp` {time[:80]!r} is no time in ISO 8601") from exc
    if ms < 0:
        raise _Refused(f"`Timestamp` {time[:80]!r} is before 1970")
    return ms


def _begins(path: Path) -> int:
    """When the first row of a file was decided; the file is one of these."""
    for line in lines_of(path):
        try:
            return _ms(_decoder.decode(line.data).time)
        except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
            raise LogError(
                f"{path}:{line.number} is not a line of decision-service JSON: {exc}",
                hint="each line needs `c` with its `_multi`, and `_label_cost` or `_outcomes`",
            ) from exc
        except _Refused:
            return 0
    raise LogError(f"{path} has blank lines alone", hint="was it cut short?")
