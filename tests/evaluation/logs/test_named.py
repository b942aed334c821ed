"""A log by the words that name it."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bandit_service.archive.export import write_jsonl, write_parquet
from bandit_service.archive.history import History
from bandit_service.datasets import obd_file
from bandit_service.errors import BanditError, DatasetError, InvalidInput, LogError
from bandit_service.evaluation.logs.base import LoggedData
from bandit_service.evaluation.logs.named import open_log
from bandit_service.events.entries import START
from tests.archive.sites import ArchivedSite
from tests.evaluation.logs.reading import read
from tests.world import QUICK, busy_world

CONFIG = Path(__file__).parents[3] / "config"
TABLE = "arm,reward,p\na,1,0.5\nb,0,0.5\n"
MAPPING = """
arm = "arm"
reward = { column = "reward" }
propensity = { from = "column", column = "p" }
candidates = { from = "observed" }
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """One of everything, under names that say nothing."""
    world = busy_world(40)
    site = ArchivedSite(tmp_path / "archive", stream_hours=0.0001, store=world.log)
    rows = world.rows()
    write_parquet(iter(rows), tmp_path / "export", site="main", after=START)
    with (tmp_path / "lines").open("wb") as out:
        write_jsonl(rows, out)
    (tmp_path / "lines-gz").write_bytes(gzip.compress((tmp_path / "lines").read_bytes()))
    site.trim()
    (tmp_path / "csv").write_text(TABLE)
    (tmp_path / "csv-gz").write_bytes(gzip.compress(TABLE.encode()))
    pq.write_table(pa.table({"arm": ["a"], "reward": [1.0], "p": [0.5]}), tmp_path / "parquet")
    (tmp_path / "ds").write_text('{"_label_cost":0,"c":{"_multi":[{"id":"a"}]}}\n')
    (tmp_path / "map.toml").write_text(MAPPING)
    return tmp_path


def opened(place: Path, *names: str, mapping: bool = False, **options: Any) -> LoggedData:
    return open_log(
        [str(place / name) for name in names],
        settings=QUICK,
        config_path=CONFIG,
        mapping=str(place / "map.toml") if mapping else None,
        **options,
    )


@pytest.mark.parametrize(
    ("name", "form", "mapping"),
    [
        ("archive", "archive", False),
        ("archive/log", "archive", False),
        ("archive/log/site=main", "archive", False),
        ("export", "parquet", False),
        ("lines", "jsonl", False),
        ("lines-gz", "jsonl", False),
        ("ds", "dsjson", False),
        ("csv", "table", True),
        ("csv-gz", "table", True),
        ("parquet", "table", True),
    ],
)
def test_a_log_is_what_its_contents_say(place: Path, name: str, form: str, mapping: bool) -> None:
    log = opened(place, name, mapping=mapping)

    found = read(log)

    assert log.description.format == form
    assert log.description.name == str(place / name)
    assert found.rows
    assert found.violations == []
    log.close()


def test_a_day_of_an_archive_and_a_folder_of_tables_are_their_files(place: Path) -> None:
    (day,) = (place / "archive" / "log" / "site=main").glob("day=*")
    folder = place / "folder"
    (folder / "day=1").mkdir(parents=True)
    (folder / "day=1" / "part.csv").write_text(TABLE)
    (folder / "part.csv.gz").write_bytes(gzip.compress(TABLE.replace("1", "0").encode()))
    (folder / "_notes.csv").write_text("not a log")

    assert opened(place, str(day)).description.format == "parquet"
    assert len(read(opened(place, "folder", mapping=True)).rows) == 4


def test_no_words_are_the_live_site() -> None:
    world = busy_world(20)

    log = open_log([], settings=QUICK, config_path=CONFIG, history=History(world.log, None))

    assert (log.description.name, log.description.format) == ("site main", "site")
    assert log.size == len(world.rows())
    with pytest.raises(InvalidInput, match="no log was named"):
        open_log([], settings=QUICK, config_path=CONFIG)


def test_a_site_of_several_must_be_named(place: Path) -> None:
    (place / "archive" / "log" / "site=shop").mkdir()

    assert read(opened(place, "archive", site="main")).rows
    for site in (None, "none"):
        with pytest.raises(InvalidInput, match="sites main, shop") as refused:
            opened(place, "archive", site=site)
        assert refused.value.field == "site"
    with pytest.raises(LogError, match="has no files"):
        opened(place, "archive", site="shop")


@pytest.mark.parametrize(
    ("names", "mapping", "what"),
    [
        (["csv"], False, "is a CSV table: say what its columns mean"),
        (["parquet"], False, "is a Parquet table: say what its columns mean"),
        (["export"], True, "Parquet of this program, which needs no mapping"),
        (["lines"], True, "which needs no mapping"),
        (["archive"], True, "which needs no mapping"),
        (["ds", "lines"], False, "is JSON Lines of this program"),
        (["archive", "lines"], False, "is an archive"),
        (["nowhere"], False, "is not there"),
        (["empty"], False, "is empty"),
        (["noise"], False, "neither Parquet nor text"),
        (["other"], False, "JSON of another kind, with x, y"),
        (["half"], False, ":1 begins as JSON and is none"),
        (["nothing"], False, "has no logs in it"),
        (["bad-parquet"], False, "damaged"),
        (["x" * 300], False, "is not there"),
        (["\x00"], False, "is not there"),
    ],
)
def test_what_cannot_be_opened_is_refused_with_the_remedy(
    place: Path, names: list[str], mapping: bool, what: str
) -> None:
    (place / "empty").touch()
    (place / "noise").write_bytes(bytes(range(256)))
    (place / "other").write_text('{"x":1,"y":2}\n')
    (place / "half").write_text('{"position":')
    (place / "bad-parquet").write_bytes(b"PAR1 and no more")
    (place / "nothing").mkdir()

    with pytest.raises(BanditError) as refused:
        opened(place, *names, mapping=mapping)

    assert what in refused.value.message
    assert refused.value.hint
    assert refused.value.exit_code in (2, 3)


@pytest.mark.parametrize("words", [["obd:men/random"], ["obd:"], ["obd:bts/men", "x"]])
def test_a_data_set_that_there_is_not_is_refused(words: list[str]) -> None:
    with pytest.raises(InvalidInput, match="there is no log") as refused:
        open_log(words, settings=QUICK, config_path=CONFIG)
    assert "obd:POLICY/CAMPAIGN" in str(refused.value.hint)


def test_a_data_set_that_was_not_fetched_says_how_to(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as refused:
        open_log(["obd:bts/men"], settings=QUICK, config_path=CONFIG, cache_dir=tmp_path)
    assert "bandit-service data obd" in str(refused.value.hint)

    (tmp_path / "bts" / "men").mkdir(parents=True)
    (tmp_path / "bts" / "men" / "item_context.csv").write_text("edited")
    with pytest.raises(DatasetError, match="damaged"):
        obd_file("men", "bts", tmp_path)
