"""The benchmarks run to their end and print their rows; how fast anything is, no test can say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bandit_service.events.entries import Position, decode
from bandit_service.folds.site import SiteFold
from bandit_service.policy.settings import PolicySettings, SiteSettings
from bandit_service.policy.vowpal import VowpalModel
from bench import fold
from bench.freshness import Sighting, delays
from bench.load import is_complete
from bench.measures import Spread
from bench.resident import Growth
from bench.servers import WORKERS

ROWS = {
    "decide": ("no-op Flask view", "decide", "decide, learner on"),
    "freshness": ("freshness",),
    "fold": ("400 situations", "each its own situation", "400 situations, thompson"),
    "evaluate": (
        "fixed policy, ips and snips",
        "fixed policy, all estimators",
        "own log, 400 situations",
        "own log, each its own, alone",
        "table, 34 candidates",
        "table, 80 candidates, alone",
    ),
    "memory": ("a tenth of the log", "the log"),
    "reports": (
        *("publish all, 5 variants", "publish one that changed, 100 variants"),
        *("overview, 100 variants", "placement, 5 variants"),
        *("personas, 5 variants", "tags, 100 variants"),
    ),
    "outage": ("Redis well", "Redis hangs"),
    "price": (
        *("draw", "distribution, kept", "append, the store", "append, redis-py"),
        *("fold an outcome, thompson", "fold an outcome, squarecb"),
        *("predict, thompson, 6 candidates", "predict, squarecb, 100 candidates"),
        *("learn, thompson, 100 candidates", "save, thompson, 100 candidates"),
    ),
}


@pytest.mark.slow
@pytest.mark.redis
def test_every_benchmark_completes_and_prints_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "values.json"

    done = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "--json", str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    for rows in ROWS.values():
        assert all(row in done.stdout for row in rows)
    written = json.loads(path.read_bytes())["results"]
    assert set(written) == set(ROWS)
    for name, rows in ROWS.items():
        assert set(rows) <= {row["name"] for row in written[name]["rows"]}


@pytest.mark.slow
@pytest.mark.redis
def test_a_soak_completes_and_tells_the_processes_apart(tmp_path: Path) -> None:
    path = tmp_path / "values.json"

    done = subprocess.run(
        [sys.executable, "-m", "bench", "soak", "--quick", "--json", str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    soaked = json.loads(path.read_bytes())["results"]["soak"]["values"]
    roles = [name.split()[0] for name in soaked["growth"]]
    assert {role: roles.count(role) for role in roles} == {
        "Redis": 1,
        "learner": 1,
        "archiver": 1,
        "worker": WORKERS,
    }
    assert soaked["offered"]["answered"].keys() == {"200", "202"}
    assert soaked["logged"] > 0


def test_growth_is_the_slope_of_the_second_half() -> None:
    # A start-up of 100 MB in 5 s, then 1 MB every 10 s.
    samples = [(t / 2, 20.0 * t / 2 if t < 10 else 100 + (t / 2 - 5) / 10) for t in range(100)]

    growth = Growth.of(samples)

    assert growth.start == 0
    assert growth.end == growth.peak == pytest.approx(104.45)
    assert growth.per_minute == pytest.approx(6.0)


def test_a_section_that_does_not_exist_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "fast"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "freshness" in done.stderr


def test_the_driver_learns_what_the_fold_learns(tmp_path: Path) -> None:
    settings = SiteSettings(policy=PolicySettings(exploration="squarecb"))
    log = fold.make_log(300, profiles=20)
    examples, saved = tmp_path / "examples.txt", tmp_path / "model.vw"

    count = fold.write_examples(settings, log, examples)
    fold.run_driver(settings, examples, "-f", str(saved))

    text = examples.read_text()
    assert text.count("\n\n") == count == fold.run_fold(settings, log)
    assert count > 250
    shared, *actions = text.split("\n\n")[7].splitlines()
    unlabelled = [line[line.index("|") :] for line in actions]
    theirs = VowpalModel(settings.policy, saved.read_bytes())
    ours = VowpalModel(settings.policy, _model_of(settings, log))
    assert theirs.predict(shared, unlabelled).rewards == ours.predict(shared, unlabelled).rewards
    assert ours.predict(shared, unlabelled).rewards[0] != settings.policy.typical_reward
    theirs.close()
    ours.close()


def test_a_click_is_fresh_at_the_first_answer_that_has_learned_it() -> None:
    sightings = [
        Sighting(1.0, Position(10, 0)),
        Sighting(2.0, Position(20, 4)),
        Sighting(3.0, Position(20, 5)),
    ]

    found = delays(
        {"before": 1.5, "same": 1.5, "seen": 2.5},
        {"before": Position(20, 4), "same": Position(20, 5), "seen": Position(10, 0)},
        sightings,
    )

    assert found == [0.5, 1.5, 0.0]


def test_a_ratio_is_taken_round_by_round() -> None:
    spread = Spread.of_ratios([2.0, 6.0, 4.0], [1.0, 2.0, 4.0])

    assert (spread.median, spread.low, spread.high) == (2.0, 1.0, 3.0)


def test_an_answer_is_complete_with_its_last_byte() -> None:
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"

    assert is_complete(whole)
    assert not any(is_complete(whole[:cut]) for cut in range(len(whole)))


def _model_of(settings: SiteSettings, log: fold.Log) -> bytes:
    folded = SiteFold(settings)
    for position, data in log:
        folded.apply(position, decode(data))
    model = folded.trainer.save()
    folded.close()
    return model
