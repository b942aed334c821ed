import pytest

from bandit_service.events.entries import Decision
from bandit_service.events.visits import Visit, encode_visit
from bandit_service.serving import visitors as module
from bandit_service.serving.visitors import KEEP_MS, Visitors
from bandit_service.storage.memory import MemorySite, MemoryStore
from tests.world import a_decision

ANN = Visit(7, 1_000, "b@1", 3, 500)


class Counting(MemorySite):
    """Knows how often visits were read."""

    reads = 0

    def visits(self, visitor: str) -> dict[str, bytes]:
        self.reads += 1
        return super().visits(visitor)


@pytest.fixture
def store() -> Counting:
    made = Counting("main", clock=lambda: 0, shared=MemoryStore())
    made.remember_visits({("ann", "film"): encode_visit(ANN)}, expire_seconds=60)
    return made


def decision(slot: int, at: int) -> Decision:
    return a_decision(at=at, visitor="ann", slot=slot)


def test_a_visitor_is_read_once_for_a_stretch_of_requests(store: Counting) -> None:
    visitors = Visitors(store)

    for now in (0, 1_000, KEEP_MS - 1):
        assert visitors.of("ann", now) == {"film": ANN}
    assert store.reads == 1

    visitors.of("ann", KEEP_MS)
    assert store.reads == 2


def test_a_clock_that_went_back_reads_again(store: Counting) -> None:
    visitors = Visitors(store)
    visitors.of("ann", 10_000)

    visitors.of("ann", 9_999)

    assert store.reads == 2


def test_what_was_shown_here_is_known_at_once(store: Counting) -> None:
    visitors = Visitors(store)
    visitors.of("ann", 2_000)

    visitors.saw(decision(slot=8, at=2_000))

    assert visitors.of("ann", 2_001)["film"] == Visit(8, 2_000, "a@1", 4, 1_000, "d")
    assert store.reads == 1


def test_the_visitors_kept_are_bounded(store: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_VISITORS", 2)
    visitors = Visitors(store)
    for name in ("ann", "bob", "cid"):
        visitors.of(name, 0)

    visitors.of("cid", 0)
    assert store.reads == 3
    visitors.of("ann", 0)
    assert store.reads == 4
