"""The command: a study from names to files, and a sentence for everything that cannot be done."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from simulations.__main__ import main
from simulations.bandits.policies import FORMS
from simulations.bandits.rivals import RIVALS
from simulations.bandits.worlds import WORLDS, archive

SMALL = ("run", "--worlds", "duel:200,null:100", "--seeds", "2", "--processes", "1")


def invoke(*words: str) -> Result:
    return CliRunner().invoke(main, words, terminal_width=200, catch_exceptions=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("study") / "out"
    result = invoke(*SMALL, "--policies", "ours,uniform,oracle", "--out", str(made))
    assert result.exit_code == 0, result.output
    return made


def test_a_study_leaves_its_numbers_its_tables_and_its_curves(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {"study.json", "tables.md", "curves.html"}
    tables = (folder / "tables.md").read_text()
    assert re.search(r"^\| oracle \| 100\.0 %", tables, re.MULTILINE)
    assert "## duel:200" in tables
    assert len(json.loads((folder / "study.json").read_bytes())["runs"]) == 12


def test_the_curves_are_one_page_that_fetches_nothing_and_says_its_numbers(folder: Path) -> None:
    # given
    page = (folder / "curves.html").read_text()
    head = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    # then
    assert "default-src 'none'" in head
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", head)
    assert page.count('class="chart"') == head.count("<table>") == 2
    assert re.search(r"<td>oracle</td><td>100\.0%</td>", head)


def test_a_study_is_shown_again_and_put_together(folder: Path, tmp_path: Path) -> None:
    # given
    more = tmp_path / "more"
    invoke(
        "run", "--worlds", "duel:200", "--policies", "uniform", "--seeds", "3", "--out", str(more)
    )
    files = (str(folder / "study.json"), str(more / "study.json"))
    # when
    again = invoke("show", *files, "--against", "uniform", "--out", str(tmp_path / "both"))
    # then
    assert again.exit_code == 0, again.output
    assert "ours (2 of 3 seeds)" in again.output
    assert "against uniform" in again.output
    assert (tmp_path / "both" / "tables.md").exists()


def test_the_list_names_every_world_and_policy_with_a_sentence() -> None:
    said = invoke("run", "--list").output
    for form in [entry.form for entry in WORLDS.values()] + list(FORMS) + list(RIVALS):
        assert re.search(rf"^  {re.escape(form)}: \S", said, re.MULTILINE)


def test_quick_leaves_out_aloud_what_needs_data_that_is_not_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # given
    monkeypatch.delenv(archive.VARIABLE, raising=False)
    monkeypatch.setattr(archive, "__file__", str(tmp_path / "archive.py"))
    # when
    quick = invoke("run", "--quick", "--policies", "uniform", "--processes", "1")
    named = invoke("run", "--quick", "--policies", "uniform", "--worlds", "newsroom:100")
    full = invoke("run", "--policies", "uniform")
    # then
    assert quick.exit_code == 0
    assert "Left out: newsroom:1000, personas:0.3:1000: the Upworthy tests are not" in quick.output
    assert "null: 20 A/A tests" in quick.output
    for refused in (named, full):
        assert refused.exit_code == 1
        assert "Error: the Upworthy tests are not here" in refused.output


def test_a_file_of_the_archive_can_be_named(tests_file: Path) -> None:
    words = ("run", "--quick", "--worlds", "newsroom:100", "--policies", "uniform,oracle")
    result = invoke(*words, "--upworthy", str(tests_file), "--processes", "1")
    assert result.exit_code == 0
    said = "newsroom:100: 24 real headline tests of weeks from 201427 on, 100 impressions each"
    assert said in result.output
    assert "settings tuned on weeks up to 201426" in result.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--worlds", "atlantis"), "there is no world 'atlantis'"),
        (("--worlds", ","), "no name was given"),
        (("--policies", "chance"), "there is no policy 'chance'"),
        (("--policies", "ours:nowhere.toml"), "nowhere.toml cannot be read"),
        (("--policies", "uniform", "--against", "beta"), "--against beta: it does not play"),
        (("--seeds", "0"), "0 is not in the range"),
        (("--seeds", "1001"), "1001 is not in the range"),
        (("--processes", "0"), "0 is not in the range"),
        (("--worlds", "newsroom", "--upworthy", "gone.csv"), "gone.csv is not a file"),
        (("--out", "no/such/folder"), "--out no/such/folder cannot be used"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(words: tuple[str, ...], said: str) -> None:
    result = invoke("run", "--worlds", "duel:100", *words)
    assert result.exit_code in (1, 2)
    assert said in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_a_file_that_is_no_study_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "study.json"
    path.write_text("[]")
    for words, said in (((str(path),), "is no study"), (("gone.json",), "cannot be read")):
        result = invoke("show", *words)
        assert result.exit_code == 1
        assert said in result.output
