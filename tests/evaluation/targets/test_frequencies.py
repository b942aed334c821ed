import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from bandit_service.errors import EvaluationError, InvalidInput, LogError
from bandit_service.evaluation.batch import Batch, Vocabulary
from bandit_service.evaluation.logs.base import LoggedData
from bandit_service.evaluation.logs.named import open_log
from bandit_service.evaluation.targets.base import Target
from bandit_service.evaluation.targets.context import TargetContext
from bandit_service.evaluation.targets.named import make_target
from bandit_service.policy.settings import SiteSettings
from tests.evaluation.targets.rows import TableLog, a_batch, by_row, run, weights


def target_of(*batches: Batch) -> tuple[Target, TableLog]:
    log = TableLog(*batches)
    context = TargetContext(open_log=lambda words: {"other": log}[words])
    return make_target("frequencies:other", context), log


def test_an_arm_is_as_likely_as_it_was_shown_on_its_placement_among_the_same_candidates() -> None:
    pages = [
        {"placement": "film", "chosen": 0},
        {"placement": "film", "chosen": 0},
        {"placement": "film", "chosen": 0},
        {"placement": "film", "arms": ["b@1", "a@1"], "chosen": 0},
        {"placement": "series", "chosen": 1},
        {"placement": "film", "arms": ["a@1", "b@1", "c@1"], "chosen": 2},
        {"placement": "film", "chosen": -1},
    ]
    target, log = target_of(a_batch(pages[:4]), a_batch(pages[4:]))
    names = Vocabulary()
    names.arms.code("something else")  # the codes of two readings have nothing to do with another
    batch = a_batch(
        [
            {},
            {"arms": ["b@1", "a@1"]},
            {"placement": "series"},
            {"arms": ["a@1", "b@1", "c@1"]},
        ],
        names,
    )

    given = target.probabilities(batch)

    assert by_row(batch, given) == [[0.75, 0.25], [0.25, 0.75], [0.0, 1.0], [0.0, 0.0, 1.0]]
    assert log.closed


def test_the_other_log_is_read_when_it_is_needed_and_once() -> None:
    opened: list[str] = []

    def other(words: str) -> LoggedData:
        opened.append(words)
        return TableLog(a_batch([{}]))

    target = make_target("frequencies:x.csv", TargetContext(open_log=other))
    assert not opened

    target.probabilities(a_batch([{}]))
    target.probabilities(a_batch([{}, {}]))

    assert opened == ["x.csv"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"placement": "series"}, "other has no placement 'series'"),
        ({"arms": ["a@1", "z@1"]}, "other never chose among these candidates on placement 'film'"),
    ],
)
def test_what_the_other_log_never_did_is_refused(row: dict[str, object], said: str) -> None:
    target, _ = target_of(a_batch([{}]))

    with pytest.raises(EvaluationError) as refused:
        target.probabilities(a_batch([{}, row]))

    assert refused.value.message == f"row log.csv:3: {said}"
    assert refused.value.hint


def test_a_log_without_rows_gives_no_frequencies_and_is_closed() -> None:
    target, log = target_of()

    with pytest.raises(EvaluationError, match="no row to take frequencies from"):
        target.probabilities(a_batch([{}]))

    assert log.closed


def test_a_log_that_cannot_be_opened_says_so() -> None:
    def broken(words: str) -> LoggedData:
        raise LogError(f"{words} is damaged")

    with pytest.raises(LogError, match="x is damaged"):
        make_target("frequencies:x", TargetContext(open_log=broken)).probabilities(a_batch([{}]))
    with pytest.raises(InvalidInput, match="'x' cannot be opened"):
        make_target("frequencies:x", TargetContext()).probabilities(a_batch([{}]))


CONFIG = Path(__file__).parents[3] / "config"


def test_frequencies_of_the_open_bandit_dataset_are_those_of_item_and_position(
    real_cache: Path | None,
) -> None:
    def obd(words: str) -> LoggedData:
        settings = SiteSettings()
        return open_log([words], settings=settings, config_path=CONFIG, cache_dir=real_cache)

    target = make_target("frequencies:obd:bts/men", TargetContext(open_log=obd))
    bts: Counter[tuple[str, str]] = Counter()
    for batch, _ in run(make_target("logged", TargetContext()), obd("obd:bts/men")):
        bts.update(shown_in(batch))
    shown_at = Counter({place: 0 for place, _ in bts})
    for (place, _), count in bts.items():
        shown_at[place] += count

    found = run(target, obd("obd:random/men"))

    for batch, given in found:
        assert np.allclose(batch.row_sums(given), 1.0, rtol=0, atol=1e-12)
        for (place, arm), p in zip(shown_in(batch), given[batch.shown], strict=True):
            assert p == bts[place, arm] / shown_at[place]
    # The random log could show all that bts did: weights are 1 on average.
    weight = np.array(weights(found))
    assert len(weight) == 10_000
    assert abs(weight.mean() - 1.0) < 5 * weight.std() / math.sqrt(len(weight))
    assert target.as_logged == 0


def shown_in(batch: Batch) -> list[tuple[str, str]]:
    """Placement and arm of each row."""
    return [
        (batch.names.placements[int(place)], batch.names.arms[int(arm)])
        for place, arm in zip(batch.placement, batch.arms[batch.shown], strict=True)
    ]
