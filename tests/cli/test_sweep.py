"""``sweep`` as people run it: on files, on a real Redis, and with all that can be written wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import Result

from bandit_service.evaluation.report.sweep_door import read_sweep
from bandit_service.storage.redis_store import RedisStore
from tests.cli.offline import Run, runner
from tests.cli.test_export import fill, refused
from tests.evaluation.sweeping import BASE, a_log
from tests.world import QUICK, busy_world

SITE = """
[rewards]
window_seconds = 5.0
max_reward = 1.0
[policy]
exploration = "squarecb"
typical_reward = 0.2
learning_rate = 0.05
gamma = 1.0
slot_seconds = 1.0
floor = 0.0
"""
GRID = '[vary]\n"policy.gamma" = [1.0, 60.0]\n"policy.floor" = [0.0, 1.0]\n'


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    return runner(monkeypatch, tmp_path, SITE)


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    path = tmp_path / "grid.toml"
    path.write_text(GRID)
    return path


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_log(tmp_path_factory.mktemp("logs"), visits=2_000)


def as_printed(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = msgspec.json.decode(result.stdout)
    return found


def without_times(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(data)
    assert found["log"].pop("made")
    return found


def test_a_grid_is_ranked_confirmed_and_reported(
    run: Run, log: Path, grid: Path, tmp_path: Path
) -> None:
    result = run("sweep", log, "--grid", grid, "--processes", 2, "--report", tmp_path / "r")

    assert result.exit_code == 0, result.output
    assert "Adopt gamma=60 floor=0: on the 400 held-out rows" in result.stdout
    assert "Recommended:" in result.stdout
    assert f"Wrote {tmp_path / 'r.html'}." in result.stdout
    kept = read_sweep((tmp_path / "r.json").read_bytes(), "r.json")
    assert [one.rank for one in kept.tried] == [1, 2, 3, 4]
    assert kept.base == "gamma=1 floor=0"
    page, text = ((tmp_path / f"r.{kind}").read_text() for kind in ("html", "md"))
    for name in ("gamma=60 floor=1", "floor 0.05, no holdout"):
        assert name in page
        assert name in text


def test_a_kept_result_is_rendered_again_to_the_same_bytes(
    run: Run, log: Path, grid: Path, tmp_path: Path
) -> None:
    assert run("sweep", log, "--grid", grid, "--report", tmp_path / "a").exit_code == 0

    result = run("report", tmp_path / "a.json", "--out", tmp_path / "b")

    assert result.exit_code == 0, result.output
    for kind in ("html", "md"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def test_any_number_of_processes_gives_the_same_result_but_for_the_time(
    run: Run, log: Path, grid: Path
) -> None:
    found = [
        without_times(run("sweep", log, "--grid", grid, "--json", "--processes", n).stdout_bytes)
        for n in (1, 2)
    ]

    assert found[0] == found[1]


def test_files_are_tried_with_their_blind_twins_and_a_wrong_one_has_its_row(
    run: Run, log: Path, tmp_path: Path
) -> None:
    greedy, wrong = tmp_path / "greedy.toml", tmp_path / "wrong.toml"
    greedy.write_text(SITE.replace("gamma = 1.0", "gamma = 60.0"))
    wrong.write_text("[policy]\ngama = 1.0\n")

    found = as_printed(
        run("sweep", log, "--policy", greedy, "--policy", wrong, "--blind", "--json")
    )

    tried = {one["name"]: one for one in found["tried"]}
    assert set(tried) == {"base", "base blind", str(greedy), f"{greedy} blind", str(wrong)}
    assert "gama" in tried[str(wrong)]["failed"]
    assert found["winner"].startswith(str(greedy))


def test_a_site_is_swept_by_processes_that_find_its_redis(
    run: Run,
    redis_store: RedisStore,
    redis_url: str,
    grid: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    world = busy_world(300)
    world.pass_time(60.0)
    world.decide()
    fill(redis_store, world)
    (tmp_path / "config" / "site.toml").write_text(
        f"[rewards]\nwindow_seconds = {QUICK.rewards.window_seconds}\n"
    )

    grid.write_text(GRID.replace("gamma", "sharpness"))  # the site explores as by default

    found = as_printed(run("sweep", "--grid", grid, "--processes", 2, "--json"))

    assert found["log"]["log"]["format"] == "site"
    assert len(found["tried"]) == 5
    assert {one["estimate"]["n"] for one in found["tried"]} == {found["ranked_rows"]}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "say what to try"),
        (["--policy", "a.toml", "--grid", "g.toml"], "say what to try"),
        (["--grid", "gone.toml"], "gone.toml cannot be read"),
        (["--policy", "gone.toml"], "gone.toml cannot be read"),
        (["--policy", "a.toml", "--held-out", "0.9"], "held_out is 0.9"),
        (["--policy", "a.toml", "--processes", "0"], "processes is 0"),
        (["--policy", "a.toml", "--confidence", "2"], "confidence is 2.0"),
    ],
)
def test_what_is_written_wrong_is_refused_before_anything_is_read(
    run: Run, log: Path, words: list[str], said: str
) -> None:
    refused(run("sweep", log, *words), 2, said)


def test_a_log_that_is_not_there_is_refused(run: Run, grid: Path, tmp_path: Path) -> None:
    refused(run("sweep", tmp_path / "gone.jsonl", "--grid", grid), 3, "is not there")


def test_a_log_that_must_not_be_believed_is_swept_only_by_force_and_marked(
    run: Run, log: Path, grid: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    at = next(n for n, line in enumerate(lines) if '"propensity"' in line or '"probab' in line)
    row = msgspec.json.decode(lines[at])
    row["entry"]["probabilities"] = [0.9] * len(row["entry"]["probabilities"])
    lines[at] = msgspec.json.encode(row).decode() + "\n"
    broken.write_text("".join(lines))

    refused(run("sweep", broken, "--grid", grid), 6, "must not be believed")

    forced = as_printed(run("sweep", broken, "--grid", grid, "--force", "--json"))
    assert forced["log"]["forced"] is True


def test_an_interrupted_sweep_leaves_no_files_and_no_processes(
    log: Path, grid: Path, tmp_path: Path
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "site.toml").write_text(SITE)
    words = ["sweep", log, "--grid", grid, "--processes", 2, "--report", tmp_path / "r", "--blind"]
    environ = {
        **os.environ,
        "BANDIT_CONFIG_DIR": str(tmp_path / "config"),
        "BANDIT_DATA_DIR": str(tmp_path / "data"),
    }
    command = [sys.executable, "-m", "bandit_service", *map(str, words)]
    running = subprocess.Popen(
        command, env=environ, stderr=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 60
        while len(_children(running.pid)) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)  # its manager and two that read
        children = _children(running.pid)
        assert len(children) >= 3
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=60)
    finally:
        running.kill()
        running.wait()

    assert running.returncode != 0
    deadline = time.monotonic() + 20
    while any(map(_alive, children)) and time.monotonic() < deadline:
        time.sleep(0.05)  # what counts shared memory leaves a moment after its parent
    assert not [pid for pid in children if _alive(pid)]
    assert not list(tmp_path.glob("r.*"))
    assert not list(tmp_path.glob(".r.*"))


def _alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has asked after does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _children(pid: int) -> list[int]:
    try:
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        pytest.skip("the system does not say which processes a process has started")


def test_the_base_is_what_is_in_force(run: Run, log: Path, grid: Path) -> None:
    grid.write_text('[vary]\n"policy.gamma" = [60.0]\n')

    found = as_printed(run("sweep", log, "--grid", grid, "--json"))

    assert found["base"] == "base"
    assert found["tried"][0]["changed"] == ["policy.gamma = 60.0"]
    assert BASE.policy.gamma == 1.0
