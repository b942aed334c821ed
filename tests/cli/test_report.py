"""``report`` as people run it, and the files that ``evaluate --report`` writes."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from bandit_service.cli import main
from bandit_service.cli.report import report_into
from bandit_service.errors import EvaluationError, InvalidInput
from bandit_service.evaluation.report.markdown import markdown
from bandit_service.evaluation.report.page import page
from bandit_service.evaluation.report.twin import read_json, write_json
from tests.evaluation.evaluations import evaluation

WHOLE = evaluation(placements=3, moments=3)


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["report", *map(str, words)])


@pytest.fixture
def result(tmp_path: Path) -> Path:
    path = tmp_path / "result.json"
    path.write_bytes(write_json(WHOLE))
    return path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_result_becomes_a_page_and_markdown(result: Path, tmp_path: Path) -> None:
    done = run(result, "--out", tmp_path / "jan")

    assert done.exit_code == 0, done.output
    assert done.output.count("Wrote ") == 2
    assert (tmp_path / "jan.html").read_text(encoding="utf-8") == page(WHOLE)
    assert (tmp_path / "jan.md").read_text(encoding="utf-8") == markdown(WHOLE)
    assert names(tmp_path) == {"result.json", "jan.html", "jan.md"}


def test_without_a_name_the_report_is_called_like_the_result(result: Path, tmp_path: Path) -> None:
    assert run(result).exit_code == 0
    assert names(tmp_path) == {"result.json", "result.html", "result.md"}


def test_a_name_with_a_dot_is_kept(result: Path, tmp_path: Path) -> None:
    assert run(result, "--out", tmp_path / "v1.2").exit_code == 0
    assert {"v1.2.html", "v1.2.md"} < names(tmp_path)


def test_what_exists_is_not_overwritten_and_nothing_else_is_written(
    result: Path, tmp_path: Path
) -> None:
    (tmp_path / "jan.md").write_text("mine")

    done = run(result, "--out", tmp_path / "jan")

    assert done.exit_code == 2
    assert "jan.md exists" in done.output
    assert "--force" in done.output
    assert (tmp_path / "jan.md").read_text() == "mine"
    assert names(tmp_path) == {"result.json", "jan.md"}


def test_what_exists_is_overwritten_if_asked(result: Path, tmp_path: Path) -> None:
    (tmp_path / "jan.md").write_text("old")

    assert run(result, "--out", tmp_path / "jan", "--force").exit_code == 0
    assert (tmp_path / "jan.md").read_text(encoding="utf-8") == markdown(WHOLE)


@pytest.mark.parametrize("data", [b"", b"{}", b'{"format": 99}'])
def test_what_is_no_result_is_refused_by_name(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(data)

    done = run(path)

    assert done.exit_code == 2
    assert "other.json" in done.output
    assert "Hint:" in done.output
    assert names(tmp_path) == {"other.json"}


@pytest.mark.parametrize("name", ["missing.json", "."])
def test_a_file_that_cannot_be_read_is_refused_by_name(name: str, tmp_path: Path) -> None:
    done = run(tmp_path / name, "--out", tmp_path / "jan")

    assert done.exit_code == 2
    assert "cannot be read" in done.output


def test_a_folder_that_is_not_there_is_said(result: Path, tmp_path: Path) -> None:
    done = run(result, "--out", tmp_path / "none" / "jan")

    assert done.exit_code == 2
    assert "does its folder exist" in done.output


def test_a_report_has_its_twin_beside_it(tmp_path: Path) -> None:
    with report_into(tmp_path / "jan.html", force=False) as write:
        paths = write(WHOLE)

    assert {path.name for path in paths} == {"jan.html", "jan.md", "jan.json"}
    assert names(tmp_path) == {"jan.html", "jan.md", "jan.json"}
    data = (tmp_path / "jan.json").read_bytes()
    assert write_json(read_json(data, "jan.json")) == data


def test_a_report_that_is_refused_leaves_no_file(tmp_path: Path) -> None:
    wrong = msgspec.structs.replace(WHOLE, mean_reward=math.nan)

    with pytest.raises(EvaluationError), report_into(tmp_path / "jan", force=False) as write:
        write(wrong)
    assert names(tmp_path) == set()


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no name"), report_into(Path("/"), force=False):
        pass
