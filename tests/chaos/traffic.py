"""Steady traffic: client threads that ask, see, click, repeat themselves and come too late.

Each thread keeps one connection and begins a visit on a fixed beat. A request without an answer is
noted as unacknowledged and the connection replaced; its events are sent again under the same
idempotency ids, as a website would, a few times at most.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import deque
from http.client import HTTPException
from typing import Any, Final

from tests.chaos.ledger import VALUE_STEP, Answer, Ledger, Sending, answer_of
from tests.e2e.processes import Caller

RATES: Final = {
    "romantic": {"kiss": 0.6, "chase": 0.1, "joke": 0.1},
    "action": {"kiss": 0.1, "chase": 0.6, "joke": 0.1},
}
PLACEMENTS: Final = ("film", "series", "trailer")
PLACEMENT: Final = {
    "kind": "headline",
    "variants": [
        {"id": name, "headline": f"A {name}", "tags": [name], "status": "live"}
        for name in ("kiss", "chase", "joke")
    ],
}
PERSONAS: Final = {
    "personas": [
        {"id": name, "rules": [{"trait": "genres", "any": [name], "weight": 2}]} for name in RATES
    ]
}
VISITORS: Final = 300
"""Names that visitors go by: few enough that they come again within a slot."""
LATE_SECONDS: Final = 2.5
"""How long late events wait, which is longer than the reward window."""
SENDINGS: Final = 3
"""How often at most one event is sent until it is acknowledged."""
_NOT_ACKNOWLEDGED: Final = (429, 503)


class Traffic:
    """``threads`` clients, each beginning a visit every ``beat`` seconds, until ``stop``."""

    def __init__(self, port: int, key: str, *, seed: int, threads: int, beat: float) -> None:
        """Nothing runs before ``start``."""
        self.ledger = Ledger()
        self._stop = threading.Event()
        numbers = itertools.count(1)
        self._clients = [
            _Client(Caller(port, key), self.ledger, numbers, random.Random(f"{seed} client {n}"))
            for n in range(threads)
        ]
        self._threads = [
            threading.Thread(target=client.run, args=(self._stop, beat), daemon=True)
            for client in self._clients
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, once every late event has been sent too."""
        self._stop.set()
        for thread in self._threads:
            thread.join()


class _Client:
    """One thread's connection, choices and late events."""

    def __init__(
        self, caller: Caller, ledger: Ledger, numbers: itertools.count[int], rng: random.Random
    ) -> None:
        self._caller = caller
        self._ledger = ledger
        self._numbers = numbers
        self._rng = rng
        self._late: deque[tuple[float, list[Sending]]] = deque()

    def run(self, stop: threading.Event, beat: float) -> None:
        due = time.monotonic() + self._rng.random() * beat
        while not stop.wait(max(0.0, due - time.monotonic())):
            due = max(due + beat, time.monotonic())
            self._visit()
            self._send_late(time.monotonic())
        self._send_late(float("inf"))
        self._caller.close()

    def _visit(self) -> None:
        rng = self._rng
        persona = rng.choice(sorted(RATES))
        visitor = f"v{rng.randrange(VISITORS)}" if rng.random() < 0.7 else None
        body: dict[str, Any] = {"traits": {"genres": [persona]}}
        if visitor is not None:
            body["visitor"] = visitor
        if rng.random() < 0.3:
            body["slots"] = [{"placement": name} for name in rng.sample(PLACEMENTS, 2)]
            answered = self._post("/v1/decide/page", body, 200)
        else:
            answered = self._post("/v1/decide", {**body, "placement": rng.choice(PLACEMENTS)}, 200)
        if answered is None:
            self._ledger.unanswered += 1
            return
        for slot in answered.get("slots", [answered]):
            if not slot["logged"]:
                self._ledger.unlogged += 1
                continue
            answer = answer_of(slot, visitor)
            self._ledger.answers.append(answer)
            self._react(answer, persona)

    def _react(self, answer: Answer, persona: str) -> None:
        """Perhaps see it, perhaps click; now or too late; perhaps say so twice."""
        rng = self._rng
        events: list[Sending] = []
        if rng.random() < 0.8:
            events.append(self._sending(answer.id, "impression", named=rng.random() < 0.5))
        if rng.random() < RATES[persona][answer.arm.partition("@")[0]]:
            events.append(self._sending(answer.id, "click", named=rng.random() < 0.9))
        if not events:
            return
        if rng.random() < 0.1:
            self._late.append((time.monotonic() + LATE_SECONDS, events))
            return
        self._send(events)
        if rng.random() < 0.1:
            self._send([self._again(event) for event in events if event.id is not None])

    def _send_late(self, now: float) -> None:
        while self._late and (self._late[0][0] <= now):
            at, events = self._late.popleft()
            time.sleep(max(0.0, at - time.monotonic()))
            self._send(events)

    def _send(self, events: list[Sending]) -> None:
        """Until acknowledged: again only what has an idempotency id, each time recognisable."""
        for _ in range(SENDINGS):
            if not events:
                return
            body = {
                "events": [
                    {k: v for k, v in event._asdict().items() if v is not None} for event in events
                ]
            }
            answered = self._post("/v1/events", body, 202)
            if answered is not None:
                self._accepted(events, answered)
                return
            self._ledger.unsure.extend(events)
            events = [self._again(event) for event in events if event.id is not None]

    def _accepted(self, events: list[Sending], answered: dict[str, Any]) -> None:
        rejected = {rejection["index"] for rejection in answered["rejected"]}
        self._ledger.wrong.extend(f"rejected: {rejection}" for rejection in answered["rejected"])
        self._ledger.accepted.extend(e for n, e in enumerate(events) if n not in rejected)

    def _sending(self, decision: str, kind: str, *, named: bool) -> Sending:
        number = next(self._numbers)
        name = f"event-{number}" if named else None
        return Sending(decision, kind, 1.0 + number * VALUE_STEP, name)

    def _again(self, event: Sending) -> Sending:
        return event._replace(value=1.0 + next(self._numbers) * VALUE_STEP)

    def _post(self, path: str, body: object, wanted: int) -> dict[str, Any] | None:
        """The answer, or None where there was none to rely on."""
        try:
            status, answered = self._caller.call("POST", path, body)
        except (OSError, HTTPException):
            self._caller.close()
            time.sleep(0.05)  # as a client backs off before it connects again
            return None
        if status == wanted:
            return dict(answered)
        if status not in _NOT_ACKNOWLEDGED:
            self._ledger.wrong.append(f"{path} answered {status}: {answered}")
        return None
