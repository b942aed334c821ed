"""A study is the same however it is run, fails by name, and can be kept and put together."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import msgspec
import pytest

from bandit_service.errors import EvaluationError, InvalidInput
from simulations.bandits import results, study
from simulations.bandits.base import Batch, Whole, World
from simulations.bandits.results import Study, encode, merged, read
from simulations.bandits.rivals import RIVALS, simple
from simulations.bandits.rivals.entry import Rival
from simulations.bandits.study import Plan, described, run, tasks
from tests.simulations.bandits.script import Script, batch, spot

TABLE = cast("dict[str, Rival]", RIVALS)
PLAN = Plan(("duel:200", "null:100"), ("ours", "uniform"), (1, 2), quick=True)


def done(plan: Plan = PLAN, *, processes: int = 1) -> Study:
    played = list(run(tasks(plan), processes=processes))
    return study.study(plan, described(plan), played)


def timeless(made: Study) -> Study:
    """Without the processor time that it took."""
    runs = [msgspec.structs.replace(one, seconds=0.0) for one in made.runs]
    return msgspec.structs.replace(made, runs=runs)


@pytest.fixture(scope="module")
def made() -> Study:
    return done()


class Breaks(simple.Uniform):
    """Fails at its second choice."""

    choices = 0

    def choose(self, batch: Batch) -> Whole:
        self.choices += 1
        if self.choices > 1:
            raise ValueError("no idea")
        return super().choose(batch)


def test_the_number_of_processes_changes_nothing(made: Study) -> None:
    assert timeless(done(processes=2)) == timeless(made)


def test_everything_follows_from_the_seed(made: Study) -> None:
    assert timeless(done()) == timeless(made)
    first, second = made.runs[:2]
    assert (first.seed, second.seed) == (1, 2)
    assert first.rewards != second.rewards


def test_every_policy_plays_every_world_with_every_seed(made: Study) -> None:
    assert [(one.world, one.policy, one.seed) for one in made.runs] == [
        (world, policy, seed)
        for world in PLAN.worlds for policy in PLAN.policies for seed in PLAN.seeds
    ]  # fmt: skip


def test_a_task_that_fails_ends_the_study_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(world: World, seed: int) -> Breaks:
        return Breaks()

    monkeypatch.setitem(TABLE, "broken", Rival("breaks", broken))
    with pytest.raises(EvaluationError, match="broken in duel:200, seed 1: ValueError: no idea"):
        done(Plan(("duel:200",), ("uniform", "broken"), (1,)))


def test_a_failure_in_another_process_is_told_as_well(tests_file: Path) -> None:
    # given a world that can be described here, and is gone when the task begins
    plan = Plan(("newsroom:100",), ("uniform", "ours"), (1,), quick=True, upworthy=tests_file)
    gone = [
        task._replace(setup=task.setup._replace(upworthy=tests_file.with_name("gone.csv")))
        for task in tasks(plan)
    ]
    with pytest.raises(EvaluationError, match=r"in newsroom:100, seed 1: .*gone\.csv"):
        list(run(gone, processes=2))


def test_a_world_that_reports_on_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = Script([batch([0], [False], [1], of=spot(reported=False))])
    monkeypatch.setattr(study, "world", lambda name, setup: silent)
    with pytest.raises(EvaluationError, match="uniform in silent, seed 1: silent reports on noth"):
        list(run(tasks(Plan(("silent",), ("uniform",), (1,))), processes=1))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nobody", "there is no policy 'nobody'"),
        ("ours:gone.toml", "gone.toml cannot be read"),
        ("uniform:2", "there is no policy 'uniform:2'"),
    ],
)
def test_a_policy_that_cannot_be_made_is_refused_before_anything_is_run(
    name: str, words: str
) -> None:
    with pytest.raises(InvalidInput) as told:
        described(Plan(("duel",), ("uniform", name), (1,)))
    assert words in told.value.message
    assert told.value.hint


def test_a_rival_that_is_not_installed_is_refused_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(world: World, seed: int) -> simple.Uniform:
        raise AssertionError("it was made all the same")

    absent = Rival("is not here", never, package="no-such-bandits", module="no_such_bandits")
    monkeypatch.setitem(TABLE, "absent", absent)
    with pytest.raises(InvalidInput, match="needs no-such-bandits, which is not installed") as told:
        described(Plan(("duel",), ("absent",), (1,)))
    assert "pip install no-such-bandits" in (told.value.hint or "")


def test_every_rival_says_what_it_is_and_is_made_if_it_can_be() -> None:
    for name, rival in RIVALS.items():
        assert rival.words
        assert ":" not in name
        assert "," not in name


def test_settings_of_a_file_are_used(tmp_path: Path) -> None:
    # given settings under which nothing is learned, and choice is nearly uniform
    path = tmp_path / "dull.toml"
    path.write_text("[policy]\nfloor = 1.0\n")
    plan = Plan(("duel:300",), (f"ours:{path}", "ours"), (1,))
    # when
    dull, ours = (sum(map(sum, one.earned)) for one in done(plan).runs)
    # then 600 draws of about 1/6, standard deviation 0.1: 5 standard errors are 12
    assert abs(dull - 100.0) < 12.5
    assert ours > dull


def test_a_study_is_read_as_it_was_written(made: Study, tmp_path: Path) -> None:
    path = tmp_path / "study.json"
    path.write_bytes(encode(made))
    assert read(path) == made


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"{", "is no study"),
        (b"\xff", "is no study"),
        (b'{"format": 1}', "is no study"),
    ],
)
def test_what_is_no_study_is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "study.json"
    path.write_bytes(data)
    with pytest.raises(InvalidInput, match=words):
        read(path)
    with pytest.raises(InvalidInput, match="cannot be read"):
        read(tmp_path / "gone.json")


def test_a_study_of_another_format_or_with_parts_missing_is_refused(
    made: Study, tmp_path: Path
) -> None:
    replace = msgspec.structs.replace
    run = made.runs[0]
    wrong = {
        "has format 9": replace(made, format=9),
        "does not say what there was to earn": replace(made, grounds=made.grounds[1:]),
        "has numbers missing": replace(
            made, runs=[replace(run, earned=run.earned[1:]), *made.runs[1:]]
        ),
    }
    for words, damaged in wrong.items():
        path = tmp_path / "study.json"
        path.write_bytes(encode(damaged))
        with pytest.raises(InvalidInput, match=words):
            read(path)


def test_studies_put_together_are_one_and_what_does_not_fit_is_refused(made: Study) -> None:
    # given
    alone = done(PLAN._replace(policies=("uniform",), seeds=(3,)))
    ground = alone.grounds[0]
    # when
    both = merged([made, alone, made])
    # then
    assert len(both.runs) == len(made.runs) + len(alone.runs)
    assert both.policies == ["ours", "uniform"]
    other = msgspec.structs.replace(ground, best=[[9.0] for _ in ground.best])
    with pytest.raises(InvalidInput, match="did not meet the same visitors"):
        merged([alone, msgspec.structs.replace(alone, grounds=[other, *alone.grounds[1:]])])
    changed = msgspec.structs.replace(alone.runs[0], earned=[[9.0] for _ in ground.best])
    with pytest.raises(InvalidInput, match="uniform earned otherwise the other time in duel:200"):
        merged([alone, msgspec.structs.replace(alone, runs=[changed])])
    with pytest.raises(InvalidInput, match="other stretches"):
        merged([made, msgspec.structs.replace(alone, edges=[1, 2])])


def test_players_that_met_other_visitors_are_not_compared(made: Study) -> None:
    with pytest.raises(InvalidInput, match="did not meet the same visitors"):
        results.same(made.grounds[0], msgspec.structs.replace(made.grounds[0], uniform=[]))
