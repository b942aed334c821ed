"""Where a persona has no creative that suits it, and where the spot is to blame."""

from __future__ import annotations

import pytest

from bandit_service.reporting.gaps import gaps
from bandit_service.reporting.summary import Summary, summarised
from tests.reporting.tables import Shown, stored, table


def summary(**rates: float) -> Summary:
    """A placement of two variants, both of which earn with each persona as told."""
    cells = {p: Shown(3_000, 3_000 * rate) for p, rate in rates.items()}
    return summarised(stored(table({"a": cells, "b": cells})), [], ["a@1", "b@1"])


USUAL = {f"usual-{n}": summary(romantic=0.1, comedy=0.1) for n in range(3)}


def test_a_persona_that_earns_much_less_than_elsewhere_lacks_a_creative() -> None:
    (found,) = gaps({**USUAL, "film": summary(romantic=0.02, comedy=0.1)})

    assert (found.placement, found.persona) == ("film", "romantic")
    assert found.rate == pytest.approx(0.02)
    assert found.elsewhere == pytest.approx(0.1)
    assert found.high < found.due < 0.1
    assert found.shown == 6_000
    assert found.says == (
        "No creative suits romantic here: the best one earns 2%, "
        "where romantic earns 10% elsewhere."
    )


def test_a_spot_that_earns_little_with_everybody_lacks_no_creative() -> None:
    assert gaps({**USUAL, "corner": summary(romantic=0.02, comedy=0.02)}) == []


def test_one_variant_that_suits_the_persona_is_enough() -> None:
    cells = {"romantic": Shown(3_000, 60), "comedy": Shown(3_000, 300)}
    suits = {"romantic": Shown(3_000, 300), "comedy": Shown(3_000, 300)}
    film = summarised(stored(table({"a": cells, "b": suits})), [], ["a@1", "b@1"])

    assert gaps({**USUAL, "film": film}) == []


def test_a_live_variant_that_was_never_shown_may_yet_suit() -> None:
    cells = {"romantic": Shown(3_000, 30), "comedy": Shown(3_000, 300)}
    film = summarised(stored(table({"a": cells})), [], ["a@1", "new@1"])

    assert film.personas[0].best is None
    assert gaps({**USUAL, "film": film}) == []


def test_the_widest_gap_comes_first_and_a_persona_of_one_placement_has_no_elsewhere() -> None:
    found = gaps(
        {
            **USUAL,
            "mild": summary(romantic=0.05, comedy=0.1),
            "bad": summary(romantic=0.01, comedy=0.1, rare=0.001),
        }
    )

    assert [gap.placement for gap in found] == ["bad", "mild"]
    assert {gap.persona for gap in found} == {"romantic"}


def test_nothing_counted_is_no_gap() -> None:
    assert gaps({}) == []
