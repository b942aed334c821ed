"""Tables of others: what each key of a mapping does, and what a wrong cell does."""

from __future__ import annotations

import gzip
import math
import tomllib
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit_service.datasets import load_obd
from bandit_service.errors import BanditError, LogError, SettingsError
from bandit_service.evaluation.logs import csv_blocks, foreign
from bandit_service.evaluation.logs.foreign import TableLog
from bandit_service.evaluation.logs.mapping import LogMapping, find_mapping, read_mapping
from bandit_service.evaluation.logs.named import open_log
from bandit_service.policy.settings import SiteSettings
from tests.evaluation.logs.reading import Read, read

CONFIG = Path(__file__).parents[3] / "config"
PLAIN: dict[str, Any] = {
    "arm": "arm",
    "reward": {"column": "reward"},
    "propensity": {"from": "column", "column": "p"},
    "candidates": {"from": "fixed", "arms": ["a", "b"]},
}
CSV = "arm,reward,p\na,1,0.25\nb,0,0.75\na,0.5,0.25\n"


def mapped(**changes: Any) -> LogMapping:
    kept = {**PLAIN, **changes}
    return msgspec.convert({k: v for k, v in kept.items() if v is not None}, LogMapping)


def table(path: Path, text: str | bytes, **changes: Any) -> TableLog:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return TableLog([path], mapped(**changes), name="table")


def column(read: Read, name: str) -> list[Any]:
    return [row[name] for row in read.rows]


# -- what the keys mean


def test_rows_say_what_was_shown_what_it_earned_and_how_likely_it_was(tmp_path: Path) -> None:
    log = table(path := tmp_path / "t.csv", CSV)

    found = read(log)

    assert column(found, "arms") == [["a", "b"]] * 3
    assert column(found, "chosen") == [0, 1, 0]
    assert column(found, "reward") == [1.0, 0.0, 0.5]
    assert column(found, "propensity") == [0.25, 0.75, 0.25]
    assert column(found, "place") == [f"{path}:{n}" for n in (2, 3, 4)]
    assert column(found, "placement") == ["log"] * 3
    assert column(found, "persona") == ["unknown"] * 3
    assert column(found, "ms") == [0, 0, 0]
    assert column(found, "key") == column(found, "cluster")
    assert len(set(column(found, "key"))) == 3
    first, second, _ = found.rows
    assert first["logged"][0] == 0.25
    assert math.isnan(first["logged"][1])
    assert second["logged"][1] == 0.75
    assert not log.description.distributions
    assert found.told == 3
    assert found.violations == []
    assert log.excluded == {}


def test_csv_compressed_csv_and_parquet_of_any_type_give_the_same_rows(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(CSV)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(CSV.encode()))
    (tmp_path / "bom").write_bytes(b"\xef\xbb\xbf" + CSV.replace("\n", "\r\n").encode())
    columns = {"arm": ["a", "b", "a"], "reward": [1, 0, 0.5], "p": [0.25, 0.75, 0.25]}
    plain = pa.table(columns)
    pq.write_table(plain, tmp_path / "plain")
    coded = plain.set_column(0, "arm", plain["arm"].dictionary_encode())
    pq.write_table(coded.set_column(2, "p", plain["p"].cast(pa.float32())), tmp_path / "coded")

    def read_of(name: str) -> list[dict[str, Any]]:
        rows = read(TableLog([tmp_path / name], mapped(), name="x")).rows
        dropped = ("place", "key", "cluster", "asked")
        return [{k: repr(v) for k, v in row.items() if k not in dropped} for row in rows]

    expected = read_of("t.csv")
    for name in ("t.csv.gz", "bom", "plain", "coded"):
        assert read_of(name) == expected


def test_a_row_has_one_key_however_often_and_wherever_it_is_read(tmp_path: Path) -> None:
    log = table(tmp_path / "t.csv", CSV)
    (tmp_path / "moved").write_text(CSV)

    keys = column(read(log), "key")

    assert column(read(log), "key") == keys
    assert column(read(TableLog([tmp_path / "moved"], mapped(), name="x")), "key") == keys


def test_rows_do_not_depend_on_where_the_table_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"{'ab'[n % 3 % 2]},{n % 2},0.5,v{n % 7},s{n % 5}" for n in range(500)]
    text = "arm,reward,p,visitor,slot\n" + "\n".join(lines)
    changes: dict[str, Any] = {"visitor": "visitor", "placement": "at-{slot}", "traits": ["slot"]}
    whole = read(table(tmp_path / "t.csv", text, **changes))

    monkeypatch.setattr(foreign, "CHUNK_CANDIDATES", 14)
    monkeypatch.setattr(csv_blocks, "BLOCK", 333)
    cut = read(table(tmp_path / "t.csv", text, **changes))

    assert len(whole.batches) <= 2  # what follows the last line break comes by itself
    assert len(cut.batches) >= 500 / 7
    assert [repr(row) for row in cut.rows] == [repr(row) for row in whole.rows]
    assert len(set(column(whole, "cluster"))) == 7


def test_placements_are_made_of_several_columns(tmp_path: Path) -> None:
    cells = [(site, slot) for site in ("x", "", "y") for slot in ("top", "side")] * 2
    text = "arm,reward,p,site,slot\n" + "".join(f"a,1,0.5,{x},{y}\n" for x, y in cells)

    found = read(table(tmp_path / "t.csv", text, placement="{site}/{slot}", persona="{slot}"))

    assert column(found, "placement") == [f"{site}/{slot}" for site, slot in cells]
    assert column(found, "persona") == [slot for _, slot in cells]


@pytest.mark.parametrize(
    ("form", "texts", "ms"),
    [
        ("iso", ["2030-01-01T00:00:00Z", "2030-01-01T02:00:00.250999+02:00"], [0, 250]),
        ("iso", ["2030-01-01 00:00", "2030-01-01"], [0, 0]),
        ("iso", ["2030-01-01", "2030-01-01T01:00:00+01:00"], [0, 0]),
        ("s", ["1893456000", "1893456000.25"], [0, 250]),
        ("ms", ["1893456000000", "1893456000001"], [0, 1]),
        ("us", ["1893456000000999", "1893456000001000"], [0, 1]),
        ("ns", ["1893456000000000000", "1893456001000000000"], [0, 1_000]),
    ],
)
def test_times_are_read_in_their_format(
    tmp_path: Path, form: str, texts: list[str], ms: list[int]
) -> None:
    text = "arm,reward,p,t\n" + "".join(f"a,1,0.5,{t}\n" for t in texts)

    found = read(table(tmp_path / "t", text, time={"column": "t", "format": form}))

    assert [value - 1_893_456_000_000 for value in column(found, "ms")] == ms


@pytest.mark.parametrize("kind", [pa.timestamp("ns", "UTC"), pa.timestamp("s"), pa.date32()])
def test_times_of_parquet_need_no_format(tmp_path: Path, kind: pa.DataType) -> None:
    day = pa.array([1_893_456_000], pa.timestamp("s")).cast(kind)
    path = tmp_path / "t"
    pq.write_table(pa.table({"arm": ["a"], "reward": [1], "p": [0.5], "t": day}), path)

    found = read(TableLog([path], mapped(time={"column": "t"}), name="x"))

    assert column(found, "ms") == [1_893_456_000_000]


def test_events_are_worth_what_the_mapping_says(tmp_path: Path) -> None:
    text = "arm,e,p\na,click,0.5\na,,0.5\nb,buy,0.5\nb,scroll,0.5\n"
    worth = {"event": "e", "worth": {"click": 1.0, "buy": 5.0}}

    log = table(tmp_path / "t", text, reward=worth)

    assert column(read(log), "reward") == [1.0, 0.0, 5.0, 0.0]
    assert log.reward_range == (0.0, 5.0)


def test_true_and_false_are_rewards(tmp_path: Path) -> None:
    text = "arm,reward,p\na,True,0.5\na,false,0.5\na, 1e0 ,0.5\n"

    assert column(read(table(tmp_path / "t", text)), "reward") == [1.0, 0.0, 1.0]


def test_a_uniform_policy_is_as_likely_to_show_any_candidate(tmp_path: Path) -> None:
    log = table(
        tmp_path / "t",
        "arm,reward,c\na,1,a b c\nb,0,b a\n",
        propensity={"from": "uniform"},
        candidates={"from": "column", "column": "c"},
    )

    found = read(log)

    assert column(found, "arms") == [["a", "b", "c"], ["b", "a"]]
    assert column(found, "logged") == [[1 / 3] * 3, [0.5] * 2]
    assert column(found, "propensity") == [1 / 3, 0.5]
    assert log.description.propensities == "uniform"
    assert log.description.distributions


def test_propensities_are_estimated_within_placement_and_candidates(tmp_path: Path) -> None:
    rows = ["x,a,a b"] * 3 + ["x,b,b a"] + ["x,a,a b c"] * 2 + ["y,b,a b"] * 5 + ["y,z,a b"]
    text = "at,arm,c,reward\n" + "".join(f"{row},0\n" for row in rows)
    log = table(
        tmp_path / "t",
        text,
        placement="{at}",
        propensity={"from": "estimated"},
        candidates={"from": "column", "column": "c"},
    )

    found = read(log)

    assert column(found, "propensity")[:11] == [0.75] * 3 + [0.25] + [1.0] * 2 + [1.0] * 5
    assert column(found, "logged")[3] == [0.25, 0.75]
    assert column(found, "logged")[4] == [1.0, 0.0, 0.0]
    assert math.isnan(column(found, "propensity")[11])
    assert log.description.propensities == "estimated"
    assert any("estimated" in note for note in log.description.notes)
    assert [repr(row) for row in read(log).rows] == [repr(row) for row in found.rows]


def test_estimated_propensities_of_a_known_policy_come_near_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    shown = rng.choice(3, 30_000, p=[0.6, 0.3, 0.1])
    text = "arm,reward\n" + "".join(f"{'abc'[n]},0\n" for n in shown)

    found = read(
        table(
            tmp_path / "t",
            text,
            propensity={"from": "estimated"},
            candidates={"from": "observed"},
        )
    )

    # Six standard deviations of a share of 30,000 are below 0.02.
    assert found.batches[0].logged[:3] == pytest.approx([0.6, 0.3, 0.1], abs=0.02)


def test_observed_candidates_are_what_was_ever_shown_at_the_placement(tmp_path: Path) -> None:
    text = "at,arm,reward,p\nx,b,0,1\ny,c,0,1\nx,a,0,1\nx,b,0,1\nx,,0,1\n"
    log = table(tmp_path / "t", text, placement="{at}", candidates={"from": "observed"})

    found = read(log)

    assert column(found, "arms") == [["a", "b"], ["c"], ["a", "b"], ["a", "b"], ["a", "b"]]
    assert column(found, "chosen") == [1, 0, 0, 1, -1]
    assert any("ever shown" in note for note in log.description.notes)


def test_a_distribution_in_a_list_runs_along_the_candidates(tmp_path: Path) -> None:
    path = tmp_path / "t"
    columns = {
        "arm": ["b", "c"],
        "reward": [1, 0],
        "c": [["a", "b"], ["c", "a", "b"]],
        "d": [[0.2, 0.8], [0.5, 0.25, 0.25]],
    }
    pq.write_table(pa.table(columns), path)
    text = "arm,reward,c,d\nb,1,a b,0.2 0.8\nc,0,c a b,0.5 0.25 0.25\n"
    changes: dict[str, Any] = {
        "propensity": None,
        "distribution": {"list": "d"},
        "candidates": {"from": "column", "column": "c"},
    }

    for log in (
        TableLog([path], mapped(**changes), name="x"),
        table(tmp_path / "c", text, **changes),
    ):
        found = read(log)
        assert column(found, "logged") == [[0.2, 0.8], [0.5, 0.25, 0.25]]
        assert column(found, "propensity") == [0.8, 0.5]
        assert log.description.distributions


def test_a_distribution_in_columns_goes_by_the_arms_names(tmp_path: Path) -> None:
    text = "arm,reward,pb,pa,p\na,1,0.3,0.7,0.7\nb,0,0.4,,0.9\n"

    found = read(table(tmp_path / "t", text, distribution={"columns": {"b": "pb", "a": "pa"}}))

    assert column(found, "logged")[0] == [0.7, 0.3]
    assert math.isnan(column(found, "logged")[1][0])
    assert column(found, "propensity") == [0.7, 0.9]


def test_what_a_model_sees_of_a_row_is_what_the_service_would_have(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("id,genre,faces\na,drama,2\nb,,two\n")
    text = "arm,reward,p,at,who,age,device,v\nb,1,0.5,top,young|x,25,phone,v1\na,0,0.5,top,,,tv,\n"

    log = table(
        tmp_path / "t",
        text,
        placement="{at}",
        persona="p-{who}",
        visitor="v",
        traits={"years": "age"},
        context=["device"],
        candidates={
            "from": "items",
            "file": "items.csv",
            "id": "id",
            "tags": ["genre"],
            "attributes": ["faces"],
        },
    )
    found = read(log)
    (decision, shared, lines), (other, _, _) = column(found, "asked")

    assert shared == "shared |p persona=p-young%7Cx |t years=25 |s device=phone"
    assert lines == ("|a top/a@1 |g is.faces=2.0 tag=genre-drama", "|a top/b@1 |g is.faces=two")
    assert decision.arms == ["a@1", "b@1"]
    assert (decision.placement, decision.chosen, decision.visitor) == ("top", 1, "v1")
    assert (other.traits, other.context, other.visitor) == ({}, {"device": "tv"}, None)
    assert column(found, "arms") == [["a", "b"]] * 2
    assert len(set(column(found, "cluster"))) == 2


def test_rows_with_ids_keep_their_keys_and_are_read_once(tmp_path: Path) -> None:
    text = "id,arm,reward,p\nr1,a,1,0.5\nr2,b,0,0.5\nr1,a,1,0.5\n,a,0,0.5\n,a,0,0.5\n"

    log = table(path := tmp_path / "t", text, id="id")
    found = read(log)
    again = read(table(tmp_path / "u", "id,arm,reward,p\nr2,b,0,0.5\n", id="id"))

    assert [(v.kind, v.place) for v in found.violations] == [("decision_twice", f"{path}:4")]
    assert len(found.rows) == 4
    assert column(again, "key") == [column(found, "key")[1]]
    assert log.excluded == {"decision_twice": 1}


# -- several files


def test_files_are_read_in_the_order_of_their_times(tmp_path: Path) -> None:
    for name, day in (("a", 2), ("b", 1)):
        (tmp_path / name).write_text(f"arm,reward,p,t\na,{day},0.5,2030-01-0{day}\n")

    log = TableLog([tmp_path / "a", tmp_path / "b"], mapped(time={"column": "t"}), name="x")

    assert column(read(log), "reward") == [1.0, 2.0]


def test_a_file_that_is_there_twice_is_named_and_read_once(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(CSV)

    log = TableLog([tmp_path / "a", tmp_path / "b"], mapped(), name="x")
    found = read(log)

    assert len(found.rows) == 3
    assert [(v.kind, v.place) for v in found.violations] == [
        ("partition_overlaps", str(tmp_path / "b"))
    ]
    assert str(tmp_path / "a") in found.violations[0].message
    assert log.excluded == {}


# -- wrong cells


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("a,,0.5", "column 'reward' has '': no number"),
        ("a,one,0.5", "column 'reward' has 'one': no number"),
        ("a,nan,0.5", "column 'reward' has 'nan': no number"),
        ("a,inf,0.5", "no number"),
        ("a,1e999,0.5", "no number"),
        ("a,1", "it has 2 columns, not 3"),
        ("a,1,0.5,x", "it has 4 columns, not 3"),
    ],
)
def test_a_row_that_cannot_be_read_is_named_by_its_line(
    tmp_path: Path, row: str, what: str
) -> None:
    log = table(path := tmp_path / "t.csv", f"{CSV}{row}\nb,1,0.75\n")

    found = read(log)

    ((kind, place, message),) = [(v.kind, v.place, v.message) for v in found.violations]
    assert (kind, place) == ("row_unreadable", f"{path}:5")
    assert what in message
    assert column(found, "place") == [f"{path}:{n}" for n in (2, 3, 4, 6)]
    assert log.excluded == {"row_unreadable": 1}


def test_lines_are_those_of_an_editor_whatever_the_values_hold(tmp_path: Path) -> None:
    text = (
        'arm,note,reward,p\na,"two\nlines, and ""quotes""",1,0.5\n\n\nb,x,0,0.5\nb,1\na,y,?,0.5\n'
    )

    found = read(table(path := tmp_path / "t.csv", text))

    assert column(found, "place") == [f"{path}:2", f"{path}:6"]
    assert [v.place for v in found.violations] == [f"{path}:7", f"{path}:8"]


@pytest.mark.parametrize("p", ["", "x", "0", "-1", "2", "inf"])
def test_an_odd_propensity_stays_in_its_row_for_whoever_verifies(tmp_path: Path, p: str) -> None:
    found = read(table(tmp_path / "t.csv", f"{CSV}a,1,{p}\n"))

    (value,) = column(found, "propensity")[3:]
    assert math.isnan(value) if p in ("", "x", "inf") else value == float(p)
    assert found.violations == []


def test_an_arm_that_is_no_candidate_stays_in_its_row(tmp_path: Path) -> None:
    found = read(table(tmp_path / "t.csv", f"{CSV}z,1,0.5\n,1,0.5\n"))

    assert column(found, "chosen") == [0, 1, 0, -1, -1]
    assert column(found, "propensity")[3:] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("cells", "what"),
    [
        ("a,1,,0.5", "it has no candidates"),
        ("a,1,a a,0.5 0.5", "a candidate is there twice"),
        ("a,1,a b a,0.5 0.25 0.25", "a candidate is there twice"),
        ("a,1,a  b,0.5 0.25 0.25", "without a name"),
        ("a,1,a b,0.5", "1 probabilities for 2 candidates"),
    ],
)
def test_candidates_that_cannot_be_believed_leave_their_row_out(
    tmp_path: Path, cells: str, what: str
) -> None:
    log = table(
        path := tmp_path / "t",
        f"arm,reward,c,d\na,1,a b,0.5 0.5\n{cells}\nb,1,a b,0.5 0.5\n",
        propensity=None,
        distribution={"list": "d"},
        candidates={"from": "column", "column": "c"},
    )

    found = read(log)

    assert [(v.kind, v.place) for v in found.violations] == [("row_unreadable", f"{path}:3")]
    assert what in found.violations[0].message
    assert column(found, "logged") == [[0.5, 0.5]] * 2
    assert column(found, "chosen") == [0, 1]


@pytest.mark.parametrize("time", ["", "yesterday", "2030-02-30", "9999999999999999999999"])
def test_what_is_no_time_leaves_its_row_out(tmp_path: Path, time: str) -> None:
    text = f"arm,reward,p,t\na,1,0.5,2030-01-01\na,1,0.5,{time}\n"

    found = read(table(path := tmp_path / "t", text, time={"column": "t"}))

    assert [(v.kind, v.place) for v in found.violations] == [("row_unreadable", f"{path}:3")]
    assert f"column 't' has {time!r}: no time" in found.violations[0].message
    assert len(found.rows) == 1


def test_a_row_of_parquet_is_named_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "t"
    pq.write_table(pa.table({"arm": ["a", "b"], "reward": [None, 1.0], "p": [0.5, None]}), path)

    found = read(TableLog([path], mapped(), name="x"))

    assert [v.place for v in found.violations] == [f"{path} row 1"]
    assert column(found, "place") == [f"{path} row 2"]
    assert math.isnan(column(found, "propensity")[0])


# -- files that are not what they should be


def refused(path: Path, data: bytes, **changes: Any) -> BanditError:
    path.write_bytes(data)
    with pytest.raises(LogError) as error:
        read(TableLog([path], mapped(**changes), name="x"))
    assert str(path) in error.value.message
    assert error.value.hint
    return error.value


def test_a_file_that_was_cut_short_is_refused_by_name(tmp_path: Path) -> None:
    pq.write_table(pa.table({"arm": ["a"], "reward": [1.0], "p": [0.5]}), tmp_path / "whole")
    parquet = (tmp_path / "whole").read_bytes()
    many = (CSV + "a,1,0.5\n" * 50_000).encode()
    zipped = gzip.compress(many)

    for data in (parquet[:-20], parquet[:8], b"", zipped[:-200], zipped[:30]):
        refused(tmp_path / "t", data)
    assert "line" in refused(tmp_path / "t", zipped[:-20]).message


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"arm,reward\na,1\n", "no column 'p', which the mapping names as `propensity.column`"),
        (b"arm,reward,p,arm\na,1,1,b\n", "more than one column 'arm'"),
        (b"arm,reward,p\na,1,0.5\n\xff,1,0.5\n", ":3 cannot be read"),
        (b"\xff\xfe", ":1 is not the header"),
    ],
)
def test_a_table_of_another_shape_is_refused_by_what_it_lacks(
    tmp_path: Path, data: bytes, what: str
) -> None:
    assert what in refused(tmp_path / "t", data).message


def test_a_quote_that_does_not_end_costs_its_row(tmp_path: Path) -> None:
    found = read(table(path := tmp_path / "t", f'{CSV}a,"1,0.5\n'))

    assert [(v.kind, v.place) for v in found.violations] == [("row_unreadable", f"{path}:5")]
    assert len(found.rows) == 3


def test_a_column_of_a_type_that_says_nothing_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "t"
    pq.write_table(pa.table({"arm": [{"x": 1}], "reward": [1.0], "p": [0.5]}), path)

    with pytest.raises(LogError, match=f"{path}, column 'arm', has values of type struct"):
        read(TableLog([path], mapped(), name="x"))


@pytest.mark.parametrize(
    ("items", "what"),
    [
        (None, "is not there"),
        ("id\n", "describes no candidate"),
        ("id\na\na\n", ":3: it has the arm 'a' twice"),
        ("id,x\na,1\n,2\n", ":3: it has an arm without a name"),
        ("name\na\n", "no column 'id', which the mapping names as `candidates.id`"),
    ],
)
def test_a_table_of_items_that_is_wrong_is_refused_by_name(
    tmp_path: Path, items: str | None, what: str
) -> None:
    if items is not None:
        (tmp_path / "items.csv").write_text(items)
    (tmp_path / "t").write_text(CSV)
    candidates = {"from": "items", "file": "items.csv", "id": "id"}

    with pytest.raises(LogError) as error:
        TableLog([tmp_path / "t"], mapped(candidates=candidates), name="x")

    assert str(tmp_path / "items.csv") in error.value.message
    assert what in error.value.message
    assert error.value.hint


# -- mappings


def test_the_example_names_every_key_there_is() -> None:
    text = (CONFIG / "logs" / "example.toml").read_text()

    def keys(kind: type[msgspec.Struct]) -> set[str]:
        return {field.encode_name for field in msgspec.structs.fields(kind)}

    assert set(tomllib.loads(text)) == keys(LogMapping)
    find_mapping("example", CONFIG)
    from bandit_service.evaluation.logs import mapping

    for part in ("Time", "Reward", "Propensity", "Distribution", "Candidates"):
        for key in keys(getattr(mapping, f"{part}Mapping")):
            assert f"\n{key} = " in text or f"\n# {key} = " in text, key


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"colour": "x"}, "colour"),
        ({"reward": {"columns": "x"}}, "columns"),
        ({"arm": None}, "arm"),
        ({"propensity": None}, "propensity is missing"),
        ({"propensity": {"from": "thin air"}}, "thin air"),
        ({"propensity": {"from": "column"}}, "propensity.column"),
        ({"propensity": {"from": "uniform", "column": "p"}}, "propensity.column"),
        ({"reward": {}}, "`column` or `event`"),
        ({"reward": {"event": "e"}}, "worth"),
        ({"reward": {"column": "r", "range": [1, 0]}}, "range"),
        ({"candidates": {"from": "fixed"}}, "candidates.arms"),
        ({"candidates": {"from": "fixed", "arms": ["a", "a"]}}, "twice"),
        ({"candidates": {"from": "column"}}, "candidates.column"),
        ({"candidates": {"from": "items", "file": "x"}}, "file and id"),
        ({"candidates": {"from": "observed", "arms": ["a"]}}, "observed"),
        ({"candidates": {"from": "observed", "tags": ["a"]}}, "tags"),
        ({"distribution": {}}, "one of"),
        ({"distribution": {"columns": {"a": "x"}}}, "no column for 'b'"),
        ({"propensity": {"from": "estimated"}, "distribution": {"uniform": True}}, "estimated"),
        ({"placement": "at-{"}, "placement"),
        ({"persona": "{x!r}"}, "persona"),
        ({"persona": "{}"}, "persona"),
        ({"delimiter": "ab"}, "delimiter"),
        ({"time": {"column": "t", "format": "weeks"}}, "weeks"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused_by_its_key(
    change: dict[str, Any], what: str
) -> None:
    with pytest.raises(msgspec.ValidationError, match=what.replace("(", ".")):
        mapped(**change)


def test_a_mapping_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="'nothing' cannot be read") as error:
        find_mapping("nothing", CONFIG)
    assert "example, obd" in str(error.value.hint)
    with pytest.raises(SettingsError):
        find_mapping("\x00", CONFIG)
    (tmp_path / "m.toml").write_text("arm = 1\n")
    with pytest.raises(SettingsError, match=r"m\.toml: .*arm"):
        find_mapping(str(tmp_path / "m.toml"), CONFIG)


EXAMPLE = (CONFIG / "logs" / "example.toml").read_bytes()


@given(
    at=st.integers(0, len(EXAMPLE)),
    cut=st.sampled_from([0, 1, 3, 40]),
    put=st.binary(max_size=12)
    | st.sampled_from([b"[" * 5_000, b"nan", b"{", b'"', b"\n[time]\n", b"= {", b"\xff"]),
)
def test_a_mapping_damaged_at_will_is_read_or_refused(at: int, cut: int, put: bytes) -> None:
    found = outcome(lambda: read_mapping(EXAMPLE[:at] + put + EXAMPLE[at + cut :], name="m.toml"))

    if isinstance(found, BanditError):
        assert found.message.startswith("m.toml")
        assert found.hint


GARBLED = (
    b"id,arm,reward,p,t,c,d\n"
    b"r1,a,1,0.5,2030-01-01,a b,0.5 0.5\n"
    b"r2,b,0,0.5,2030-01-02T00:00:00Z,b a,0.5 0.5\n"
    b'"r,3",b,true,0.1,,a b c,0.1 0.2 0.7\n'
)
SYNTAX = st.sampled_from([b'"', b"\n", b",", b"\r", b"\x00", b'""', b" "])


def outcome(work: Callable[[], Read | LogMapping]) -> Read | LogMapping | BanditError:
    """What came of it; anything but an error of ours is the test's failure."""
    try:
        return work()
    except BanditError as exc:
        return exc


@given(
    edits=st.lists(
        st.tuples(
            st.integers(0, len(GARBLED)),
            st.sampled_from([0, 1, 5]),
            st.binary(max_size=6)
            | st.sampled_from([b'"', b"\n", b",", b"\r", b"\x00", b'""', b" "]),
        ),
        max_size=4,
    ),
    source=st.sampled_from(["column", "observed"]),
    propensity=st.sampled_from(["column", "estimated", "uniform"]),
)
def test_a_table_damaged_at_will_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    edits: list[tuple[int, int, bytes]],
    source: str,
    propensity: str,
) -> None:
    data = GARBLED
    for at, cut, put in edits:
        data = data[:at] + put + data[at + cut :]
    path = tmp_path_factory.getbasetemp() / "garbled.csv"
    path.write_bytes(data)
    mapping = mapped(
        id="id",
        time={"column": "t"},
        candidates={"from": source, **({"column": "c"} if source == "column" else {})},
        propensity={"from": propensity, **({"column": "p"} if propensity == "column" else {})},
    )

    found = outcome(lambda: read(TableLog([path], mapping, name="x")))

    if isinstance(found, BanditError):
        assert str(path) in found.message
        assert found.hint
    else:
        assert all(math.isfinite(row["reward"]) for row in found.rows)  # type: ignore[union-attr]


# -- the Open Bandit Dataset


@pytest.mark.parametrize("behaviour", ["random", "bts"])
def test_the_open_bandit_data_are_read_as_the_loader_of_the_demo_reads_them(
    behaviour: Any, real_cache: Path | None
) -> None:
    expected = load_obd("men", behaviour, real_cache)
    words = [f"obd:{behaviour}/men"]

    log = open_log(words, settings=SiteSettings(), config_path=CONFIG, cache_dir=real_cache)
    found = read(log)

    assert found.violations == []
    assert log.reward_range == (0.0, 1.0)
    assert len(found.rows) == len(expected.impressions) == 10_000
    for row, impression in zip(found.rows, expected.impressions, strict=True):
        assert row["arms"] == [str(item.id) for item in expected.items]
        assert row["arms"][row["chosen"]] == str(impression.item)
        assert row["placement"] == f"position-{impression.position}"
        assert row["reward"] == impression.clicked
        assert row["propensity"] == impression.propensity
        assert row["ms"] == int(impression.at.timestamp() * 1_000)
        assert row["asked"][0].traits == {k: [v] for k, v in impression.traits.items()}
    assert log.description.distributions == (behaviour == "random")
    if behaviour == "random":
        assert {p for row in found.rows for p in row["logged"]} == {1 / 34}
    assert sum(row["reward"] for row in found.rows) == expected.clicks


# -- memory


def big(path: Path, rows: int) -> Path:
    rng = np.random.default_rng(0)
    schema = pa.schema(
        [("arm", pa.string()), ("reward", pa.float64()), ("p", pa.float64()), ("v", pa.string())]
    )
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, 50_000):
            n = min(50_000, rows - start)
            arms = np.array(["a", "b"])[rng.integers(0, 2, n)]
            visitors = [f"visitor-{start + k}" for k in range(n)]
            columns = [arms, rng.random(n), np.full(n, 0.5), visitors]
            writer.write_table(pa.table(dict(zip(schema.names, columns, strict=True)), schema))
    return path


def peaks_of(path: Path) -> tuple[int, int, int]:
    """Rows; the most bytes of Python's and numpy's own, and of pyarrow's, held at once."""
    log = TableLog([path], mapped(visitor="v"), name="x")
    pool = pa.system_memory_pool()
    before = pa.default_memory_pool()
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        rows, most = 0, 0
        for batch in log.batches(blame=lambda _: None, progress=lambda _: None):
            rows += len(batch)
            most = max(most, pool.bytes_allocated())
        return rows, tracemalloc.get_traced_memory()[1], most
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(before)


def test_memory_does_not_grow_with_the_table(tmp_path: Path) -> None:
    peaks_of(big(tmp_path / "warm", 20_000))
    _, python, arrow = peaks_of(big(tmp_path / "few", 50_000))

    rows, more_python, more_arrow = peaks_of(big(tmp_path / "many", 500_000))

    assert rows == 500_000
    assert min(python, arrow) > 0
    assert more_python < 1.2 * python + 2**20
    assert more_arrow < 1.5 * arrow + 2**22
