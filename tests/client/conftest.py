"""Clients of servers that misbehave, and clocks that tests move by hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bandit_service.client import Client
from bandit_service.client.session import Means
from tests.client.servers import Behaviour, Server

KEY = "bk_main_S3CR3T"
Serve = Callable[..., Server]
Connect = Callable[..., Client]


class Clock:
    """Seconds that pass when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def still(clock: Clock) -> Means:
    """Time that stands, and chance that always draws the longest pause."""
    return Means(clock=clock, sleep=clock.sleep, chance=lambda: 1.0)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Starts servers; all are closed in the end."""
    made: list[Server] = []

    def start(*behaviours: Behaviour) -> Server:
        made.append(Server(behaviours))
        return made[-1]

    yield start
    for server in made:
        server.close()


@pytest.fixture
def connect() -> Iterator[Callable[..., Client]]:
    """Makes clients of a server, patient ones unless told otherwise; all are closed in the end."""
    made: list[Client] = []

    def start(server: Server, **arguments: Any) -> Client:
        made.append(Client(server.url, KEY, **{"deadline": 5.0, **arguments}))
        return made[-1]

    yield start
    for client in made:
        client.close()


class Took:
    """How long a block took, in seconds."""

    seconds = 0.0

    def __enter__(self) -> Took:
        self._began = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.monotonic() - self._began
