"""The command that measures how soon policies adapt."""

from __future__ import annotations

import re

from click.testing import CliRunner, Result

from bandit_service.policy.settings import PolicySettings
from simulations.__main__ import main
from simulations.bandits.adapting import patient


def invoke(*words: str) -> Result:
    return CliRunner().invoke(main, ["adapts", *words], catch_exceptions=False)


def test_a_policy_that_never_learns_reaches_no_level_and_pays_for_that() -> None:
    result = invoke("--policies", "uniform", "--seeds", "1", "--quick", "--processes", "1")

    assert result.exit_code == 0, result.output
    row = next(line for line in result.output.splitlines() if line.startswith("│ uniform"))
    level, *_, price = [cell.strip() for cell in row.strip("│").split("│")][1:]
    assert abs(int(level.rstrip("%"))) <= 15
    found = re.fullmatch(r"([+-][0-9.]+) \[[+-][0-9.]+, [+-][0-9.]+\]", price)
    assert found is not None, price
    assert float(found[1]) > 10


def test_the_patient_service_differs_from_the_default_in_what_it_forgets_alone() -> None:
    usual, slow = PolicySettings(holdout=0.0), patient().policy

    changed = {
        name for name in usual.__struct_fields__ if getattr(usual, name) != getattr(slow, name)
    }

    assert changed == {"memory", "alarm"}


def test_a_policy_that_nobody_knows_is_refused_before_anything_is_played() -> None:
    result = invoke("--policies", "beta,nobody")

    assert result.exit_code == 1
    assert "there is no policy 'nobody'" in result.output


def test_no_policy_at_all_is_a_sentence() -> None:
    result = invoke("--policies", " , ")

    assert result.exit_code == 1
    assert "no name was given" in result.output
