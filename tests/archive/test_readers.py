"""The archive in the tools of those who analyse it, partitioned by site and day."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd  # type: ignore[import-untyped]
import polars as pl
import pytest

from bandit_service.archive import segments
from bandit_service.events.entries import Decision, Event, decode
from tests.archive.sites import ArchivedSite, Row
from tests.world import busy_world


@pytest.fixture(autouse=True)
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "GROUP_ROWS", 50)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two sites on three days, the last day in several files, and a draft of a dead process."""
    for name in ("main", "shop"):
        site = ArchivedSite(tmp_path, stream_hours=1)
        site.store = site.store._shared.site(name)  # type: ignore[attr-defined]
        data = [entry for _, entry in busy_world(60).rows()]
        third = len(data) // 3
        for n in range(3):
            for part in (data[n * third : n * third + 9], data[n * third + 9 : (n + 1) * third]):
                site.store.append_many(part)
                site.clock.advance(60)
                site.archiver().step()
            site.clock.advance(86_400)
    (tmp_path / "tmp" / "draft").write_bytes(b"PAR1 and no more")
    return tmp_path / "log"


def logged() -> list[Row]:
    rows = busy_world(60).rows()
    return rows[: len(rows) // 3 * 3]


DECISIONS = [e for _, data in logged() if isinstance(e := decode(data), Decision)]
CLICKS = [e for _, data in logged() if isinstance(e := decode(data), Event) and e.type == "click"]


def query(sql: str) -> list[tuple[Any, ...]]:
    """What DuckDB answers, in a process of its own: it complains when ours ends before it does."""
    program = "import duckdb, json, sys; print(json.dumps(duckdb.execute(sys.argv[1]).fetchall()))"
    done = subprocess.run(
        [sys.executable, "-c", program, sql], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [tuple(row) for row in json.loads(done.stdout)]


def test_duckdb_reads_the_folder_as_one_table(folder: Path) -> None:
    found = query(
        f"""
        SELECT site, count(DISTINCT day), count(*), sum(propensity), sum(len(arms)),
               count(*) FILTER (type = 'click'), max(ms)
        FROM read_parquet('{folder}/**/*.parquet', hive_partitioning = true)
        GROUP BY site ORDER BY site
        """
    )

    assert [row[0] for row in found] == ["main", "shop"]
    for row in found:
        assert row[1:3] == (3, len(logged()))
        assert row[3] == pytest.approx(sum(d.propensity for d in DECISIONS))
        assert row[4:6] == (sum(len(d.arms) for d in DECISIONS), len(CLICKS))


def test_duckdb_reads_maps_lists_and_the_entry_itself(folder: Path) -> None:
    found = query(
        f"""
        SELECT context['device'], traits['genres'], probabilities[chosen + 1] = propensity,
               decode(entry)::JSON ->> '$.id' = decision
        FROM read_parquet('{folder}/**/*.parquet', hive_partitioning = true)
        WHERE kind = 'decision' AND site = 'main' ORDER BY ms, seq
        """
    )

    assert [(device, genres) for device, genres, _, _ in found] == [
        (d.context["device"], d.traits["genres"]) for d in DECISIONS
    ]
    assert all(same and own for _, _, same, own in found)


def test_polars_reads_the_folder_as_one_table(folder: Path) -> None:
    frame = pl.read_parquet(folder, hive_partitioning=True)

    assert set(frame["site"]) == {"main", "shop"}
    assert frame["day"].n_unique() == 3
    mine = frame.filter((pl.col("site") == "main") & (pl.col("kind") == "decision")).sort(
        "ms", "seq"
    )
    assert mine["probabilities"].to_list() == [d.probabilities for d in DECISIONS]
    assert mine["decision"].to_list() == [d.id for d in DECISIONS]
    assert str(mine["at"].dtype) == "Datetime(time_unit='ms', time_zone='UTC')"


def test_pandas_reads_the_folder_as_one_table(folder: Path) -> None:
    frame = pd.read_parquet(folder)

    assert len(frame) == 2 * len(logged())
    assert set(frame["site"].astype(str)) == {"main", "shop"}
    mine = frame[(frame["site"] == "main") & (frame["kind"] == "decision")]
    mine = mine.sort_values(["ms", "seq"])
    assert mine["propensity"].tolist() == [d.propensity for d in DECISIONS]
    assert [list(arms) for arms in mine["arms"]] == [d.arms for d in DECISIONS]


def test_one_day_of_one_site_can_be_read_alone(folder: Path) -> None:
    days = sorted(path.name for path in (folder / "site=shop").iterdir())

    frame = pd.read_parquet(folder / "site=shop" / days[0])

    assert len(days) == 3
    assert len(frame) == len(logged()) // 3
