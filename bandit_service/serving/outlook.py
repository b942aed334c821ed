"""What each persona is shown on a placement now, as the serving policy would draw.

It is asked for a visitor of whom nothing is known but the persona: no traits, no situation, nothing
remembered. What a real visitor's draw takes into account beside that moves these shares a little;
the log has the exact ones of every decision. Nothing is logged and nothing drawn here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bandit_service.catalog.personas import UNKNOWN
from bandit_service.policy.chooser import Candidates, without_knowledge
from bandit_service.policy.features import shared_line
from bandit_service.serving.view import SiteView


class Outlook(NamedTuple):
    """What one persona is shown."""

    persona: str
    arms: Sequence[str]
    shares: Sequence[float]
    """Probability of each arm, holdout included; parallel to ``arms``."""
    rewards: Sequence[float]
    """Expected reward of each arm."""
    learned: bool
    """Whether a snapshot was asked; without one all arms are alike."""

    @property
    def first(self) -> int:
        """Which arm is shown most."""
        return max(range(len(self.arms)), key=self.shares.__getitem__)


def outlooks(view: SiteView, placement: str, *, now: int) -> list[Outlook]:
    """The outlook of every persona, and of visitors of none, on a placement of the catalog.

    None where nothing is live at ``now``, in ms since the Unix epoch.
    """
    shelf = view.shelves.get(placement)
    candidates = None if shelf is None else shelf.candidates(now)
    if candidates is None or not len(candidates):
        return []
    personas = [persona.id for persona in view.personas.personas]
    return [_outlook(view, candidates, persona) for persona in (*personas, UNKNOWN)]


def _outlook(view: SiteView, candidates: Candidates, persona: str) -> Outlook:
    chooser = view.chooser  # read once: a snapshot may be swapped in at any moment
    if chooser is None:
        given = without_knowledge(view.defaults.policy, candidates)
    else:
        given = chooser.distribution(candidates, shared_line(persona, {}, {}))
    return Outlook(persona, candidates.arms, given.overall, given.rewards, chooser is not None)
