"""What the tests of offline evaluation's commands share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bandit_service.folds.learner import SiteLearner
from bandit_service.storage.redis_site import RedisSite
from bandit_service.storage.redis_store import RedisStore
from tests.cli.offline import CONFIG, Offline
from tests.cli.test_export import fill
from tests.cli.test_verify import REWARDS
from tests.world import QUICK, World, busy_world


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Offline:
    """Commands in an empty folder, which is the present one too."""
    monkeypatch.setenv("BANDIT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("BANDIT_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(CONFIG / "logs", tmp_path / "config" / "logs")
    (tmp_path / "config" / "site.toml").write_text(REWARDS)
    return Offline(tmp_path)


@pytest.fixture
def site(
    redis_store: RedisStore, redis_url: str, closed_world: World, monkeypatch: pytest.MonkeyPatch
) -> RedisSite:
    """The closed world's log in a Redis, learned there."""
    monkeypatch.setenv("REDIS_URL", redis_url)
    there = fill(redis_store, closed_world)
    learner = SiteLearner(there, QUICK, clock=lambda: closed_world.now / 1000, publish_seconds=0.0)
    while learner.step():
        pass
    learner.finish()
    return there


@pytest.fixture(scope="session")
def closed_world() -> World:
    """A site whose reward windows have all ended; only to be read."""
    world = busy_world(300)
    world.pass_time(60.0)
    world.decide()
    return world
