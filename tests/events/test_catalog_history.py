from bandit_service.catalog.model import Placement
from bandit_service.events.catalog_history import CatalogHistory
from bandit_service.events.entries import PlacementChanged, Position, Tick


def changed(revision: int) -> PlacementChanged:
    return PlacementChanged(
        placement=Placement(id="film", revision=revision, kind="headline"), at=0, by="test"
    )


def test_old_revisions_are_kept_for_as_long_as_decisions_can_name_them() -> None:
    history = CatalogHistory(keep_ms=100)
    for revision, ms in ((1, 0), (2, 50), (3, 140), (4, 200)):
        history.apply(Position(ms, 0), changed(revision))

    known = [revision for revision in range(6) if history.placement("film", revision)]

    assert known == [2, 3, 4]
    assert history.placement("other", 1) is None


def test_the_current_revision_is_kept_however_old() -> None:
    history = CatalogHistory(keep_ms=100)
    history.apply(Position(0, 0), changed(1))

    history.apply(Position(10**9, 0), Tick(at=0))

    assert history.placement("film", 1) is not None


def test_a_history_goes_on_from_its_dump() -> None:
    whole, pieces = CatalogHistory(keep_ms=100), CatalogHistory(keep_ms=100)
    for revision, ms in ((1, 0), (2, 50)):
        whole.apply(Position(ms, 0), changed(revision))

    pieces.restore(whole.dump())
    for history in (whole, pieces):
        history.apply(Position(300, 0), changed(3))

    assert pieces.dump() == whole.dump()
    assert pieces.placement("film", 1) is None
