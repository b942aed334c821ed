"""Running the commands of offline evaluation as strangers would, and logs to run them on."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from bandit_service.archive.export import Tally, write_examples, write_jsonl, write_parquet
from bandit_service.archive.times import Span
from bandit_service.cli import main
from bandit_service.events.entries import START
from simulations.logged import tables, world
from tests.archive.sites import ArchivedSite
from tests.world import QUICK, World

CONFIG: Final = Path(__file__).parents[2] / "config"
MAPPED: Final = ("--mapping", "simulated")
TRUTH: Final = world(1, placements=3, click_rate=0.2)
TABLE: Final = next(tables(TRUTH, 400, 1))
"""A sound table, for the mapping ``simulated``."""
Row = dict[str, Any]


Run = Callable[..., Result]
"""Runs a command and returns what came of it."""


def runner(monkeypatch: pytest.MonkeyPatch, folder: Path, site_toml: str) -> Run:
    """What runs commands whose data and configuration are in a folder of their own."""
    monkeypatch.setenv("BANDIT_DATA_DIR", str(folder / "data"))
    monkeypatch.setenv("BANDIT_CONFIG_DIR", str(folder / "config"))
    monkeypatch.setenv("COLUMNS", "200")
    (folder / "config").mkdir()
    (folder / "config" / "site.toml").write_text(site_toml)
    return lambda *words: CliRunner().invoke(main, [str(word) for word in words])


class Offline:
    """Commands in a folder of their own, with the configuration in ``config``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *words: str | Path) -> Result:
        """Run a command, which must not end in a traceback."""
        result = CliRunner().invoke(main, [str(word) for word in words])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        return result

    def refused(self, code: int, said: str, *words: str | Path) -> str:
        """Run a command that is refused in one sentence with a hint, and writes nothing."""
        before = self.names()
        result = self(*words)
        errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
        assert result.exit_code == code, result.output
        assert len(errors) == 1, result.output
        assert re.search(said, errors[0]), errors[0]
        assert re.search("^Hint: .", result.stderr, re.MULTILINE), result.output
        assert self.names() == before
        return errors[0]

    def json(self, *words: str | Path) -> Any:
        """The result of a command that must succeed, as ``--json`` prints it."""
        result = self(*words, "--json")
        assert result.exit_code == 0, result.output
        return msgspec.json.decode(result.stdout)

    def names(self) -> set[str]:
        """All files, but those of an embedded Redis."""
        found = (path.relative_to(self.folder) for path in self.folder.rglob("*"))
        return {str(path) for path in found if path.parts[0] != "data"}

    def file(self, name: str, data: bytes | str) -> Path:
        """A file of this content."""
        path = self.folder / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    def parquet(self, name: str, table: pa.Table = TABLE) -> Path:
        """A Parquet file of a table."""
        pq.write_table(table, self.folder / name)
        return self.folder / name

    def csv(self, name: str, *, rows: Iterable[Row] | None = None, **form: Any) -> Path:
        """The table, or rows of it, as CSV; ``form`` is the writer's."""
        path = self.folder / name
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, **form)
            writer.writerow(TABLE.column_names)
            for row in TABLE.to_pylist() if rows is None else rows:
                writer.writerow(map(_cell, row.values()))
        return path


def changed(column: str, change: Callable[[list[Any]], None], table: pa.Table = TABLE) -> pa.Table:
    """A table with the values of a column changed in place."""
    values = table[column].to_pylist()
    change(values)
    return with_column(column, values, table)


def with_column(column: str, values: list[Any], table: pa.Table = TABLE) -> pa.Table:
    """A table with other values in a column."""
    return table.set_column(table.schema.get_field_index(column), column, pa.array(values))


def exports(world: World, folder: Path) -> dict[str, Path]:
    """The world's log in every form that it can take, by form."""
    paths = {form: folder / f"log.{form}" for form in ("parquet", "jsonl", "dsjson")}
    write_parquet(iter(world.rows()), paths["parquet"], site="main", after=START)
    with paths["jsonl"].open("wb") as out:
        write_jsonl(world.rows(), out)
    with paths["dsjson"].open("wb") as out:
        write_examples(world.rows(), out, QUICK, Span(), Tally())
    return {**paths, "archive": archived(world, folder / "archive")}


def archived(world: World, folder: Path) -> Path:
    """The world's log in an archive."""
    site = ArchivedSite(folder, stream_hours=10_000, store=world.log)
    site.clock.now = world.now + 3_600_000
    site.archiver().step()
    return folder


def _cell(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
