"""A site to look at: the demo's catalog, an invented audience, a week of its visits, in memory.

The audience's tastes are known, so a page's numbers can be held against what was put in. Pictures
come from ``pictures``, drawn for each creative; nothing is fetched.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from bandit_service.catalog.document import read_document
from bandit_service.catalog.model import PlacementSpec
from bandit_service.folds.learner import SiteLearner
from bandit_service.policy.settings import PolicySettings, SiteSettings
from bandit_service.services import Services
from bandit_service.serving.decide import decide
from bandit_service.serving.intake import take_events
from bandit_service.serving.requests import DecideRequest, EventsRequest
from bandit_service.settings import ServiceSettings
from bandit_service.storage.memory import MemoryStore
from simulations.audience import Audience, load_placements

CATALOG: Final = Path(__file__).resolve().parents[2] / "config" / "catalog.toml"
WEEK_MS: Final = 7 * 86_400_000
SETTINGS: Final = SiteSettings(policy=PolicySettings(typical_reward=0.06, holdout=0.1))
OTHERS: Final[dict[str, dict[str, Any]]] = {
    "autumn-cookbook": {
        "kind": "headline",
        "name": "Autumn cookbook",
        "tags": ["food"],
        "variants": [
            {"id": "soups", "headline": "Eleven soups for the first cold week", "status": "paused"},
            {"id": "oven", "headline": "What the oven is for", "status": "draft"},
        ],
    },
    "season-finale": {
        "kind": "card",
        "name": "Season finale",
        "tags": ["drama"],
        "variants": [
            {
                "id": "cliff",
                "headline": "She knows. Now what?",
                "image_url": "https://images.example/lantern/season-finale/cliff.jpg",
                "alt": "A woman reads a letter at a kitchen table",
                "tags": ["question", "close-up"],
                "status": "live",
            },
            {
                "id": "table",
                "headline": "Everyone at one table, one last time",
                "image_url": "https://images.example/lantern/season-finale/table.jpg",
                "alt": "A long table, set for twelve",
                "tags": ["group", "warm"],
                "status": "live",
            },
        ],
    },
    "empty-spot": {"kind": "thumbnail", "name": "Spot without creatives", "variants": []},
}
"""Placements that nobody visits: with nothing live, without traffic, without variants."""


class Lantern:
    """The site ``main`` of a store in memory."""

    def __init__(self, pictures: str, *, end: int, config: Path, seed: int = 5) -> None:
        """``pictures`` is where pictures are; the week ends at ``end`` (ms)."""
        self.now = end - WEEK_MS
        self.end = end
        self._random = random.Random(seed)
        self.store = MemoryStore(clock=lambda: self.now)
        self.services = Services(
            ServiceSettings(config_dir=str(config)),
            self.store,
            clock=lambda: self.now,
            entropy=self._random.randbytes,
            site_settings=SETTINGS,
        )
        self.services.ensure_snapshot("main")
        self.editor = self.services.editor("main", by="seed")
        text = CATALOG.read_text("utf-8").replace("https://images.example", pictures)
        self.editor.put_document(read_document(text.encode(), name="catalog.toml"))
        for name, fields in OTHERS.items():
            raw = msgspec.json.encode(fields).decode().replace("https://images.example", pictures)
            self.editor.put_placement(name, msgspec.json.decode(raw, type=PlacementSpec))
        self.services.refresh()

    def live_through(self, visits: int) -> None:
        """So many visits, spread evenly over the rest of the week."""
        audience = Audience(load_placements(CATALOG), seed=11)
        learner = self.services.learner("main")
        step = (self.end - self.now) / max(1, visits)
        begun = self.now
        view = self.services.view("main")
        for number in range(visits):
            self.now = round(begun + number * step)
            visit = audience.visit(number, at=datetime.fromtimestamp(self.now / 1000, UTC))
            request = DecideRequest(
                placement=visit.placement,
                visitor=visit.visitor.id,
                traits=msgspec.to_builtins(visit.visitor.traits),
                context=msgspec.to_builtins(visit.context),
            )
            answer = decide(view, request, now=self.now, entropy=self._random.randbytes(9))
            kinds = ["impression"]
            if audience.clicks(visit, answer.variant.id):
                kinds.append("click")
            events = [{"decision": answer.decision, "type": kind} for kind in kinds]
            raw = [msgspec.Raw(msgspec.json.encode(event)) for event in events]
            take_events(view, EventsRequest(events=raw), now=self.now)
            if number % 100 == 99:
                while learner.step():
                    pass
                self.services.refresh()
        self.now = self.end + 3_600_000  # every window has ended
        _drain(learner)
        learner.finish()
        self.services.refresh()

    def drop_in(self, placement: str, count: int) -> None:
        """So many strangers come to a placement, see what is shown and click every third time."""
        view, now = self.services.view("main"), self.now
        for number in range(count):
            request = DecideRequest(placement=placement)
            answer = decide(view, request, now=now, entropy=self._random.randbytes(9))
            kinds = ("impression", "click") if number % 3 == 0 else ("impression",)
            events = [{"decision": answer.decision, "type": kind} for kind in kinds]
            raw = [msgspec.Raw(msgspec.json.encode(event)) for event in events]
            take_events(view, EventsRequest(events=raw), now=now)
        self.now += 3_600_000  # every window has ended
        learner = self.services.learner("main")
        _drain(learner)
        learner.finish()
        self.services.refresh()

    def key(self, role: str, label: str = "") -> str:
        """A new key."""
        key, _ = self.services.keys.create("main", role, label=label)  # type: ignore[arg-type]
        self.services.refresh()
        return key


def _drain(learner: SiteLearner) -> None:
    """Learn all there is; the second time it reads the tick that ends the windows."""
    for _ in range(2):
        while learner.step():
            pass


@contextmanager
def lantern(pictures: str, *, end: int, config: Path, visits: int = 6_000) -> Iterator[Lantern]:
    """The site after its week."""
    site = Lantern(pictures, end=end, config=config)
    try:
        site.live_through(visits)
        yield site
    finally:
        site.services.close()
