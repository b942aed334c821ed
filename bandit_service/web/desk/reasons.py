"""Why a persona is shown what it is shown, in a sentence for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from bandit_service.catalog.personas import UNKNOWN
from bandit_service.serving.outlook import Outlook
from bandit_service.web.desk.writing import Writer


class Reason(NamedTuple):
    """What one persona sees most, and why."""

    persona: str
    name: str
    variant: str | None
    """Id of the variant that is shown most; None: nothing tells them apart."""
    share: float
    shares: list[tuple[str, float]]
    """By variant's id, from the largest; all of them."""
    words: str


def reason_of(outlook: Outlook, names: Mapping[str, str], write: Writer) -> Reason:
    """The sentence of one persona's outlook; ``names`` gives personas' names by id."""
    ids = [arm.rpartition("@")[0] for arm in outlook.arms]
    order = sorted(range(len(ids)), key=lambda n: (-outlook.shares[n], ids[n]))
    return Reason(
        persona=outlook.persona,
        name="Visitors of no known persona"
        if outlook.persona == UNKNOWN
        else names.get(outlook.persona) or outlook.persona,
        variant=None if _alike(outlook) and len(ids) > 1 else ids[order[0]],
        share=outlook.shares[order[0]],
        shares=[(ids[n], outlook.shares[n]) for n in order],
        words=_why(outlook, ids, order, write),
    )


def _alike(outlook: Outlook) -> bool:
    """Whether nothing is known that tells variants apart."""
    return not outlook.learned or max(outlook.rewards) == min(outlook.rewards)


def _why(outlook: Outlook, ids: list[str], order: list[int], write: Writer) -> str:
    if len(order) == 1:
        return "It is the only live variant."
    if _alike(outlook):
        return "Nothing tells the variants apart yet, so all are tried alike."
    best = max(order, key=outlook.rewards.__getitem__)
    first, second = order[0], order[1]
    expected = write.percent(outlook.rewards[first])
    other = write.percent(outlook.rewards[second])
    if first != best:
        return (
            f"It is expected to earn {expected}; {ids[best]} may earn more "
            f"({write.percent(outlook.rewards[best])}), and the limits on shares hold it back or "
            "its lead is not sure yet."
        )
    if outlook.shares[first] - outlook.shares[second] < 0.1:
        return (
            f"It is expected to earn {expected}, hardly more than {ids[second]} ({other}), so both "
            "are still tried."
        )
    return f"It is expected to earn {expected}, against {other} for {ids[second]}."
