"""Commands that need no running service, and what they say when something is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bandit_service.cli import main

CATALOG = """
[[personas]]
id = "romantic"
[[personas.rules]]
trait = "genres"
any = ["romance"]
[[placements]]
id = "film"
kind = "headline"
[[placements.variants]]
id = "a"
headline = "A"
status = "live"
"""


Patch = pytest.MonkeyPatch
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: Patch) -> Run:
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("BANDIT_DATA_DIR", str(tmp_path / "data"))

    def call(*words: str) -> Result:
        return CliRunner().invoke(main, words)

    return call


def test_a_wrong_file_is_one_sentence_with_a_hint_and_exit_code_2(run: Run, tmp_path: Path) -> None:
    result = run("catalog", "import", str(tmp_path / "nowhere.toml"))

    assert result.exit_code == 2
    assert re.search(r"^Error: .*nowhere.toml cannot be read", result.output, re.MULTILINE)
    assert "Hint: " in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("[[placements]]\nid = 'x'\nkind = 'poster'", "poster"),
        ("[[placements]]\nid = 'x y'\nkind = 'headline'", "x y"),
        ("[[placements]]\nkind = 'headline'", "not a valid id"),
        ("[[plaecments]]", "plaecments"),
        ("not toml", "broken.toml"),
        (
            CATALOG + "[[placements]]\nid='b'\nkind='headline'\n[[placements.variants]]\nid='v'",
            "headline",
        ),
    ],
)
def test_a_catalog_with_a_mistake_changes_nothing_and_names_it(
    run: Run, tmp_path: Path, broken: str, said: str
) -> None:
    file = tmp_path / "broken.toml"
    file.write_text(broken)

    result = run("catalog", "import", str(file))

    assert result.exit_code == 2
    assert said in result.output
    assert '"placements": []' in run("catalog", "export").output


def test_an_unknown_setting_is_named_with_its_source(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BANDIT_PROT", "80")

    result = run("keys", "list")

    assert result.exit_code == 2
    assert "the environment" in result.output
    assert "prot" in result.output


def test_an_unreachable_redis_is_a_sentence_with_exit_code_3(run: Run) -> None:
    result = run("keys", "list", "--redis-url", "redis://127.0.0.1:1/0")

    assert result.exit_code == 3
    assert result.output.startswith("Error: Redis: ")


def test_a_forged_decision_is_not_found_with_exit_code_4(run: Run) -> None:
    for forged, said in (("A" * 32, "not in the log"), ("made-up", "never issued")):
        result = run("explain", forged)

        assert result.exit_code == 4
        assert said in result.output


def test_a_site_with_an_impossible_name_is_refused(run: Run) -> None:
    result = run("keys", "create", "--role", "site", "--site", "Not A Site")

    assert result.exit_code == 2
    assert "cannot be the name of a site" in result.output


def test_rebuilding_an_empty_site_serves_the_snapshot_of_an_empty_log(run: Run) -> None:
    result = run("rebuild")

    assert result.exit_code == 0, result.output
    assert "learned from 0 outcomes" in result.output


def test_settings_lists_every_setting_with_its_value_here(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BANDIT_PORT", "8123")

    result = run("settings")

    assert result.exit_code == 0
    assert "BANDIT_PORT" in result.output
    assert "8123" in result.output
