"""The demo, as the README's first command starts it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from bandit_service.settings import default_config_path
from tests.e2e.processes import Program, until

pytestmark = pytest.mark.slow


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    made = Program(tmp_path)
    made.environ["BANDIT_CONFIG_DIR"] = str(default_config_path())
    yield made
    made.stop()


def test_the_demo_ends_by_itself_with_a_summary_and_leaves_nothing_running(
    program: Program,
) -> None:
    done = program.run("demo", "--seconds", "6", "--data-dir", str(program.folder / "data"))

    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Redis ")
    assert any("http://127.0.0.1:" in line for line in lines)
    assert any(line.startswith("Desk       http://127.0.0.1:") for line in lines)
    assert any(line.startswith("Editor key bk_") for line in lines)
    assert any("Site key" in line for line in lines)
    assert any(line.startswith("Website    http://127.0.0.1:") for line in lines)
    assert "uniform holdout" in done.stdout
    assert "0 errors" in done.stdout
    until(lambda: not program.leftovers(), 10)


def test_ctrl_c_ends_the_demo_with_its_summary_and_leaves_nothing_running(
    program: Program,
) -> None:
    demo = program.start("demo", "--data-dir", str(program.folder / "data"))
    assert demo.stdout is not None
    for line in demo.stdout:
        if "decisions" in line:
            break

    # a terminal sends Ctrl-C to the whole foreground group

    os.killpg(demo.pid, signal.SIGINT)

    output, _ = demo.communicate(timeout=30)
    assert demo.returncode in (0, 130), output
    assert "holdout" in output
    until(lambda: not program.leftovers(), 10)


def test_the_demo_goes_on_from_the_last_one_only_when_asked(program: Program) -> None:
    where = ("--data-dir", str(program.folder / "data"), "--seconds", "2")
    program.run("demo", *where)

    kept = program.run("demo", "--keep", *where)
    fresh = program.run("demo", *where)

    assert "(where it was)" in kept.stdout
    assert "(where it was)" not in fresh.stdout
