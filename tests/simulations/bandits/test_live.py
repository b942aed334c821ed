"""The service in processes of its own earns what it earns in one process."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from bandit_service.errors import InvalidInput
from bandit_service.policy.settings import PolicySettings, SiteSettings, read_settings
from simulations.bandits.base import Player
from simulations.bandits.live import WINDOW_S, Live, toml_of
from simulations.bandits.ours import Ours
from simulations.bandits.race import race
from simulations.bandits.worlds.duel import Duel
from tests.simulations.bandits.script import Script, batch, spot

FAST = SiteSettings(
    policy=PolicySettings(
        exploration="squarecb", typical_reward=0.17, learning_rate=0.05, gamma=30.0, holdout=0.0
    )
)
"""Learns much of a small world within 500 visits, much the same with every seed."""


def earned(world: Duel, player: Player) -> float:
    try:
        ground, run = race(world, player, policy="", seed=1)
    finally:
        player.close()
    return sum(map(sum, run.earned)) / sum(map(sum, ground.impressions))


@pytest.mark.slow
@pytest.mark.redis
def test_the_service_earns_over_http_what_it_earns_in_one_process(redis_url: str) -> None:
    # given: what it earns depends on its own draws, so several seeds of it
    world = Duel("duel", impressions=500, seed=1)
    several = [earned(world, Ours(world, FAST, seed=seed)) for seed in range(12)]
    # when
    live = earned(world, Live(world, FAST, seed=1))
    # then
    spread = float(np.std(several, ddof=1))
    assert abs(live - np.mean(several)) < 5 * spread
    uniform = 1 / 6
    assert np.mean(several) - 5 * spread > uniform, "the bound above would let anything pass"


@pytest.mark.slow
@pytest.mark.redis
def test_a_world_whose_outcomes_come_late_is_refused_and_nothing_keeps_running(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # given
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    late = [batch([at], [False], [1], of=spot()) for at in (0, 100)]
    player = Live(Script(late), FAST, seed=1)
    # when
    try:
        with pytest.raises(InvalidInput, match="cannot play script"):
            race(Script(late), player, policy="live", seed=1)
    finally:
        player.close()
    # then
    assert list(tmp_path.iterdir()) == []
    assert not any(str(tmp_path) in line for line in _command_lines())


def test_settings_survive_the_file_that_the_service_reads() -> None:
    again = read_settings(toml_of(FAST).encode(), name="site.toml")
    assert again.policy == FAST.policy
    assert again.rewards.window_seconds == WINDOW_S
    assert again.rewards.worth == FAST.rewards.worth


def _command_lines() -> list[str]:
    """Of every process that can be looked at."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                found.append((entry / "cmdline").read_bytes().decode(errors="replace"))
            except OSError:
                continue  # it has ended
    return found
