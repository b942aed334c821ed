"""``export`` and ``reveal`` as people run them, on a real Redis."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from bandit_service.archive.archiver import DAY_MS, SiteArchiver
from bandit_service.archive.partitions import ArchiveFolder
from bandit_service.archive.schema import rows_of
from bandit_service.cli import main
from bandit_service.events.entries import START
from bandit_service.folds.learner import SiteLearner, publish
from bandit_service.policy.snapshot import genesis
from bandit_service.storage.redis_site import RedisSite
from bandit_service.storage.redis_store import RedisStore
from tests.conftest import Clock
from tests.world import QUICK, World, busy_world

Run = Callable[..., Result]


@pytest.fixture
def run(
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("BANDIT_DATA_DIR", str(tmp_path_factory.mktemp("data")))
    monkeypatch.setenv("BANDIT_CONFIG_DIR", str(tmp_path / "config"))

    def call(*words: str | Path) -> Result:
        return CliRunner().invoke(main, [str(word) for word in words])

    return call


def fill(store: RedisStore, world: World, site: str = "main") -> RedisSite:
    """The world's log at the world's times, in a Redis, with a snapshot that serves."""
    there = store.site(site)
    store.register(site)
    for position, data in world.rows():
        store._client.xadd(f"bandit:{{{site}}}:log", {b"e": data}, id=str(position))
    publish(there, genesis(QUICK), generation=1, replaces=0, checkpoint=None, report=None)
    return there


@pytest.fixture
def world() -> World:
    return busy_world(120)


@pytest.fixture
def site(redis_store: RedisStore, world: World) -> RedisSite:
    return fill(redis_store, world)


def refused(result: Result, code: int, said: str) -> None:
    """One sentence and a hint or usage, no traceback, the right exit code."""
    assert result.exit_code == code, result.output
    assert re.search(rf"^Error: .*{said}", result.output, re.MULTILINE), result.output
    assert "Traceback" not in result.output


def test_parquet_jsonl_and_dsjson_are_written_and_summed_up(
    run: Run, site: RedisSite, world: World, tmp_path: Path
) -> None:
    said = {}
    for kind in ("parquet", "jsonl", "dsjson"):
        result = run("export", "--format", kind, "--out", tmp_path / f"log.{kind}")
        assert result.exit_code == 0, result.output
        said[kind] = result.output

    rows = world.rows()
    assert rows_of(pq.read_table(tmp_path / "log.parquet")) == rows
    assert len((tmp_path / "log.jsonl").read_bytes().splitlines()) == len(rows)
    examples = (tmp_path / "log.dsjson").read_bytes().splitlines()
    assert f"{len(rows)} entries of site main" in said["parquet"]
    assert f"{len(examples)} examples of site main" in said["dsjson"]
    assert re.search(r"left out: \d+ repeated views", said["dsjson"])
    assert re.search(r"left out: \d+ decisions that are still open", said["dsjson"])
    assert len(list(tmp_path.iterdir())) == 3


def test_a_dash_writes_to_standard_output_and_everything_else_to_standard_error(
    run: Run, site: RedisSite, world: World
) -> None:
    result = run("export", "--format", "jsonl", "--out", "-")

    lines = result.stdout.splitlines()
    assert [msgspec.json.decode(line)["position"] for line in lines] == [
        str(position) for position, _ in world.rows()
    ]
    assert "standard output: " in result.stderr


def test_a_reader_who_has_had_enough_ends_it_quietly(
    redis_url: str, site: RedisSite, world: World, tmp_path: Path
) -> None:
    command = f"{sys.executable} -m bandit_service export --format jsonl --out - | head -c 100"

    done = subprocess.run(
        ["/bin/bash", "-c", f"set -o pipefail; {command}"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "REDIS_URL": redis_url, "BANDIT_DATA_DIR": str(tmp_path)},
    )

    assert len(done.stdout) == 100
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_a_span_is_exported_by_since_and_until(
    run: Run, site: RedisSite, world: World, tmp_path: Path
) -> None:
    def total(*words: str) -> int:
        result = run("export", "--format", "jsonl", "--out", tmp_path / "o", "--force", *words)
        found = re.search(r"(\d+) entries", result.output)
        assert found, result.output
        return int(found[1])

    middle = "2027-01-15T08:00:30Z"  # the world begins at 08:00:00

    first, rest = total("--until", middle), total("--since", middle)

    assert first > 0 < rest
    assert first + rest == total() == len(world.rows())
    assert total("--since", "2027-01-14", "--until", "2027-01-15") == 0


def test_the_rewards_of_an_export_may_come_from_a_file(
    run: Run, site: RedisSite, tmp_path: Path
) -> None:
    settings = tmp_path / "other.toml"
    settings.write_text("[rewards]\nwindow_seconds = 5\ndefault_reward = 0.5\n")

    run("export", "--format", "dsjson", "--out", tmp_path / "a")
    result = run("export", "--format", "dsjson", "--out", tmp_path / "b", "--settings", settings)

    assert result.exit_code == 0, result.output
    costs = {
        name: set(re.findall(r'"_label_cost":([-.\d]+)', (tmp_path / name).read_text()))
        for name in "ab"
    }
    assert costs == {"a": {"-1.0", "0.0"}, "b": {"-1.0", "-0.5"}}


def test_what_exists_is_overwritten_only_by_force(
    run: Run, site: RedisSite, tmp_path: Path
) -> None:
    (tmp_path / "log").write_text("precious")

    refused(run("export", "--format", "jsonl", "--out", tmp_path / "log"), 2, "log exists")
    assert (tmp_path / "log").read_text() == "precious"

    assert run("export", "--format", "jsonl", "--out", tmp_path / "log", "--force").exit_code == 0
    assert (tmp_path / "log").read_text().startswith('{"position"')


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format", "csv", "--out", "x"], "csv"),
        (["--format", "jsonl"], "--out"),
        (["--out", "x"], "--format"),
        (["--format", "parquet", "--out", "-"], "standard output"),
        (["--format", "jsonl", "--out", "x", "--since", "soon"], "'soon' is not a time"),
        (["--format", "jsonl", "--out", "x", "--until", "2030-13-01"], "2030-13-01"),
        (
            ["--format", "jsonl", "--out", "x", "--since", "2030-01-02", "--until", "2030-01-01"],
            "is not before",
        ),
        (["--format", "jsonl", "--out", "x", "--settings", "site.toml"], "what events are worth"),
        (["--format", "dsjson", "--out", "x", "--settings", "nowhere.toml"], "cannot be read"),
        (["--format", "jsonl", "--out", "/nowhere/at/all"], "/nowhere/at/all cannot be written"),
        (["--format", "parquet", "--out", "/nowhere/at/all"], "/nowhere/at/all cannot be written"),
        (["--format", "dsjson", "--out", "/dev/null", "--force"], "not a plain file"),
        (["--format", "jsonl", "--out", "x", "--site", "No Site"], "name of a site"),
    ],
)
def test_a_wrong_option_is_one_sentence_with_exit_code_2_and_no_file(
    run: Run,
    site: RedisSite,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)

    refused(run("export", *words), 2, said)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "dsjson"])
def test_what_was_archived_and_trimmed_is_exported_and_revealed_as_before(
    run: Run, site: RedisSite, world: World, tmp_path: Path, kind: str
) -> None:
    named(site, world)
    archive = tmp_path / "archive"
    words = ("--archive-dir", archive)
    learner = SiteLearner(site, QUICK, clock=lambda: world.now / 1000, publish_seconds=0.0)
    while learner.step():
        pass
    learner.finish()
    logged = site.read(START, limit=100_000)
    run("export", "--format", kind, "--out", tmp_path / "whole", *words)
    revealed = run("reveal", "visitor-3", *words).stdout
    clock = Clock(world.now + 30 * DAY_MS)
    folder = ArchiveFolder(archive)
    SiteArchiver(
        site, folder, archive=folder.ensure("x"), clock=clock, stream_ms=DAY_MS, keep_days=0
    ).step()
    assert site.length() == 0

    result = run("export", "--format", kind, "--out", tmp_path / "again", *words)

    assert result.exit_code == 0, result.output
    if kind == "parquet":
        assert rows_of(pq.read_table(tmp_path / "again")) == logged
    assert (tmp_path / "again").read_bytes() == (tmp_path / "whole").read_bytes()
    assert run("reveal", "visitor-3", *words).stdout == revealed
    refused(run("reveal", "visitor-3", "--archive-dir", tmp_path / "no"), 3, "is in the archive")


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "dsjson"])
def test_an_unreadable_entry_is_named_and_nothing_half_written_remains(
    run: Run, site: RedisSite, tmp_path: Path, kind: str
) -> None:
    position = site.append(b'{"t":"riddle"}')

    result = run("export", "--format", kind, "--out", tmp_path / "log")

    refused(result, 3, f"at position {position}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "dsjson"])
def test_an_empty_log_makes_an_empty_file_and_says_so(
    run: Run, redis_store: RedisStore, tmp_path: Path, kind: str
) -> None:
    redis_store.register("main")

    result = run("export", "--format", kind, "--out", tmp_path / "log")

    assert result.exit_code == 0, result.output
    assert "valid and empty" in result.output
    assert (tmp_path / "log").exists()


@pytest.mark.parametrize("words", [["export", "--format", "jsonl", "--out", "-"], ["reveal", "x"]])
def test_a_site_that_does_not_exist_is_not_found_and_not_made(
    run: Run, redis_store: RedisStore, site: RedisSite, words: list[str]
) -> None:
    keys = set(redis_store._client.keys("*"))

    refused(run(*words, "--site", "elsewhere"), 4, "there is no site 'elsewhere'")

    assert set(redis_store._client.keys("*")) == keys


@pytest.mark.parametrize("library", ["pyarrow", "scipy", "plotly", "jinja2"])
def test_the_command_line_loads_what_is_large_only_where_it_is_needed(library: str) -> None:
    code = f"import sys, bandit_service.cli; sys.exit({library!r} in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- reveal


def as_json(text: str) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(text)
    return found


def named(site: RedisSite, world: World) -> None:
    """Make the site's secret the world's, so that its pseudonyms are the world's too."""
    site._client.set(site._key["secret"], world.log.secret())


def test_reveal_prints_all_that_is_held_of_a_visitor_as_json(
    run: Run, site: RedisSite, world: World
) -> None:
    named(site, world)

    result = run("reveal", "visitor-3")

    assert result.exit_code == 0, result.output
    found = as_json(result.stdout)
    assert found["site"] == "main"
    held = [data for _, data in world.rows() if found["pseudonym"].encode() in data]
    assert len(found["decisions"]) == len(held) > 0
    assert "visitor-3" not in result.stdout


def test_reveal_writes_a_file_and_says_how_much(
    run: Run, site: RedisSite, world: World, tmp_path: Path
) -> None:
    named(site, world)

    result = run("reveal", "visitor-3", "--out", tmp_path / "v.json")
    again = run("reveal", "visitor-3", "--out", tmp_path / "v.json")

    assert re.search(r"v.json: \d+ decisions", result.output)
    assert as_json((tmp_path / "v.json").read_text())["decisions"]
    refused(again, 2, "v.json exists")


def test_reveal_of_nobody_is_exit_code_4_and_leaves_no_file(
    run: Run, site: RedisSite, tmp_path: Path
) -> None:
    refused(run("reveal", "nobody", "--out", tmp_path / "v"), 4, "holds nothing about this visitor")

    assert list(tmp_path.iterdir()) == []


def test_reveal_names_an_entry_that_cannot_be_read(run: Run, site: RedisSite) -> None:
    position = site.append(b"{")

    refused(run("reveal", "visitor-3"), 3, f"at position {position}")
