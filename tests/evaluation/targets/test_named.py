import pickle
from pathlib import Path

import pytest

from bandit_service.errors import BanditError, InvalidInput, SettingsError
from bandit_service.evaluation.targets.context import TargetContext
from bandit_service.evaluation.targets.named import KINDS, make_target
from tests.evaluation.targets.rows import a_batch


@pytest.mark.parametrize(
    "words",
    ["", "best", "Uniform", "uniform:", "uniform:x", "fixed", "fixed:", "policy", "polic:x", ":"],
)
def test_what_is_no_policy_is_refused_with_all_that_are(words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        make_target(words, TargetContext())

    assert repr(words) in refused.value.message
    assert all(kind in (refused.value.hint or "") for kind in KINDS)


@pytest.mark.parametrize("kind", ["policy", "blind"])
def test_a_setting_that_does_not_exist_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[policy]\ngama = 4\n", encoding="utf-8")

    with pytest.raises(SettingsError) as refused:
        make_target(f"{kind}:{path}", TargetContext())

    assert "gama" in refused.value.message
    assert str(path) in refused.value.message


@pytest.mark.parametrize("kind", ["policy", "blind"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, kind: str) -> None:
    with pytest.raises(InvalidInput, match=r"none\.toml cannot be read: No such file"):
        make_target(f"{kind}:{tmp_path / 'none.toml'}", TargetContext())


def test_every_kind_says_what_it_is_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("placement,arm,probability\nfilm,a,1\n", encoding="utf-8")
    (tmp_path / "p.toml").write_text("", encoding="utf-8")
    words = [
        "uniform",
        "logged",
        "fixed:h0",
        "frequencies:other.csv",
        f"table:{tmp_path / 't.csv'}",
        f"policy:{tmp_path / 'p.toml'}",
        f"blind:{tmp_path / 'p.toml'}",
        "python:math:hypot",
    ]

    for name in words:
        target = make_target(name, TargetContext())
        assert target.name == name
        assert target.words.endswith(".")
        assert target.as_logged == 0
        target.close()

    kinds = {kind.partition(":")[0] for kind in KINDS}
    assert {name.partition(":")[0] for name in words} == kinds - {"snapshot"}


def test_the_same_words_make_the_same_policy_in_another_process() -> None:
    context = pickle.loads(pickle.dumps(TargetContext(python_path=(Path("somewhere"),))))
    batch = a_batch([{"arms": ["h0@1", "h1@1"]}])

    here, there = make_target("fixed:h1", TargetContext()), make_target("fixed:h1", context)

    assert here.probabilities(batch).tolist() == there.probabilities(batch).tolist()
    assert context.python_path == (Path("somewhere"),)
    with pytest.raises(BanditError):
        make_target("snapshot:none", context)
