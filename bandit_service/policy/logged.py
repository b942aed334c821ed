"""The candidates of decisions in the log, as the lines that the model saw of them.

A decision names its candidates by arm, and the revision of the placement that describes them: who
reads the log in order, beside a ``CatalogHistory``, can write their lines again. Training and the
export of examples both do, through here, so that they mean the same.
"""

from __future__ import annotations

from typing import Final

from bandit_service.events.catalog_history import CatalogHistory
from bandit_service.events.entries import Decision
from bandit_service.policy.features import action_line

_MAX_REVISIONS: Final = 5_000
"""Placement revisions whose candidates' lines are kept ready."""


class LoggedCandidates:
    """Lines of candidates, as of the entries that a catalog history has taken in so far."""

    def __init__(self, history: CatalogHistory) -> None:
        """Look placements up in ``history``, which the caller keeps in step with the log."""
        self._history = history
        self._lines: dict[tuple[str, int], dict[str, str]] = {}

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
