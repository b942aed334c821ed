from bandit_service.evaluation.targets.context import TargetContext
from bandit_service.evaluation.targets.named import make_target
from tests.evaluation.targets.rows import a_batch, by_row, closed_world, log_of, run, weights


def test_a_variant_is_shown_in_all_its_versions_and_an_arm_as_it_is() -> None:
    batch = a_batch([{"arms": ["h0@1", "h1@1"]}, {"arms": ["h1@1", "h0@2"]}])
    context = TargetContext()

    variant, arm = make_target("fixed:h0", context), make_target("fixed:h0@2", context)

    assert by_row(batch, variant.probabilities(batch)) == [[1.0, 0.0], [0.0, 1.0]]
    assert variant.as_logged == 0
    assert by_row(batch, arm.probabilities(batch)) == [[0.5, 0.5], [0.0, 1.0]]
    assert arm.as_logged == 1


def test_rows_without_the_variant_are_as_logged_and_are_counted() -> None:
    batch = a_batch([{"arms": ["x@1", "y@1"], "logged": [0.9, 0.1]}, {"arms": ["h0@1", "y@1"]}])
    target = make_target("fixed:h0", TargetContext())

    given = target.probabilities(batch)

    assert by_row(batch, given) == [[0.9, 0.1], [1.0, 0.0]]
    target.probabilities(batch)
    assert target.as_logged == 2


def test_names_met_in_a_later_batch_are_known_there() -> None:
    target = make_target("fixed:h0", TargetContext())
    first = a_batch([{"arms": ["x@1", "y@1"]}])
    later = a_batch([{"arms": ["h0@1", "x@1"]}], first.names)

    target.probabilities(first)

    assert target.probabilities(later).tolist() == [1.0, 0.0]


def test_a_variant_with_an_at_sign_is_not_another_s_version() -> None:
    batch = a_batch([{"arms": ["a@b@1", "a@1"]}])

    given = make_target("fixed:a", TargetContext()).probabilities(batch)

    assert given.tolist() == [0.0, 1.0]


def test_on_a_real_log_it_weighs_what_it_shows_alone() -> None:
    found = run(make_target("fixed:h1", TargetContext()), log_of(closed_world()))

    shown = [
        batch.names.arms[int(batch.arms[place])] for batch, _ in found for place in batch.shown
    ]
    assert {arm for arm, weight in zip(shown, weights(found), strict=True) if weight} == {"h1@1"}
    assert all(w == 0 or w >= 1 for w in weights(found))
