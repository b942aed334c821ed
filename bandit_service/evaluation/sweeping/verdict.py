"""What to do after a sweep, in sentences that claim no more than the held-out rows allow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bandit_service.evaluation.results import Estimate
from bandit_service.evaluation.sweeping.ranking import Ranking
from bandit_service.evaluation.sweeping.results import Advised, HeldOut
from bandit_service.evaluation.verdicts import Unit

_NAMED: Final = 3
"""Of those that are not told from the winner, how many are named."""


def verdict(ranks: Ranking, unit: Unit) -> tuple[Advised, list[str]]:
    """What to do, and the sentences that say so, the one to quote first; amounts in ``unit``."""
    held = ranks.held_out
    if held is None or ranks.winner is None:
        return "untold", [
            "No policy can be recommended: the log answers for none of them well enough.",
            _many(ranks),
        ]
    winner, base = ranks.winner.name, ranks.base
    if winner == base:
        said = f"Keep {base}: of {ranks.compared} others none was ranked above it."
        return "base", [said, *_on_held_out(base, held, unit), *_close(ranks), _many(ranks)]
    advised, first = _compared(winner, base, held, unit)
    rest = [*_on_held_out(winner, held, unit), *_optimism(held, unit), *_close(ranks), _many(ranks)]
    return advised, [first, *rest]


def _compared(winner: str, base: str, held: HeldOut, unit: Unit) -> tuple[Advised, str]:
    lead = held.over_base
    if held.base is None or lead is None:
        return "untold", f"{winner} was ranked first, but {base} could not be scored beside it."
    weak = next((one for one in (held.winner, held.base, lead) if one.status != "ok"), None)
    if weak is not None or lead.value is None:
        why = " ".join(weak.why if weak is not None else lead.why)
        return "untold", (
            f"{winner} was ranked first, but the held-out rows cannot confirm it: {why} "
            f"Keep {base} until there is a longer log."
        )
    low, high = lead.intervals[0].low, lead.intervals[0].high
    part = f" ({lead.value / held.base.value:+.1%})" if held.base.value else ""
    amount = (
        f"{unit.change(lead.value)} a decision{part}, between {unit.bare(low)} and "
        f"{unit.change(high)}"
    )
    rows = f"the {held.rows:,} held-out rows"
    if low > 0:
        return "adopt", f"Adopt {winner}: on {rows} it earned more than {base}, by {amount}."
    if high < 0:
        return "keep", (
            f"Keep {base}: {winner} was ranked first, but on {rows} it earned less, by {amount}."
        )
    return "untold", (
        f"{winner} was ranked first, but on {rows} no difference to {base} can be told: {amount}. "
        f"Keep {base} until there is a longer log."
    )


def _on_held_out(name: str, held: HeldOut, unit: Unit) -> Iterator[str]:
    if held.winner.value is None or held.logged is None:
        return
    low, high = held.winner.intervals[0].low, held.winner.intervals[0].high
    yield (
        f"On the held-out rows {name} earned {unit.level(held.winner.value)} a decision, between "
        f"{unit.level(low)} and {unit.level(high)}; the log earned {unit.level(held.logged)} there."
    )
    if held.over_log.value is not None:
        over = held.over_log.intervals[0]
        yield (
            f"Against what the log did there: {unit.change(held.over_log.value)}, between "
            f"{unit.bare(over.low)} and {unit.change(over.high)}."
        )


def _optimism(held: HeldOut, unit: Unit) -> Iterator[str]:
    ranked, over = held.lead_ranked, held.over_base
    if ranked is None or over is None or ranked.value is None or over.value is None:
        return
    yield (
        f"On the rows that it was chosen by it was ahead by {unit.change(ranked.value)}, on the "
        f"others by {unit.change(over.value)}: {_apart(ranked.value - over.value, unit)}."
    )
    if held.winner.value is not None and held.ranked.value is not None:
        yield (
            f"Its own estimate was {unit.level(held.ranked.value)} and became "
            f"{unit.level(held.winner.value)}; in that is also what it learned meanwhile, and how "
            "visitors changed."
        )


def _apart(optimism: float, unit: Unit) -> str:
    if optimism > 0:
        return f"choosing made it look better by {unit.change(optimism)}"
    return "choosing did not make it look better"


def _close(ranks: Ranking) -> Iterator[str]:
    others = [name for name in ranks.close if name != ranks.base]
    if others:
        first = ", ".join(others[:_NAMED])
        more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        yield f"The rows do not tell it from {first}{more}: any of these may be the best."


def _many(ranks: Ranking) -> str:
    return (
        f"{ranks.compared} policies were compared with {ranks.base} on the same rows, so the best "
        f"of them looks better than it is. Each lead in the table has an interval of "
        f"{ranks.lead_confidence:.2%}, so that all hold together; the comparison on the held-out "
        "rows is a single one, of a policy that was chosen without them, and needs no correction."
    )


def leads(estimate: Estimate) -> str:
    """What a lead over the base says, in a word or two."""
    if not estimate.intervals or estimate.status != "ok":
        return "cannot be told"
    low, high = estimate.intervals[0].low, estimate.intervals[0].high
    return "better" if low > 0 else "worse" if high < 0 else "no difference told"
