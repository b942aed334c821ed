"""The candidates of decisions in the log, as the lines that the model saw of them.

A decision names its candidates by arm, and the revision of the placement that describes them: who
reads the log in order, beside a ``CatalogHistory``, can write their lines again. Training, the
export of examples and offline evaluation do, through here, so that they mean the same.
"""

from __future__ import annotations

from typing import Final

from bandit_service.catalog.model import Placement
from bandit_service.events.catalog_history import CatalogHistory
from bandit_service.events.entries import Decision
from bandit_service.kept import Kept
from bandit_service.policy.chooser import Candidates
from bandit_service.policy.features import action_line

_MAX_REVISIONS: Final = 5_000
"""Placement revisions whose candidates' lines are kept ready."""
_MAX_KEPT_BYTES: Final = 32 * 1_048_576
"""How much room lists of candidates may take: which are excluded comes from requests."""
_BYTES_AN_ARM: Final = 600
"""What a candidate takes besides its line."""


def candidates_of(decision: Decision, placement: Placement | None) -> Candidates:
    """What a decision chose among; ``placement`` is as of its revision, None if all came inline.

    What was live then follows from the decision's own time, by which it was made.
    """
    if decision.inline is not None or placement is None:
        return Candidates.inline(decision.placement, decision.inline or ())
    return Candidates.of(placement, decision.at, decision.exclude)


class LoggedCandidates:
    """Lines of candidates, as of the entries that a catalog history has taken in so far."""

    def __init__(self, history: CatalogHistory) -> None:
        """Look placements up in ``history``, which the caller keeps in step with the log."""
        self._history = history
        self._lines: dict[tuple[str, int], dict[str, str]] = {}
        self._kept: Kept[tuple[str, int, int, tuple[str, ...]], Candidates] = Kept(
            entries=_MAX_REVISIONS, room=_MAX_KEPT_BYTES
        )

    def asked(self, decision: Decision) -> Candidates | None:
        """The candidates as the service had them, or None if the log does not say what they were.

        Their arms are those of the decision, in its order.
        """
        candidates = self._asked(decision)
        return candidates if candidates and candidates.arms == decision.arms else None

    def of(self, decision: Decision) -> list[str] | None:
        """A line for each candidate, or None if the log does not say what they were."""
        if decision.inline is not None:
            return [action_line(decision.placement, (), variant) for variant in decision.inline]
        key = (decision.placement, decision.revision)
        placement = self._history.placement(*key)
        if placement is None:
            return None  # also where its lines are still at hand: a restored reader has none
        known = self._lines.get(key)
        if known is None:
            if len(self._lines) >= _MAX_REVISIONS:
                self._lines.clear()
            known = self._lines[key] = {
                variant.arm: action_line(placement.id, placement.tags, variant)
                for variant in placement.variants
            }
        try:
            return [known[arm] for arm in decision.arms]
        except KeyError:
            return None

    def _asked(self, decision: Decision) -> Candidates | None:
        if decision.inline is not None:
            return candidates_of(decision, None)
        placement = self._history.placement(decision.placement, decision.revision)
        if placement is None:
            return None
        period = placement.period(decision.at)
        key = (decision.placement, decision.revision, period, tuple(decision.exclude))
        kept = self._kept.get(key)
        if kept is None:
            kept = candidates_of(decision, placement)
            lines = sum(map(len, kept.lines)) + sum(map(len, decision.exclude))
            self._kept.keep(key, kept, lines + _BYTES_AN_ARM * (1 + len(kept)))
        return kept
