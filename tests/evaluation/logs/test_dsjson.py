"""Decision-service JSON: our own export, others' loops, and what is none."""

from __future__ import annotations

import gzip
import io
import json
import math
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit_service.archive.export import Tally, write_examples
from bandit_service.archive.history import History
from bandit_service.archive.times import Span
from bandit_service.errors import BanditError, LogError
from bandit_service.evaluation.batch import hash_of
from bandit_service.evaluation.logs import rows as rows_module
from bandit_service.evaluation.logs.dsjson import DsjsonLog
from bandit_service.evaluation.logs.noticing import Recent
from bandit_service.evaluation.logs.ours import SiteLog
from bandit_service.evaluation.logs.sources import LiveSource
from tests.evaluation.logs.reading import read
from tests.world import QUICK, busy_world

LINE: dict[str, Any] = {
    "_label_cost": -1.0,
    "_label_probability": 0.8,
    "_label_Action": 2,
    "_labelIndex": 1,
    "o": [{"v": 1.0, "EventId": "e1"}],
    "Timestamp": "2030-01-01T00:00:00.1234567Z",
    "Version": "1",
    "EventId": "e1",
    "a": [2, 1, 3],
    "p": [0.8, 0.1, 0.1],
    "c": {
        "User": {"age": "25", "_tag": "x"},
        "hour": 3,
        "_multi": [
            {"_tag": "sports", "A": {"kind": "ball"}},
            {"i": {"constant": 1, "id": "news"}, "j": [{"long": True}, {"words": 900}]},
            {"A": {"kind": "film"}},
        ],
    },
    "VWState": {"m": "model"},
}
SLOTS: dict[str, Any] = {
    "Timestamp": "2030-01-01T00:00:00Z",
    "EventId": "m1",
    "_outcomes": [
        {"_label_cost": 0, "_a": [1, 0, 2], "_p": [0.5, 0.25, 0.25], "_o": []},
        {"_label_cost": -2, "_a": [2, 0], "_p": [0.9, 0.1], "_o": []},
    ],
    "c": {
        "page": "home",
        "_multi": [{"id": "a"}, {"id": "b"}, {"id": "c"}],
        "_slots": [{"size": "large"}, {"size": "small"}],
    },
}


def changed(line: dict[str, Any], **changes: Any) -> dict[str, Any]:
    kept = {**line, **changes}
    return {key: value for key, value in kept.items() if value is not None}


def written(path: Path, *lines: dict[str, Any] | bytes) -> DsjsonLog:
    data = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    path.write_bytes(b"\n".join(data) + b"\n")
    return DsjsonLog([path], name="x")


# -- what a line says


def test_a_line_is_a_row_whose_reward_is_minus_its_cost(tmp_path: Path) -> None:
    log = written(tmp_path / "l", LINE)

    found = read(log)
    (row,) = found.rows

    assert row["arms"][:2] == ["sports", "news"]
    assert row["logged"] == [0.1, 0.8, 0.1]
    assert (row["chosen"], row["propensity"], row["reward"]) == (1, 0.8, 1.0)
    assert (row["placement"], row["persona"]) == ("log", "unknown")
    assert row["ms"] == 1_893_456_000_123
    assert row["key"] == row["cluster"] == hash_of("e1")
    assert row["place"] == f"{tmp_path / 'l'}:1"
    assert found.violations == []
    assert log.excluded == {}
    assert found.told == 1


def test_an_action_without_a_name_is_known_by_its_features_alone(tmp_path: Path) -> None:
    def arms(*actions: Any) -> list[str]:
        line = changed(LINE, a=None, p=None, c={"_multi": list(actions)})
        (row,) = read(written(tmp_path / "l", line)).rows
        return list(row["arms"])

    one, two = arms({"x": 1, "y": 2}, {"x": 2})
    again, other, *rest = arms({"y": 2, "x": 1}, {"z": 0}, {}, {})

    assert one == again
    assert len({one, two, other}) == 3
    assert rest == ["action-2", "action-3"]
    assert arms({"id": "same"}, {"id": "same"}, {"id": 7}) == ["same", "same#1", "7"]


def test_features_are_put_as_the_service_would_have_them(tmp_path: Path) -> None:
    (row,) = read(written(tmp_path / "l", LINE)).rows
    decision, shared, lines = row["asked"]

    assert shared == "shared |p persona=unknown |s User.age=25 hour=3"
    assert lines[0] == "|a log/sports@1 |g is.A.kind=ball"
    assert lines[1] == "|a log/news@1 |g is.i.constant=1 is.i.id=news is.j.long=true is.j.words=900"
    assert decision.probabilities == [0.1, 0.8, 0.1]
    assert decision.id == "e1"


def test_each_slot_is_a_row_among_the_actions_that_were_left(tmp_path: Path) -> None:
    found = read(written(tmp_path / "l", SLOTS))
    first, second = found.rows

    assert (first["placement"], second["placement"]) == ("slot-0", "slot-1")
    assert (first["arms"], second["arms"]) == (["b", "a", "c"], ["c", "a"])
    assert second["logged"] == [0.9, 0.1]
    assert (first["reward"], second["reward"]) == (0.0, 2.0)
    assert (second["chosen"], second["propensity"]) == (0, 0.9)
    assert first["cluster"] == second["cluster"]
    assert first["key"] != second["key"]
    assert second["asked"][1] == "shared |p persona=unknown |s page=home slot.size=small"
    assert second["asked"][2][0] == "|a slot-1/c@1 |g is.id=c"


def test_our_own_export_gives_the_rows_of_the_log_it_was_made_of(tmp_path: Path) -> None:
    world = busy_world(200)
    world.decide(
        placement="a|b", traits={"é x": ["%20", "="]}, context={"q": "a b"},
        candidates=[{"id": "x@y", "headline": "X"}, {"id": "z", "headline": "Z"}],
    )  # fmt: skip
    world.pass_time(60)
    world.put("the-end", 1)
    out = io.BytesIO()
    write_examples(world.rows(), out, QUICK, Span(), Tally())
    (tmp_path / "l.gz").write_bytes(gzip.compress(out.getvalue()))

    expected = read(SiteLog(LiveSource(History(world.log, None), "x"), QUICK)).rows
    found = read(DsjsonLog([tmp_path / "l.gz"], name="x")).rows

    assert len(found) > 150
    same = ("key", "ms", "placement", "persona", "arms", "logged", "chosen", "propensity", "reward")
    for row, other in zip(found, expected, strict=True):
        assert {k: row[k] for k in same} == {k: other[k] for k in same}
        decision, shared, lines = row["asked"]
        logged, its_shared, its_lines = other["asked"]
        assert (shared, lines) == (its_shared, its_lines)
        assert (decision.traits, decision.context) == (
            {k: sorted(v) for k, v in logged.traits.items() if v},
            logged.context,
        )
        assert decision.arms == logged.arms


def test_rows_do_not_depend_on_where_the_log_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = written(tmp_path / "l", *(changed(LINE, EventId=f"e{n}") for n in range(20)), SLOTS)
    whole = read(log)

    monkeypatch.setattr(rows_module, "BATCH_ROWS", 3)
    cut = read(log)

    assert len(cut.batches) > len(whole.batches)
    assert cut.rows == whole.rows


# -- what is no row


def test_what_was_never_activated_is_no_row(tmp_path: Path) -> None:
    log = written(tmp_path / "l", LINE, changed(LINE, EventId="e2", _skipLearn=True))

    assert len(read(log).rows) == 1
    assert log.excluded == {"skip_learn": 1}


def test_a_log_that_was_thinned_out_unevenly_is_named_where_it_changes(tmp_path: Path) -> None:
    lines = [changed(LINE, EventId=f"e{n}", pdrop=p) for n, p in enumerate((0.5, 0.5, 0.0))]

    found = read(written(path := tmp_path / "l", *lines))

    assert len(found.rows) == 3
    assert [(v.kind, v.place) for v in found.violations] == [("sampled_unevenly", f"{path}:3")]


def test_an_event_that_is_there_twice_is_named_and_counts_once(tmp_path: Path) -> None:
    log = written(path := tmp_path / "l", LINE, SLOTS, LINE)

    found = read(log)

    assert len(found.rows) == 3
    assert [(v.kind, v.place) for v in found.violations] == [("decision_twice", f"{path}:3")]
    assert log.excluded == {"decision_twice": 1}


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (changed(LINE, _label_cost=None), "_label_cost"),
        (changed(LINE, c={}), "no actions"),
        (changed(LINE, c={"_multi": []}), "no actions"),
        (changed(LINE, c=None), "`c`"),
        (changed(LINE, p=[0.8, 0.2]), "3 actions, `p` 2 probabilities"),
        (changed(LINE, a=[1, 2]), "`a` does not list"),
        (changed(LINE, a=[1, 2, 4]), "`a` does not list"),
        (changed(LINE, a=[1, 1, 2]), "`a` does not list"),
        (changed(LINE, Timestamp="yesterday"), "Timestamp"),
        (changed(LINE, _label_cost="one"), "_label_cost"),
        (changed(SLOTS, _outcomes=[{"_label_cost": 0, "_a": 1, "_p": 0.5}]), "what else"),
        (changed(SLOTS, _outcomes=[{"_label_cost": 0, "_a": [], "_p": []}]), "0 actions"),
        (changed(SLOTS, _outcomes=[{"_label_cost": 0, "_a": [3], "_p": [1]}]), "not there"),
        (changed(SLOTS, _outcomes=[{"_label_cost": 0, "_a": [0, 0], "_p": [1, 0]}]), "twice"),
        (changed(SLOTS, _outcomes=[{"_a": [0], "_p": [1]}]), "no cost"),
        (changed(LINE, bandit={"placement": "x", "arms": ["a"]}), "bandit.arms"),
        (b'{"RewardValue":1.0,"EventId":"x"}', "`c`"),
        (b"not json", "malformed"),
        (b"[" * 5_000, ""),
        (b"\xff\xfe", ""),
    ],
)
def test_a_line_that_cannot_be_read_is_left_out_by_its_number(
    tmp_path: Path, line: dict[str, Any] | bytes, what: str
) -> None:
    log = written(path := tmp_path / "l", changed(LINE, EventId="e0"), line, SLOTS)

    found = read(log)

    assert [(v.kind, v.place) for v in found.violations] == [("row_unreadable", f"{path}:2")]
    assert what in found.violations[0].message
    assert len(found.rows) == 3
    assert log.excluded == {"row_unreadable": 1}


def test_what_is_merely_odd_stays_for_whoever_verifies(tmp_path: Path) -> None:
    lines = [
        changed(LINE, EventId="1", _label_Action=9),
        changed(LINE, EventId="2", _label_probability=None),
        changed(LINE, EventId="3", _label_probability=0),
        changed(LINE, EventId="4", a=None, p=None),
        changed(LINE, EventId="5", _label_Action=None),
    ]

    rows = read(written(tmp_path / "l", *lines)).rows

    assert [row["chosen"] for row in rows] == [-1, 1, 1, 1, 1]
    assert [repr(row["propensity"]) for row in rows] == ["0.8", "nan", "0.0", "0.8", "0.8"]
    assert rows[3]["logged"][1] == 0.8
    assert math.isnan(rows[3]["logged"][0])


# -- files


def test_files_are_parts_of_one_log_each_read_once(tmp_path: Path) -> None:
    late = changed(LINE, EventId="late", Timestamp="2031-01-01T00:00:00Z")
    for name, line in (("a", late), ("b", LINE), ("c", late)):
        written(tmp_path / name, line)

    found = read(DsjsonLog([tmp_path / name for name in "abc"], name="x"))

    assert [row["ms"] // 10**10 for row in found.rows] == [189, 192]
    assert [(v.kind, v.place) for v in found.violations] == [
        ("partition_overlaps", str(tmp_path / "c"))
    ]


@pytest.mark.parametrize(
    "data",
    [
        json.dumps(LINE).encode() + b"\n" + json.dumps(SLOTS).encode()[:-30],
        b"",
        b"\n \n",
        b"arm,reward\na,1\n",
        gzip.compress(json.dumps(LINE).encode() * 500)[:-30],
    ],
)
def test_a_file_that_was_cut_short_or_is_none_is_refused_by_name(
    tmp_path: Path, data: bytes
) -> None:
    path = tmp_path / "l"
    path.write_bytes(data)

    with pytest.raises(LogError) as refused:
        read(DsjsonLog([path], name="x"))
    assert str(path) in refused.value.message
    assert refused.value.hint


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
CONTEXT = st.sampled_from(["User", "_multi", "_slots", "p", "t"])
FIELDS = st.sampled_from([*LINE, "_outcomes", "_skipLearn", "pdrop", "bandit"])


def outcome(log: Path) -> list[dict[str, Any]] | BanditError:
    """The rows that came of it; anything but an error of ours is the test's failure."""
    try:
        return read(DsjsonLog([log], name="x")).rows
    except BanditError as exc:
        return exc


@given(
    changes=st.dictionaries(FIELDS, JSON, max_size=3),
    context=st.dictionaries(CONTEXT, JSON, max_size=3),
    ours=st.booleans(),
)
def test_fields_of_any_kind_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    changes: dict[str, Any],
    context: dict[str, Any],
    ours: bool,
) -> None:
    line: dict[str, Any] = {**LINE, "c": {**LINE["c"], **context}}
    if ours:
        line["bandit"] = {"placement": "x", "arms": ["a@1", "b@0", "c"]}
    path = tmp_path_factory.getbasetemp() / "fields"
    path.write_bytes(json.dumps({**line, **changes}).encode() + b"\n")

    found = outcome(path)

    if isinstance(found, BanditError):
        assert found.hint
    else:
        assert all(math.isfinite(row["reward"]) for row in found)


@given(at=st.integers(0, 600), cut=st.sampled_from([0, 1, 20]), put=st.binary(max_size=8))
def test_lines_damaged_at_will_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, at: int, cut: int, put: bytes
) -> None:
    data = json.dumps(LINE).encode() + b"\n" + json.dumps(SLOTS).encode() + b"\n"
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(data[:at] + put + data[at + cut :])

    found = outcome(path)

    assert not isinstance(found, BanditError) or (found.hint and str(path) in found.message)


def peak_of(path: Path) -> int:
    log = DsjsonLog([path], name="x")
    tracemalloc.start()
    for _ in log.batches(blame=lambda _: None, progress=lambda _: None):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "BATCH_ROWS", 100)
    monkeypatch.setattr(Recent.__init__, "__defaults__", (500,))
    for name, count in (("few", 1_000), ("many", 10_000)):
        written(tmp_path / name, *(changed(LINE, EventId=f"e{n}") for n in range(count)))
    peak_of(tmp_path / "few")

    assert peak_of(tmp_path / "many") < 1.3 * peak_of(tmp_path / "few") + 2**16
