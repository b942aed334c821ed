"""Worlds of real tests and of drawn ones, of tests without a difference, and the least."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bandit_service.errors import InvalidInput
from simulations.bandits.base import World
from simulations.bandits.told import Told
from simulations.bandits.worlds import archive, prior
from simulations.bandits.worlds.duel import Duel
from simulations.bandits.worlds.entry import Entry, Setup, none_of, whole
from simulations.bandits.worlds.newsroom import Audience, Everyone, Newsroom, Plan
from simulations.bandits.worlds.null import Null
from simulations.bandits.worlds.personas import Personas
from simulations.bandits.worlds.spread import shape_of_tests

QUICK_TESTS: Final = 24
QUICK_HORIZON: Final = 1_000
NULL_IMPRESSIONS: Final = 5_000
DUEL_IMPRESSIONS: Final = 1_000
QUICK_IMPRESSIONS: Final = 500
MAX_HORIZON: Final = 1_000_000
MAX_HISTORY: Final = 10_000
MAX_STRENGTH: Final = 2.0
MAX_ARMS: Final = 100
RATES: Final = (0.0001, 0.5)
"""Least and largest mean click rate of drawn placements."""
_NEWSROOM = "newsroom[:H][:tune][:history=N]"
_PERSONAS = "personas:S[:H][:tune][:history=N]"
_PRIOR = "prior:K:RATE:H"
_DRAWN = "prior:newsroom[:H]"
_NULL = "null[:H]"
_DUEL = "duel[:H]"


def _newsroom(name: str, parameters: Sequence[str], setup: Setup) -> World:
    return _tests(name, _plan(name, parameters, setup, _NEWSROOM), Everyone(), setup)


def _personas(name: str, parameters: Sequence[str], setup: Setup) -> World:
    try:
        strength = float(parameters[0])
    except (IndexError, ValueError):
        strength = -1.0
    if not 0.0 <= strength <= MAX_STRENGTH:
        raise InvalidInput(
            f"{name!r} does not say how strong the effects of personas are",
            field="worlds",
            hint=f"write it as {_PERSONAS}, with S from 0 to {MAX_STRENGTH:g}",
        )
    plan = _plan(name, parameters[1:], setup, _PERSONAS)
    return _tests(name, plan, Personas(strength, seed=setup.seed), setup)


def _prior(name: str, parameters: Sequence[str], setup: Setup) -> World:
    if parameters and parameters[0] == "newsroom":
        return _drawn(name, parameters[1:], setup)
    if len(parameters) != 3:
        raise InvalidInput(
            f"{name!r} does not say how many variants, click rate and impressions",
            field="worlds",
            hint=f"write it as {_PRIOR}, such as prior:5:0.01:2000, or {_DRAWN}",
        )
    arms = whole(name, parameters[0], least=2, most=MAX_ARMS)
    told = Told(_rate(name, parameters[1]), _impressions(name, parameters[2:], setup, 0))
    placements = QUICK_TESTS if setup.quick else prior.PLACEMENTS
    return prior.Prior(name, arms=arms, told=told, placements=placements, seed=setup.seed)


def _drawn(name: str, parameters: Sequence[str], setup: Setup) -> World:
    plan = _plan(name, parameters, setup, _DRAWN)
    tests = archive.read(archive.found(setup.upworthy))
    audience = prior.Drawn(shape_of_tests(tests.tuning(), tests.k))
    made = Newsroom(name, tests, plan, audience, seed=setup.seed)
    made.words += "; click rates drawn around each test's mean"
    return made


def _rate(name: str, text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not RATES[0] <= rate <= RATES[1]:
        raise InvalidInput(
            f"{text!r} in {name!r} is no click rate from {RATES[0]:g} to {RATES[1]:g}",
            field="worlds",
            hint=f"write it as {_PRIOR}, such as prior:5:0.01:2000",
        )
    return rate


def _null(name: str, parameters: Sequence[str], setup: Setup) -> World:
    impressions = _impressions(name, parameters, setup, NULL_IMPRESSIONS)
    none_of(name, parameters[1:], _NULL)
    return Null(name, impressions=impressions, seed=setup.seed)


def _duel(name: str, parameters: Sequence[str], setup: Setup) -> World:
    impressions = _impressions(name, parameters, setup, DUEL_IMPRESSIONS)
    none_of(name, parameters[1:], _DUEL)
    return Duel(name, impressions=impressions, seed=setup.seed)


def _impressions(name: str, parameters: Sequence[str], setup: Setup, usual: int) -> int:
    """How many each placement has, where that is the only parameter."""
    if parameters:
        return whole(name, parameters[0], least=1, most=MAX_HORIZON)
    return QUICK_IMPRESSIONS if setup.quick else usual


def _plan(name: str, parameters: Sequence[str], setup: Setup, form: str) -> Plan:
    """Which tests run, and for how long."""
    left = list(parameters)
    plan = Plan()
    if setup.quick:
        plan = Plan(horizon=QUICK_HORIZON, tests=QUICK_TESTS)
    if left and left[0].isdecimal():
        horizon = whole(name, left.pop(0), least=1, most=MAX_HORIZON)
        plan = plan._replace(horizon=min(horizon, plan.horizon or horizon))
    if left and left[0] == "tune":
        del left[0]
        plan = plan._replace(tune=True)
    if left and left[0].startswith("history="):
        count = whole(name, left.pop(0).removeprefix("history="), least=1, most=MAX_HISTORY)
        plan = plan._replace(history=min(count, QUICK_TESTS) if setup.quick else count)
    none_of(name, left, form)
    return plan


def _tests(name: str, plan: Plan, audience: Audience, setup: Setup) -> World:
    tests = archive.read(archive.found(setup.upworthy))
    return Newsroom(name, tests, plan, audience, seed=setup.seed)


ENTRIES: Final[Mapping[str, Entry]] = {
    "newsroom": Entry(
        _NEWSROOM,
        "real headline tests with their shrunk click rates, at most H impressions each",
        _newsroom,
        archive=True,
    ),
    "personas": Entry(
        _PERSONAS,
        "the same tests with four personas whose tastes differ by S (0, 0.15, 0.3)",
        _personas,
        archive=True,
    ),
    "prior": Entry(
        f"{_PRIOR}, {_DRAWN}",
        "K variants with click rates drawn around RATE, or around the means of those tests",
        _prior,
    ),
    "null": Entry(_NULL, "A/A tests: all variants of a placement earn the same", _null),
    "duel": Entry(_DUEL, "two placements, two personas: small enough to play live", _duel),
}
