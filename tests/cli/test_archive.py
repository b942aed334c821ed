"""Commands of the archive, on a real Redis."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bandit_service.archive import archiver
from bandit_service.cli import main
from bandit_service.events.entries import START, Event, encode
from bandit_service.events.identity import SiteSecret
from bandit_service.storage.redis_store import RedisStore
from tests.world import a_decision

Run = Callable[..., Result]
pytestmark = pytest.mark.redis


@pytest.fixture
def run(
    redis_store: RedisStore, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Commands on one Redis and one archive, which take everything at once."""
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("BANDIT_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("BANDIT_STREAM_HOURS", "0")
    monkeypatch.setattr(archiver, "SETTLE_MS", -60_000)

    def call(*words: str) -> Result:
        return CliRunner().invoke(main, words)

    return call


def logged(store: RedisStore, visitor: str) -> None:
    """A decision for a visitor, and a click."""
    site = store.site("main")
    decision = a_decision(
        id=f"decision of {visitor}",
        at=1,
        visitor=SiteSecret(site.secret()).pseudonym(visitor),
        slot=0,
        slot_ms=1,
    )
    site.append(encode(decision))
    site.append(encode(Event(decision=decision.id, type="click", at=2, received=2)))


def test_a_log_is_archived_trimmed_and_rebuilt_from_both(
    run: Run, redis_store: RedisStore, tmp_path: Path
) -> None:
    logged(redis_store, "ann")
    assert run("rebuild").exit_code == 0  # leaves a checkpoint

    archived = run("archive", "--once")
    logged(redis_store, "bob")
    again = run("rebuild")

    assert "Site main: archived 2, trimmed 2, expired 0 entries." in archived.output
    assert again.exit_code == 0, again.output
    assert redis_store.site("main").length() == 2
    (file,) = (tmp_path / "archive" / "log").glob("site=main/day=*/*.parquet")
    assert file.stat().st_size > 0


def test_without_its_archive_a_trimmed_log_is_not_rebuilt_until_another_is_adopted(
    run: Run, redis_store: RedisStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged(redis_store, "ann")
    run("rebuild")
    run("archive", "--once")
    monkeypatch.setenv("BANDIT_ARCHIVE_DIR", str(tmp_path / "elsewhere"))

    refused, other = run("rebuild"), run("archive", "--once")
    adopted, rebuilt = run("archive", "--adopt"), run("rebuild")

    assert (refused.exit_code, other.exit_code) == (3, 3)
    assert "archive_dir" in refused.output
    assert "is archived elsewhere" in other.output
    assert "Lost: the log after 0-0" in adopted.output
    assert rebuilt.exit_code == 0, rebuilt.output
    assert "The log was not whole (lost)" in rebuilt.output


def test_a_visitor_is_forgotten_by_the_id_that_the_website_sends(
    run: Run, redis_store: RedisStore
) -> None:
    logged(redis_store, "ann")
    logged(redis_store, "bob")
    run("rebuild")
    run("archive", "--once")
    logged(redis_store, "cid")

    gone, cid, nobody = run("forget", "ann"), run("forget", "cid"), run("forget", "nobody")

    assert "1 decisions (0 entries of the log in Redis, 2 rows of the archive)" in gone.output
    assert "1 decisions (2 entries of the log in Redis, 0 rows of the archive)" in cid.output
    assert "0 decisions" in nobody.output
    assert "What stays" in gone.output
    assert redis_store.site("main").read(START, limit=9) == []
