"""``verify`` and ``replay`` as people run them: on files, and on a real Redis."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bandit_service.evaluation.logs.base import Violation
from bandit_service.events.entries import Decision, Event
from bandit_service.storage.redis_site import RedisSite
from tests.cli.offline import Run, runner
from tests.cli.test_export import refused
from tests.world import QUICK, World

REWARDS = f"[rewards]\nwindow_seconds = {QUICK.rewards.window_seconds}\n"
Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    return runner(monkeypatch, tmp_path, REWARDS)


def exported(world: World, path: Path, *, every: int = 0, change: Change | None = None) -> Path:
    """The world's log as JSON Lines, every so many decisions changed."""
    lines, decisions = [], 0
    for position, data in world.rows():
        entry = msgspec.json.decode(data)
        if entry["t"] == "decision":
            decisions += 1
            if change is not None and decisions % every == 0:
                change(entry)
        lines.append(msgspec.json.encode({"position": str(position), "entry": entry}))
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def loses_mass(entry: dict[str, Any]) -> None:
    entry["probabilities"] = [p * 0.9 for p in entry["probabilities"]]


@pytest.mark.redis
def test_a_sites_own_log_is_verified_without_naming_it(run: Run, site: RedisSite) -> None:
    result = run("verify")

    assert result.exit_code == 0, result.output
    assert "site main" in result.output
    assert "Drawn as logged?" in result.output
    assert "This log can be believed" in result.output


def test_a_sound_export_is_believed_and_said_so_in_json(
    run: Run, closed_world: World, tmp_path: Path
) -> None:
    result = run("verify", exported(closed_world, tmp_path / "log.jsonl"), "--json")

    assert result.exit_code == 0, result.output
    found = msgspec.json.decode(result.stdout)
    assert found["log"]["format"] == "jsonl"
    assert found["verification"]["fatal"] is False
    assert found["verification"]["rows"] > 100
    assert found["excluded"]["repeated_views"] > 0
    assert found["verification"]["sample_ratio"][0]["name"] == "all"


def test_what_is_wrong_is_shown_and_all_of_it_written_to_a_file(
    run: Run, closed_world: World, tmp_path: Path
) -> None:
    log = exported(closed_world, tmp_path / "log.jsonl", every=2, change=loses_mass)
    every = tmp_path / "wrong.jsonl"

    result = run("verify", log, "--all", every)

    refused(result, 6, r"log.jsonl must not be believed: probabilities_sum \(")
    lines = every.read_bytes().splitlines()
    violations = [msgspec.json.decode(line, type=Violation) for line in lines]
    said = msgspec.json.decode(run("verify", log, "--json").stdout)["verification"]
    assert len(violations) == sum(finding["count"] for finding in said["findings"]) > 20
    wrong = [violation for violation in violations if violation.kind == "probabilities_sum"]
    assert len(wrong) > 20
    assert wrong[0].place in result.output
    assert f"all {len(violations)} violations" in result.output
    assert "Do not estimate anything" in result.output


def test_what_is_wrong_with_the_log_as_a_whole_is_in_the_file_too(
    run: Run, closed_world: World, tmp_path: Path
) -> None:
    quiet = World(QUICK, variants=1)
    for _ in range(20):
        quiet.pass_time(1.0)
        quiet.decide()
    quiet.pass_time(20.0)
    quiet.decide()
    every = tmp_path / "wrong.jsonl"

    result = run("verify", exported(quiet, tmp_path / "log.jsonl"), "--all", every)

    assert result.exit_code == 0, result.output
    kinds = [msgspec.json.decode(line)["kind"] for line in every.read_bytes().splitlines()]
    assert kinds == ["one_variant", "no_rewards"]
    assert "cost precision" in result.output


def test_rewards_come_from_the_settings_that_are_named(
    run: Run, closed_world: World, tmp_path: Path
) -> None:
    log, settings = exported(closed_world, tmp_path / "log.jsonl"), tmp_path / "other.toml"
    settings.write_text(f"{REWARDS}worth = {{}}\n")

    assert "no_rewards" not in run("verify", log).output
    assert "no_rewards" in run("verify", log, "--settings", settings).output


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["verify", "--mapping", "obd"], 2, "none was named"),
        (["verify", "missing.jsonl"], 3, "is not there"),
        (["verify", "--settings", "missing.toml"], 2, "missing.toml cannot be read"),
        (["verify", "missing.jsonl", "--all", "."], 2, "is not a plain file"),
    ],
)
def test_wrong_words_are_refused_by_name(
    run: Run, words: list[str], code: int, said: str, tmp_path: Path
) -> None:
    refused(run(*words), code, said)
    assert not (tmp_path / "data").exists()


@pytest.mark.redis
def test_an_unknown_site_is_not_found(run: Run, site: RedisSite) -> None:
    refused(run("verify", "--site", "nobody"), 4, "there is no site 'nobody'")
    refused(run("replay", "--site", "nobody"), 4, "has no snapshot")


def test_a_file_of_violations_is_not_overwritten_unasked_and_not_left_half_written(
    run: Run, closed_world: World, tmp_path: Path
) -> None:
    log, every = exported(closed_world, tmp_path / "log.jsonl"), tmp_path / "wrong.jsonl"
    every.write_text("mine")

    refused(run("verify", log, "--all", every), 2, "exists")
    refused(run("verify", tmp_path / "gone.jsonl", "--all", every, "--force"), 3, "is not there")
    assert every.read_text() == "mine"
    assert run("verify", log, "--all", every, "--force").exit_code == 0
    assert every.read_text() != "mine"


@pytest.mark.redis
def test_replay_agrees_with_what_was_learned_live(run: Run, site: RedisSite) -> None:
    head = site.head()
    assert head is not None

    result = run("replay")

    assert result.exit_code == 0, result.output
    assert f"agrees  snapshot {head.name}" in result.output
    assert "counts of outcomes at" in result.output
    assert "snapshots agree bit for bit" in result.output
    assert "DIFFERS" not in result.output


@pytest.mark.redis
@pytest.mark.parametrize("kind", [Decision, Event])
def test_replay_finds_an_entry_that_is_gone(
    run: Run, site: RedisSite, closed_world: World, kind: type[Decision | Event]
) -> None:
    position = next(
        position for position, entry in closed_world.entries() if isinstance(entry, kind)
    )
    site.remove([position])

    result = run("replay", "--snapshots", "2")

    refused(result, 3, "comparisons differ; first ")
    assert "DIFFERS  counts of outcomes" in result.output
