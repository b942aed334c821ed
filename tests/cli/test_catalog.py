"""The catalog as a file: spreadsheets looked at, imported, exported."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bandit_service.cli import main
from tests.cli.test_commands import CATALOG

pytestmark = pytest.mark.redis

Run = Callable[..., Result]
SHEET = "placement;kind;variant;headline;status;until\nfilm;headline;a;One;live;2030-07-31\n"


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_store: object, redis_url: str
) -> Run:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("BANDIT_DATA_DIR", str(tmp_path / "data"))

    def call(*words: str) -> Result:
        return CliRunner().invoke(main, words)

    return call


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    file = tmp_path / "creatives.CSV"
    file.write_text(SHEET, encoding="cp1252")
    return file


def exported(run: Run) -> str:
    return run("catalog", "export", "--format", "csv").stdout


def test_a_spreadsheet_is_looked_at_and_then_imported(run: Run, sheet: Path) -> None:
    # when
    looked = run("catalog", "import", str(sheet), "--dry-run")

    # then
    assert looked.exit_code == 0
    assert "Read as UTF-8, divided by ';'." in looked.output
    assert "row 2: film a@1: new (headline, live_until)" in looked.output
    assert "Variants: 1 new, 0 changed, 0 new version, 0 as it is." in looked.output
    assert "Nothing was changed" in looked.output
    assert "film" not in exported(run)

    # and
    done = run("catalog", "import", str(sheet), "--timezone", "Europe/Lisbon")
    assert (done.exit_code, "1 variants are as" in done.output) == (0, True)
    assert "film,headline,a,One,,,,,live,0.0,1.0,,2030-07-31T23:00:00Z" in exported(run)


def test_an_export_is_imported_without_a_change(run: Run, sheet: Path, tmp_path: Path) -> None:
    run("catalog", "import", str(sheet))
    copy = tmp_path / "copy.csv"
    copy.write_bytes(run("catalog", "export", "--format", "csv").stdout_bytes)

    again = run("catalog", "import", str(copy))

    assert again.exit_code == 0
    assert "Variants: 0 new, 0 changed, 0 new version, 1 as it is." in again.output


def test_a_spreadsheet_with_mistakes_changes_nothing_and_names_each(run: Run, sheet: Path) -> None:
    sheet.write_text(SHEET + "film;;b;<b>Two</b>;live;soon\nfilm;;a;Again;live;\n", "utf-8-sig")

    result = run("catalog", "import", str(sheet))

    assert result.exit_code == 2
    assert "row 3, headline: has markup in it" in result.output
    assert "row 3, until: 'soon' cannot be read" in result.output
    assert "row 4, variant: row 2 has this variant already" in result.output
    assert re.search(r"^Error: row 3, column 'until': .*\(2 more\)", result.output, re.MULTILINE)
    assert "Traceback" not in result.output
    assert "film" not in exported(run)


def test_what_a_terminal_would_obey_is_not_printed(run: Run, sheet: Path) -> None:
    sheet.write_text("placement,variant,head\x1b[2Jline\nfilm,a,x\n")

    result = run("catalog", "import", str(sheet))

    assert result.exit_code == 2
    assert "\x1b" not in result.output


@pytest.mark.parametrize("zone", ["Lisbon/Europe", "../../etc/passwd", "", "Europe"])
def test_a_time_zone_that_does_not_exist_is_refused(run: Run, sheet: Path, zone: str) -> None:
    result = run("catalog", "import", str(sheet), "--timezone", zone)

    assert (result.exit_code, "there is no time zone" in result.output) == (2, True)


def test_a_file_that_is_not_there_is_refused(run: Run, tmp_path: Path) -> None:
    result = run("catalog", "import", str(tmp_path / "nowhere.csv"))

    assert result.exit_code == 2
    assert "nowhere.csv cannot be read" in result.output


def test_a_document_can_be_looked_at_too(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text(CATALOG)

    looked = run("catalog", "import", str(file), "--dry-run")

    assert (looked.exit_code, "film: new" in looked.output) == (0, True)
    assert "film" not in exported(run)
    assert run("catalog", "import", str(file)).exit_code == 0
    assert "film: as it is" in run("catalog", "import", str(file), "--dry-run").output
    file.write_text(CATALOG + 'tags = ["warm"]\n')
    assert "film: changed" in run("catalog", "import", str(file), "--dry-run").output
