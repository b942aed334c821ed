"""A small site in memory, with a clock that tests move by hand."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import msgspec

from bandit_service.catalog.model import PersonasSpec, PlacementSpec
from bandit_service.events.entries import Decision, Entry, Position, decode
from bandit_service.folds.learner import SiteLearner
from bandit_service.folds.site import SiteFold
from bandit_service.outcomes.rewards import RewardSettings
from bandit_service.policy.settings import PolicySettings, SiteSettings
from bandit_service.services import Services
from bandit_service.serving.decide import decide
from bandit_service.serving.intake import take_events
from bandit_service.serving.requests import DecideAnswer, DecideRequest, EventsAnswer, EventsRequest
from bandit_service.settings import ServiceSettings
from bandit_service.storage.memory import MemoryStore
from bandit_service.storage.ports import Resumed

START_MS = 1_800_000_000_000
QUICK = SiteSettings(
    rewards=RewardSettings(window_seconds=5.0),
    policy=PolicySettings(typical_reward=0.2, learning_rate=0.05, gamma=30.0, slot_seconds=10.0),
)
"""Short windows and slots, and a click rate that learns within hundreds of visits."""


def a_decision(**fields: Any) -> Decision:
    """A decision of one candidate, but for ``fields``."""
    plain: dict[str, Any] = {
        "id": "d",
        "at": 0,
        "placement": "film",
        "revision": 1,
        "arms": ["a@1"],
        "probabilities": [1.0],
        "chosen": 0,
        "snapshot": "none",
        "reason": "only",
        "persona": "unknown",
        "confidence": 0.0,
    }
    return Decision(**{**plain, **fields})


class World:
    """One site, ``main``, with a placement of some headlines."""

    def __init__(self, settings: SiteSettings = QUICK, *, variants: int = 4, seed: int = 1) -> None:
        self.now = START_MS
        self.random = random.Random(seed)
        self.store = MemoryStore(clock=lambda: self.now)
        self.services = Services(
            ServiceSettings(),
            self.store,
            clock=lambda: self.now,
            entropy=self.random.randbytes,
            site_settings=settings,
        )
        self.log = self.store.site("main")
        self.services.ensure_snapshot("main")
        self.editor = self.services.editor("main", by="test")
        self.put("film", variants)
        self.put_personas(["romantic", "comedy"])
        self.view = self.services.view("main")

    def put(self, placement: str, variants: int, **changes: object) -> None:
        """Register a placement with live headlines h0, h1, …, tagged in turn."""
        specs = [
            {
                "id": f"h{n}",
                "headline": f"Headline {n}",
                "tags": [("couple", "laughing")[n % 2]],
                "status": "live",
                **changes,
            }
            for n in range(variants)
        ]
        body = {"kind": "headline", "tags": ["drama"], "variants": specs}
        self.editor.put_placement(placement, msgspec.convert(body, PlacementSpec))

    def put_personas(self, personas: Sequence[str]) -> None:
        """Declare personas, each recognised by a genre of its own name."""
        declared = [{"id": p, "rules": [{"trait": "genres", "any": [p]}]} for p in personas]
        self.editor.put_personas(msgspec.convert({"personas": declared}, PersonasSpec))

    def pass_time(self, seconds: float) -> None:
        """Move the clock."""
        self.now += round(seconds * 1000)

    def decide(self, **request: object) -> DecideAnswer:
        """Ask for a variant, of ``film`` unless told otherwise."""
        body = msgspec.convert({"placement": "film", **request}, DecideRequest)
        self.view.refresh()
        return decide(self.view, body, now=self.now, entropy=self.random.randbytes(9))

    def report(self, decision: str, event_type: str, **fields: object) -> EventsAnswer:
        """Report one event."""
        event = {"decision": decision, "type": event_type, **fields}
        raw = msgspec.Raw(msgspec.json.encode(event))
        return take_events(self.view, EventsRequest(events=[raw]), now=self.now)

    def visit(self, click_rates: dict[str, float], **request: object) -> DecideAnswer:
        """Ask, see, and click with the probability of the variant shown."""
        answer = self.decide(**request)
        self.report(answer.decision, "impression")
        if self.random.random() < click_rates.get(answer.variant.id, 0.0):
            self.report(answer.decision, "click")
        return answer

    def learner(self, *, publish_seconds: float = 0.0) -> SiteLearner:
        """A learner at the world's clock."""
        return SiteLearner(
            self.log,
            self.services.site_settings,
            clock=lambda: self.now / 1000,
            publish_seconds=publish_seconds,
        )

    def entries(self) -> list[tuple[Position, Entry]]:
        """The whole log."""
        return [(position, decode(data)) for position, data in self.rows()]

    def rows(self) -> list[tuple[Position, bytes]]:
        """The whole log, undecoded."""
        return self.log.read(Position(0, 0), limit=1_000_000)


def kept(fold: SiteFold) -> Resumed:
    """What the store would have of a fold, were it published now."""
    return Resumed(fold.checkpoint(fold.snapshot()), None, *fold.counters.parts())


def busy_world(visits: int = 400, *, settings: SiteSettings = QUICK, seed: int = 1) -> World:
    """A world whose visitors, returning ones and strangers, like ``h1`` best."""
    world = World(settings, seed=seed)
    rates = {"h0": 0.1, "h1": 0.5, "h2": 0.1, "h3": 0.05}
    for _ in range(visits):
        world.pass_time(world.random.choice((0.0, 0.05, 0.2, 1.5)))
        known = world.random.random() < 0.7
        request: dict[str, object] = {
            "traits": {"genres": [world.random.choice(("romantic", "comedy", "other"))]},
            "context": {"device": world.random.choice(("phone", "tv")), "hour": 20},
        }
        if known:
            request["visitor"] = f"visitor-{world.random.randrange(25)}"
        world.visit(rates, **request)
    return world
