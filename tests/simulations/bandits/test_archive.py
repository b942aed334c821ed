"""The archive of headline tests is read, or refused by name; its arms are shrunk as it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from bandit_service.errors import InvalidInput
from simulations.bandits.worlds import archive
from simulations.bandits.worlds.archive import LAST_TUNED, Trial, found, read, shape
from tests.simulations.bandits.conftest import HEADER, K, invented, written


def trial(clicks: list[int], impressions: list[int]) -> Trial:
    names = tuple(map(str, clicks))
    return Trial("t", 201430, names, names, np.array(impressions), np.array(clicks))


def test_the_archives_own_csv_is_read_quotes_line_breaks_and_all(tests_file: Path) -> None:
    tests = read(tests_file).tests
    assert len(tests) == 200
    assert tests[0].headlines[1] == f'Headline 1, of "test"\n{tests[0].id.removeprefix("test-")}'
    assert tests[0].images[0] == ""
    assert [test.week for test in tests] == sorted(test.week for test in tests)


def test_parquet_and_csv_say_the_same(tests_file: Path, tmp_path: Path) -> None:
    # given
    columns = zip(*invented(), strict=True)
    table = pa.table(dict(zip(HEADER.split(","), map(list, columns), strict=True)))
    numbers = {"impressions": pa.int64(), "clicks": pa.int32(), "test_week": pa.int64()}
    for name, kind in numbers.items():
        place = table.column_names.index(name)
        table = table.set_column(place, name, table.column(name).cast(kind))
    path = tmp_path / "tests.parquet"
    parquet.write_table(table, path)
    # then
    one, two = read(path), read(tests_file)
    assert one.k == two.k
    assert [test.clicks.tolist() for test in one.tests] == [
        test.clicks.tolist() for test in two.tests
    ]


def test_without_weeks_they_are_taken_from_when_a_test_was_made(tmp_path: Path) -> None:
    # given
    rows = [row[:-1] for row in invented()]
    for row in rows[: len(rows) // 2]:
        row[1] = "2014-09-05 10:00:00.5"
    path = written(tmp_path / "tests.csv", rows, HEADER.removesuffix(",test_week"))
    # then
    assert {test.week for test in read(path).tests} == {201410, 201436}


def test_a_shrunk_rate_lies_between_its_arms_and_its_tests() -> None:
    several = trial([10, 30], [1_000, 1_000])
    rates = several.rates(K)
    assert several.mean == 0.02
    assert np.allclose(rates, [0.02 * (30 + 10) / 50, 0.02 * (30 + 30) / 50])
    assert 0.01 < rates[0] < 0.02 < rates[1] < 0.03


def test_an_arm_that_was_never_shown_has_its_tests_mean() -> None:
    assert trial([0, 30], [0, 1_000]).rates(K)[0] == pytest.approx(0.03)


def test_k_is_found_again_where_it_is_known(tests_file: Path) -> None:
    # 800 arms with 75 clicks each: the standard error of ln k is about sqrt(2 / 600) * 1.4
    assert read(tests_file).k == pytest.approx(K, rel=0.35)


def test_k_is_large_where_arms_do_not_differ() -> None:
    rng = np.random.default_rng(1)
    alike = [trial(rng.poisson(60, 4).tolist(), [3_000] * 4) for _ in range(200)]
    assert shape(alike) > 10 * K


def test_k_is_fitted_on_the_tuning_weeks_alone(tmp_path: Path) -> None:
    # given
    rows = invented()
    for row in rows:
        if int(row[-1]) > LAST_TUNED:
            row[-2] = str(3 * int(row[-2]))
    # then
    changed = read(written(tmp_path / "changed.csv", rows))
    assert changed.k == read(written(tmp_path / "tests.csv", invented())).k


def test_weeks_of_broken_randomisation_and_tests_of_one_arm_are_left_out(tmp_path: Path) -> None:
    # given
    rows = invented()
    for row in rows[:8]:
        row[-1] = "201340"
    del rows[9:12]
    # then
    tests = read(written(tmp_path / "tests.csv", rows)).tests
    assert len(tests) == 197
    assert not {"test-0", "test-1", "test-2"} & {test.id for test in tests}


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("impressions", "-3", "impressions is -3.0 in row 6"),
        ("impressions", "", "impressions is nan in row 6"),
        ("impressions", "many", "column impressions is not of numbers"),
        ("clicks", "1.5", "clicks is 1.5 in row 6"),
        ("clicks", "99999", "clicks is 99999 in row 6: there are more clicks than impressions"),
        ("test_week", "7", "test_week is 7.0 in row 6"),
        ("clickability_test_id", "", "clickability_test_id is  in row 6: no test"),
    ],
)
def test_a_row_that_cannot_be_right_is_named(
    tmp_path: Path, column: str, value: str, words: str
) -> None:
    # given
    rows = invented()
    rows[5][HEADER.split(",").index(column)] = value
    path = written(tmp_path / "tests.csv", rows)
    # then
    with pytest.raises(InvalidInput) as told:
        read(path)
    assert words in told.value.message
    assert str(path) in told.value.message
    assert told.value.hint


@pytest.mark.parametrize("column", ["impressions", "eyecatcher_id", "headline"])
def test_a_column_that_is_missing_is_named(tmp_path: Path, column: str) -> None:
    path = written(tmp_path / "tests.csv", invented(), HEADER.replace(column, "renamed"))
    with pytest.raises(InvalidInput, match=f"has no column {column}"):
        read(path)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("tests.csv", b""),
        ("tests.csv", b"\x00\xff\xfe"),
        ("tests.csv", b"a,b\n1\n2,3,4\n"),
        ("tests.parquet", b"PAR1 and nothing more"),
        ("tests.xlsx", b"PK"),
    ],
)
def test_what_is_no_table_is_refused_by_name(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(InvalidInput, match=str(path)):
        read(path)


def test_weeks_on_one_side_only_are_refused(tmp_path: Path) -> None:
    rows = [row for row in invented() if int(row[-1]) > LAST_TUNED]
    with pytest.raises(InvalidInput, match="has 0 tests of weeks up to 201426"):
        read(written(tmp_path / "tests.csv", rows))


def test_a_file_that_was_named_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tests_file: Path
) -> None:
    monkeypatch.setenv(archive.VARIABLE, str(tmp_path / "gone.csv"))
    with pytest.raises(InvalidInput, match=r"gone\.csv is not a file"):
        found(None)
    assert found(tests_file) == tests_file
    monkeypatch.setenv(archive.VARIABLE, str(tests_file))
    assert found(None) == tests_file


def test_where_there_are_no_tests_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(archive.VARIABLE, raising=False)
    monkeypatch.setattr(archive, "__file__", str(tmp_path / "a" / "archive.py"))
    with pytest.raises(InvalidInput, match="are not here") as told:
        found(None)
    assert "--upworthy" in (told.value.hint or "")


def test_the_real_tests_are_as_they_were_described() -> None:
    # given
    try:
        path = found(None)
    except InvalidInput as exc:
        pytest.skip(f"{exc.message}: {exc.hint}")
    if path.name != archive.FILE:
        pytest.skip(f"{path} is another file than {archive.FILE}")
    # when
    real = read(path)
    # then
    assert (len(real.tuning()), len(real.reporting())) == (1351, 972)
    assert real.k == pytest.approx(30.26, abs=0.01)
