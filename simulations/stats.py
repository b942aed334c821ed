"""Click rates, what two of them say about each other, and the board of a run.

``Clicks`` is a mergeable fold: merged parts equal the whole. Intervals are of 95 %; they take
visits to be independent and the moment of looking to be fixed beforehand. Whoever watches a live
table and stops at a pleasing moment sees more "significance" than there is.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection

import msgspec

Z95 = 1.959963984540054
"""Standard normal quantile of 0.975."""


class Interval(msgspec.Struct, frozen=True):
    """Two ends, low first, in the unit of the estimate."""

    low: float
    high: float


class Clicks(msgspec.Struct, frozen=True):
    """Visits, and how many of them ended in a click."""

    visits: int = 0
    clicks: int = 0

    def add(self, *, clicked: bool) -> Clicks:
        """These visits and one more."""
        return Clicks(self.visits + 1, self.clicks + clicked)

    def __add__(self, other: Clicks) -> Clicks:
        return Clicks(self.visits + other.visits, self.clicks + other.clicks)

    @property
    def rate(self) -> float:
        """Clicks per visit; 0 where there was no visit."""
        return self.clicks / self.visits if self.visits else 0.0


class Lift(msgspec.Struct, frozen=True):
    """Rate over base rate - 1 (0.5 means half as many again), with its interval."""

    estimate: float
    interval: Interval

    @property
    def significant(self) -> bool:
        """Whether the interval excludes 0."""
        return self.interval.low > 0.0 or self.interval.high < 0.0


def wilson(counted: Clicks) -> Interval:
    """The score interval of a rate: [0, 1] where there was no visit.

        (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n)

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    Journal of the American Statistical Association 22 (1927), 209-212.
    """
    if not counted.visits:
        return Interval(0.0, 1.0)
    n, p = counted.visits, counted.rate
    shrink = 1.0 + Z95**2 / n
    middle = (p + Z95**2 / (2 * n)) / shrink
    half = Z95 * math.sqrt(p * (1.0 - p) / n + Z95**2 / (4 * n * n)) / shrink
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def lift(counted: Clicks, *, over: Clicks) -> Lift | None:
    """How much higher a rate is than a base, or None until both have a click.

        ln(p₁/p₀) ± z √((1-p₁)/x₁ + (1-p₀)/x₀),    x clicks in n visits, p = x/n

    Source: D. Katz, J. Baptista, S. P. Azen, M. C. Pike, "Obtaining confidence intervals for the
    risk ratio in cohort studies", Biometrics 34 (1978), 469-474.
    """
    if not counted.clicks or not over.clicks:
        return None
    ratio = counted.rate / over.rate
    spread = math.sqrt((1.0 - counted.rate) / counted.clicks + (1.0 - over.rate) / over.clicks)
    factor = math.exp(Z95 * spread)
    return Lift(ratio - 1.0, Interval(ratio / factor - 1.0, ratio * factor - 1.0))


class Score:
    """Clicks of one group of visitors: under the policy, in the holdout, and as time passes."""

    def __init__(self, *, step_seconds: float) -> None:
        self.policy = Clicks()
        self.holdout = Clicks()
        self._step_seconds = step_seconds
        self._steps: defaultdict[int, Clicks] = defaultdict(Clicks)

    def add(self, *, at: float, holdout: bool, clicked: bool) -> None:
        """Count a visit made ``at`` seconds after the start; the trend is the policy's alone."""
        if holdout:
            self.holdout = self.holdout.add(clicked=clicked)
            return
        self.policy = self.policy.add(clicked=clicked)
        step = int(at / self._step_seconds)
        self._steps[step] = self._steps[step].add(clicked=clicked)

    @property
    def visits(self) -> int:
        """Visits of both kinds."""
        return self.policy.visits + self.holdout.visits

    @property
    def lift(self) -> Lift | None:
        """How much higher the policy's rate is than the holdout's."""
        return lift(self.policy, over=self.holdout)

    def trend(self, now: float, *, parts: int) -> list[Clicks]:
        """The policy's clicks in at most ``parts`` even spans of the steps completed by ``now``."""
        done = int(now / self._step_seconds)
        parts = min(parts, done)
        return [
            self._span(done * part // parts, done * (part + 1) // parts) for part in range(parts)
        ]

    def ends(self, now: float) -> tuple[Clicks, Clicks]:
        """The policy's clicks in the first two and the last two steps completed by ``now``."""
        done = int(now / self._step_seconds)
        return self._span(0, min(2, done)), self._span(max(0, done - 2), done)

    def _span(self, start: int, stop: int) -> Clicks:
        return sum((self._steps[step] for step in range(start, stop)), Clicks())


class Board:
    """Everything counted in one run, per true persona."""

    def __init__(self, personas: Collection[str], *, step_seconds: float) -> None:
        self.scores = {persona: Score(step_seconds=step_seconds) for persona in personas}
        self.total = Score(step_seconds=step_seconds)
        self.last_decision = 0.0
        """Seconds after the start at which the latest decision came."""
        self.words: dict[str, str] = {}
        """What was said the first time a failure of each code came, in order of coming."""
        self._snapshots: set[str] = set()
        self._recognised = 0
        self._failures: Counter[str] = Counter()

    def decided(
        self,
        *,
        at: float,
        persona: str,
        recognised: bool,
        holdout: bool,
        snapshot: str | None,
        clicked: bool,
    ) -> None:
        """Count a visit that was answered ``at`` seconds after the start."""
        for score in (self.scores[persona], self.total):
            score.add(at=at, holdout=holdout, clicked=clicked)
        self.last_decision = max(self.last_decision, at)
        self._recognised += recognised
        if snapshot:
            self._snapshots.add(snapshot)

    def failed(self, code: str, words: str) -> None:
        """Count a failure; of each code the first words are kept."""
        self._failures[code] += 1
        self.words.setdefault(code, words)

    def troubles(self) -> list[str]:
        """Every kind of failure once, the commonest first, in the words of its first time."""
        common = self._failures.most_common()
        return [f"{count} x {code}: {self.words[code]}" for code, count in common]

    def status(self, elapsed: float) -> str:
        """How long, how fast, how often the policy changed, what went wrong, in one line."""
        visits = self.total.visits
        return (
            f"{elapsed:.0f} s · {visits:,} decisions · {visits / max(elapsed, 1e-9):.0f}/s · "
            f"{len(self._snapshots)} snapshots · "
            f"{self._recognised / max(visits, 1):.0%} personas right · "
            f"{self._failures.total()} errors"
        )

    def verdict(self, elapsed: float, *, interrupted: bool) -> str:
        """One sentence on what the run shows, and how surely."""
        total = self.total
        policy, holdout, gain = total.policy, total.holdout, total.lift
        facts = (
            f"In {elapsed:.0f} s, learning included, {policy.rate:.1%} of the policy's "
            f"{policy.visits:,} visits and {holdout.rate:.1%} of the uniform holdout's "
            f"{holdout.visits:,} ended in a click"
        )
        if gain is None:
            return f"{facts}: too few clicks to speak of a lift."
        ends = f"{gain.interval.low:+.0%} to {gain.interval.high:+.0%}"
        meaning = "significant" if gain.significant else "not significant: it may well be chance"
        caveat = " (stopped by hand, so a little less sure than that)" if interrupted else ""
        return f"{facts}: a lift of {gain.estimate:+.0%}, 95 % interval {ends}, {meaning}{caveat}."
