import json
from pathlib import Path

import pytest

from bandit_service.errors import EvaluationError, InvalidInput
from bandit_service.evaluation.targets.base import Target
from bandit_service.evaluation.targets.context import TargetContext
from bandit_service.evaluation.targets.named import make_target
from tests.evaluation.targets.rows import a_batch, by_row

CSV = """placement,persona,arm,probability
film,,h0,0.25
film,,h1@1,0.75
film,comedy,h1@1,1
"""


def table(folder: Path, text: str, name: str = "table.csv") -> Target:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return make_target(f"table:{path}", TargetContext())


def test_a_persona_has_its_own_lines_and_all_others_share_theirs(tmp_path: Path) -> None:
    arms = ["h0@3", "h1@1", "h2@1"]
    batch = a_batch([{"arms": arms, "persona": "comedy"}, {"arms": arms, "persona": "romantic"}])

    given = table(tmp_path, CSV).probabilities(batch)

    assert by_row(batch, given) == [[0.0, 1.0, 0.0], [0.25, 0.75, 0.0]]


def test_json_says_the_same_as_csv(tmp_path: Path) -> None:
    entries = [
        {"placement": "film", "arm": "h0", "probability": 0.25},
        {"placement": "film", "arm": "h1@1", "probability": 0.75},
    ]
    batch = a_batch([{"arms": ["h0@3", "h1@1"]}])

    given = table(tmp_path, json.dumps(entries), "table.json").probabilities(batch)

    assert given.tolist() == [0.25, 0.75]


def test_versions_of_a_variant_share_its_entry_and_an_arm_s_own_entry_goes_first(
    tmp_path: Path,
) -> None:
    text = "placement,arm,probability\nfilm,h0,0.6\nfilm,h0@3,0.4\n"
    batch = a_batch([{"arms": ["h0@1", "h0@2", "h0@3"]}])

    assert table(tmp_path, text).probabilities(batch).tolist() == [0.3, 0.3, 0.4]


def test_what_a_row_does_not_offer_goes_to_the_rest_in_proportion(tmp_path: Path) -> None:
    text = "placement,arm,probability\nfilm,a,0.5\nfilm,b,0.3\nfilm,c,0.2\n"
    batch = a_batch([{"arms": ["b@1", "c@1"]}])

    assert table(tmp_path, text).probabilities(batch).tolist() == pytest.approx([0.6, 0.4])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"placement": "series"}, "no placement 'series' for persona 'unknown'"),
        ({"arms": ["x@1", "y@1"]}, "nothing to any candidate of placement 'film': x@1, y@1"),
    ],
)
def test_a_row_that_the_table_cannot_answer_is_named(
    tmp_path: Path, row: dict[str, object], said: str
) -> None:
    batch = a_batch([{"arms": ["h0@1", "h1@1"]}, row])

    with pytest.raises(EvaluationError) as refused:
        table(tmp_path, CSV).probabilities(batch)

    assert f"row log.csv:3: the table has {said}" in refused.value.message or (
        f"row log.csv:3: the table gives {said}" in refused.value.message
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no entries"),
        ("placement,arm,probability\n", "no entries"),
        ("placement,arm\nfilm,a\n", "table.csv:2: Object missing required field `probability`"),
        ("placement,arm,probability\nfilm,a,x\n", "table.csv:2: Expected `float`, got `str`"),
        ("placement,arm,probability\nfilm,a,nan\n", "table.csv:2: the probability is nan"),
        ("placement,arm,probability\nfilm,a,1.5\n", "table.csv:2: the probability is 1.5"),
        ("placement,arm,probability\nfilm,a,1\nfilm,a,0\n", "table.csv:3: 'a' was there before"),
        ("placement,arm,probability\nfilm,a,0.9\n", "placement 'film' sum to 0.9"),
        ("placement,arm,probability\nfilm,a\n", "table.csv:2: another number of columns"),
        ("placement,arm,probability\nfilm,a,1,2\n", "table.csv:2: another number of columns"),
        ("place,arm,probability\nfilm,a,1\n", "table.csv:2: Object contains unknown field `place`"),
        (
            'placement,arm,probability\n"film,a,1\n',
            "table.csv, after line 1: unexpected end of data",
        ),
    ],
)
def test_a_wrong_table_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        table(tmp_path, text)

    assert said in refused.value.message


def test_a_persona_s_lines_must_sum_to_1_as_well(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"placement 'film', persona 'comedy' sum to 0\.5"):
        table(tmp_path, CSV.replace("comedy,h1@1,1", "comedy,h1@1,0.5"))


@pytest.mark.parametrize("text", ["{}", "[1]", '[{"placement": "film"}]', "[", '[{"x": 1}]'])
def test_json_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidInput, match=r"table\.json"):
        table(tmp_path, text, "table.json")


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        make_target(f"table:{tmp_path / 'none.csv'}", TargetContext())
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match="cannot be read"):
        make_target(f"table:{tmp_path / 'bytes.csv'}", TargetContext())
