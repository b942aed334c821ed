"""Every verdict as a sentence, in one place: the desk and the API say the same.

For a marketer: no term of statistics. Numbers are written as in English; records carry them bare
for whoever writes them otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from bandit_service.reporting.estimates import HeldBack
from bandit_service.reporting.tables import Scale
from bandit_service.reporting.winners import Winner

State = Literal[
    "retired",
    "empty",
    "unused",
    "idle",
    "sent",
    "finished",
    "single",
    "winner",
    "even",
    "learning",
]
Worth = Literal["earns", "costs", "no_difference", "too_few"]
Effect = Literal["more", "less", "no_difference", "too_few"]


class Relative(msgspec.Struct, frozen=True, kw_only=True):
    """A difference and its bounds, as parts of what is earned: 0.1 is a tenth more."""

    value: float
    low: float
    high: float


EVERYBODY: Final = "everybody"
_STATES: Final[dict[State, str]] = {
    "retired": "Out of use.",
    "empty": "Nothing is live: visitors get no variant.",
    "unused": "No traffic yet.",
    "sent": "Its variants come with the requests: they are counted, and not compared.",
    "finished": "Finished: one variant is shown, and the others rest.",
    "single": "One variant: there is nothing to choose.",
    "even": "No difference so far: none of the variants stands out.",
    "learning": "Learning: too little is known to tell the variants apart.",
}
HELD_BACK: Final[dict[HeldBack, str]] = {
    "nothing_settled": "No visit has come to its end yet.",
    "too_few_rewards": "Too few rewards to say how far the mean may be off.",
}


def state(name: State, *, winners: Sequence[Winner] = (), last_seen: int | None = None) -> str:
    """How a placement stands."""
    if name == "winner":
        return _winners(winners)
    if name == "idle":
        return f"No traffic since {moment(last_seen or 0)}."
    return _STATES[name]


def _winners(winners: Sequence[Winner]) -> str:
    """Who has won: over everybody, and for whom it is another; else for whom."""
    first = winners[0]
    if first.persona is None:
        others = [winner for winner in winners if winner.arm != first.arm]
        but = f", but for {_listed(others)}" if others else ""
        return f"Clear winner: {variant(first.arm)}{but}."
    return f"Clear winner for {_listed(winners)}."


def _listed(winners: Sequence[Winner]) -> str:
    return ", ".join(f"{winner.persona} ({variant(winner.arm)})" for winner in winners)


def losing(sentence: str) -> str:
    """The same of a placement that earns less than even choice."""
    return f"Earns less than if variants were drawn evenly. {sentence}"


def persona_worth(persona: str, worth: Worth, lift: Relative | None) -> str:
    """Whether a persona earns its keep."""
    if worth == "too_few":
        return f"Too little is known yet of what choosing for {persona} apart earns."
    if worth == "no_difference":
        so_far = f"Choosing for {persona} apart makes no difference so far"
        return f"{so_far}: {'what suits everybody suits them' if lift is None else _between(lift)}."
    verb = "earns" if worth == "earns" else "costs"
    said = "" if lift is None else f": {change(lift.value)}, {_between(lift)}"
    return f"Choosing for {persona} apart {verb}{said}."


def tag_effect(tag: str, persona: str | None, effect: Effect, value: Relative | None) -> str:
    """What a tag does."""
    whom = persona or EVERYBODY
    if effect == "too_few" or value is None:
        return f"Too little is known yet of {tag} for {whom}."
    if effect == "no_difference":
        return f"{tag} makes no difference to {whom} so far: {_between(value)}."
    return f"Variants with {tag} earn {change(value.value)} with {whom}, {_between(value)}."


def _between(value: Relative) -> str:
    return f"between {change(value.low)} and {change(value.high)}"


def gap(persona: str, best: float, elsewhere: float, scale: Scale) -> str:
    """Why a placement lacks a creative for a persona."""
    return (
        f"No creative suits {persona} here: the best one earns {rate(best, scale)}, "
        f"where {persona} earns {rate(elsewhere, scale)} elsewhere."
    )


def variant(arm: str) -> str:
    """The id of a variant, of an arm's name."""
    return arm.rpartition("@")[0] or arm


def change(value: float) -> str:
    """A relative difference: "+12%"."""
    return f"{100.0 * value:+.0f}%".replace("-", "\N{MINUS SIGN}")


def rate(value: float, scale: Scale) -> str:
    """A mean reward: in percent where a click is all there is to earn."""
    if scale.size == 1.0 and scale.least == 0.0:
        return f"{100.0 * value:.3g}%"
    return f"{value:.3g}"


def moment(ms: int) -> str:
    """A day and a time, in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
