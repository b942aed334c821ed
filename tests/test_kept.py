"""A memory that is bounded by count and by weight."""

from __future__ import annotations

from bandit_service.kept import Kept


def test_everything_is_let_go_when_there_are_too_many() -> None:
    kept: Kept[int, str] = Kept(entries=3, room=1_000_000)

    for n in range(4):
        kept.keep(n, "x", 1)

    assert kept == {3: "x"}


def test_everything_is_let_go_when_it_weighs_too_much() -> None:
    kept: Kept[int, str] = Kept(entries=1_000_000, room=1000)

    for n in range(250):
        kept.keep(n, "x", 10)
        assert len(kept) <= 100

    assert kept.get(249) == "x"


def test_what_is_very_large_is_not_kept_and_drives_nothing_out() -> None:
    kept: Kept[int, str] = Kept(entries=10, room=1000)
    kept.keep(1, "small", 1)
    kept.keep(2, "was small", 1)

    kept.keep(2, "large", 11)

    assert kept == {1: "small"}


def test_letting_go_gives_the_room_back() -> None:
    kept: Kept[int, str] = Kept(entries=10, room=100)
    for n in range(100):
        kept.clear()
        kept.keep(n, "x", 1)
        kept.keep(-1, "y", 1)

    assert len(kept) == 2


def test_what_is_kept_again_weighs_once() -> None:
    kept: Kept[int, str] = Kept(entries=10, room=1000)
    kept.keep(1, "stays", 1)
    for _ in range(500):
        kept.keep(2, "again", 10)

    assert kept == {1: "stays", 2: "again"}
