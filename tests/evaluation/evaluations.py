"""Evaluations as tests need them: whole, realistic, and hostile where names come from outside.

All numbers are drawn from a seed; none was measured.
"""

from __future__ import annotations

import math
import random
from typing import Final

from bandit_service.evaluation.logs.base import LogDescription, PropensitySource, Violation
from bandit_service.evaluation.results import (
    Cell,
    Coverage,
    Estimate,
    Evaluation,
    Finding,
    Interval,
    Moment,
    PolicyResult,
    RatioTest,
    Share,
    Status,
    Verification,
    Weights,
)

DAY_MS: Final = 86_400_000
SINCE: Final = 1_893_456_000_000
ESTIMATORS: Final = ("ips", "snips", "clipped-ips", "dm", "dr", "switch-dr", "dr-os", "replay")
PERSONAS: Final = ("romantic", "comedy", "action", "unknown", "<b>noir</b> & été")
HOSTILE: Final = (
    "</script><script>alert(1)</script>",
    "<img src=http://example.com/x onerror=alert(2)>",
    "a|b `c` *d* _e_ [f](http://example.com)",
    "日本語の枠 🎬",
    "quotes \" and ' and {{ 7 * 7 }} %{x}",
    "2030-01-31",
    "\x1b[31mred\x07\nsecond line\u202e",
    "a-name-that-is-much-longer-than-any-label-should-ever-be-" + "x" * 60,
)
"""Names that a page, Markdown, a chart or a terminal could obey."""


def interval(low: float, high: float, kind: str = "bootstrap") -> Interval:
    return Interval(low=low, high=high, kind=kind, confidence=0.95)


def estimate(
    estimator: str = "dr",
    value: float | None = 0.045,
    *,
    n: int = 120_000,
    ess: float = 31_415.9,
    max_weight: float = 11.25,
    status: Status = "ok",
    half: float = 0.0021,
    why: tuple[str, ...] = (),
) -> Estimate:
    kinds = ("bootstrap", "normal", "empirical-bernstein")
    made = [
        interval(value - half * (1 + at), value + half * (1 + at), kind)
        for at, kind in enumerate(kinds)
        if value is not None
    ]
    return Estimate(
        estimator=estimator,
        value=value,
        intervals=made,
        n=n,
        ess=ess,
        max_weight=max_weight,
        status=status,
        why=list(why),
    )


def unanswerable(estimator: str = "dr", n: int = 120_000) -> Estimate:
    return estimate(
        estimator,
        None,
        n=n,
        ess=3.2,
        max_weight=8_123.4,
        status="unanswerable",
        why=("The effective sample size is 3, of 120,000 rows; at least 30 are needed.",),
    )


def policy(
    name: str,
    chance: random.Random,
    *,
    level: float = 0.045,
    status: Status = "ok",
    placements: tuple[str, ...] = ("home",),
    moments: int = 30,
) -> PolicyResult:
    estimates = [_any_estimate(kind, level, status, chance) for kind in ESTIMATORS]
    return PolicyResult(
        name=name,
        words="Shows each variant as often as the snapshot would, and explores with epsilon.",
        learns=name.startswith("learn"),
        estimates=estimates,
        headline="dr",
        verdict=_verdict(status),
        gain=_any_estimate("dr", level / 10, status, chance),
        as_logged=17,
        weights=_weights(chance),
        over_time=_moments(level, moments),
        by_placement=[
            Cell(name=place, estimate=_part(at, level, chance))
            for at, place in enumerate(placements)
        ],
        by_persona=[
            Cell(name=persona, estimate=_part(at, level, chance))
            for at, persona in enumerate(PERSONAS)
        ],
        shares=[
            share
            for place in placements
            for persona in PERSONAS
            for share in _shares(place, persona, chance)
        ],
    )


def evaluation(
    *,
    placements: int = 40,
    forced: bool = True,
    propensities: PropensitySource = "estimated",
    hostile: bool = True,
    moments: int = 30,
    seed: int = 7,
) -> Evaluation:
    """Four policies: one good, one that learns, one weak, one the log cannot answer."""
    chance = random.Random(seed)
    names = [f"home/spot-{at:03}" for at in range(placements)]
    if hostile:
        names[1 : 1 + len(HOSTILE)] = HOSTILE
    spots = tuple(names[:placements])
    strange = HOSTILE[0] if hostile else "site B"
    policies = [
        policy("snapshot 41", chance, level=0.0468, placements=spots, moments=moments),
        policy(f"learning {strange}", chance, level=0.0432, placements=spots, moments=moments),
        policy("uniform", chance, status="weak", level=0.0391, placements=spots, moments=moments),
        policy("always newest", chance, status="unanswerable", placements=spots, moments=moments),
    ]
    return Evaluation(
        made="2030-02-01T08:30:00Z",
        version="0.1.0",
        log=LogDescription(
            name=f"clicks {strange}.parquet",
            format="parquet",
            propensities=propensities,
            distributions=propensities == "logged",
            notes=["Rows 1,201 to 1,377 of the second file are missing."],
        ),
        since=SINCE,
        until=SINCE + 30 * DAY_MS,
        rows=123_456,
        clicks=5_088,
        mean_reward=0.041213,
        excluded={"still open": 812, "censored: never seen": 2_455, "not drawn": 31},
        reward_range=(0.0, 1.0),
        verification=_verification(spots, fatal=forced),
        forced=forced,
        policies=policies,
        coverage=_coverage(),
        warnings=["The log has a gap of 4 hours on 2030-01-12."],
        settings={"--confidence": "0.95", "--clip": "100", "--seed": "1", "--policy": strange},
    )


def nothing() -> Evaluation:
    """Of a log without rows, and no policy."""
    return Evaluation(
        made="2030-02-01T08:30:00Z",
        version="0.1.0",
        log=LogDescription(name="empty", format="site"),
        since=None,
        until=None,
        rows=0,
        clicks=0,
        mean_reward=None,
        excluded={},
        reward_range=(0.0, 1.0),
        verification=Verification(rows=0, findings=[], sample_ratio=[], fatal=False),
        forced=False,
        policies=[],
        coverage=[],
        warnings=[],
    )


def _verdict(status: Status) -> str:
    return {
        "ok": "It would have earned more than the log did: its interval lies above the log's mean.",
        "weak": "Too few rows speak for it to tell it from the log.",
        "unanswerable": "The log cannot say: it almost never shows what this policy would.",
    }[status]


def _any_estimate(kind: str, level: float, status: Status, chance: random.Random) -> Estimate:
    if status == "unanswerable" and kind != "dm":
        return unanswerable(kind)
    if status == "ok" and kind == "replay":
        status = "weak"
    why = () if status == "ok" else ("The effective sample size is 61, below 1,000.",)
    return estimate(
        kind,
        level + chance.gauss(0, 0.0005),
        ess=61.3 if why else chance.uniform(20_000, 60_000),
        max_weight=chance.uniform(4, 300),
        status="weak" if why else "ok",
        half=0.012 if why else chance.uniform(0.001, 0.003),
        why=why,
    )


def _part(at: int, level: float, chance: random.Random) -> Estimate:
    n = int(40_000 / (1 + at)) + 3
    if at % 7 == 5:
        return unanswerable("dr", n)
    few = n < 2_500
    return estimate(
        "dr",
        level + chance.gauss(0, 0.004),
        n=n,
        ess=n / 4,
        max_weight=chance.uniform(3, 40),
        status="weak" if few else "ok",
        half=0.2 / math.sqrt(n / 4),
        why=("The effective sample size is below 1,000.",) if few else (),
    )


def _weights(chance: random.Random) -> Weights:
    edges = [0.0, *(10 ** (power / 4) for power in range(-8, 12))]
    counts = [int(30_000 * math.exp(-(((at - 9) / 3) ** 2))) for at in range(len(edges) - 1)]
    return Weights(
        edges=edges,
        counts=counts,
        mean=1.002 + chance.uniform(-0.01, 0.01),
        mean_interval=interval(0.985, 1.019, "normal"),
        maximum=287.4,
        unsupported=0.0134,
    )


def _moments(level: float, number: int) -> list[Moment]:
    found = []
    for at in range(1, number + 1):
        half = 0.02 * math.sqrt(number / at) / 4
        value = level + 0.002 * math.sin(at / 3) / math.sqrt(at)
        found.append(
            Moment(
                ms=SINCE + at * 30 * DAY_MS // number,
                n=at * 120_000 // number,
                value=value,
                low=max(0.0, value - half),
                high=min(1.0, value + half),
            )
        )
    return found


def _shares(placement: str, persona: str, chance: random.Random) -> list[Share]:
    arms = ("lead@1", "couple-at-dusk@2", "<i>new</i>@1")
    logged = [chance.uniform(0.1, 1) for _ in arms]
    target = [chance.uniform(0.02, 1) for _ in arms]
    n = chance.randrange(30, 4_000)
    return [
        Share(
            placement=placement,
            persona=persona,
            arm=arm,
            n=0 if at == 2 and n % 5 == 0 else int(n * logged[at] / sum(logged)),
            logged=logged[at] / sum(logged),
            target=target[at] / sum(target),
            reward=None if at == 2 and n % 5 == 0 else chance.uniform(0.01, 0.09),
        )
        for at, arm in enumerate(arms)
    ]


def _verification(placements: tuple[str, ...], *, fatal: bool) -> Verification:
    findings = [
        Finding(
            kind="propensity-out-of-range",
            severity="fatal" if fatal else "warning",
            meaning="A propensity is not above 0 and at most 1.",
            count=3,
            first=[
                Violation("propensity-out-of-range", "clicks.parquet:17", "propensity is 1.2"),
                Violation("propensity-out-of-range", "clicks.parquet:90", "propensity is <0>"),
            ],
        ),
        Finding(
            kind="time-backwards",
            severity="warning",
            meaning="A row is earlier than the one before it.",
            count=1_204,
            first=[Violation("time-backwards", "clicks.parquet:1201", "goes back by 4 s")],
        ),
    ]
    tests = [
        RatioTest(name=name, n=4_000, p_value=0.00001 + at / 41, worst="lead@1: expected 0.31")
        for at, name in enumerate(("all", *placements))
    ]
    return Verification(rows=123_459, findings=findings, sample_ratio=tests, fatal=fatal)


def _coverage() -> list[Coverage]:
    return [
        Coverage(
            world=world,
            estimator=estimator,
            interval=kind,
            logs=500,
            n=10_000,
            coverage=0.94 if claimed else 0.71,
            claimed=claimed,
            note="" if claimed else "the weights have a heavy tail",
        )
        for world, claimed in (("mild", True), ("heavy tail", False))
        for estimator in ("ips", "dr")
        for kind in ("normal", "bootstrap")
    ]
