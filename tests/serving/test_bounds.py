"""What a process keeps of requests stays small, however large and many they are made."""

from __future__ import annotations

import pytest

from bandit_service.events.visits import advance, encode_visit
from bandit_service.policy.chooser import MAX_KEPT_BYTES, Candidates, Chooser
from bandit_service.policy.snapshot import genesis
from bandit_service.serving import described, visitors
from bandit_service.serving.described import MAX_LINES
from bandit_service.serving.requests import DecideRequest
from tests.policy.test_chooser import candidates
from tests.world import QUICK, World

NOW = 1_800_000_000_000


def asked(size: int, number: int) -> DecideRequest:
    """A request with traits of about ``size`` bytes, none like another."""
    values: list[str | bool | int | float] = [f"{number}-{n:0200}" for n in range(size // 200)]
    return DecideRequest(placement="film", traits={"genres": values})


def test_descriptions_of_large_requests_are_made_and_not_kept() -> None:
    descriptions = World().view.descriptions
    one = descriptions.of(asked(12_000, 1), NOW)

    large = DecideRequest(
        placement="film", traits={f"t{n}": asked(12_000, n).traits["genres"] for n in range(64)}
    )

    assert descriptions.of(asked(12_000, 1), NOW) is one
    assert descriptions.of(large, NOW) is not descriptions.of(large, NOW)


def test_descriptions_together_keep_to_their_room() -> None:
    kept = World().view.descriptions
    for number in range(2_000):
        kept.of(asked(12_000, number), NOW)

    assert sum(map(len, kept._kept)) <= described.MAX_KEPT_BYTES


def test_a_description_keeps_few_lines() -> None:
    one = World().view.descriptions.of(asked(200, 1), NOW)

    lines = {one.shared({"seen": str(n)}) for n in range(100)}

    assert len(lines) == 100
    assert len(one._lines) == MAX_LINES


def test_distributions_of_long_lines_keep_to_their_room() -> None:
    chooser = Chooser(genesis(QUICK))
    shared = "shared |p " + "x" * 500_000
    few: Candidates = candidates()

    for number in range(200):
        chooser.distribution(few, f"{shared}{number}")

    assert sum(len(line) for _, line in chooser._kept) <= MAX_KEPT_BYTES
    assert chooser.distribution(few, f"{shared}199") is chooser.distribution(few, f"{shared}199")
    chooser.close()


def test_visits_together_keep_to_their_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visitors, "MAX_VISITS", 1_000)
    world = World()
    kept = visitors.Visitors(world.log)
    row = encode_visit(advance(None, NOW, NOW, "h0@1"))
    monkeypatch.setattr(world.log, "visits", lambda _: {str(n): row for n in range(9)})

    for number in range(500):
        assert len(kept.of(str(number), NOW)) == 9

    assert sum(1 + len(visits) for _, visits in kept._kept.values()) <= 1_000
