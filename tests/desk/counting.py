"""Letting time pass and the learner count, for the desk's tests."""

from __future__ import annotations

from bandit_service.services import Services
from tests.conftest import Clock


def settled(services: Services, clock: Clock) -> None:
    """Let every window end, and all be counted."""
    clock.advance(3600)
    counted(services)


def counted(services: Services) -> None:
    """Let all be counted that came so far."""
    learner = services.learner("main")
    for _ in range(2):  # the second time it reads the tick that ends the windows
        while learner.step():
            pass
    learner.finish()
    services.refresh()
