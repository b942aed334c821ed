from __future__ import annotations

from pathlib import Path

import pytest

from bandit_service.errors import BanditError, InvalidInput, SettingsError
from bandit_service.evaluation.sweeping.grid import MOST_POINTS, Plan, plan_of_files, plan_of_grid
from bandit_service.policy.settings import PolicySettings, SiteSettings, read_settings

PRESENT = SiteSettings(policy=PolicySettings(sharpness=7.0))
ROOT = Path(__file__).parent.parent.parent


def grid(folder: Path, text: str, *, blind: bool = False) -> Plan:
    path = folder / "grid.toml"
    path.write_text(text)
    return plan_of_grid(path, PRESENT, blind=blind)


def names(plan: Plan) -> list[str]:
    return [point.name for point in plan.points]


def test_a_grid_makes_every_combination_around_the_settings_in_force(tmp_path: Path) -> None:
    plan = grid(
        tmp_path,
        '[vary]\n"policy.sharpness" = [10, 40.5]\n'
        '"policy.cross" = [["persona"], ["persona", "situation"], []]\n',
    )

    assert names(plan) == [
        "base",
        "sharpness=10 cross=persona",
        "sharpness=10 cross=persona+situation",
        "sharpness=10 cross=none",
        "sharpness=40.5 cross=persona",
        "sharpness=40.5 cross=persona+situation",
        "sharpness=40.5 cross=none",
    ]
    assert plan.points[0].settings == PRESENT
    assert plan.points[2].settings.policy.cross == ("persona", "situation")
    assert plan.points[2].settings.policy.sharpness == 10.0
    assert plan.points[2].settings.rewards == PRESENT.rewards


def test_a_base_is_found_beside_the_grid_and_may_be_one_of_its_points(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text("[policy]\nsharpness = 40.0\nfloor = 0.1\n")

    plan = grid(tmp_path, 'base = "site.toml"\n[vary]\n"policy.sharpness" = [10.0, 40.0]\n')

    assert names(plan) == ["sharpness=40", "sharpness=10"]
    assert all(point.settings.policy.floor == 0.1 for point in plan.points)


def test_a_setting_within_a_table_can_be_varied(tmp_path: Path) -> None:
    plan = grid(tmp_path, '[vary]\n"rewards.worth.like" = [2.0]\n')

    assert plan.points[1].settings.rewards.worth == {**PRESENT.rewards.worth, "like": 2.0}


def test_every_point_has_a_blind_twin_but_for_those_that_would_do_the_same(tmp_path: Path) -> None:
    text = '[vary]\n"policy.cross" = [["persona", "situation"], ["traits", "situation"]]\n'

    plan = grid(tmp_path, text, blind=True)

    assert [(point.name, point.blind) for point in plan.points] == [
        ("base", False),
        ("cross=persona+situation", False),
        ("cross=traits+situation", False),
        ("base blind", True),
        ("cross=persona+situation blind", True),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[vary]\n"policy.gama" = [1.0]\n', "gama"),
        ('[vary]\n"sharpness" = [1.0]\n', "sharpness"),
        ('[vary]\n"policy.sharpness.x" = [1.0]\n', "policy.sharpness.x"),
        ('[vary]\n"policy.floor" = [0.5, 1.5]\n', "policy.floor is 1.5"),
        ('[vary]\n"policy.sharpness" = [nan]\n', "policy.sharpness is nan"),
        ('[vary]\n"policy.sharpness" = ["high"]\n', "sharpness=high"),
        ('[vary]\n"policy.bits" = [18.5]\n', "bits=18.5"),
        ('[vary]\n"policy.cross" = [["persna"]]\n', "persna"),
        ('[vary]\n"rewards.window_seconds" = [0.1]\n', "rewards.window_seconds is 0.1"),
        ('[vary]\n"policy.sharpness" = []\n', "policy.sharpness has no values"),
        ('[vary]\n"policy.sharpness" = [4, 4.0]\n', "policy.sharpness has the value 4 twice"),
        ('[vary]\n"policy.sharpness" = 4.0\n', "policy.sharpness has no list of values"),
        ("[vary]\npolicy.sharpness = [4.0]\n", "policy has no list of values"),
        ("[vary]\n", "[vary] is empty"),
        ('[vari]\n"policy.sharpness" = [4.0]\n', "vari"),
        ("[vary\n", "at line 1"),
    ],
)
def test_a_mistake_in_a_grid_is_refused_with_file_and_key(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        grid(tmp_path, text)

    assert str(tmp_path / "grid.toml") in refused.value.message
    assert said in refused.value.message
    assert refused.value.hint


def test_a_wrong_value_is_refused_with_its_range(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        grid(tmp_path, '[vary]\n"policy.floor" = [1.5]\n')

    assert refused.value.field == "policy.floor"
    assert refused.value.hint == "use a number from 0 to 1"


def test_too_many_points_are_refused_with_their_number(tmp_path: Path) -> None:
    text = "[vary]\n" + "".join(
        f'"policy.{name}" = [{values}]\n'
        for name, values in (
            ("sharpness", ", ".join(f"{n}.0" for n in range(1, 10))),
            ("floor", ", ".join(f"0.{n}" for n in range(1, 10))),
        )
    )

    with pytest.raises(InvalidInput, match=f"makes 81 policies, and {MOST_POINTS} are the most"):
        grid(tmp_path, text)


@pytest.mark.parametrize("name", ["gone.toml", "."])
def test_a_grid_or_base_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        plan_of_grid(tmp_path / name, PRESENT)
    with pytest.raises(InvalidInput, match="cannot be read"):
        grid(tmp_path, f'base = "{name}"\n[vary]\n"policy.sharpness" = [4.0]\n')


def test_a_mistake_in_the_base_names_the_base(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text("[policy]\nsharpness = -1.0\n")

    with pytest.raises(SettingsError, match=r"site\.toml: policy\.sharpness is -1\.0"):
        grid(tmp_path, 'base = "site.toml"\n[vary]\n"policy.floor" = [0.1]\n')


def test_files_are_compared_with_the_settings_in_force_and_a_wrong_one_costs_itself(
    tmp_path: Path,
) -> None:
    good, wrong, gone = (tmp_path / name for name in ("good.toml", "wrong.toml", "gone.toml"))
    good.write_text("[policy]\nsharpness = 9.0\n")
    wrong.write_text("[policy]\nfloor = 3.0\n")

    plan = plan_of_files([good, wrong, gone], PRESENT)

    assert names(plan) == ["base", str(good)]
    assert plan.points[1].settings.policy.sharpness == 9.0
    assert [one.name for one in plan.unreadable] == [str(wrong), str(gone)]
    assert "policy.floor is 3.0" in plan.unreadable[0].why
    assert "use a number from 0 to 1" in plan.unreadable[0].why
    assert "cannot be read" in plan.unreadable[1].why


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([], "nothing to try"),
        (["good.toml", "good.toml"], "named twice"),
        (["wrong.toml"], "policy.floor is 3.0"),
    ],
)
def test_files_of_which_none_is_usable_are_refused(
    tmp_path: Path, files: list[str], said: str
) -> None:
    (tmp_path / "good.toml").write_text("[policy]\nsharpness = 9.0\n")
    (tmp_path / "wrong.toml").write_text("[policy]\nfloor = 3.0\n")

    with pytest.raises(BanditError, match=said) as refused:
        plan_of_files([tmp_path / name for name in files], PRESENT)

    assert refused.value.exit_code == 2


def test_the_grid_that_is_shipped_varies_exploration_and_learning_around_the_defaults() -> None:
    shipped = ROOT / "config" / "sweep.toml"
    defaults = read_settings((ROOT / "config" / "site.toml").read_bytes(), name="site.toml")

    plan = plan_of_grid(shipped, defaults)

    assert len(plan.points) == 9
    assert plan.points[0].settings.id == defaults.id  # the defaults are one of its points


def test_what_plays_no_part_is_not_varied(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"policy\.gamma makes no difference") as refused:
        grid(tmp_path, '[vary]\n"policy.gamma" = [10.0, 40.0]\n')

    assert "thompson" in str(refused.value)
    assert refused.value.exit_code == 2


def test_points_that_differ_in_what_plays_no_part_are_one(tmp_path: Path) -> None:
    plan = grid(
        tmp_path,
        '[vary]\n"policy.exploration" = ["thompson", "squarecb"]\n"policy.gamma" = [10.0, 160.0]\n',
    )

    assert [point.settings.policy.exploration for point in plan.points] == [
        "thompson",
        "squarecb",
        "squarecb",
    ]
    assert [point.settings.policy.gamma for point in plan.points[1:]] == [10.0, 160.0]
