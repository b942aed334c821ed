"""Which variant is canonical, and that asking for it leaves nothing behind."""

from __future__ import annotations

import msgspec
import pytest

from bandit_service.catalog.model import PlacementSpec
from bandit_service.errors import NothingToShow
from bandit_service.events.entries import Decision
from bandit_service.serving.canonical import canonical
from bandit_service.serving.requests import DecideAnswer, DecideRequest
from tests.world import World

STATUSES = {"a": "paused", "b": "live", "c": "live", "d": "draft"}


def ask(named: str | None, **request: object) -> DecideAnswer:
    """The canonical answer of a placement with the variants of STATUSES."""
    world = World()
    variants = [{"id": i, "headline": i, "status": status} for i, status in STATUSES.items()]
    spec = {"kind": "headline", "canonical": named, "variants": variants}
    world.editor.put_placement("spot", msgspec.convert(spec, PlacementSpec))
    world.view.refresh()
    answer = canonical(
        world.view, msgspec.convert({"placement": "spot", **request}, DecideRequest), now=world.now
    )
    assert not any(isinstance(entry, Decision) for _, entry in world.entries())
    return answer


@pytest.mark.parametrize(
    ("named", "exclude", "shown"),
    [
        (None, [], "b"),
        ("c", [], "c"),
        ("a", [], "b"),
        ("d", [], "b"),
        ("c", ["c"], "b"),
        (None, ["b"], "c"),
        ("b", ["b"], "c"),
    ],
)
def test_the_canonical_variant_is_the_named_one_or_else_the_first_live_one(
    named: str | None, exclude: list[str], shown: str
) -> None:
    assert ask(named, exclude=exclude).variant.id == shown


def test_of_candidates_that_come_with_a_request_it_is_the_first_that_may_be_shown() -> None:
    candidates = [{"id": i, "headline": i} for i in ("x", "c", "y")]

    assert ask("c", candidates=candidates).variant.id == "x"
    assert ask("c", candidates=candidates, exclude=["x"]).variant.id == "c"


def test_where_nothing_may_be_shown_that_is_said() -> None:
    with pytest.raises(NothingToShow):
        ask("c", exclude=["b", "c"])


def test_nothing_is_remembered_of_whoever_asked() -> None:
    world = World()
    world.view.refresh()
    request = DecideRequest(placement="film", visitor="v", traits={"genres": ["comedy"]})

    first, second = (canonical(world.view, request, now=world.now) for _ in range(2))

    assert first == second
    assert first.persona == "unknown"
    assert world.view.visits.of(world.view.secret.pseudonym("v"), world.now) == {}
