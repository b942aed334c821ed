"""What a model sees of a row of a table: a decision as the service would have logged it.

The arms are variants sent inline, of version 1, with the tags and attributes of the table of items
if there is one; columns with traits and context are the decision's. A decision says the probability
of every candidate: where the log does not, it is NaN here too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bandit_service.catalog.model import Variant
from bandit_service.evaluation.batch import Asked, Batch, Vocabulary
from bandit_service.evaluation.logs.tables import Coded
from bandit_service.events.entries import Decision
from bandit_service.kept import Kept
from bandit_service.policy.chooser import Candidates
from bandit_service.policy.features import shared_line

_MAX_KEPT: Final = 5_000
_MAX_KEPT_BYTES: Final = 32 * 1_048_576
_BYTES_AN_ARM: Final = 600
"""What a candidate takes besides its line."""


class Describer:
    """Variants of arms, and candidates of rows."""

    def __init__(self, names: Vocabulary, items: Mapping[str, Variant]) -> None:
        """``items`` are the variants that are described; others have a name alone."""
        self._names = names
        self._items = items
        self._kept: Kept[tuple[int, bytes], Candidates] = Kept(
            entries=_MAX_KEPT, room=_MAX_KEPT_BYTES
        )

    def candidates(self, batch: Batch, row: int) -> Candidates:
        """The candidates of a row."""
        arms = batch.arms[batch.offsets[row] : batch.offsets[row + 1]]
        key = (int(batch.placement[row]), arms.tobytes())
        kept = self._kept.get(key)
        if kept is None:
            variants = [self._variant(self._names.arms[arm]) for arm in arms.tolist()]
            kept = Candidates.inline(self._names.placements[key[0]], variants)
            room = sum(map(len, kept.lines)) + _BYTES_AN_ARM * len(kept)
            self._kept.keep(key, kept, room)
        return kept

    def _variant(self, arm: str) -> Variant:
        return self._items.get(arm) or Variant(id=arm, version=1, status="live")


class RowsAsked(Sequence[Any]):
    """n: each row as a decision, made when it is looked at."""

    def __init__(
        self,
        describer: Describer,
        batch: Batch,
        *,
        visitor: Coded | None,
        traits: Mapping[str, Coded],
        context: Mapping[str, Coded],
    ) -> None:
        """``batch`` has the same rows; its own ``asked`` is not looked at."""
        self._describer = describer
        self._batch = batch
        self._visitor = visitor
        self._traits = traits
        self._context = context

    def __len__(self) -> int:
        return len(self._batch)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        row = range(len(self))[index]
        traits = {name: [text] for name, coded in self._traits.items() if (text := coded.at(row))}
        context = {name: text for name, coded in self._context.items() if (text := coded.at(row))}
        batch = self._batch
        candidates = self._describer.candidates(batch, row)
        persona = batch.names.personas[int(batch.persona[row])]
        decision = Decision(
            id=batch.places[row],
            at=int(batch.ms[row]),
            placement=batch.names.placements[int(batch.placement[row])],
            revision=0,
            arms=candidates.arms,
            probabilities=batch.logged[batch.offsets[row] : batch.offsets[row + 1]].tolist(),
            chosen=int(batch.chosen[row]),
            snapshot="none",
            reason="learned",
            persona=persona,
            confidence=0.0,
            visitor=None if self._visitor is None else self._visitor.at(row) or None,
            traits=traits,
            context=context,
            inline=list(candidates.variants),
        )
        return Asked(decision, shared_line(persona, traits, context), candidates)
