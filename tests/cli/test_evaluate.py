"""``evaluate`` as people run it: a log in every form, every kind of policy, every mistake."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bandit_service.evaluation.report.twin import read_json
from bandit_service.storage.redis_site import RedisSite
from bandit_service.storage.redis_store import RedisStore
from tests.cli.offline import MAPPED, TABLE, TRUTH, Offline, exports
from tests.cli.test_verify import REWARDS, exported
from tests.world import World

SETTINGS = f"{REWARDS}[policy]\ntypical_reward = 0.2\nlearning_rate = 0.05\nslot_seconds = 10.0\n"
PYTHON = """
def even(decision, candidates):
    return [1 / len(candidates)] * len(candidates)

def first(decision, candidates):
    return [1.0] + [0.0] * (len(candidates) - 1)

def by_persona(decision, candidates):
    asked = first if decision.persona == "comedy" else even
    return asked(decision, candidates)

def greedy(decision, candidates):
    return [0.7] * len(candidates)

def short(decision, candidates):
    return [1.0]

def negative(decision, candidates):
    return [-1.0, 2.0] + [0.0] * (len(candidates) - 2)

def undefined(decision, candidates):
    return [float("nan")] * len(candidates)

def none(decision, candidates):
    return None

def raising(decision, candidates):
    raise RuntimeError("no [red]idea")
"""


@pytest.fixture
def table(offline: Offline) -> Path:
    """A sound table of others."""
    return offline.parquet("log.parquet")


@pytest.fixture
def log(offline: Offline, closed_world: World) -> Path:
    """A sound log of this program."""
    return exported(closed_world, offline.folder / "log.jsonl")


def estimate(policy: dict[str, Any], name: str = "ips") -> dict[str, Any]:
    """What an estimator says of a policy."""
    (found,) = (one for one in policy["estimates"] if one["estimator"] == name)
    return dict(found)


def policies(*words: str) -> list[str]:
    """The options that name policies."""
    return [option for word in words for option in ("--policy", word)]


# -- what must come out


def test_a_log_says_the_same_in_every_form(offline: Offline, closed_world: World) -> None:
    paths = exports(closed_world, offline.folder)
    settings = offline.file("site.toml", SETTINGS)
    asked = policies("logged", "uniform", "fixed:h1", f"policy:{settings}", f"blind:{settings}")

    found = {form: offline.json("evaluate", path, *asked) for form, path in paths.items()}

    same = [{**found[form], "log": None, "made": None} for form in ("parquet", "jsonl", "archive")]
    assert same[0] == same[1] == same[2]
    assert found["parquet"]["rows"] > 200
    # dsjson has the same rows, but neither visitors nor what happened between them
    for ours, theirs in zip(
        found["parquet"]["policies"][:3], found["dsjson"]["policies"][:3], strict=True
    ):
        assert estimate(theirs)["value"] == pytest.approx(estimate(ours)["value"], rel=1e-12)


def test_what_ran_earns_the_plain_mean_with_every_weight_exactly_1(
    offline: Offline, table: Path
) -> None:
    found = offline.json("evaluate", table, *MAPPED, *policies("logged"))

    (policy,) = found["policies"]
    mean = sum(TABLE["reward"].to_pylist()) / len(TABLE)
    assert found["mean_reward"] == mean
    for name in ("ips", "snips", "clipped-ips", "replay"):
        one = estimate(policy, name)
        assert one["value"] == mean
        assert (one["ess"], one["max_weight"]) == (400.0, 1.0)
    assert policy["weights"]["mean"] == policy["weights"]["maximum"] == 1.0
    assert policy["gain"]["value"] == 0.0
    assert policy["verdict"] == "It does what was running."


def test_estimates_come_near_the_truth(offline: Offline, table: Path) -> None:
    uniform, always = offline.json("evaluate", table, *MAPPED, *policies("uniform", "fixed:h2"))[
        "policies"
    ]

    for policy, truth in ((uniform, TRUTH.uniform), (always, TRUTH.always(2))):
        # 400 rows with weights up to 30: the widest interval holds in all but 1 of 20 seeds
        widest = estimate(policy)["intervals"][-1]
        assert widest["low"] <= truth <= widest["high"]


def test_the_report_is_what_json_prints_and_can_be_rendered_again(
    offline: Offline, table: Path
) -> None:
    result = offline("evaluate", table, *MAPPED, "--json", "--report", "jan.html")

    assert result.exit_code == 0, result.output
    twin = (offline.folder / "jan.json").read_bytes()
    assert result.stdout.encode().rstrip() == twin.rstrip()
    assert read_json(twin, "jan.json").rows == 400
    assert result.stderr.count("Wrote ") == 3
    assert {"jan.html", "jan.md", "jan.json"} < offline.names()
    again = offline("report", "jan.json", "--out", "again")
    assert again.exit_code == 0, again.output
    for suffix in ("html", "md"):
        texts = [(offline.folder / f"{name}.{suffix}").read_text() for name in ("jan", "again")]
        assert texts[0] == texts[1]
    assert not [name for name in offline.names() if name.endswith(".part")]


def test_the_same_question_has_the_same_answer_and_seeds_move_the_bootstrap_alone(
    offline: Offline, table: Path
) -> None:
    def asked(seed: str) -> Any:
        found = offline.json("evaluate", table, *MAPPED, "--seed", seed)
        return {**found, "made": None, "settings": None}

    first, again, other = asked("1"), asked("1"), asked("2")

    assert first == again
    assert first != other
    assert [[e["value"] for e in p["estimates"]] for p in first["policies"]] == [
        [e["value"] for e in p["estimates"]] for p in other["policies"]
    ]


def test_a_policy_that_is_named_twice_is_evaluated_once(offline: Offline, table: Path) -> None:
    found = offline.json("evaluate", table, *MAPPED, *policies("uniform", "logged", "uniform"))

    assert [policy["name"] for policy in found["policies"]] == ["uniform", "logged"]


def test_python_functions_are_policies(offline: Offline, table: Path) -> None:
    offline.file("mine.py", PYTHON)

    even, first, mixed, uniform, fixed = offline.json(
        "evaluate",
        table,
        *MAPPED,
        *policies(
            "python:mine:even", "python:mine:first", "python:mine:by_persona", "uniform", "fixed:h0"
        ),
    )["policies"]

    assert even["estimates"] == uniform["estimates"]
    assert first["estimates"] == fixed["estimates"]
    assert estimate(mixed)["value"] not in (estimate(even)["value"], estimate(first)["value"])


def test_a_table_of_shares_and_another_logs_frequencies_are_policies(
    offline: Offline, table: Path
) -> None:
    lines = ["placement,arm,probability"]
    lines += [f"film-{place},h{arm},0.2" for place in range(3) for arm in range(5)]
    shares = offline.file("shares.csv", "\n".join(lines))
    asked = policies(f"table:{shares}", "uniform", f"frequencies:{table}")

    shared, uniform, frequent = offline.json("evaluate", table, *MAPPED, *asked)["policies"]

    assert estimate(shared)["value"] == pytest.approx(estimate(uniform)["value"], rel=1e-12)
    assert estimate(frequent)["value"] is not None


def test_rows_of_which_a_policy_says_nothing_are_counted(offline: Offline) -> None:
    def renamed(row: dict[str, Any]) -> dict[str, Any]:
        other = row["placement"] == "film-1"
        swap = {"h0@1": "new@1"} if other else {}
        names = [swap.get(arm, arm) for arm in row["candidates"]]
        return {**row, "candidates": names, "variant": swap.get(row["variant"], row["variant"])}

    rows = [renamed(row) for row in TABLE.to_pylist()]
    path = offline.csv("log.csv", rows=rows)
    lacking = sum(row["placement"] != "film-1" for row in rows)

    result = offline("evaluate", path, *MAPPED, *policies("fixed:new"))

    assert result.exit_code == 0, result.output
    assert f"Of {lacking} rows it says nothing; they count as the log was." in result.stdout


@pytest.mark.redis
def test_a_live_site_is_evaluated_with_policies_that_learn_and_with_its_snapshots(
    offline: Offline, site: RedisSite, closed_world: World
) -> None:
    head = site.head()
    assert head is not None
    settings = offline.file("site.toml", SETTINGS)
    asked = policies(
        "logged",
        f"policy:{settings}",
        f"blind:{settings}",
        f"snapshot:{head.name}",
        f"snapshot:{head.name},learned",
    )
    path = exported(closed_world, offline.folder / "log.jsonl")

    live = offline.json("evaluate", *asked, "--report", "live")
    file = offline.json("evaluate", path, *asked[:6])

    assert live["log"]["format"] == "site"
    assert live["policies"][:3] == file["policies"]
    logged, learning, _, snapshot, learned = live["policies"]
    assert learning["learns"] is True
    assert snapshot["learns"] is False
    for policy in (learning, snapshot, learned):  # h1 is liked five times as much as any other
        assert estimate(policy)["value"] > estimate(logged)["value"]
    assert {"live.html", "live.md", "live.json"} < offline.names()


# -- wrong words


@pytest.mark.parametrize(
    "words",
    ["", "nope", "UNIFORM", "uniform:", "uniform:x", "fixed", "fixed:", "policy:", "python:"],
)
def test_a_policy_of_no_kind_is_refused_with_a_list_of_kinds(
    offline: Offline, table: Path, words: str
) -> None:
    result = offline("evaluate", table, *MAPPED, "--policy", words)

    offline.refused(2, f"'{words}' is not a policy", "evaluate", table, *MAPPED, "--policy", words)
    for kind in ("uniform", "fixed:VARIANT", "python:MODULE:FUNCTION"):
        assert f"  {kind}: " in result.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("policy:nope.toml", 2, "nope.toml cannot be read: No such file"),
        ("policy:.", 2, "cannot be read: Is a directory"),
        ("policy:\x00", 2, "cannot be read: embedded null"),
        (f"blind:{'x' * 5000}", 2, "cannot be read: File name too long"),
        ("policy:unknown.toml", 2, "unknown.toml: .*unknown field `foo`"),
        ("policy:wrong.toml", 2, "wrong.toml: policy.gamma is -1.0"),
        ("blind:broken.toml", 2, "broken.toml: Expected '='"),
        ("table:nope.csv", 2, "nope.csv cannot be read: No such file or directory$"),
        ("table:\x00", 2, "cannot be read: embedded null"),
        ("table:unknown.toml", 2, "unknown.toml"),
        ("snapshot:nope", 4, "there is no file 'nope'"),
        ("snapshot:\x00", 4, "there is no file"),
        (f"snapshot:{'x' * 5000}", 4, "there is no file"),
        ("snapshot:log.parquet", 3, "log.parquet: a snapshot cannot be read"),
        ("frequencies:nope", 3, "'nope' is not there"),
        ("frequencies:obd:nope", 2, "there is no log 'obd:nope'"),
        ("frequencies:partly.parquet", 6, r"row .*log.parquet row \d+: .* no placement 'film-"),
        ("fixed:nobody", 6, "fixed:nobody says nothing about any row of .*log.parquet"),
        ("python:nope", 2, "'nope' does not name a function"),
        ("python:nope:f", 2, "ModuleNotFoundError: No module named 'nope'"),
        ("python:mine:nope", 2, "AttributeError"),
        ("python:os:sep", 2, "'os:sep' is not a function"),
        ("python:..mine:even", 2, "cannot be imported"),
        ("python:broken:even", 2, "'broken:even' cannot be imported: ZeroDivisionError"),
        ("python:mine:greedy", 6, r"row .*row 1: .* sum to 3.5"),
        ("python:mine:short", 6, "row .*row 1: .* gave 1 probabilities"),
        ("python:mine:negative", 6, r"row .*row 1: .* gave \[-1.0, 2.0"),
        ("python:mine:undefined", 6, r"row .*row 1: .* gave \[nan"),
        ("python:mine:none", 6, "row .*row 1: .* gave None"),
        ("python:mine:raising", 6, r"row .*row 1: .* raised RuntimeError: no \[red\]idea"),
    ],
)
def test_a_policy_that_cannot_be_had_is_refused(
    offline: Offline, table: Path, words: str, code: int, said: str
) -> None:
    offline.file("mine.py", PYTHON)
    offline.file("broken.py", "1 / 0")
    offline.file("unknown.toml", "[policy]\nfoo = 1\n")
    offline.file("wrong.toml", "[policy]\ngamma = -1\n")
    offline.file("broken.toml", "no toml")
    film_0 = [place == "film-0" for place in TABLE["placement"].to_pylist()]
    offline.parquet("partly.parquet", TABLE.filter(film_0))

    offline.refused(code, said, "evaluate", table, *MAPPED, "--policy", words, "--report", "report")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--confidence", "2"], "confidence is 2.0"),
        (["--confidence", "nan"], "confidence is nan"),
        (["--clip", "-1"], "clip is -1.0"),
        (["--switch", "0"], "switch is 0.0"),
        (["--shrinkage", "inf"], "shrinkage is inf"),
        (["--seed", "-1"], "seed is -1"),
        (["--reward-range", "1", "0"], "the reward range 1 to 0 is none"),
        (["--reward-range", "0", "nan"], "the reward range 0 to nan is none"),
        (["--settings", "nope.toml"], "nope.toml cannot be read"),
        (["--settings", "."], "cannot be read: Is a directory"),
        (["--report", "none/report"], "none/report.html cannot be written"),
        (["--report", "config"], "config is a folder"),
        (["--report", "config/"], "config is a folder"),
        (["--report", "."], "is no name for a report"),
        (["--report", "/"], "is no name for a report"),
        (["--report", "log.parquet/report"], "cannot be written: Not a directory"),
        (["--report", "x" * 300], "cannot be written: File name too long"),
        (["--site", "../main"], "cannot be the name of a site"),
        (["--mapping", "nope"], "the mapping 'nope' cannot be read"),
    ],
)
def test_a_wrong_option_is_refused(
    offline: Offline, table: Path, words: list[str], said: str
) -> None:
    offline.refused(2, said, "evaluate", table, *MAPPED, *words)


def test_a_table_without_a_mapping_is_refused(offline: Offline, table: Path) -> None:
    offline.refused(2, "log.parquet is a Parquet table: say what its columns", "evaluate", table)


def test_a_mapping_without_a_table_is_refused(offline: Offline, log: Path) -> None:
    offline.refused(2, "needs no mapping", "evaluate", log, *MAPPED)
    offline.refused(2, "none was named", "evaluate", *MAPPED)


def test_a_reward_beyond_the_range_that_is_given_is_refused(offline: Offline, table: Path) -> None:
    offline.refused(
        6, "400 x reward_range", "evaluate", table, *MAPPED, "--reward-range", "0.2", "0.5"
    )


def test_a_report_that_exists_is_refused_before_the_log_is_read(
    offline: Offline, table: Path
) -> None:
    offline.file("jan.md", "mine")

    offline.refused(2, "jan.md exists", "evaluate", "gone.parquet", "--report", "jan")
    result = offline("evaluate", table, *MAPPED, "--report", "jan", "--force")

    assert result.exit_code == 0, result.output
    assert "mine" not in (offline.folder / "jan.md").read_text()
    assert msgspec.json.decode((offline.folder / "jan.json").read_bytes())["forced"] is False


@pytest.mark.parametrize("command", ["verify", "evaluate", "replay"])
def test_a_redis_that_is_away_is_said(offline: Offline, command: str) -> None:
    offline.refused(3, "Redis: .*refused", command, "--redis-url", "redis://127.0.0.1:1/0")
    offline.refused(3, "is not a Redis address", command, "--redis-url", "nonsense")


@pytest.mark.redis
def test_a_site_without_a_log_is_refused(
    offline: Offline, redis_store: RedisStore, redis_url: str
) -> None:
    redis_store.register("void")
    there = ("--redis-url", redis_url, "--site")

    for command in ("verify", "evaluate"):
        offline.refused(4, "there is no site 'nobody'", command, *there, "nobody")
        offline.refused(6, "site void .*no_rows", command, *there, "void")
    offline.refused(4, "site 'void' has no snapshot", "replay", *there, "void")


@pytest.mark.redis
def test_a_snapshot_that_the_site_has_not_is_not_found(offline: Offline, site: RedisSite) -> None:
    offline.refused(
        4, "site 'main' has no snapshot 'nope'", "evaluate", "--policy", "snapshot:nope"
    )


# -- results that were changed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda it: it.update(format=99), "has format 99"),
        (lambda it: it.update(rows="many"), r"Expected `int`, got `str` - at `\$.rows`"),
        (lambda it: it.update(since=-1), "-1 is not a time"),
        (lambda it: it["policies"][0].update(headline="nope"), "headline estimator 'nope'"),
        (lambda it: it["policies"].append(it["policies"][0]), "two policies have the same name"),
        (lambda it: it.pop("rows"), "missing required field `rows`"),
    ],
)
def test_a_result_that_was_changed_is_not_rendered(
    offline: Offline, table: Path, change: Any, said: str
) -> None:
    found = offline.json("evaluate", table, *MAPPED, *policies("logged"))
    change(found)
    path = offline.file("changed.json", msgspec.json.encode(found))

    error = offline.refused(2, said, "report", path)

    assert re.search("changed.json", error)


def test_a_result_that_is_cut_short_is_not_rendered(offline: Offline, table: Path) -> None:
    whole = offline("evaluate", table, *MAPPED, *policies("logged"), "--json").stdout
    path = offline.file("cut.json", whole[: len(whole) // 2])

    offline.refused(2, "cut.json is not a result of evaluate: Input data", "report", path)
    offline.refused(2, "log.parquet is not a result", "report", table)
    offline.refused(2, "config cannot be read: Is a directory", "report", "config")
    shutil.copy(path, offline.folder / "config" / "cut.json")
    offline.refused(2, "cut.json is not a result", "report", "config/cut.json")
