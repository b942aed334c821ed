"""Serving with an archiver beside it: the log moves to Parquet, and nothing stops."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bandit_service.settings import default_config_path
from bandit_service.storage.embedded import EmbeddedRedis
from bandit_service.storage.redis_store import RedisStore
from tests.e2e.processes import Program, until

pytestmark = [pytest.mark.redis, pytest.mark.slow]


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    made = Program(tmp_path)
    made.environ |= {"BANDIT_ARCHIVE_SECONDS": "0.2", "BANDIT_STREAM_HOURS": "0"}
    yield made
    made.stop()


def test_what_is_served_is_archived_trimmed_rebuilt_explained_and_forgotten(
    program: Program,
) -> None:
    redis = EmbeddedRedis(data_dir=program.folder / "data")
    serving = program.serve()
    catalog = str(default_config_path() / "catalog.toml")
    assert program.run("catalog", "import", catalog).returncode == 0
    caller = program.caller(program.key("site"))
    made = [
        caller.call("POST", "/v1/decide", {"placement": "the-long-summer", "visitor": f"v{n % 3}"})
        for n in range(30)
    ]
    assert {status for status, _ in made} == {200}
    decision = made[0][1]["decision"]
    caller.call("POST", "/v1/events", {"events": [{"decision": decision, "type": "click"}]})
    store = RedisStore(redis.start())
    site = store.site("main")
    last = site.tail()

    # when everything that was there is archived, learned and trimmed
    def moved() -> bool:
        known = site.archived()
        return known is not None and known.trimmed >= last

    until(moved, 60)
    explained, rebuilt = program.run("explain", decision), program.run("rebuild", "--same")
    forgotten = program.run("forget", "v0")
    after = program.run("explain", decision)

    assert explained.returncode == 0, explained.stderr
    assert "agrees bit for bit" in explained.stdout
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert "10 decisions" in forgotten.stdout, forgotten.stderr
    assert after.returncode == 4
    store.close()
    redis.stop()
    serving.terminate()
    assert serving.wait(15) == 0
    until(lambda: not program.leftovers(), 15)


def test_an_archiver_that_is_told_to_stop_stops_at_once(program: Program) -> None:
    serving = program.serve("--no-archive", "--no-learn")
    catalog = str(default_config_path() / "catalog.toml")
    assert program.run("catalog", "import", catalog).returncode == 0
    assert not (program.folder / "data" / "archive").exists()

    archiver = program.start("archive")
    until((program.folder / "data" / "archive" / "archive.json").exists, 30)
    archiver.terminate()

    assert archiver.wait(10) == 0
    serving.terminate()
    assert serving.wait(15) == 0
