"""The service itself as a player: its own serving and learning code over a store in memory.

    choose ──▶ decide ──────┐
    learn  ──▶ take_events ─┴▶ log, in the order of time ──▶ SiteLearner ──▶ SiteView ──▶ choose

Nothing of it is written again here. Placements, variants and personas go through the catalog's
editor, every impression is a request (with its persona, visitor and context, as a site would send
them), every reward a click event. That there was no reward is told by nobody: the reward window
closes the decision, as it does on a site. So a lost click is no click to the service.

The clock is the world's. A click may have come while a batch was being answered, so what a batch
and its clicks say waits here until the next one and is then logged sorted by time, as a site's log
would be; the learner folds it and publishes, and the view takes the new snapshot. No time passes
meanwhile.

Three things differ from a site. A snapshot is made of ``LEAST`` outcomes or more, where a site
makes one every half second: in worlds of small batches that would be one for every few impressions,
at some 10 ms each. Policies that suit their world do not care; those that are too greedy for it
lock in on the first clicks either way, and on others. The learner's own clock counts checkpoints
instead of seconds: it would write one at every refresh otherwise, and nobody resumes from it. And
the log is trimmed up to each checkpoint, as if it were archived: it would fill the memory after
some million impressions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from bandit_service.catalog.model import PersonasSpec, PlacementSpec
from bandit_service.errors import EvaluationError
from bandit_service.events.entries import Tick, encode
from bandit_service.folds.learner import BATCH, SiteLearner
from bandit_service.policy.settings import SiteSettings
from bandit_service.services import ensure_snapshot
from bandit_service.serving.decide import decide
from bandit_service.serving.editing import CatalogEditor
from bandit_service.serving.intake import take_events
from bandit_service.serving.requests import DecideRequest, EventsRequest
from bandit_service.serving.view import SiteView
from bandit_service.storage.memory import MemorySite, MemoryStore
from simulations.bandits.base import Arm, Batch, Floats, Spot, Whole, World

SITE: Final = "simulated"
UNKNOWN: Final = "unknown"
"""A world's persona of this name is who the site does not know yet; so is the catalog's."""
ARCHIVE: Final = "simulated"
"""Stands for the archive that a trimmed log would be in."""
TRIM: Final = 100_000
"""Entries of the log between two checkpoints."""
LEAST: Final = 50
"""Outcomes between two snapshots, at least."""
KEPT_REQUESTS: Final = 10_000
"""Requests kept because the next visitor may say the same, before all are let go."""


class _Answered(NamedTuple):
    """A batch whose outcomes may still come, and the names of its decisions."""

    batch: Batch
    decisions: list[str]


class Ours:
    """The service in one world. Call ``close`` when done."""

    def __init__(
        self, world: World, settings: SiteSettings, *, seed: int, least: int = LEAST
    ) -> None:
        """A new site under ``settings``, but that its reward window is the world's."""
        self.settings = settled(settings, world)
        self._world = world
        self._names = named(world.personas)
        self._clock = 0
        self._told = 0
        """By when outcomes have been told, ms."""
        self._least = least
        self._news = 0
        """Outcomes told since the last snapshot."""
        self._at = 0
        self._waiting: list[tuple[int, bytes]] = []
        """Entries that are not logged yet, with their times in ms."""
        self._open: dict[int, _Answered] = {}
        self._oldest: deque[int] = deque()
        """Keys of ``_open`` in the order of time."""
        self._spots: dict[str, Spot] = {}
        self._places: dict[str, dict[str, int]] = {}
        self._requests: dict[tuple[object, ...], DecideRequest] = {}
        store = MemoryStore(clock=lambda: self._clock, seed=f"simulation {seed}".encode())
        self.log: MemorySite = store.site(SITE)
        ensure_snapshot(self.log, self.settings)
        self._editor = CatalogEditor(self.log, by="simulation", clock=lambda: self._clock)
        self._editor.put_personas(personas_spec(self._names))
        self._checkpoints = 0
        self._trimmed = 0
        self.learner = SiteLearner(
            self.log, self.settings, clock=lambda: float(self._checkpoints), publish_seconds=0.0
        )
        self.view = SiteView(self.log, self.settings, append=self._log_later)
        self.view.refresh()

    def choose(self, batch: Batch) -> Whole:
        """Answer a request for each impression.

        Raises:
            EvaluationError: if the service answers with a variant that is not live.
        """
        now = int(batch.at[0])
        self._forget(now)
        if self._spots.get(batch.spot.id) is not batch.spot:
            self._offer(batch.spot, now)
        places = self._places[batch.spot.id]
        answered = _Answered(batch, [])
        chosen = []
        requests = self._asked(batch)
        for at, request, entropy in zip(
            batch.at.tolist(), requests, entropies(batch.draw), strict=True
        ):
            self._at = at
            answer = decide(self.view, request, now=at, entropy=entropy)
            answered.decisions.append(answer.decision)
            chosen.append(places[answer.variant.id])
        self._open[id(batch)] = answered
        self._oldest.append(id(batch))
        return np.array(chosen, np.int64)

    def learn(self, batch: Batch, rows: Whole, chosen: Whole, rewards: Floats) -> None:
        """Report a click at its time for each row that was rewarded; the others just end."""
        del chosen
        came = batch.at[rows] + np.where(rewards > 0, batch.delay[rows], self._world.window_ms)
        self._told = max(self._told, int(came.max()))
        self._news += len(rows)
        answered = self._open.get(id(batch))
        if answered is None:
            return  # after the window: the service would count it as late, whatever it is
        clicked = rewards > 0
        for row, at in zip(rows[clicked].tolist(), came[clicked].tolist(), strict=True):
            self._at = at
            event = msgspec.json.encode({"decision": answered.decisions[row], "type": "click"})
            receipt = take_events(self.view, EventsRequest(events=[msgspec.Raw(event)]), now=at)
            if receipt.rejected:
                raise EvaluationError(f"a click was refused: {receipt.rejected[0].message}")

    def refresh(self) -> None:
        """Log what waits, learn from it, publish, and serve what was published."""
        if self._news < self._least:
            return
        self._news = 0
        self._flush()
        self._clock = self._told + 1
        if self.log.tail().ms < self._clock:
            self.log.append(encode(Tick(at=self._clock)))  # ends windows, as a learner's does
        due = self.log.length() >= TRIM
        self._checkpoints += due
        while self.learner.step() >= BATCH:
            pass
        if due:
            self._trim()
        self.view.refresh()

    def close(self) -> None:
        """Free the models."""
        self.learner.fold.close()
        if self.view.chooser is not None:
            self.view.chooser.close()

    def _log_later(self, entries: Sequence[bytes]) -> None:
        self._waiting += [(self._at, entry) for entry in entries]

    def _flush(self) -> None:
        """Log what waits, each entry at its time."""
        for at, entry in sorted(self._waiting, key=lambda waiting: waiting[0]):
            self._clock = at
            self.log.append(entry)
        self._waiting.clear()

    def _trim(self) -> None:
        """Let go of the log as far as the last checkpoint has read it."""
        upto = self.learner.fold.position
        known = self.log.archived()
        self.log.set_archived(ARCHIVE, upto, replaces=None if known is None else known.archive)
        self.log.trim(upto, archive=ARCHIVE, limit=self.log.length())

    def _offer(self, spot: Spot, now: int) -> None:
        """Register a placement, or what has changed of it."""
        known = self._spots.get(spot.id)
        self._spots[spot.id] = spot
        if known is not None and (known.arms, known.tags) == (spot.arms, spot.tags):
            return
        self._flush()
        self._clock = now
        self._editor.put_placement(spot.id, placement_spec(spot))
        self._places[spot.id] = {arm.id: place for place, arm in enumerate(spot.arms)}
        self.view.refresh()

    def _forget(self, now: int) -> None:
        """Let go of batches whose windows have ended."""
        while self._oldest:
            oldest = self._open[self._oldest[0]].batch
            if int(oldest.at[-1]) + self._world.window_ms >= now:
                return
            del self._open[self._oldest.popleft()]

    def _asked(self, batch: Batch) -> list[DecideRequest]:
        """The requests of a batch; equal ones are the same object."""
        if len(self._requests) > KEPT_REQUESTS:
            self._requests.clear()
        kept, spot = self._requests, batch.spot.id
        asked = []
        for persona, visitor, context in zip(
            batch.persona.tolist(), batch.visitor.tolist(), batch.context, strict=True
        ):
            key = (spot, persona, visitor, context)
            request = kept.get(key)
            if request is None:
                request = kept[key] = self._request(spot, persona, visitor, context)
            asked.append(request)
        return asked

    def _request(
        self, spot: str, persona: int, visitor: int, context: tuple[str, ...]
    ) -> DecideRequest:
        return DecideRequest(
            placement=spot,
            visitor=None if visitor < 0 else f"visitor-{visitor}",
            persona=self._names[persona],
            context=dict(zip(self._world.keys, context, strict=True)),
        )


def settled(settings: SiteSettings, world: World) -> SiteSettings:
    """The settings with the world's reward window."""
    rewards = msgspec.structs.replace(settings.rewards, window_seconds=world.window_ms / 1000)
    return msgspec.structs.replace(settings, rewards=rewards)


def entropies(draw: Floats) -> list[bytes]:
    """Nine bytes for each impression, made of its random number."""
    data = (draw * 2.0**64).astype(np.uint64).astype(">u8").tobytes()
    return [data[start : start + 8] + b"\0" for start in range(0, len(data), 8)]


def named(personas: Sequence[str]) -> list[str | None]:
    """What a site says of each persona in its requests; nothing of one it does not know.

    Nor does it say anything where there is but one.
    """
    return [name if len(personas) > 1 and name != UNKNOWN else None for name in personas]


def personas_spec(names: Sequence[str | None]) -> PersonasSpec:
    """Personas that sites name in their requests, and that a trait of theirs would tell as well."""
    declared = [
        {"id": name, "rules": [{"trait": "persona", "any": [name]}]} for name in names if name
    ]
    return msgspec.convert({"personas": declared}, PersonasSpec)


def placement_spec(spot: Spot) -> PlacementSpec:
    """A placement of headlines as an editor describes it; a variant without text shows its id."""
    variants = [variant(arm) for arm in spot.arms]
    body = {"kind": "headline", "tags": list(spot.tags), "variants": variants}
    return msgspec.convert(body, PlacementSpec)


def variant(arm: Arm) -> dict[str, object]:
    """A live variant as an editor describes it."""
    return {
        "id": arm.id,
        "headline": arm.headline or arm.id,
        "tags": list(arm.tags),
        "status": "live",
    }
