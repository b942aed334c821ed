"""How often what reports claim ever fails, where somebody looks at the end of each of LOOKS days.

    python -m simulations watching --sites 40

Every figure is made by the package's own code from the sums of simulated sites (``watched``), whose
truth is known. A claim has failed in a place if it was wrong on any of the looks. Intervals are
made to fail in 5 % of places at most; a verdict to be wrong in 5 % at most.

The truth of a variant is what the visitors who came would have earned on average, had it always
been shown to them; of the policy, what it was to earn with those who came.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from bandit_service.reporting.columns import POLICY, N, counts, everybody, merged
from bandit_service.reporting.columns import weighted as weighted_sums
from bandit_service.reporting.estimates import Estimates, apart, measured, weighted
from bandit_service.reporting.gaps import dues
from bandit_service.reporting.persona_lift import persona_lifts
from bandit_service.reporting.personas_report import added
from bandit_service.reporting.sequences import ALPHA, Bounds, Floats
from bandit_service.reporting.tables import Table
from bandit_service.reporting.tag_effects import TagSums, shared, tell
from bandit_service.reporting.winners import race
from simulations.pool import each
from simulations.watched import LOOKS, PERSONAS, WORLDS, Day, Site, made

Flags = npt.NDArray[np.bool_]

TAGS: Final = 8
"""Tags, none of which makes a difference; each is carried by a third of the variants."""
_CARRIED: Final = 1 / 3


CLAIMS: Final = (
    "cell", "variant", "policy", "holdout", "gain", "pair", "winner", "lift", "earns",
    "tag", "tags", "gap",
)  # fmt: skip
"""``cell``: a variant with a persona. ``pair``: one variant less another. ``winner``: somebody is
named who is not the best. ``lift``: of choosing for a persona apart; ``earns``: it is said to pay
where it does not. ``tag``: one tag's effect on one group; ``tags``: any of a site's. ``gap``: a
persona is said to lack a creative where it does not."""


VERDICTS: Final = ("winner", "earns", "gap")
"""Claims that are made only where there is something to say: they fail in 5 % of all places at
most. Of intervals only those places are counted in which one was ever shown."""


class Tally(NamedTuple):
    """Of one claim."""

    places: float = 0.0
    failed: float = 0.0
    """In which it was ever wrong."""
    looks: float = 0.0
    made: float = 0.0
    """At how many of the looks it was made."""

    def __add__(self, other: Tally) -> Tally:  # type: ignore[override]
        return Tally(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


Tallies = dict[tuple[str, str], Tally]
"""By world and claim."""


class Task(NamedTuple):
    """A site of a world."""

    world: str
    seed: int

    @property
    def name(self) -> str:
        """For people."""
        return f"site {self.seed} of {self.world}"


def tasks(sites: int, *, seed: int, worlds: Iterable[str] = tuple(WORLDS)) -> list[Task]:
    """The study, cut into its sites."""
    return [Task(name, seed + number) for name in worlds for number in range(sites)]


def run(parts: Sequence[Task], *, processes: int) -> Iterator[Tallies]:
    """The tallies of each part, as they come."""
    return each(parts, watched, processes=processes)


def together(several: Iterable[Tallies]) -> Tallies:
    """All of them."""
    total: Tallies = {}
    for tallies in several:
        for key, tally in tallies.items():
            total[key] = total.get(key, Tally()) + tally
    return total


def watched(part: Task) -> Tallies:
    """Watch one site for LOOKS days."""
    world = WORLDS[part.world]
    rng = np.random.default_rng([part.seed, *part.world.encode()])
    site = made(world, world.placements, rng)
    carried = rng.random((world.placements, world.variants, TAGS)) < _CARRIED
    watcher = _Watcher(site, carried.astype(np.float64))
    for day in site.days(LOOKS, rng):
        watcher.look(day)
    return {(world.name, claim): tally for claim, tally in watcher.tallies().items()}


class _Claim:
    """Whether a claim was made, and wrong, in each of its places."""

    def __init__(self, *, verdict: bool) -> None:
        self._verdict = verdict
        self._ever = self._wrong = np.zeros(0, np.bool_)
        self._looks = self._made = 0.0

    def note(self, claimed: Flags, wrong: Flags) -> None:
        """One look."""
        if not self._ever.size:
            self._ever, self._wrong = np.zeros_like(claimed), np.zeros_like(claimed)
        self._ever = self._ever | claimed
        self._wrong = self._wrong | (claimed & wrong)
        self._looks += claimed.size
        self._made += float(claimed.sum())

    def tally(self) -> Tally:
        """What came of it."""
        places = self._ever.size if self._verdict else self._ever.sum()
        return Tally(float(places), float(self._wrong.sum()), self._looks, self._made)


class _Watcher:
    """Looks at a site, and compares what is claimed with what is so."""

    def __init__(self, site: Site, carried: Floats) -> None:
        self._site = site
        self._carried = carried
        self._claims = {claim: _Claim(verdict=claim in VERDICTS) for claim in CLAIMS}

    def tallies(self) -> dict[str, Tally]:
        """What came of each claim."""
        return {name: claim.tally() for name, claim in self._claims.items()}

    def look(self, day: Day) -> None:
        """Look at the end of a day."""
        sums = weighted_sums(day.rows)
        cells, variants = weighted(sums, day.scale), weighted(everybody(sums, 2), day.scale)
        visits = day.visits[:, None, :]
        due = day.due / np.maximum(visits, 1.0)
        over = day.due.sum(axis=2) / np.maximum(visits.sum(axis=2), 1.0)
        self._interval("cell", cells.bounds, due)
        self._interval("variant", variants.bounds, over)
        both = _swapped(_stacked(variants, cells))
        self._pairs(both, np.swapaxes(np.concatenate([over[..., None], due], axis=2), 1, 2))
        self._winners(sums, due, over, day)
        self._experiment(day)
        self._lifts(day)
        self._tags(day)
        self._gaps(cells, due, day)

    def _interval(self, claim: str, bounds: Bounds, truth: Floats) -> None:
        off = (truth < bounds.low - 1e-12) | (truth > bounds.high + 1e-12)
        self._claims[claim].note(np.isfinite(bounds.low) & np.isfinite(bounds.high), off)

    def _pairs(self, found: Estimates, truth: Floats) -> None:
        first, second = np.triu_indices(truth.shape[-1], 1)
        bounds = apart(found.take((..., first)), found.take((..., second)))
        self._interval("pair", bounds, truth[..., first] - truth[..., second])

    def _winners(self, sums: Floats, due: Floats, over: Floats, day: Day) -> None:
        groups = [(everybody(sums, 2), over)]
        groups += [(sums[:, :, group], due[:, :, group]) for group in range(PERSONAS)]
        found = [
            race(
                weighted(of_group, day.scale),
                weighted(of_group, day.scale, ALPHA / (of_group.shape[-2] - 1)).bounds.low,
            )
            for of_group, _ in groups
        ]
        won = np.stack([one.lead > 0.0 for one in found])
        behind = [
            np.take_along_axis(truth, one.leader[:, None], 1)[:, 0] < truth.max(axis=1) - 1e-12
            for one, (_, truth) in zip(found, groups, strict=True)
        ]
        self._claims["winner"].note(won, np.stack(behind))

    def _experiment(self, day: Day) -> None:
        totals = counts(merged(merged(day.rows, 2), 1))
        found = measured(totals, day.scale)
        truth = day.expected.sum(axis=1) / np.maximum(totals[..., N], 1.0)
        policy, holdout = found.take((..., 0)), found.take((..., 1))
        self._interval("policy", policy.bounds, truth[:, 0])
        self._interval("holdout", holdout.bounds, truth[:, 1])
        self._interval("gain", apart(policy, holdout), truth[:, 0] - truth[:, 1])

    def _lifts(self, day: Day) -> None:
        """What is claimed of the site's personas, and what choosing so would have earned."""
        arms = [str(number) for number in range(day.rows.shape[1])]
        personas = [str(number) for number in range(PERSONAS)]
        found = [persona_lifts(Table(arms, personas, rows, day.scale)) for rows in day.rows]
        due = day.due / np.maximum(day.visits[:, None, :], 1.0)
        bounds, truth = np.full((2, PERSONAS), np.nan), np.zeros(PERSONAS)
        for number, persona in enumerate(personas):
            lifts = [(place, one[persona]) for place, one in enumerate(found) if persona in one]
            total = added([one for _, one in lifts])
            bounds[:, number] = total.interval(ALPHA / PERSONAS) or np.nan
            truth[number] = sum(
                one.visits / total.visits * _true_lift(one.choices, due[place, :, number])
                for place, one in lifts
            )
        claimed = ~np.isnan(bounds[0])
        self._claims["lift"].note(claimed, (truth < bounds[0]) | (truth > bounds[1]))
        self._claims["earns"].note(claimed & (bounds[0] > 0.0), truth <= 0.0)

    def _gaps(self, cells: Estimates, due: Floats, day: Day) -> None:
        sums = counts(merged(day.rows, 1))[:, :, POLICY]
        _, least = dues(sums, day.scale)
        earned, n = day.expected[..., POLICY], sums[..., N]
        away, away_n = (values.sum(axis=0, keepdims=True) - values for values in (earned, n))
        others, others_n = (values.sum(axis=1, keepdims=True) - values for values in (earned, n))
        afar, afar_n = (v.sum(axis=1, keepdims=True) - v for v in (away, away_n))
        level = np.minimum(_over(others, others_n) / np.maximum(_over(afar, afar_n), 1e-12), 1.0)
        short = due.max(axis=1) < _over(away, away_n) * level
        self._claims["gap"].note(cells.bounds.high.max(axis=1) < least, ~short)

    def _tags(self, day: Day) -> None:
        sums = TagSums(1 + PERSONAS, TAGS)
        for rows, has in zip(day.rows, self._carried, strict=True):
            groups = np.concatenate([merged(rows, 1)[:, None], rows], axis=1).swapaxes(0, 1)
            sums.add([tell(groups, has)], range(1 + PERSONAS))
        found = sums.effects()
        half = found.half(shared(1 + PERSONAS, TAGS))
        claimed, wrong = np.isfinite(half), np.abs(found.effect) > half
        self._claims["tag"].note(claimed, wrong)
        self._claims["tags"].note(np.any(claimed, keepdims=True), np.any(wrong, keepdims=True))


def _over(total: Floats, n: Floats) -> Floats:
    return total / np.maximum(n, 1.0)


def _true_lift(chosen: Sequence[tuple[int, int]], due: Floats) -> float:
    """What both choices, the persona's and everybody's, would have earned apart."""
    return float(sum(due[own] - due[all_] for own, all_ in chosen)) / 2.0


def _stacked(variants: Estimates, cells: Estimates) -> Estimates:
    """L x K and L x K x G to L x K x (1 + G): everybody first."""
    flat = zip(_columns(variants), _columns(cells), strict=True)
    return _estimates(np.concatenate([one[..., None], each], axis=2) for one, each in flat)


def _swapped(found: Estimates) -> Estimates:
    """L x K x G to L x G x K."""
    return _estimates(np.swapaxes(values, 1, 2) for values in _columns(found))


def _columns(found: Estimates) -> tuple[Floats, ...]:
    return found.rate, *found.bounds, found.effective_n, found.largest


def _estimates(columns: Iterable[Floats]) -> Estimates:
    rate, low, high, size, largest = columns
    return Estimates(rate, Bounds(low, high), size, largest)
