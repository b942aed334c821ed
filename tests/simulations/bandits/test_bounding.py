"""The command that bounds what any policy can get."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from simulations.__main__ import main
from simulations.bandits.worlds import archive

QUICK = ("--quick", "--processes", "1")
SHARE = re.compile(r"(-?[0-9.]+) %")


def invoke(*words: str) -> Result:
    return CliRunner().invoke(main, ["bound", *words], terminal_width=200, catch_exceptions=False)


def rows(text: str, title: str) -> list[list[str]]:
    """The cells of a Markdown table, by row."""
    section = text.split(f"## {title}\n")[1].split("\n## ", maxsplit=1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def shares(cell: str) -> float:
    found = SHARE.match(cell)
    assert found is not None, cell
    return float(found[1])


@pytest.fixture(scope="module")
def quick(tests_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """What a quick run printed and wrote."""
    out = tmp_path_factory.mktemp("bound") / "bounds.md"
    result = invoke(
        *QUICK, "--upworthy", str(tests_file), "--policies", "index,uniform", "--out", str(out)
    )
    assert result.exit_code == 0, result.output
    return result.output, out.read_text()


def test_bounds_are_above_the_optimum_and_above_what_is_earned(quick: tuple[str, str]) -> None:
    _, text = quick
    found = rows(text, "Any number of variants")
    assert [row[:3] for row in found] == [
        ["500", "1.0%", "2"],
        ["500", "1.0%", "5"],
        ["2,000", "1.0%", "2"],
        ["2,000", "1.0%", "5"],
    ]
    for row in found:
        informed, relaxed, index = (shares(row[at]) for at in (5, 6, 8))
        assert 0.0 < informed <= relaxed + 0.1
        error = float(row[8].partition("± ")[2])
        assert index < relaxed + 2 * error
        if row[2] == "2":
            assert shares(row[7]) < relaxed


def test_the_newsroom_has_one_number_for_each_horizon(quick: tuple[str, str]) -> None:
    printed, text = quick
    (row,) = rows(text, "The newsroom")
    assert row[0] == "1,000"
    assert 0.0 < shares(row[3]) <= shares(row[4]) + 0.1 < 60.0
    assert "24 tests with their numbers of variants" in printed


def test_policies_play_beside_the_bounds(quick: tuple[str, str]) -> None:
    printed, text = quick
    played = rows(text, "prior:5:0.01:2000")
    assert [row[0] for row in played] == ["index", "uniform"]
    assert "prior:5:0.01:2000: 24 placements of 5 variants" in printed


def test_the_newsroom_is_left_out_aloud_where_its_tests_are_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # given
    monkeypatch.delenv(archive.VARIABLE, raising=False)
    monkeypatch.setattr(archive, "__file__", str(tmp_path / "archive.py"))
    # when
    result = invoke(*QUICK, "--seeds", "0")
    # then
    assert result.exit_code == 0
    assert "Left out: the newsroom: the Upworthy tests are not here" in result.output
    assert "Any number of variants" in result.output
    assert "impressions of a test" not in result.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--policies", "nobody"), "there is no policy 'nobody'"),
        (("--policies", ","), "no name was given"),
        (("--worlds", "atlantis"), "there is no world 'atlantis'"),
        (("--worlds", "prior:1:2:3"), "is not a number from 2 to 100"),
        (("--seeds", "-1"), "-1 is not in the range"),
        (("--upworthy", "gone.csv"), "gone.csv is not a file"),
        (("--out", "no/such/folder.md"), "there is no folder no/such"),
        (("--worlds", "null", "--policies", "index"), "null does not tell"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(words: tuple[str, ...], said: str) -> None:
    result = invoke(*QUICK, *words)
    assert result.exit_code in (1, 2)
    assert said in " ".join(result.output.split())
    assert "Traceback" not in result.output
