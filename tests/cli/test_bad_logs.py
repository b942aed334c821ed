"""Logs as strangers bring them: cut short, mistyped, out of order, hostile.

Each is refused by file and place, or answered with what casts doubt on the answer; nothing is half
written, and nothing ends in a traceback.
"""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bandit_service.archive.export import write_parquet
from bandit_service.events.entries import START
from tests.cli.offline import MAPPED, TABLE, Offline, archived, changed, exports, with_column
from tests.cli.test_verify import exported
from tests.world import World

Mangle = Callable[[bytes], bytes]
NAMES = (
    "<script>alert(1)</script>",
    "[red]x[/red]",
    "two\nlines",
    "[/]",
    "|pipe|",
    "\x1b[31mred",
    "{brace}",
    "\u202ertl",
    "é🎉",
)


def kinds_of(result: Any) -> dict[str, int]:
    """How often each kind of violation was found."""
    return {one["kind"]: one["count"] for one in result["verification"]["findings"]}


# -- files that are damaged, or are not what they are called


@pytest.mark.parametrize(
    ("mangle", "said"),
    [
        (lambda data: data[: len(data) // 2], "log.parquet is damaged"),
        (lambda data: data[:-1], "log.parquet is damaged"),
        (lambda data: data[:4], "log.parquet is damaged"),
        (lambda _: b"", "log.parquet is empty"),
        (lambda _: b"PK\x03\x04\x00\x00", "neither Parquet nor text"),
        (gzip.compress, "log.parquet is Parquet that gzip compressed"),
        (lambda data: data[:3000] + bytes(60) + data[3060:], "log.parquet is damaged after row 0"),
    ],
    ids=["cut", "last byte", "magic alone", "empty", "zip", "gzip", "overwritten"],
)
@pytest.mark.parametrize("command", ["verify", "evaluate"])
def test_a_damaged_parquet_file_is_refused_by_name(
    offline: Offline, mangle: Mangle, said: str, command: str
) -> None:
    path = offline.parquet("log.parquet")
    path.write_bytes(mangle(path.read_bytes()))
    report = () if command == "verify" else ("--report", "report")

    offline.refused(3, said, command, path, *MAPPED, *report)


@pytest.mark.parametrize(
    ("mangle", "code", "said"),
    [
        (lambda data: data[: len(data) // 2], 6, r"row_unreadable \(first at .*log.csv:\d+: "),
        (lambda data: data.replace(b",", b";"), 3, "has no column 'persona'"),
        (lambda data: data.decode().encode("utf-16"), 3, "neither Parquet nor text"),
        (lambda data: data.replace(b"film-1", b"film\xe9"), 3, r"log.csv:\d+ cannot be read"),
        (lambda data: data.replace(b"film-1", b"film,1", 1), 6, r"log.csv:\d+: it has 9 columns"),
        (lambda data: data.replace(b"film-1", b'"film-1', 1), 6, "row_unreadable"),
        (lambda data: data.split(b"\n")[0] + b"\n", 6, "log.csv has no row that can be evaluated"),
        (lambda data: data.replace(b"persona", b"placement", 1), 3, "has no column 'persona'"),
        (lambda data: data.partition(b"\n")[2], 3, "has no column 'persona'"),
        (lambda _: b"\n\n\n", 3, "has no column"),
        (lambda data: gzip.compress(data)[:-100], 3, r"log.csv is damaged or cut short after line"),
        (lambda data: gzip.compress(data) + b"more", 3, "log.csv is damaged"),
    ],
    ids=[
        "cut",
        "semicolons",
        "UTF-16",
        "Latin-1",
        "a comma more",
        "a quote",
        "header alone",
        "column twice",
        "no header",
        "blank",
        "gzip cut",
        "gzip and more",
    ],
)
def test_damaged_csv_is_refused_by_line(
    offline: Offline, mangle: Mangle, code: int, said: str
) -> None:
    path = offline.csv("log.csv")
    path.write_bytes(mangle(path.read_bytes()))

    offline.refused(code, said, "evaluate", path, *MAPPED, "--report", "report")


def test_semicolons_are_named_with_their_remedy(offline: Offline) -> None:
    path = offline.csv("log.csv", delimiter=";")
    mapping = (offline.folder / "config/logs/simulated.toml").read_text()
    offline.file("mine.toml", f'delimiter = ";"\n{mapping}')

    result = offline("evaluate", path, *MAPPED)

    assert "Hint: its one column is decided_at;visitor;" in result.stderr
    assert 'write `delimiter = ";"` in the mapping' in result.stderr
    assert offline.json("evaluate", path, "--mapping", "mine.toml")["rows"] == 400


def test_a_byte_order_mark_crlf_gzip_and_parquet_change_nothing(offline: Offline) -> None:
    plain = offline.csv("log.csv", lineterminator="\n")
    marked = offline.file("bom.csv", b"\xef\xbb\xbf" + plain.read_bytes())
    windows = offline.csv("crlf.csv", lineterminator="\r\n")
    zipped = offline.file("log.csv.gz", gzip.compress(plain.read_bytes()))

    found = [
        offline.json("evaluate", path, *MAPPED)
        for path in (plain, marked, windows, zipped, offline.parquet("log.parquet"))
    ]

    for one in found:  # rows are grouped by what the file holds, so intervals may differ
        assert one["mean_reward"] == found[0]["mean_reward"]
        assert [p["estimates"][0]["value"] for p in one["policies"]] == [
            p["estimates"][0]["value"] for p in found[0]["policies"]
        ]


@pytest.mark.parametrize(
    ("mangle", "code", "said"),
    [
        (lambda data: data[:-30], 3, r"log.jsonl:\d+ is cut short"),
        (
            lambda data: gzip.compress(data)[:-300],
            3,
            "log.jsonl is damaged or cut",
        ),
        (lambda data: data.replace(b"\n", b"\ngarbage\n", 1), 6, r"entry_unreadable .*log.jsonl:2"),
        (lambda data: b'{"position": "x", "entry": {}}\n' + data, 3, "log.jsonl:1 is not a line"),
        (lambda data: b"{}\n" + data, 3, "JSON of another kind"),
        (lambda data: b'{"a":' + b"[" * 90_000 + b"\n" + data, 3, "log.jsonl:1 begins as JSON"),
        (lambda data: data.replace(b'"t":"decision"', b'"t":"later"', 1), 6, "entry_unreadable"),
        (lambda data: b"".join(data.splitlines(keepends=True)[::-1]), 6, "time_backwards"),
        (lambda data: data.splitlines(keepends=True)[0], 6, "has no row that can be evaluated"),
        (lambda _: b"", 3, "log.jsonl is empty"),
    ],
    ids=[
        "cut",
        "gzip cut",
        "garbage",
        "no position",
        "another kind",
        "deep",
        "of a later version",
        "reversed",
        "one line",
        "empty",
    ],
)
def test_damaged_json_lines_are_refused_by_line(
    offline: Offline, closed_world: World, mangle: Mangle, code: int, said: str
) -> None:
    path = exported(closed_world, offline.folder / "log.jsonl")
    path.write_bytes(mangle(path.read_bytes()))

    offline.refused(code, said, "evaluate", path, "--report", "report")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda e: e.update(_label_probability=0), r"propensity_range .*dsjson:\d+: "),
        (lambda e: e.update(_label_probability=None), "propensity_missing"),
        (lambda e: e.update(_label_probability="x"), "row_unreadable"),
        (lambda e: e.update(_label_cost="x"), "row_unreadable"),
        (lambda e: e.update(_label_cost=-1e300), "reward_not_finite .*the reward is 1e.300"),
        (lambda e: e.update(Timestamp="soon"), "'soon' is no time"),
        (lambda e: e.update(Timestamp="1960-01-01T00:00:00Z"), "is before 1970"),
        (lambda e: e.update(_labelIndex=99, _label_Action=100), "chosen_unknown"),
        (lambda e: e.update(c=None), "row_unreadable"),
        (lambda e: e.update(p=[0.5]), "row_unreadable"),
    ],
)
def test_wrong_examples_are_refused_by_line(
    offline: Offline, closed_world: World, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    path = exports(closed_world, offline.folder)["dsjson"]
    examples = [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
    change(examples[7])
    path.write_bytes(b"\n".join(map(msgspec.json.encode, examples)))

    offline.refused(6, said, "evaluate", path, "--report", "report")


# -- values that are wrong


def _set(row: int, value: object) -> Callable[[list[Any]], None]:
    def change(values: list[Any]) -> None:
        values[row] = value

    return change


def _first_probability(value: float | None) -> Callable[[list[Any]], None]:
    def change(rows: list[Any]) -> None:
        shown = TABLE["variant"][5].as_py()
        index = (TABLE["candidates"][5].as_py().index(shown) + 1) % 5
        rows[5][index] = value  # not of what was shown, which has the weight

    return change


@pytest.mark.parametrize(
    ("column", "change", "said"),
    [
        ("probabilities", _first_probability(0.0), "probabilities_sum .*row 6: "),
        ("probabilities", _first_probability(1.5), "probabilities_range .*row 6: "),
        ("probabilities", _first_probability(-0.1), "probabilities_range .*row 6: "),
        ("probabilities", _first_probability(np.nan), "probabilities_range .*row 6: .*nan"),
        ("probabilities", _first_probability(np.inf), "probabilities_range .*row 6: .*inf"),
        ("probabilities", _first_probability(None), "probabilities_range .*row 6: "),
        ("probabilities", _set(5, [0.0] * 5), "propensity_range .*row 6: the propensity is 0.0"),
        (
            "probabilities",
            _set(5, [1e-90] * 5),
            "row 6: the propensity is 1e-90",
        ),
        ("probabilities", _set(5, [None] * 5), "propensity_missing .*row 6: "),
        ("probabilities", _set(5, [0.5, 0.5]), "row 6: 2 probabilities for 5 candidates"),
        ("reward", _set(5, np.nan), "row 6: column 'reward' has 'nan': no number"),
        ("reward", _set(5, np.inf), "row 6: column 'reward' has 'inf': no number"),
        ("reward", _set(5, None), "row_unreadable .*row 6: column 'reward'"),
        ("reward", _set(5, -3.0), "reward_range .*row 6: the reward -3.0"),
        ("reward", _set(5, 1e300), "reward_not_finite .*row 6: the reward is 1e.300"),
        ("variant", _set(5, "nobody"), "chosen_unknown .*row 6: "),
        ("variant", _set(5, None), "chosen_unknown .*row 6: "),
        ("candidates", _set(5, []), "row 6: it has no candidates"),
        ("candidates", _set(5, None), "row 6: it has no candidates"),
        ("candidates", _set(5, ["h0@1"] * 5), "row 6: a candidate is there twice"),
        ("candidates", _set(5, [None] * 5), "row 6: a candidate is there twice, or without a name"),
    ],
)
def test_a_wrong_value_is_refused_by_row_and_field(
    offline: Offline, column: str, change: Callable[[list[Any]], None], said: str
) -> None:
    path = offline.parquet("log.parquet", changed(column, change))

    error = offline.refused(6, said, "evaluate", path, *MAPPED, "--report", "report")

    assert "log.parquet must not be believed" in error


@pytest.mark.parametrize(
    ("column", "values", "code", "said"),
    [
        ("reward", ["much"] * 400, 6, "400 x row_unreadable .*'reward' has 'much': no number"),
        (
            "decided_at",
            ["soon"] * 400,
            6,
            "400 x .*'decided_at' has 'soon': no time",
        ),
        ("decided_at", ["1960-01-01"] * 400, 6, "'1960-01-01': no time"),
        ("decided_at", list(range(400)), 3, "column 'decided_at', has values of type int64"),
        ("probabilities", [1.0] * 400, 3, "column 'probabilities', has values of type double"),
    ],
)
def test_a_column_of_the_wrong_kind_is_refused(
    offline: Offline, column: str, values: list[Any], code: int, said: str
) -> None:
    path = offline.parquet("log.parquet", with_column(column, values))

    offline.refused(code, said, "evaluate", path, *MAPPED, "--report", "report")


def test_numbers_written_as_text_are_read(offline: Offline) -> None:
    texts = with_column("reward", list(map(str, TABLE["reward"].to_pylist())))

    found = offline.json("evaluate", offline.parquet("log.parquet", texts), *MAPPED)

    assert found["clicks"] == sum(TABLE["reward"].to_pylist())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda e: e["probabilities"].__setitem__(e["chosen"], 0.0), "propensity_range"),
        (lambda e: e["probabilities"].__setitem__(e["chosen"], 1.5), "propensity_range"),
        (lambda e: e["probabilities"].__setitem__(e["chosen"], None), "entry_unreadable"),
        (lambda e: e.update(chosen=99), "chosen_unknown .*candidate 99"),
        (lambda e: e.update(arms=[], probabilities=[], chosen=0), "entry_unreadable"),
        (lambda e: e.pop("arms"), "entry_unreadable"),
        (lambda e: e.update(at=-5), "entry_unreadable .*before 1970"),
    ],
)
def test_a_wrong_decision_is_refused_by_its_position(
    offline: Offline, closed_world: World, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    path = exported(closed_world, offline.folder / "log.jsonl", every=10, change=change)

    offline.refused(6, said, "evaluate", path, "--report", "report")


def test_by_force_the_rows_that_can_be_used_are_and_the_result_is_marked(offline: Offline) -> None:
    path = offline.parquet("log.parquet", changed("probabilities", _first_probability(1.5)))

    found = offline.json("evaluate", path, *MAPPED, "--force", "--report", "report")
    printed = offline("evaluate", path, *MAPPED, "--force").stdout

    assert found["forced"] is True
    assert found["rows"] == 399
    assert found["excluded"] == {"probabilities_range": 1}
    for text in (printed, *((offline.folder / f"report.{s}").read_text() for s in ("md", "html"))):
        assert "failed its checks" in text
    assert "1 x probabilities_range" in printed


# -- columns, parts and order


def test_a_table_without_a_column_of_the_mapping_is_refused(offline: Offline) -> None:
    path = offline.parquet("log.parquet", TABLE.drop_columns(["reward"]))

    offline.refused(3, "has no column 'reward', .*`reward.column`", "evaluate", path, *MAPPED)


def test_files_of_two_schemas_are_no_log(offline: Offline) -> None:
    sound = offline.parquet("a.parquet")
    other = offline.parquet("b.parquet", TABLE.drop_columns(["reward"]))
    text = offline.csv("c.csv")

    offline.refused(3, "b.parquet has no column 'reward'", "evaluate", sound, other, *MAPPED)
    offline.refused(2, "a.parquet is a Parquet table, and .*c.csv is", "evaluate", sound, text)


def test_a_schema_of_a_later_version_is_refused(offline: Offline, closed_world: World) -> None:
    path = exports(closed_world, offline.folder)["parquet"]
    data = path.read_bytes()
    assert b'"schema":1' in data
    path.write_bytes(data.replace(b'"schema":1', b'"schema":9'))

    offline.refused(3, "log.parquet", "evaluate", path, "--report", "report")


def test_a_table_that_is_given_twice_is_read_once_and_said_so(offline: Offline) -> None:
    path = offline.parquet("log.parquet")
    copy = offline.parquet("copy.parquet")

    found = offline.json("evaluate", path, copy, path, *MAPPED)

    assert found["rows"] == 400
    assert kinds_of(found) == {"partition_overlaps": 2}
    assert "2 x partition_overlaps" in offline("evaluate", path, copy, path, *MAPPED).stdout


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_an_export_that_is_given_twice_is_read_once_and_said_so(
    offline: Offline, closed_world: World, form: str
) -> None:
    path = exports(closed_world, offline.folder)[form]
    copy = offline.folder / f"copy.{form}"
    shutil.copy(path, copy)
    once = offline.json("evaluate", path)

    for twice in (offline.json("evaluate", path, path), offline.json("evaluate", path, copy)):
        assert twice["rows"] == once["rows"]
        assert twice["mean_reward"] == once["mean_reward"]
        assert kinds_of(twice) == {**kinds_of(once), "partition_overlaps": 1}


def test_exports_that_overlap_are_the_whole_whatever_their_order(
    offline: Offline, closed_world: World
) -> None:
    whole = exported(closed_world, offline.folder / "log.jsonl")
    lines = whole.read_bytes().splitlines(keepends=True)
    first = offline.file("first.jsonl", b"".join(lines[: len(lines) // 2 + 50]))
    second = offline.file("second.jsonl", b"".join(lines[len(lines) // 2 - 50 :]))

    once = offline.json("evaluate", whole)
    for parts in ((first, second), (second, first)):
        found = offline.json("evaluate", *parts)
        assert found["policies"] == once["policies"]
        assert kinds_of(found)["partition_overlaps"] == 1


def test_an_export_that_is_missing_in_the_middle_is_fatal(
    offline: Offline, closed_world: World
) -> None:
    rows = closed_world.rows()
    parts = [offline.folder / "a.parquet", offline.folder / "c.parquet"]
    write_parquet(iter(rows[:200]), parts[0], site="main", after=START)
    write_parquet(iter(rows[400:]), parts[1], site="main", after=rows[399][0])

    offline.refused(6, "partition_missing .*c.parquet: no file has", "evaluate", *parts)


def test_tables_that_overlap_are_warned_of_by_their_times(offline: Offline) -> None:
    parts = [
        offline.parquet("a.parquet", TABLE.slice(0, 300)),
        offline.parquet("b.parquet", TABLE.slice(100, 300)),
    ]

    found = offline.json("evaluate", *parts, *MAPPED)

    assert found["rows"] == 600
    assert kinds_of(found) == {"rows_unordered": 1}
    (first,) = found["verification"]["findings"][0]["first"]
    assert first["place"].endswith("b.parquet row 1")


def test_rows_out_of_order_are_warned_of_once(offline: Offline) -> None:
    shuffled = TABLE.take(np.random.default_rng(1).permutation(400))
    path = offline.parquet("log.parquet", shuffled)

    found = offline.json("evaluate", path, *MAPPED)

    assert found["rows"] == 400
    assert kinds_of(found) == {"rows_unordered": 1}
    assert "1 x rows_unordered" in offline("evaluate", path, *MAPPED).stdout


# -- logs that say little


def test_an_empty_table_is_refused(offline: Offline) -> None:
    path = offline.parquet("log.parquet", TABLE.slice(0, 0))

    for command in ("verify", "evaluate"):
        offline.refused(6, "log.parquet .*no_rows", command, path, *MAPPED)


def test_of_a_single_row_nothing_is_said(offline: Offline) -> None:
    path = offline.parquet("log.parquet", TABLE.slice(0, 1))

    found = offline.json("evaluate", path, *MAPPED, "--report", "report")

    assert found["rows"] == 1
    for policy in found["policies"]:
        assert {one["status"] for one in policy["estimates"]} == {"unanswerable"}
        assert "The log cannot say" in policy["verdict"]


@pytest.mark.parametrize("reward", [0.0, 1.0])
def test_of_rewards_that_are_all_alike_no_policy_is_said_to_do_as_the_log_did(
    offline: Offline, reward: float
) -> None:
    path = offline.parquet("log.parquet", with_column("reward", [reward] * 400))
    policies = ("--policy", "logged", "--policy", "uniform", "--policy", "fixed:h0")

    found = offline.json("evaluate", path, *MAPPED, *policies, "--report", "report")

    assert kinds_of(found) == {"no_rewards": 1}
    logged, *others = found["policies"]
    assert logged["verdict"] == "It does what was running."
    for policy in others:
        assert policy["gain"]["status"] != "ok"
        assert policy["verdict"].startswith(("Do not decide", "The log cannot"))


def test_one_variant_is_evaluated_with_a_warning(offline: Offline) -> None:
    one = TABLE
    for column, value in (("variant", "h0@1"), ("candidates", ["h0@1"]), ("probabilities", [1.0])):
        one = with_column(column, [value] * 400, one)
    path = offline.parquet("log.parquet", one)

    found = offline.json("evaluate", path, *MAPPED)

    assert kinds_of(found) == {"one_variant": 1}
    assert {policy["verdict"] for policy in found["policies"]} == {"It does what was running."}


def test_a_policy_that_never_meets_the_log_gets_no_number(offline: Offline) -> None:
    arms, shares = (TABLE[column].to_pylist() for column in ("candidates", "probabilities"))
    table = with_column("candidates", [[*row, "new@1"] for row in arms])
    table = with_column("probabilities", [[*row, 0.0] for row in shares], table)
    path = offline.parquet("log.parquet", table)

    (policy,) = offline.json("evaluate", path, *MAPPED, "--policy", "fixed:new")["policies"]

    assert {one["value"] for one in policy["estimates"]} == {None}
    assert policy["weights"]["unsupported"] == 1.0
    assert "could not have shown 100%" in policy["verdict"]


def test_a_thousand_candidates_are_no_trouble(offline: Offline) -> None:
    arms = [f"a{n}" for n in range(1_000)]
    table = TABLE.slice(0, 100)
    for column, value in (
        ("variant", "a7"),
        ("candidates", arms),
        ("probabilities", [1 / 1_000] * 1_000),
    ):
        table = with_column(column, [value] * 100, table)
    path = offline.parquet("log.parquet", table)

    found = offline.json("evaluate", path, *MAPPED, "--force", "--report", "report")

    assert set(kinds_of(found)) == {"sample_ratio_mismatch"}  # which showing a7 100 times is
    assert found["rows"] == 100


# -- hostile names


@pytest.fixture
def hostile(offline: Offline) -> Path:
    """A log whose placements, personas and arms have such names."""

    def renamed(texts: list[str]) -> list[str]:
        known = {text: NAMES[n % len(NAMES)] for n, text in enumerate(sorted(set(texts)))}
        return [known[text] for text in texts]

    table = TABLE
    arms = dict(zip([f"h{n}@1" for n in range(5)], NAMES, strict=False))
    for column in ("placement", "persona"):
        table = with_column(column, renamed(TABLE[column].to_pylist()), table)
    table = with_column("variant", [arms[arm] for arm in TABLE["variant"].to_pylist()], table)
    offered = [[arms[arm] for arm in row] for row in TABLE["candidates"].to_pylist()]
    table = with_column("candidates", offered, table)
    return offline.parquet("[red]<b>.parquet", table)


@pytest.mark.parametrize("command", ["verify", "evaluate"])
def test_no_name_acts_on_the_terminal(offline: Offline, hostile: Path, command: str) -> None:
    policies = [] if command == "verify" else ["--policy", f"fixed:{NAMES[1]}"]

    result = offline(command, hostile, *MAPPED, *policies)

    assert result.exit_code == 0, result.output
    assert "[red]<b>.parquet" in result.stdout or command == "evaluate"
    assert "[red]x[/red]" in result.stdout
    assert not any(mark in result.output for mark in "\x1b\u202e")


def test_no_name_acts_on_a_page(offline: Offline, hostile: Path) -> None:
    policies = [word for name in NAMES[:2] for word in ("--policy", f"fixed:{name}")]

    result = offline("evaluate", hostile, *MAPPED, *policies, "--report", "report")

    assert result.exit_code == 0, result.output
    page = (offline.folder / "report.html").read_text(encoding="utf-8")
    markdown = (offline.folder / "report.md").read_text(encoding="utf-8")
    assert "<script>alert" not in page + markdown
    assert "alert(1)" in page
    assert not any(mark in page + markdown for mark in "\x1b\u202e")


def test_a_file_name_that_breaks_lines_stays_in_one_sentence(offline: Offline) -> None:
    path = offline.file("two\nlines\x1b[31m.parquet", b"")

    result = offline("evaluate", path)

    assert result.exit_code == 3
    assert len(result.stderr.splitlines()) == 2
    assert "\x1b" not in result.stderr


# -- folders, archives, data sets


@pytest.mark.parametrize("inside", [[], ["notes.txt"], [".hidden.parquet"], ["_part.csv"]])
def test_a_folder_without_logs_is_refused(offline: Offline, inside: list[str]) -> None:
    folder = offline.folder / "empty"
    folder.mkdir()
    for name in inside:
        (folder / name).write_text("x")

    offline.refused(3, "empty has no logs in it", "evaluate", folder)


def test_of_an_archive_with_two_sites_one_must_be_named(
    offline: Offline, closed_world: World
) -> None:
    archive = archived(closed_world, offline.folder / "archive")
    shutil.copytree(archive / "log" / "site=main", archive / "log" / "site=second")

    offline.refused(2, "archive has the sites main, second", "evaluate", archive)
    offline.refused(2, "archive has the sites main, second", "evaluate", archive, "--site", "third")
    assert offline.json("evaluate", archive, "--site", "main")["rows"] > 100
    assert offline.json("evaluate", archive / "log" / "site=main")["rows"] > 100


def test_an_archive_with_a_damaged_file_is_refused_by_that_file(
    offline: Offline, closed_world: World
) -> None:
    archive = archived(closed_world, offline.folder / "archive")
    (file,) = archive.rglob("*.parquet")
    file.write_bytes(file.read_bytes()[:1000])

    offline.refused(3, f"{file.name} is damaged", "evaluate", archive, "--report", "report")


def test_an_archive_of_nothing_is_refused(offline: Offline) -> None:
    archive = offline.folder / "archive"
    (archive / "log").mkdir(parents=True)
    (archive / "archive.json").write_text("{}")

    offline.refused(3, "archive has no site in it", "evaluate", archive)


@pytest.mark.parametrize(
    "words", [["obd:nope"], ["obd:random/hats"], ["obd:random/men", "obd:bts/men"], ["obd:"]]
)
def test_a_data_set_that_is_not_one_is_refused(offline: Offline, words: list[str]) -> None:
    offline.refused(2, "there is no log 'obd:", "evaluate", *words)


def test_a_data_set_that_was_not_fetched_says_how_to(
    offline: Offline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(offline.folder / "data" / "cache"))

    offline.refused(
        3, "Open Bandit Dataset is not in", "evaluate", "obd:random/men", "--report", "report"
    )
